//! What must hold after every event, whatever happened.
//!
//! Knows less than the system: it remembers of each device the highest that it ever saw durable,
//! and compares. Never looks at a clock.

use super::catalogue::{Catalogue, Fate};
use super::clones::Company;
use super::controller::Record;
use super::device::Device;
use super::lane::Counts;
use muster_device::acceptance::Accepted;
use muster_device::updater::ModelState;
use muster_protocol::cbor;
use muster_protocol::id::{ModelId, Rank, Sequence, StreamId};
use muster_protocol::limits::FROZEN_MAX;
use muster_protocol::time::UnixSeconds;
use std::collections::{BTreeMap, BTreeSet};

/// A promise that was broken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Which.
    pub promise: &'static str,
    /// How.
    pub how: String,
}

/// What was seen of one device so far.
#[derive(Debug, Clone, Default)]
pub(super) struct Watch {
    states_read: u64,
    key_sets: usize,
    floors: BTreeMap<ModelId, (Rank, Rank)>,
    permanent: UnixSeconds,
    accepted: Option<Accepted>,
    /// The rank of what was active and had proved itself, by model.
    active: BTreeMap<ModelId, Option<Rank>>,
    /// Models that committed once.
    proved: BTreeSet<ModelId>,
    /// Documents that the controller lost with a restore.
    pub(super) forgotten: BTreeMap<(StreamId, Sequence), Counts>,
}

type Checked = Result<(), Violation>;

fn broken(promise: &'static str, how: String) -> Checked {
    Err(Violation { promise, how })
}

impl Watch {
    /// Checks one device and what the controller has of it.
    pub(super) fn check(
        &mut self,
        device: &mut Device,
        record: &Record,
        company: Company,
        catalogue: &Catalogue,
    ) -> Checked {
        if let Some(violation) = device.seen.violation.take() {
            return Err(violation);
        }
        if self.states_read != device.disk.states_written {
            self.states_read = device.disk.states_written;
            self.durable(device, catalogue)?;
        }
        serving(device, catalogue)?;
        queues(device)?;
        match company {
            Company::Alone => self.counts(device, record),
            // Of two that give the same numbers, one loses: that is why a clone is an incident.
            Company::Shared => Ok(()),
        }
    }

    /// What the state file says, against what it ever said.
    fn durable(&mut self, device: &mut Device, catalogue: &Catalogue) -> Checked {
        let state = &device.disk.state;
        if state.floors.permanent < self.permanent {
            return broken(
                "floors never fall",
                format!("time floor {:?}", state.floors.permanent),
            );
        }
        self.permanent = state.floors.permanent;
        let accepted = state.accepted.as_ref().map(|record| record.accepted);
        if accepted.map(|a| a.at) < self.accepted.map(|a| a.at) {
            let how = format!("{accepted:?} after {:?}", self.accepted);
            return broken("what was accepted is durable", how);
        }
        self.accepted = accepted;
        let states: Vec<ModelState> = state
            .models
            .iter()
            .filter_map(|m| cbor::decode(m).ok())
            .filter(|state: &ModelState| !state.is_empty())
            .collect();
        // Of a model that is gone, the floor comes again with its key sets, which stay.
        self.floors
            .retain(|model, _| states.iter().any(|state| state.model == *model));
        for state in &states {
            self.floors(state)?;
        }
        let chains = device.disk.key_sets.len();
        if chains < self.key_sets {
            return broken(
                "floors never fall",
                format!("{chains} key sets, were {}", self.key_sets),
            );
        }
        self.key_sets = chains;
        self.has_a_model(&states, device, catalogue)
    }

    fn floors(&mut self, state: &ModelState) -> Checked {
        let before = self.floors.entry(state.model.clone()).or_default();
        let now = (state.floor_seen, state.floor_committed);
        if now.0 < before.0 || now.1 < before.1 {
            return broken(
                "floors never fall",
                format!("{}: {now:?} after {before:?}", state.model),
            );
        }
        // What proved itself may be stopped in the same write that commits the floor.
        let active = state.active.as_ref().filter(|slot| slot.committed);
        let active = active.map(|slot| slot.release.rank);
        let proof = active.max(self.active.get(&state.model).copied().flatten());
        self.active.insert(state.model.clone(), active);
        if now.1 > before.1 && proof.is_none_or(|rank| rank < now.1) {
            let how = format!("{}: {now:?}, active {:?}", state.model, state.active);
            return broken("a floor commits with something that proved itself", how);
        }
        *before = now;
        Ok(())
    }

