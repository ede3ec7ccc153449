//! The keys of devices as the store last had them, so that signatures can be looked at beside the one
//! thread that writes, without a question to the store for each document.
//!
//! Never believed: the writer asks the store, and looks again when the keys are others by then.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use muster_protocol::id::DeviceId;
use muster_protocol::key::PublicKey;

/// Keys by device. Only devices that have some: as many as are enrolled.
#[derive(Debug, Default)]
pub(crate) struct KnownKeys(Mutex<BTreeMap<DeviceId, Vec<PublicKey>>>);

impl KnownKeys {
    /// The keys of a device, if they are known.
    pub(super) fn of(&self, device: &DeviceId) -> Option<Vec<PublicKey>> {
        self.lock().get(device).cloned()
    }

    /// What the store has now.
    pub(super) fn note(&self, device: &DeviceId, keys: &[PublicKey]) {
        let mut known = self.lock();
        if keys.is_empty() {
            known.remove(device);
        } else if known.get(device).is_none_or(|before| before != keys) {
            known.insert(device.clone(), keys.to_vec());
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<DeviceId, Vec<PublicKey>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_store_had_last_is_known() {
        let device = DeviceId::parse("press-1").expect("valid");
        let known = KnownKeys::default();
        let (old, new) = (PublicKey([1; 32]), PublicKey([2; 32]));
        for (noted, expect) in [
            (vec![old], Some(vec![old])),
            (vec![new, old], Some(vec![new, old])),
            (vec![], None),
        ] {
            known.note(&device, &noted);
            assert_eq!(known.of(&device), expect, "{noted:?}");
        }
    }
}
