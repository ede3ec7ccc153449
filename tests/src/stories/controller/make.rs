//! What follows for devices from a decision, as `executor/make.rs` does.
//!
//! Decides nothing, and sends nothing.

use muster_fleet::planner::{Dispatch, Policy, RollBack, RolloutId, Told, ToldBack, Try};
use muster_protocol::id::{DeviceId, EpochGeneration, ModelId};
use muster_protocol::time::UnixSeconds;

use super::{Controller, Desired, Sent};
use crate::stories::unit::Entry;

impl Controller {
    pub(super) fn dispatch(
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
            None => self
                .serving
                .get(&key)
                .cloned()
                .or(desired.map(|row| row.version)),
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

    pub(super) fn roll_back(
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
            told.back = Some(ToldBack {
                at: now,
                contact_at: None,
                since,
            });
        }
        sent
    }

    /// The next entry of a device; none when nothing changes, or while it is held.
    pub(super) fn assign(&mut self, key: &(DeviceId, ModelId)) -> Option<Sent> {
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
}
