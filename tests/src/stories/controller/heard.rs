//! What devices have signed: contact, receipts, windows, and what a held one shows.
//!
//! Never says what follows from it.

use std::collections::BTreeMap;

use muster_fleet::gate::DeviceCounts;
use muster_fleet::planner::Said;
use muster_fleet::ring_evidence::Arm;
use muster_protocol::id::{DeviceId, EpochGeneration, ModelId, Version};
use muster_protocol::time::UnixSeconds;

use super::evidence;
use super::{Controller, Desired, Sent, adopted};
use crate::stories::unit::{Entry, Word};

impl Controller {
    /// Takes what a device has signed; an entry follows when it was held until now.
    pub(in crate::stories) fn take(
        &mut self,
        device: &DeviceId,
        word: Word,
        now: UnixSeconds,
    ) -> Vec<Sent> {
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
                    step: step.to_owned(),
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
        match said.step.as_str() {
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
