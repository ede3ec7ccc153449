//! One tick: what to do now, each with its reason.
//!
//! Decides and does nothing. Once an executor has made it so, the same tick decides nothing new.

use muster_protocol::id::{DeviceId, Version};
use muster_protocol::time::UnixSeconds;
use serde::{Deserialize, Serialize};

use super::advance;
use super::because::Because;
use super::board;
use super::inventory::Inventory;
use super::plan::Plan;
use super::rollout::Rollout;
use super::situation::{Fact, RingEvidence, Situation};
use super::standing::Standing;
use super::state::State;
use super::tally::{Class, Tally, Try};
use super::text;

/// What a tick decides.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decisions {
    /// The rollout as it stands from now on; to be kept also when nothing else is decided.
    pub rollout: Rollout,
    /// How it came there, in order.
    pub changes: Vec<Change>,
    /// Devices to tell.
    pub dispatch: Vec<Dispatch>,
    /// Devices to bring back.
    pub roll_back: Vec<RollBack>,
}

/// From one state to another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// The state before.
    pub from: State,
    /// The state after.
    pub to: State,
    /// Why.
    pub because: Because,
    /// The devices that it rests on, in order of their ids.
    #[serde(with = "text::list")]
    pub devices: Vec<DeviceId>,
}

/// A device that gets the version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dispatch {
    /// The device.
    #[serde(with = "text")]
    pub device: DeviceId,
    /// Its ring.
    pub ring: u32,
    /// Whether it was told before.
    pub r#try: Try,
    /// Why now.
    pub because: Because,
}

/// A device that goes back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RollBack {
    /// The device.
    #[serde(with = "text")]
    pub device: DeviceId,
    /// The version it had before; none when it had none, and the model is taken off.
    #[serde(with = "text::optional")]
    pub to: Option<Version>,
    /// Why.
    pub because: Because,
}

impl Decisions {
    /// Whether there is nothing to do.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty() && self.dispatch.is_empty() && self.roll_back.is_empty()
    }
}

/// What to do now.
#[must_use]
pub fn tick(
    plan: &Plan,
    rollout: &Rollout,
    inventory: &Inventory,
    evidence: &[RingEvidence],
    now: UnixSeconds,
) -> Decisions {
    decide(
        plan,
        &Situation::of(plan, rollout, inventory, evidence, now),
    )
    .0
}

/// What to do in a situation, and where each member stands, in the order of the plan.
#[must_use]
pub(super) fn decide(plan: &Plan, situation: &Situation) -> (Decisions, Vec<Standing>) {
    let tally = Tally::of(plan, situation, &situation.rollout);
    let (rollout, changes) = advanced(plan, situation, &tally);
    let standings = board::sweep_tallied(plan, situation, &rollout, &tally);
    let mut decisions = Decisions {
        rollout,
        changes,
        dispatch: Vec::new(),
        roll_back: Vec::new(),
    };
    let members = plan.members().zip(&situation.facts).zip(&standings);
    for (((ring, device), fact), standing) in members {
        match standing {
            Standing::MovesNow { r#try } => {
                decisions.dispatch(plan, ring, device, *r#try);
            }
            Standing::GoesBackNow => decisions.bring_back(device, fact.as_ref()),
            _ => {}
        }
    }
    decisions.close(situation.now);
    (decisions, standings)
}

/// Takes every step that a rollout takes by itself at this moment.
fn advanced(plan: &Plan, situation: &Situation, tally: &Tally) -> (Rollout, Vec<Change>) {
    let mut rollout = situation.rollout.clone();
    let mut changes = Vec::new();
    // A ring takes four steps at most; two more end the rollout.
    let steps_max = plan.rings_len().saturating_mul(4).saturating_add(2);
    for _ in 0..steps_max {
        let Some(step) = advance::step(plan, situation, &rollout, tally) else {
            break;
        };
        changes.push(Change {
            from: rollout.state,
            to: step.to,
            because: step.because.clone(),
            devices: step.devices,
        });
        rollout = rollout.moved(step.to, situation.now, step.because);
    }
    forget_retries(&mut rollout, plan, tally);
    (rollout, changes)
}

/// Devices that have ended well, or that nobody will tell again, are not retried later.
fn forget_retries(rollout: &mut Rollout, plan: &Plan, tally: &Tally) {
    if rollout.retrying.is_empty() {
        return;
    }
    let over = rollout.state.is_terminal() || matches!(rollout.state, State::RollingBack { .. });
    let members = plan.members().zip(&tally.classes);
    let again = members.filter(|(_, class)| !over && **class == Class::Pending(Try::Again));
    let mut again: Vec<DeviceId> = again.map(|((_, device), _)| device.clone()).collect();
    again.sort_unstable();
    rollout.retrying = again;
}

impl Decisions {
    fn dispatch(&mut self, plan: &Plan, ring: u32, device: &DeviceId, r#try: Try) {
        let members = plan.rings.get(ring as usize);
        let members = members.map_or(0, |ring| ring.devices.len() as u64);
        let nth = self.dispatch.len() as u64 + 1;
        let name = plan.ring_name(ring);
        let sentence = match r#try {
            Try::First => format!("ring {name} is open, and no limit holds it back"),
            Try::Again => format!("it was told to try again in ring {name}"),
        };
        self.dispatch.push(Dispatch {
            device: device.clone(),
            ring,
            r#try,
            because: Because::counted(sentence, nth, members, members),
        });
    }

    fn bring_back(&mut self, device: &DeviceId, fact: Option<&Fact>) {
        self.roll_back.push(RollBack {
            device: device.clone(),
            to: fact.and_then(|fact| fact.previous.clone()),
            because: self.rollout.because.clone(),
        });
    }

    fn close(&mut self, now: UnixSeconds) {
        let Some(devices) = u32::try_from(self.dispatch.len()).ok().filter(|n| *n > 0) else {
            return;
        };
        self.rollout.note_dispatches(devices, now);
        let mut told: Vec<&DeviceId> = self.dispatch.iter().map(|one| &one.device).collect();
        told.sort_unstable();
        let retrying = &mut self.rollout.retrying;
        retrying.retain(|device| told.binary_search(&device).is_err());
    }
}
