//! The executor's part: keeps rollouts, what devices were told and what they said, and makes so
//! what the planner decides, as `fleet/src/controller/executor` does with its store.
//!
//! Decides nothing itself, and sends nothing: what follows for devices is handed back.

mod evidence;
mod facts;

use std::collections::{BTreeMap, BTreeSet};

use muster_fleet::gate::DeviceCounts;
use muster_fleet::planner::{
    self, Decisions, DeviceExplanation, Dispatch, Inventory, Order, Plan, Policy, Refusal,
    RollBack, Rollout, RolloutExplanation, RolloutId, Situation, Standing, Try,
};
use muster_protocol::id::{DeviceId, EpochGeneration, ModelId, Version};
use muster_protocol::time::UnixSeconds;

use super::planted::Planted;
use super::script::NewDevice;
use super::unit::{Entry, Word};
use evidence::{Arm, CountedFor};

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

#[derive(Debug, Clone)]
struct Said {
    version: Version,
    step: &'static str,
    reason: Option<String>,
    since: EpochGeneration,
}

#[derive(Debug, Clone)]
struct Told {
    ring: u32,
    at: UnixSeconds,
    contact_at: Option<UnixSeconds>,
    since: EpochGeneration,
    retries: u8,
    previous: Option<Version>,
    back: Option<Back>,
}

#[derive(Debug, Clone, Copy)]
struct Back {
    at: UnixSeconds,
    contact_at: Option<UnixSeconds>,
    since: EpochGeneration,
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
                step: "committed",
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
        evidence::gates(&policy)?;
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
            let soaks = one.plan.policy.rings.iter().map(|ring| ring.soak_s);
            let since = one.standing.since.0;
            let soaked = soaks.map(move |soak_s| UnixSeconds(since + soak_s));
            untils.chain(soaked).collect::<Vec<_>>()
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

