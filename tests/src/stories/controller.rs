//! The executor's part: keeps rollouts, what devices were told and what they said, and makes so
//! what the planner decides, as `fleet/src/controller/executor` does with its store.
//!
//! Decides nothing itself, and sends nothing: what follows for devices is handed back.

mod evidence;
mod facts;
mod heard;
mod make;

use std::collections::{BTreeMap, BTreeSet};

use muster_fleet::gate::DeviceCounts;
use muster_fleet::planner::{
    self, Decisions, DeviceExplanation, Inventory, Order, Plan, Policy, Refusal, Rollout,
    RolloutExplanation, RolloutId, Said, Situation, Standing, Told,
};
use muster_fleet::ring_evidence;
use muster_protocol::id::{DeviceId, EpochGeneration, ModelId, Version};
use muster_protocol::time::UnixSeconds;

use super::planted::Planted;
use super::script::NewDevice;
use super::unit::Entry;
use evidence::CountedFor;

/// An entry for a device, to be sent.
pub(super) type Sent = (DeviceId, ModelId, Entry);

/// All that a controller keeps.
#[derive(Debug, Clone)]
pub(super) struct Controller {
    planted: Planted,
    epoch: u64,
    enrolled: BTreeMap<DeviceId, BTreeMap<String, String>>,
    held: BTreeSet<DeviceId>,
    /// Rollouts at the restore: what was asked since then stands.
    rollouts_before: u64,
    newest_at: BTreeMap<DeviceId, EpochGeneration>,
    accepted: BTreeMap<DeviceId, EpochGeneration>,
    desired: BTreeMap<(DeviceId, ModelId), Desired>,
    entries: BTreeMap<(DeviceId, ModelId), Entry>,
    said: BTreeMap<(DeviceId, ModelId), Said>,
    serving: BTreeMap<(DeviceId, ModelId), Version>,
    rollouts: Vec<Planned>,
    told: BTreeMap<(RolloutId, DeviceId), Told>,
    counts: BTreeMap<CountedFor, (EpochGeneration, DeviceCounts)>,
}

/// A rollout that is kept.
#[derive(Debug, Clone)]
struct Planned {
    plan: Plan,
    standing: Rollout,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Desired {
    rollout: RolloutId,
    version: Version,
    attempt: u32,
}

/// What a tick came to for one rollout.
pub(super) struct Ticked {
    /// Which.
    pub(super) rollout: RolloutId,
    /// The plan, when it is a new one.
    pub(super) amended: Option<Plan>,
    /// What was decided.
    pub(super) decisions: Decisions,
}

struct Sight {
    plan: Plan,
    inventory: Inventory,
    situation: Situation,
}

impl Controller {
    /// Of no devices yet.
    pub(super) fn new(planted: Planted) -> Self {
        Self {
            planted,
            epoch: 1,
            enrolled: BTreeMap::new(),
            held: BTreeSet::new(),
            rollouts_before: 0,
            newest_at: BTreeMap::new(),
            accepted: BTreeMap::new(),
            desired: BTreeMap::new(),
            entries: BTreeMap::new(),
            said: BTreeMap::new(),
            serving: BTreeMap::new(),
            rollouts: Vec::new(),
            told: BTreeMap::new(),
            counts: BTreeMap::new(),
        }
    }

    /// A device enrols, and says what it runs.
    pub(super) fn enrol(&mut self, new: &NewDevice) {
        let (device, first) = (&new.device, EpochGeneration::new(1, 1));
        self.enrolled.insert(device.clone(), new.labels.clone());
        self.newest_at.insert(device.clone(), first);
        for (model, version) in &new.runs {
            let key = (device.clone(), model.clone());
            let desired = adopted(version);
            let entry = Entry {
                version: Some(version.clone()),
                attempt: 0,
                since: first,
            };
            let said = Said {
                version: version.clone(),
                step: "committed".to_owned(),
                reason: None,
                since: first,
            };
            self.desired.insert(key.clone(), desired);
            self.entries.insert(key.clone(), entry);
            self.serving.insert(key.clone(), version.clone());
            self.said.insert(key, said);
        }
    }

    /// A device is no longer enrolled.
    pub(super) fn forget(&mut self, device: &DeviceId) {
        self.enrolled.remove(device);
    }

    /// The labels of a device.
    pub(super) fn labels(&mut self, device: &DeviceId) -> Option<&mut BTreeMap<String, String>> {
        self.enrolled.get_mut(device)
    }

    /// Devices, in order of their ids.
    pub(super) fn devices(&self) -> impl Iterator<Item = (&DeviceId, &BTreeMap<String, String>)> {
        self.enrolled.iter()
    }

    /// The number of the newest rollout.
    pub(super) fn newest(&self) -> Option<RolloutId> {
        self.rollouts.last().map(|one| one.plan.rollout)
    }

    /// The plan that a rollout follows.
    pub(super) fn plan(&self, rollout: RolloutId) -> Option<&Plan> {
        Some(&self.planned(rollout)?.plan)
    }

    /// After a restore: no device is sent anything before it has shown what it has.
    pub(super) fn restored(mut self) -> Self {
        self.epoch += 1;
        self.held = self.enrolled.keys().cloned().collect();
        self.rollouts_before = self.rollouts.len() as u64;
        self
    }

