//! Why here, why not, what next and when: for one device, and for a rollout.
//!
//! From the standings that a tick decides by, so that an explanation cannot differ from the engine.

use std::collections::BTreeMap;

use muster_protocol::id::DeviceId;
use muster_protocol::time::UnixSeconds;
use serde::{Deserialize, Serialize};

use super::advance;
use super::because::Because;
use super::decision::decide;
use super::inventory::Inventory;
use super::plan::Plan;
use super::policy::{Membership, Role};
use super::rollout::Rollout;
use super::situation::Situation;
use super::standing::Standing;
use super::state::{Phase, State};
use super::tally::{Counts, Tally};
use super::text;

/// Where a device stands, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceExplanation {
    /// The device.
    #[serde(with = "text")]
    pub device: DeviceId,
    /// The name of its ring.
    pub ring: Option<String>,
    /// In one word, with what it rests on.
    pub standing: Standing,
    /// In a sentence.
    pub why: String,
    /// What comes next.
    pub next: String,
    /// When it changes by itself, if that is known.
    #[serde(with = "text::unix::optional")]
    pub until: Option<UnixSeconds>,
}

/// Where a rollout stands, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RolloutExplanation {
    /// Its state.
    pub state: State,
    /// Why it is in it.
    pub because: Because,
    /// Why it does not go on; none when a person must say how, or nothing follows.
    pub waits: Option<Because>,
    /// What comes next.
    pub next: String,
    /// By ring: its name and its counts.
    pub rings: Vec<(String, Counts)>,
    /// How many devices stand where, the reasons that hold them back apart.
    pub standings: BTreeMap<String, u32>,
}

/// Explains a device. The inventory is that of the situation: it tells who is no member.
#[must_use]
pub fn explain_device(
    plan: &Plan,
    situation: &Situation,
    inventory: &Inventory,
    device: &DeviceId,
) -> DeviceExplanation {
    let at = plan.members().position(|(_, member)| member == device);
    let ring = at
        .and_then(|at| plan.members().nth(at))
        .map(|(ring, _)| ring);
    let (decisions, standings) = decide(plan, situation);
    let standing = at.and_then(|at| standings.get(at).cloned());
    let standing = standing.unwrap_or_else(|| stranger(plan, inventory, device));
    let now = situation.now;
    let mut why = standing.why(plan, now);
    if matches!(standing, Standing::Paused | Standing::Halted { .. }) {
        // By whom, or for which devices.
        why = format!("{why}: {}", decisions.rollout.because.sentence);
    }
    DeviceExplanation {
        device: device.clone(),
        ring: ring.map(|ring| plan.ring_name(ring).to_owned()),
        why,
        next: standing.next(plan, now),
        until: standing.until(),
        standing,
    }
}

/// Where every member stands, with its ring, in the order of the plan.
#[must_use]
pub fn standings<'a>(plan: &'a Plan, situation: &Situation) -> Vec<(u32, &'a DeviceId, Standing)> {
    let (_, standings) = decide(plan, situation);
    let members = plan.members().zip(standings);
    members
        .map(|((ring, device), standing)| (ring, device, standing))
        .collect()
}

/// Explains a rollout.
#[must_use]
pub fn explain_rollout(plan: &Plan, situation: &Situation) -> RolloutExplanation {
    let (decisions, places) = decide(plan, situation);
    let rollout = &decisions.rollout;
    let tally = Tally::of(plan, situation, rollout);
    let mut standings: BTreeMap<String, u32> = BTreeMap::new();
    for standing in &places {
        *standings.entry(standing.word().to_owned()).or_default() += 1;
    }
    let names = plan.rings.iter().map(|ring| ring.name.clone());
    RolloutExplanation {
        state: rollout.state,
        because: rollout.because.clone(),
        waits: advance::holds(plan, situation, rollout, &tally),
        next: next(plan, situation, rollout, &tally),
        rings: names.zip(tally.rings).collect(),
        standings,
    }
}

/// A device that has no place in the plan.
fn stranger(plan: &Plan, inventory: &Inventory, device: &DeviceId) -> Standing {
    let Some(facts) = inventory.device(device) else {
        return Standing::Gone;
    };
    if plan.not_reached.binary_search(device).is_ok() {
        return Standing::NotReached;
    }
    match (
        facts.is_selected_by(&plan.policy.selector),
        plan.policy.membership,
    ) {
        (false, _) => Standing::NotMatched,
        (true, Membership::Frozen) => Standing::JoinedLate,
        (true, Membership::Live) => Standing::Joins,
    }
}

fn next(plan: &Plan, situation: &Situation, rollout: &Rollout, tally: &Tally) -> String {
    let beyond = |ring: u32| match State::beyond(ring, plan.rings_len()) {
        State::Running { ring, .. } => format!("ring {} opens", plan.ring_name(ring)),
        _ => "the rollout is completed".to_owned(),
    };
    match rollout.state {
        State::Draft => "approve the plan, or abort it".to_owned(),
        State::Running { phase, ring } => match phase {
            Phase::Dispatching => {
                format!("when all have settled, ring {} soaks", plan.ring_name(ring))
            }
            Phase::Soaking => format!("when it has passed, {}", beyond(ring)),
            Phase::AwaitingApproval => format!("once approved, {}", beyond(ring)),
        },
        State::Paused { .. } => "resume goes on where it was".to_owned(),
        State::Halted { .. } if !advance::is_still_wrong(plan, situation, rollout, tally) => {
            "what halted it is no longer so: resume goes on".to_owned()
        }
        State::Halted { .. } => {
            "retry the devices, promote in spite of them, roll back or abort".to_owned()
        }
        State::RollingBack { .. } => "when its devices are back, it has ended".to_owned(),
        State::Completed if plan.policy.role == Role::Shadow => {
            "the shadow runs on until a version is brought to serve, or rollback takes it off"
                .to_owned()
        }
        State::RolledBack | State::Aborted | State::Completed | State::Superseded => {
            "nothing: it has ended".to_owned()
        }
    }
}