    fn has_a_model(
        &mut self,
        states: &[ModelState],
        device: &mut Device,
        catalogue: &Catalogue,
    ) -> Checked {
        for model in &device.seen.removed {
            self.proved.remove(model);
        }
        let active = |model: &ModelId| {
            let state = states.iter().find(|state| state.model == *model);
            state.is_some_and(|state| state.active.is_some())
        };
        // The removal is durable: from here on the model is a new one.
        device.seen.removed.retain(active);
        for model in self.proved.clone() {
            let state = states.iter().find(|state| state.model == model);
            let active = state.and_then(|state| state.active.as_ref());
            let revoked = |bundle| catalogue.stopped.contains(&bundle);
            let stopped = catalogue
                .releases
                .iter()
                .any(|r| r.model == model && revoked(r.bundle));
            if active.is_none() && !stopped {
                return broken(
                    "a device that had a model has one",
                    format!("{model}: {state:?}"),
                );
            }
        }
        let committed = states
            .iter()
            .filter(|s| s.active.as_ref().is_some_and(|slot| slot.committed));
        let kept = committed.filter(|state| !device.seen.removed.contains(&state.model));
        self.proved.extend(kept.map(|state| state.model.clone()));
        Ok(())
    }

    /// Every closed window is in one place: with the controller, on the disk, or lost by a
    /// restore of the controller.
    fn counts(&self, device: &Device, record: &Record) -> Checked {
        let lane = &device.disk.windows;
        let arrived = |id, sequence: Sequence| record.documents.contains_key(&(id, sequence));
        let pending: Counts = lane.pending.values().map(|body| body.counts).sum();
        let unsent = lane
            .frozen
            .iter()
            .filter(|(sequence, _)| !arrived(lane.id, **sequence));
        let unsent: Counts = unsent.map(|(_, frozen)| frozen.counts).sum();
        let lost = self.forgotten.iter().filter(|((id, sequence), _)| {
            let kept = *id == lane.id && lane.frozen.contains_key(sequence);
            !kept && !arrived(*id, *sequence)
        });
        let lost: Counts = lost.map(|(_, counts)| *counts).sum();
        let sum = record.counted + pending + unsent + lost;
        if sum != lane.counted {
            let how = format!(
                "closed {:?}, with the fleet {:?}, without number {pending:?}, unsent {unsent:?}, \
                 lost by a restore {lost:?}",
                lane.counted, record.counted
            );
            return broken("counts of closed windows reconcile", how);
        }
        Ok(())
    }
}

/// What answers was signed, passed a trial here, and lies here.
fn serving(device: &Device, catalogue: &Catalogue) -> Checked {
    let Some(running) = &device.running else {
        return Ok(());
    };
    for (model, bundle) in &running.routes {
        let release = catalogue.by_bundle(*bundle);
        let may = release
            .is_some_and(|r| r.model == *model && !matches!(r.fate, Fate::Forged | Fate::TooBig));
        if !may || !device.seen.passed.contains(bundle) {
            return broken("nothing unverified serves", format!("{model}: {release:?}"));
        }
    }
    Ok(())
}

fn queues(device: &Device) -> Checked {
    let Some(running) = &device.running else {
        return Ok(());
    };
    for (lane, stored) in [
        (&running.receipts, &device.disk.receipts),
        (&running.windows, &device.disk.windows),
    ] {
        let (frozen, waiting) = (stored.frozen.len(), lane.waiting.len());
        if frozen > FROZEN_MAX || waiting > super::device::WAITING_MAX {
            return broken(
                "queues stay within limits",
                format!(
                    "{frozen} numbered after {}, {waiting} wait; the machine keeps {} to {}",
                    stored.through,
                    lane.stream.first_kept(),
                    lane.stream.next()
                ),
            );
        }
    }
    Ok(())
}