    /// Begins a rollout by a policy; nothing moves before the next tick.
    ///
    /// # Errors
    /// The sentence of the planner, or of a gate that cannot be read.
    pub(super) fn apply(
        &mut self,
        policy: Policy,
        now: UnixSeconds,
    ) -> Result<(&Plan, &Rollout), String> {
        ring_evidence::gates(&policy)?;
        let policy = self.planted.policy(policy);
        let rollout = RolloutId(self.rollouts.len() as u64 + 1);
        let inventory = self.inventory(rollout, &policy.model, &policy.version);
        let plan = Plan::make(rollout, policy, &inventory, now);
        let plan = plan.map_err(|error| error.to_string())?;
        let standing = Rollout::begin(&plan, now);
        self.rollouts.push(Planned { plan, standing });
        let begun = self.rollouts.last();
        let begun = begun.map(|one| (&one.plan, &one.standing));
        begun.ok_or_else(|| "it was just begun".to_owned())
    }

    /// Gives an order; what may move because of it does with the next tick.
    ///
    /// # Errors
    /// [`Refusal`]; none for a rollout that is not there.
    pub(super) fn obey(
        &mut self,
        rollout: RolloutId,
        order: &Order,
        now: UnixSeconds,
    ) -> Option<Result<Option<planner::Change>, Refusal>> {
        let sight = self.sight(self.planned(rollout)?, now);
        Some(match planner::obey(&sight.plan, &sight.situation, order) {
            Ok(obeyed) => {
                self.set_standing(obeyed.rollout);
                Ok(obeyed.change)
            }
            Err(refusal) => Err(refusal),
        })
    }

    /// Lets every rollout go on that can.
    pub(super) fn tick(&mut self, now: UnixSeconds) -> (Vec<Ticked>, Vec<Sent>) {
        let (mut ticked, mut sent) = (Vec::new(), Vec::new());
        for at in 0..self.rollouts.len() {
            let one = &self.rollouts[at];
            if one.standing.state.is_terminal() {
                continue;
            }
            let sight = self.sight(one, now);
            let is_new = sight.plan.number != one.plan.number;
            let record = planner::Record::of(&sight.plan, sight.situation);
            let decisions = self.planted.decisions(&sight.plan, record.decisions);
            let rollout = one.plan.rollout;
            if is_new {
                self.rollouts[at].plan = sight.plan.clone();
            }
            for dispatch in &decisions.dispatch {
                sent.extend(self.dispatch(rollout, &sight.plan.policy, dispatch, now));
            }
            for back in &decisions.roll_back {
                sent.extend(self.roll_back(rollout, &sight.plan.policy.model, back, now));
            }
            self.set_standing(decisions.rollout.clone());
            ticked.push(Ticked {
                rollout,
                amended: is_new.then_some(sight.plan),
                decisions,
            });
        }
        (ticked, sent)
    }

    /// When a rollout may go on without anybody saying anything.
    pub(super) fn wakes_at(&self, now: UnixSeconds) -> Option<UnixSeconds> {
        let going_on = self.going_on();
        let times = going_on.flat_map(|one| {
            let sight = self.sight(one, now);
            let standings = planner::standings(&sight.plan, &sight.situation);
            let untils = standings.into_iter().filter_map(|(_, _, standing)| {
                let until = standing.until()?;
                // A deadline has passed one second after it.
                let is_window = matches!(standing, Standing::OutsideWindow { .. });
                Some(UnixSeconds(until.0 + u64::from(!is_window)))
            });
            let since = one.standing.since.0;
            let rings = one.plan.policy.rings.iter();
            let spans = rings.flat_map(|ring| [ring.soak_s, ring.deadline_s + 1]);
            let from_here = spans.map(|span_s| UnixSeconds(since + span_s));
            untils.chain(from_here).collect::<Vec<_>>()
        });
        times.filter(|at| *at > now).min()
    }

    /// Where a rollout stands, its plan, and what its gates say.
    pub(super) fn explain(
        &self,
        rollout: RolloutId,
        now: UnixSeconds,
    ) -> Option<(RolloutExplanation, Plan, Vec<planner::RingEvidence>)> {
        let sight = self.sight(self.planned(rollout)?, now);
        let explanation = planner::explain_rollout(&sight.plan, &sight.situation);
        Some((explanation, sight.plan, sight.situation.evidence))
    }

    /// Where a device stands in every rollout that goes on.
    pub(super) fn explain_device(
        &self,
        device: &DeviceId,
        now: UnixSeconds,
    ) -> Vec<(Plan, DeviceExplanation)> {
        let one = |one: &Planned| {
            let sight = self.sight(one, now);
            let (plan, situation) = (&sight.plan, &sight.situation);
            let explained = planner::explain_device(plan, situation, &sight.inventory, device);
            (sight.plan, explained)
        };
        self.going_on().map(one).collect()
    }

    fn planned(&self, rollout: RolloutId) -> Option<&Planned> {
        let mut rollouts = self.rollouts.iter();
        rollouts.find(|one| one.plan.rollout == rollout)
    }

    fn going_on(&self) -> impl Iterator<Item = &Planned> {
        let rollouts = self.rollouts.iter();
        rollouts.filter(|one| !one.standing.state.is_terminal())
    }

    fn set_standing(&mut self, standing: Rollout) {
        let mut rollouts = self.rollouts.iter_mut();
        if let Some(one) = rollouts.find(|one| one.plan.rollout == standing.id) {
            one.standing = standing;
        }
    }

    fn sight(&self, one: &Planned, now: UnixSeconds) -> Sight {
        let (plan, policy) = (&one.plan, &one.plan.policy);
        let inventory = self.inventory(plan.rollout, &policy.model, &policy.version);
        let amended = plan.amended(&one.standing, &inventory, now);
        let plan = amended.unwrap_or_else(|| plan.clone());
        let evidence = self.evidence(&plan, &inventory);
        let situation = Situation::of(&plan, &one.standing, &inventory, &evidence, now);
        Sight {
            plan,
            inventory,
            situation,
        }
    }
}

fn adopted(version: &Version) -> Desired {
    Desired {
        rollout: RolloutId(0),
        version: version.clone(),
        attempt: 0,
    }
}