    /// Takes what a device has signed; an entry follows when it was held until now.
    pub(super) fn take(&mut self, device: &DeviceId, word: Word, now: UnixSeconds) -> Vec<Sent> {
        if !self.enrolled.contains_key(device) {
            return Vec::new();
        }
        self.note_contact(device, now);
        match word {
            Word::Hello(accepted) if self.held.remove(device) => {
                return self.adopt(device, &accepted);
            }
            Word::Hello(_) => {}
            Word::Accepted(since) => drop(self.accepted.insert(device.clone(), since)),
            Word::Receipt {
                model,
                version,
                step,
                reason,
                since,
            } => self.receipt(
                (device.clone(), model),
                Said {
                    version,
                    step,
                    reason,
                    since,
                },
            ),
            Word::Window {
                model,
                version,
                since,
                counts,
            } => self.count(device, &model, &version, since, &counts),
        }
        Vec::new()
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

    fn dispatch(
        &mut self,
        rollout: RolloutId,
        policy: &Policy,
        dispatch: &Dispatch,
        now: UnixSeconds,
    ) -> Option<Sent> {
        let key = (dispatch.device.clone(), policy.model.clone());
        let before = self.told.get(&(rollout, dispatch.device.clone())).cloned();
        let desired = self.desired.get(&key).cloned();
        let same = desired.as_ref().filter(|row| row.version == policy.version);
        let attempt = match (same, dispatch.r#try) {
            (None, _) => 0,
            (Some(row), Try::First) => row.attempt,
            (Some(row), Try::Again) => row.attempt.saturating_add(1),
        };
        let previous = match &before {
            Some(told) => told.previous.clone(),
            None => desired.map(|row| row.version),
        };
        let wanted = Desired {
            rollout,
            version: policy.version.clone(),
            attempt,
        };
        self.desired.insert(key.clone(), wanted);
        let sent = self.assign(&key);
        let again = u8::from(dispatch.r#try == Try::Again);
        let told = Told {
            ring: dispatch.ring,
            at: now,
            contact_at: None,
            since: self
                .entries
                .get(&key)
                .map_or_else(Default::default, |e| e.since),
            retries: before.map_or(0, |told| told.retries.saturating_add(again)),
            previous,
            back: None,
        };
        self.told.insert((rollout, dispatch.device.clone()), told);
        sent
    }

    fn roll_back(
        &mut self,
        rollout: RolloutId,
        model: &ModelId,
        back: &RollBack,
        now: UnixSeconds,
    ) -> Option<Sent> {
        let key = (back.device.clone(), model.clone());
        match &back.to {
            Some(version) => {
                let wanted = Desired {
                    rollout,
                    version: version.clone(),
                    attempt: 0,
                };
                self.desired.insert(key.clone(), wanted);
            }
            None => drop(self.desired.remove(&key)),
        }
        let sent = self.assign(&key);
        let newest = self.newest_at.get(&back.device).copied();
        let entry = self.entries.get(&key).map(|entry| entry.since);
        let since = entry.or(newest).unwrap_or_default();
        if let Some(told) = self.told.get_mut(&(rollout, back.device.clone())) {
            told.back = Some(Back {
                at: now,
                contact_at: None,
                since,
            });
        }
        sent
    }

    /// The next entry of a device; none when nothing changes, or while it is held.
    fn assign(&mut self, key: &(DeviceId, ModelId)) -> Option<Sent> {
        let (device, model) = key;
        if self.held.contains(device) {
            return None;
        }
        let desired = self.desired.get(key);
        let stands = self.entries.get(key);
        let same = match (desired, stands) {
            (None, None) => true,
            (Some(want), Some(has)) => {
                has.version.as_ref() == Some(&want.version) && has.attempt == want.attempt
            }
            (None, Some(_)) | (Some(_), None) => false,
        };
        if same {
            return None;
        }
        let newest = self.newest_at.get(device).copied().unwrap_or_default();
        let since = EpochGeneration::new(self.epoch, newest.generation.0 + 1);
        self.newest_at.insert(device.clone(), since);
        let entry = Entry {
            version: desired.map(|row| row.version.clone()),
            attempt: desired.map_or(0, |row| row.attempt),
            since,
        };
        match &entry.version {
            Some(_) => drop(self.entries.insert(key.clone(), entry.clone())),
            None => drop(self.entries.remove(key)),
        }
        Some((device.clone(), model.clone(), entry))
    }

    /// What a device has accepted becomes what it shall run, but for what was asked of it since
    /// the restore.
    fn adopt(&mut self, device: &DeviceId, accepted: &BTreeMap<ModelId, Entry>) -> Vec<Sent> {
        let before = self.rollouts_before;
        let newer = |row: &Desired| row.rollout.0 > before;
        self.desired.retain(|(own, model), row| {
            own != device || newer(row) || accepted.contains_key(model)
        });
        self.entries.retain(|(own, _), _| own != device);
        for (model, entry) in accepted {
            let key = (device.clone(), model.clone());
            let newest = self.newest_at.entry(device.clone()).or_default();
            *newest = entry.since.max(*newest);
            self.entries.insert(key.clone(), entry.clone());
            let Some(version) = &entry.version else {
                continue;
            };
            let row = self.desired.get(&key);
            let stays = row.is_some_and(|row| newer(row) || row.version == *version);
            if !stays {
                self.desired.insert(key, adopted(version));
            }
        }
        let own = self.desired.keys().filter(|(own, _)| own == device);
        let own: Vec<_> = own.cloned().collect();
        own.iter().filter_map(|key| self.assign(key)).collect()
    }

    fn note_contact(&mut self, device: &DeviceId, now: UnixSeconds) {
        let told = self.told.iter_mut();
        for (_, told) in told.filter(|((_, own), _)| own == device) {
            told.contact_at.get_or_insert(now);
            if let Some(back) = &mut told.back {
                back.contact_at.get_or_insert(now);
            }
        }
    }

    fn receipt(&mut self, key: (DeviceId, ModelId), said: Said) {
        match said.step {
            "committed" => drop(self.serving.insert(key.clone(), said.version.clone())),
            "degraded" | "refused" | "reverted" => {}
            _ => return,
        }
        self.said.insert(key, said);
    }

    fn count(
        &mut self,
        device: &DeviceId,
        model: &ModelId,
        version: &Version,
        since: EpochGeneration,
        counts: &DeviceCounts,
    ) {
        let going_on = self
            .going_on()
            .filter(|one| one.plan.policy.model == *model);
        let places = going_on.filter_map(|one| {
            let rollout = one.plan.rollout;
            let released = one.plan.policy.version == *version;
            let told = self.told.get(&(rollout, device.clone()));
            let (ring, arm) = match told {
                Some(told) if released && since >= told.since => (told.ring, Arm::Ring),
                None if !released => (evidence::open_ring(&one.standing)?, Arm::Control),
                _ => return None,
            };
            let device = device.clone();
            let bundle = evidence::bundle(model, version);
            Some((rollout, ring, arm, device, bundle))
        });
        for place in places.collect::<Vec<_>>() {
            let (known, sums) = self
                .counts
                .entry(place)
                .or_insert_with(|| (since, DeviceCounts::default()));
            if since > *known {
                (*known, *sums) = (since, DeviceCounts::default());
            }
            if since == *known {
                sums.add(counts);
            }
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
