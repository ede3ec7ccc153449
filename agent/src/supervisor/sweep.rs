//! Removing what nothing refers to any more.
//!
//! Never removes anything while it cannot be said what a slot refers to: a disk that once fails
//! to give a manifest must not cost the model that serves.

use super::Supervisor;
use crate::store::Store;
use muster_device::updater::{ModelState, Updater};
use muster_protocol::bundle::manifest::Manifest;
use muster_protocol::digest::Digest;
use std::collections::BTreeSet;

impl Supervisor {
    /// Removes every blob that no slot, candidate or download refers to.
    pub(super) fn sweep(&mut self) {
        self.end_unwanted_downloads();
        let states: Vec<_> = self.updaters.values().map(Updater::state).collect();
        let downloads = self.downloads.bundles().collect();
        let swept = match kept(&self.store, &states, downloads) {
            Ok(kept) => self.store.sweep(&kept).map_err(|error| error.to_string()),
            Err(because) => Err(format!("nothing was removed: {because}")),
        };
        if let Err(because) = swept {
            tracing::warn!("{because}");
        }
    }
}

/// Everything that the models and these bundles refer to.
fn kept(
    store: &Store,
    states: &[&ModelState],
    mut bundles: BTreeSet<Digest>,
) -> Result<BTreeSet<Digest>, String> {
    let (mut kept, mut slots) = (BTreeSet::new(), BTreeSet::new());
    for state in states {
        bundles.extend(state.bundles());
        kept.extend(state.entry.as_ref().map(|entry| entry.statement));
        for slot in [&state.active, &state.previous].into_iter().flatten() {
            kept.insert(slot.release.statement);
            slots.insert(slot.release.bundle);
        }
    }
    for bundle in &bundles {
        match parts(store, bundle)? {
            Some(parts) => kept.extend(parts),
            None if slots.contains(bundle) => {
                return Err(format!("the manifest {bundle} of a slot is damaged"));
            }
            None => {}
        }
    }
    kept.extend(bundles);
    Ok(kept)
}

/// What a bundle consists of beside its manifest; `None` when that is absent or damaged.
fn parts(store: &Store, bundle: &Digest) -> Result<Option<Vec<Digest>>, String> {
    let manifest = store.document(bundle).map_err(|error| error.to_string())?;
    let manifest = manifest.and_then(|bytes| Manifest::parse(&bytes).ok());
    Ok(manifest.map(|manifest| {
        let layers = manifest.layers.iter();
        let layers = layers.flat_map(|l| [l.digest, l.blob_digest]);
        layers.chain([manifest.card.digest]).collect()
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use muster_device::updater::{Progress, Release, Slot};
    use muster_protocol::id::{EpochGeneration, ModelId, Rank, Version};

    fn release(bundle: Digest) -> Release {
        Release {
            version: Version::parse("1.0.0").expect("valid"),
            rank: Rank(1),
            statement: Digest([9; 32]),
            bundle,
            manifest_size: 300,
            peak_memory_bytes: 0,
            since: EpochGeneration::new(1, 1),
        }
    }

    fn state(active: Option<Digest>, candidate: Option<Digest>) -> ModelState {
        let slot = |bundle| Slot {
            release: release(bundle),
            committed: true,
        };
        ModelState {
            model: ModelId::parse("bearing").expect("valid"),
            entry: None,
            progress: Progress::Offered,
            candidate: candidate.map(release),
            active: active.map(slot),
            previous: None,
            tries: 0,
            floor_seen: Rank(0),
            floor_committed: Rank(0),
            outcome: None,
        }
    }

    /// Whether anything may be removed beside a model in this state.
    fn check(active: Option<Digest>, candidate: Option<Digest>, expect: bool) {
        let folder = tempfile::tempdir().expect("temporary folder");
        let store = Store::open(folder.path()).expect("opens");
        let damaged = store.blob_path(&Digest([1; 32]));
        std::fs::write(damaged, b"one bad byte").expect("writes");
        let unreadable = store.blob_path(&Digest([2; 32]));
        std::fs::create_dir(unreadable).expect("makes what no read gives bytes of");
        let got = kept(&store, &[&state(active, candidate)], BTreeSet::new());
        assert_eq!(got.is_ok(), expect, "{active:?} {candidate:?}: {got:?}");
    }

    #[test]
    fn nothing_is_removed_beside_a_slot_whose_manifest_cannot_be_read() {
        let [damaged, unreadable, absent] = [1, 2, 3].map(|n| Some(Digest([n; 32])));
        check(None, None, true);
        check(damaged, None, false);
        check(unreadable, None, false);
        check(absent, None, false);
        check(None, damaged, true);
        check(None, absent, true);
        check(None, unreadable, false);
    }
}
