//! People: operators who change their minds, and the keepers of the offline keys.
//!
//! Two may act at one moment. Never touches a device.

use super::{Event, World};
use crate::sim::catalogue::{self, Outgoing};
use crate::sim::controller::Change;
use crate::sim::faults::Fault;
use crate::sim::transcript::Who;
use muster_protocol::id::ModelId;
use muster_protocol::message::key_set::Revocation;

impl World {
    /// An operator acts: stored in one transaction, sent one by one afterwards.
    pub(super) fn operate(&mut self) {
        if !self.controller.up {
            return;
        }
        if self.stormy && self.random.below(8) == 0 {
            self.count(Fault::TwoOperators);
            self.agenda.after(0, Event::Operator);
        }
        let change = self.change();
        let now = self.agenda.now();
        let devices = self.controller.plan(&change, &self.catalogue, now);
        self.transcript
            .note(now, Who::Fleet, "plans", devices.len() as u64, || {
                format!("{change:?}")
            });
        let starts = self.controller.starts;
        for device in devices {
            let delay_ms = 50 + self.random.below(2_000);
            self.agenda
                .after(delay_ms, Event::Dispatch { device, starts });
        }
    }

    fn change(&mut self) -> Change {
        let count = self.controller.store.devices.len();
        let device = self.nth(count);
        let models: Vec<ModelId> = catalogue::models().collect();
        let model = models[self.nth(models.len())].clone();
        match self.random.below(12) {
            0 => Change::Remove { device, model },
            1 | 2 => Change::Retry { device, model },
            _ => {
                let release = self.nth(self.catalogue.releases.len());
                let part = 1 + self.random.below(4);
                let devices = (0..count).filter(|_| self.random.below(4) < part).collect();
                Change::Rollout { release, devices }
            }
        }
    }

    /// The offline keys sign a new key set.
    pub(super) fn publish(&mut self, fault: Fault) {
        let now = self.agenda.now();
        let nth = self.nth(self.catalogue.releases.len());
        let release = &self.catalogue.releases[nth];
        let (model, rank) = (release.model.clone(), release.rank);
        match fault {
            Fault::FloorRaised => self.catalogue.authority.raise_floor(&model, rank, now),
            Fault::Revoked => {
                let stop = self.random.below(3) == 0;
                let action = if stop {
                    Revocation::Stop
                } else {
                    Revocation::Fallback
                };
                self.catalogue.revoke(nth, action, now);
            }
            Fault::ReleaseKeyRotated => {
                let stolen = self.random.below(2) == 0;
                let outgoing = if stolen {
                    Outgoing::Stolen
                } else {
                    Outgoing::Overlaps
                };
                self.catalogue.rotate_release_key(&model, outgoing, now);
            }
            _ => self.catalogue.authority.replace_director(now),
        }
    }

    /// One of `count`, by chance.
    pub(super) fn nth(&mut self, count: usize) -> usize {
        usize::try_from(self.random.below(count as u64)).unwrap_or_default()
    }
}
