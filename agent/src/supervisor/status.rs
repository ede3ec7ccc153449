//! What an agent says of itself to people on the same machine, as JSON.
//!
//! A picture, refreshed after every event; never a secret, never a value that was predicted.

use super::Supervisor;
use crate::clock;
use muster_device::updater::Slot;
use serde_json::{Value, json};

/// Closed windows and rows of one model since the agent started.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Counters {
    pub(super) closed_windows: u64,
    pub(super) calls: u64,
}

impl Supervisor {
    /// The place where the newest picture lies.
    pub fn status(&self) -> std::sync::Arc<std::sync::Mutex<Value>> {
        self.status.clone()
    }

    /// What requests are routed by.
    pub fn routes(&self) -> crate::serve::backend::Routes {
        self.routes.clone()
    }

    pub(super) fn publish_status(&mut self) {
        let picture = self.picture();
        *self
            .status
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner) = picture;
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
            "models": self.updaters.keys().map(|model| self.model(model)).collect::<Vec<_>>(),
            "queue": {
                "receipts": lane(&self.outbox.receipts),
                "windows": lane(&self.outbox.windows),
            },
            "resident_bytes": crate::worker::resident_bytes_of(std::process::id()),
        })
    }

    fn model(&self, model: &muster_protocol::id::ModelId) -> Value {
        let state = self
            .updaters
            .get(model)
            .map(|updater| updater.state().clone());
        let counters = self.counters.get(model).copied().unwrap_or_default();
        let newest = self.serving.get(model).and_then(|handles| handles.last());
        let vitals = newest.map(|handle| {
            *handle
                .vitals
                .lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner)
        });
        let state = state.as_ref();
        json!({
            "model": model.as_str(),
            "progress": state.map(|state| format!("{:?}", state.progress).to_lowercase()),
            "desired": state.and_then(|s| s.entry.as_ref()).map(|entry| entry.version.as_str()),
            "outcome": state.and_then(|s| s.outcome).map(|reason| format!("{reason:?}")),
            "tries": state.map(|state| state.tries),
            "active": state.and_then(|state| state.active.as_ref()).map(slot),
            "previous": state.and_then(|state| state.previous.as_ref()).map(slot),
            "answers": self.routes.get(model).is_some(),
            "calls": counters.calls,
            "closed_windows": counters.closed_windows,
            "worker": vitals,
        })
    }
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
