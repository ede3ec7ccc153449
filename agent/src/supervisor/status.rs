//! What an agent says of itself to people on the same machine, as JSON.
//!
//! A picture, refreshed after every event; never a secret, never a value that was predicted.

use super::Supervisor;
use crate::clock;
use crate::seat::Seat;
use crate::serving::Vitals;
use muster_device::updater::{ModelState, Slot, Updater};
use muster_protocol::id::ModelId;
use serde_json::{Value, json};
use std::sync::{Arc, Mutex, PoisonError};

/// Closed windows and rows of one seat since the agent started.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Counters {
    pub(super) closed_windows: u64,
    pub(super) calls: u64,
    /// Of a shadow: rows that what serves answered meanwhile.
    pub(super) served: u64,
}

impl Supervisor {
    /// The place where the newest picture lies.
    pub fn status(&self) -> Arc<Mutex<Value>> {
        self.status.clone()
    }

    /// What requests are routed by.
    pub fn routes(&self) -> crate::serve::backend::Routes {
        self.routes.clone()
    }

    pub(super) fn publish_status(&mut self) {
        let picture = self.picture();
        *self.status.lock().unwrap_or_else(PoisonError::into_inner) = picture;
    }

    fn picture(&self) -> Value {
        let freshness = self.freshness();
        json!({
            "device": self.identity.device.as_str(),
            "agent": env!("CARGO_PKG_VERSION"),
            "state": self.store.folder(),
            "connected": self.connected,
            "link": self.wire.picture(),
            "certificate": self.renewal.picture(),
            "accepted": self.state.accepted.map(|record| record.at.to_string()),
            "time_trusted": self.time().unix(clock::monotonic()).is_some(),
            "metadata": self.fleet.as_ref().map(|fleet| json!({
                "fleet_version": fleet.version,
                "epoch": fleet.director_epoch,
                "enroll": fleet.endpoints.enroll,
                "age_s": freshness.age_s(),
                "stale": freshness.is_stale(),
            })),
            "models": self.models(),
            "queue": {
                "receipts": lane(&self.outbox.receipts),
                "windows": lane(&self.outbox.windows),
            },
            "resident_bytes": crate::worker::resident_bytes_of(std::process::id()),
        })
    }

    /// One for each model that serves or is to; a shadow stands with what it runs beside.
    fn models(&self) -> Vec<Value> {
        let mut models: Vec<_> = self.updaters.keys().map(|seat| &seat.model).collect();
        models.dedup();
        models.into_iter().map(|model| self.model(model)).collect()
    }

    fn model(&self, model: &ModelId) -> Value {
        let seat = Seat::serving(model.clone());
        let state = self.updaters.get(&seat).map(Updater::state);
        let counters = self.counters.get(&seat).copied().unwrap_or_default();
        let newest = self.serving.get(model).and_then(|handles| handles.last());
        json!({
            "model": model.as_str(),
            "progress": state.map(progress),
            "desired": state.and_then(desired),
            "outcome": state.and_then(outcome),
            "tries": state.map(|state| state.tries),
            "active": state.and_then(|state| state.active.as_ref()).map(slot),
            "previous": state.and_then(|state| state.previous.as_ref()).map(slot),
            "answers": self.routes.get(model).is_some(),
            "calls": counters.calls,
            "closed_windows": counters.closed_windows,
            "worker": newest.map(|handle| vitals(&handle.vitals)),
            "alarms": newest.map_or_else(Vec::new, |handle| handle.alarms.picture()),
            "shadow": self.shadow(model),
        })
    }

    fn shadow(&self, model: &ModelId) -> Option<Value> {
        let seat = Seat::shadow(model.clone());
        let state = self.updaters.get(&seat).map(Updater::state);
        let state = state.filter(|state| !state.is_empty())?;
        let counters = self.counters.get(&seat).copied().unwrap_or_default();
        let newest = self.shadows.get(model).and_then(|handles| handles.last());
        let cpu = self
            .taps
            .get(model)
            .and_then(|tap| tap.cpu(clock::monotonic()));
        Some(json!({
            "desired": desired(state),
            "progress": match state.active {
                Some(_) => "shadowing".to_owned(),
                None => progress(state),
            },
            "outcome": outcome(state),
            "active": state.active.as_ref().map(slot),
            "served": counters.served,
            "compared": counters.calls,
            "closed_windows": counters.closed_windows,
            "cpu_per_mille": cpu.map(|(per_mille, _)| per_mille),
            "cpu_saved_us": cpu.map(|(_, saved_us)| saved_us),
            "worker": newest.map(|handle| vitals(&handle.vitals)),
        }))
    }
}

fn progress(state: &ModelState) -> String {
    format!("{:?}", state.progress).to_lowercase()
}

fn desired(state: &ModelState) -> Option<&str> {
    state.entry.as_ref().map(|entry| entry.version.as_str())
}

fn outcome(state: &ModelState) -> Option<String> {
    state.outcome.map(|reason| format!("{reason:?}"))
}

fn vitals(vitals: &Mutex<Vitals>) -> Vitals {
    *vitals.lock().unwrap_or_else(PoisonError::into_inner)
}

fn slot(slot: &Slot) -> Value {
    json!({
        "version": slot.release.version.as_str(),
        "bundle": slot.release.bundle.to_string(),
        "rank": slot.release.rank.0,
        "committed": slot.committed,
    })
}

fn lane(lane: &super::outbox::Lane) -> Value {
    let (first, next) = (lane.stream.first_kept().0, lane.stream.next().0);
    json!({
        "stream": lane.stream.id().to_string(),
        "pending": lane.stream.pending() + lane.waiting.len(),
        "frozen": next - first,
        "through": first - 1,
    })
}
