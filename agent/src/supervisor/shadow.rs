//! Which shadow runs beside which model.
//!
//! It has no route: nobody can ask it anything.

use super::Supervisor;
use crate::clock;
use crate::seat::Seat;
use crate::serving::shadow::{self, Share, Tap};
use muster_device::updater::{Input, Release};
use muster_protocol::digest::Digest;
use muster_protocol::id::ModelId;
use std::sync::Arc;

impl Supervisor {
    /// Where the tasks that serve this model meet its shadow.
    pub(super) fn tap(&mut self, model: &ModelId) -> Arc<Tap> {
        self.taps.entry(model.clone()).or_default().clone()
    }

    /// Starts a shadow; one that ran before ends, and sees nothing more.
    pub(super) fn route_shadow(&mut self, seat: &Seat, release: &Release) {
        self.unroute_shadow(&seat.model);
        let plan = match self.plan(seat, release) {
            Ok(plan) => plan,
            Err(verdict) => {
                let bundle = release.bundle;
                return self.feed(seat, Input::ServingFailed { bundle, verdict });
            }
        };
        let tap = self.tap(&seat.model);
        let handle = shadow::start(plan, tap, self.serving_events.clone());
        let handles = self.shadows.entry(seat.model.clone()).or_default();
        handles.push(handle);
    }

    pub(super) fn unroute_shadow(&mut self, model: &ModelId) {
        self.tap(model).close();
        for handle in self.shadows.get_mut(model).into_iter().flatten() {
            handle.end();
        }
    }

    /// The newest task sees what is answered, unless it was asked to end meanwhile.
    pub(super) fn shadow_ready(&mut self, seat: &Seat, bundle: Digest) {
        let handles = self.shadows.get(&seat.model);
        let newest = handles.and_then(|handles| handles.last());
        let newest = newest.filter(|handle| handle.bundle == bundle && !handle.is_ending());
        let Some(samples) = newest.map(|handle| handle.samples.clone()) else {
            return;
        };
        if self.serves(seat, &bundle) {
            let (share, now) = (self.share(seat), clock::monotonic());
            let seed = u64::from_le_bytes(self.boot.0) ^ now.0;
            self.tap(&seat.model).open(samples, share, seed, now);
            self.feed(seat, Input::Routed(bundle));
        }
    }

    pub(super) fn shadow_ended(&mut self, model: &ModelId, bundle: Digest) {
        if let Some(handles) = self.shadows.get_mut(model)
            && let Some(oldest) = handles.iter().position(|handle| handle.bundle == bundle)
        {
            handles.remove(oldest);
        }
    }

    /// A director may ask for less than the own settings, never for more.
    fn share(&self, seat: &Seat) -> Share {
        let updater = self.updaters.get(seat);
        let entry = updater.and_then(|updater| updater.state().entry.as_ref());
        let asked = entry
            .and_then(|entry| entry.settings.shadow)
            .unwrap_or_default();
        let own = &self.config.shadow;
        Share {
            cpu_per_mille: at_most(own.cpu_percent.saturating_mul(10), asked.cpu_per_mille),
            sample_per_mille: at_most(own.sample_per_mille, asked.sample_per_mille),
        }
    }
}

fn at_most(own: u64, asked: Option<u32>) -> u32 {
    let own = u32::try_from(own).unwrap_or(u32::MAX);
    asked.map_or(own, |asked| own.min(asked))
}
