//! The pieces of a release: space is reserved, then each is verified before it is written.
//!
//! After a restart the pieces on disk are hashed again, so that at most the window in flight is
//! fetched twice.

use super::Stage;
use crate::clock;
use crate::seat::Seat;
use crate::stick::Weight;
use crate::store::Store;
use crate::store::atomic::DiskError;
use crate::supervisor::{Effect, Supervisor};
use muster_device::fetcher::{self, Fetcher, Wanted};
use muster_device::updater::{Input, Release, Verdict};
use muster_protocol::bundle::HashList;
use muster_protocol::bundle::manifest::{Layer, LayerKind, Manifest};
use muster_protocol::cbor;
use muster_protocol::digest::Digest;
use muster_protocol::message::{Answer, Reason, What};
use muster_protocol::time::Millis;
use std::path::Path;
use std::sync::PoisonError;

impl Supervisor {
    pub(in crate::supervisor) fn fetch_pieces(&mut self, seat: &Seat, release: &Release) {
        let download = self.downloads.seats.get(seat);
        let plan = download.and_then(|d| Some((d.manifest.clone()?, d.hash_list.clone())));
        let Some((manifest, hash_list)) = plan else {
            // The plan is not in memory: this is a retry after it was forgotten.
            return self.fetch_plan(seat, release);
        };
        let (effects, seat, bundle) = (self.effects.clone(), seat.clone(), release.bundle);
        let (folder, lock) = (self.store.folder().to_owned(), self.downloads.layers_lock());
        // Hashing what an earlier attempt left takes long, and predictions do not wait for it.
        tokio::task::spawn_blocking(move || {
            let _alone = lock.lock().unwrap_or_else(PoisonError::into_inner);
            let result = missing_layers(&folder, &manifest, &hash_list);
            // The receiver lives as long as the agent.
            let _ = effects.blocking_send(Effect::Surveyed {
                seat,
                bundle,
                result,
            });
        });
    }

    /// Asks for the pieces that are missing, if the same bundle is still wanted.
    pub(in crate::supervisor) fn surveyed(
        &mut self,
        seat: &Seat,
        bundle: Digest,
        result: Result<Option<Vec<Wanted>>, DiskError>,
    ) {
        let can_ask = self.can_ask();
        let download = self.downloads.seats.get_mut(seat).filter(|download| {
            let release = download.release.as_ref();
            matches!(download.stage, Stage::Resting) && release.is_some_and(|r| r.bundle == bundle)
        });
        let Some(download) = download else { return };
        match result {
            Ok(Some(wanted)) => {
                let mut fetcher = Fetcher::new(wanted, self.downloads.seed);
                if can_ask {
                    fetcher.handle(fetcher::Input::Connected, clock::monotonic());
                }
                download.stage = Stage::Pieces(Box::new(fetcher));
            }
            Ok(None) => {
                let verdict = Verdict::new(Reason::HashList, "it does not list every layer");
                self.feed(seat, Input::Failed { bundle, verdict });
            }
            Err(error) => {
                let verdict = Verdict::new(Reason::Disk, &error.to_string());
                self.feed(seat, Input::Failed { bundle, verdict });
            }
        }
    }

    pub(in crate::supervisor) fn take_blob(
        &mut self,
        digest: Digest,
        index: u32,
        piece_size: u32,
        answer: &Answer<'_>,
    ) {
        if self.take_document_answer(digest, answer) {
            return;
        }
        let fetching = self.downloads.seats.iter().filter(|(_, download)| {
            matches!(download.stage, Stage::Pieces(_))
                // Pieces of another size have other numbers.
                && download.piece_size == piece_size
                && download
                    .manifest
                    .iter()
                    .any(|m| m.layers.iter().any(|l| l.digest == digest))
        });
        let seats: Vec<_> = fetching.map(|(seat, _)| seat.clone()).collect();
        if !seats.is_empty() && *answer == Answer::NotFound {
            self.ask_hello();
        }
        for seat in seats {
            let input = match answer {
                Answer::NotFound => fetcher::Input::Unusable { layer: digest },
                Answer::Bytes { bytes, .. } => self.verify_piece(&seat, digest, index, bytes),
            };
            if let Stage::Pieces(fetcher) = &mut self.downloads.of(&seat).stage {
                fetcher.handle(input, clock::monotonic());
            }
        }
    }

    /// Only verified pieces are written, and only what was written counts.
    fn verify_piece(
        &mut self,
        seat: &Seat,
        layer: Digest,
        index: u32,
        bytes: &[u8],
    ) -> fetcher::Input {
        let download = self.downloads.of(seat);
        let list = cbor::decode::<HashList<'_>>(&download.hash_list).ok();
        let hashes = list
            .as_ref()
            .and_then(|list| Some((list.piece_size, list.layer(&layer)?)));
        let Some((piece_size, hashes)) = hashes else {
            return fetcher::Input::Unusable { layer };
        };
        if hashes.piece(index) != Some(Digest::of(bytes)) {
            tracing::warn!(model = %seat, %layer, index, "a piece does not match its hash");
            let what = format!("piece {index} of {layer}");
            self.refuse(&what, "it does not match its hash", Weight::Bad);
            return fetcher::Input::Unusable { layer };
        }
        let offset = u64::from(index) * u64::from(piece_size);
        download.fetched_bytes += bytes.len() as u64;
        match self.store.write_piece(&layer, offset, bytes) {
            Ok(()) => {
                self.downloads.written(bytes.len() as u64);
                fetcher::Input::Verified { layer, index }
            }
            Err(error) => {
                tracing::error!("{error}");
                fetcher::Input::Unusable { layer }
            }
        }
    }

    pub(in crate::supervisor) fn drain_downloads(&mut self) -> bool {
        let now = clock::monotonic();
        let mut outputs = Vec::new();
        for (seat, download) in &mut self.downloads.seats {
            if let Stage::Pieces(fetcher) = &mut download.stage {
                while let Some(output) = fetcher.poll_output(now) {
                    outputs.push((seat.clone(), download.piece_size, output));
                }
            }
        }
        let busy = !outputs.is_empty();
        for (seat, piece_size, output) in outputs {
            match output {
                fetcher::Output::Request {
                    layer,
                    index,
                    count,
                } => {
                    self.request(
                        What::Blob {
                            digest: layer,
                            index,
                            piece_size,
                        },
                        count,
                    );
                }
                fetcher::Output::Complete => {
                    let download = self.downloads.of(&seat);
                    download.stage = Stage::Resting;
                    if let Some(bundle) = download.release.as_ref().map(|r| r.bundle) {
                        self.feed(&seat, Input::Fetched(bundle));
                    }
                }
            }
        }
        busy
    }

    pub(super) fn pieces_tick(&mut self, now: Millis) {
        self.each_fetcher(fetcher::Input::Tick, now);
    }

    pub(in crate::supervisor) fn downloads_connected(&mut self) {
        self.documents_connected();
        self.each_fetcher(fetcher::Input::Connected, clock::monotonic());
    }

    pub(in crate::supervisor) fn downloads_disconnected(&mut self) {
        self.documents_disconnected();
        self.each_fetcher(fetcher::Input::Disconnected, clock::monotonic());
    }

    fn each_fetcher(&mut self, input: fetcher::Input, now: Millis) {
        for download in self.downloads.seats.values_mut() {
            if let Stage::Pieces(fetcher) = &mut download.stage {
                fetcher.handle(input, now);
            }
        }
    }

    /// The layers of a bundle whose manifest is on disk.
    pub(in crate::supervisor) fn layers(&self, bundle: &Digest) -> Option<Vec<Layer>> {
        let manifest = self.store.document(bundle).ok().flatten()?;
        let manifest = Manifest::parse(&manifest).ok()?;
        Some(manifest.layers)
    }
}

/// Layers that are not there yet, with their space reserved; `None` when the hash list is not one
/// of this manifest.
fn missing_layers(
    folder: &Path,
    manifest: &Manifest,
    hash_list: &[u8],
) -> Result<Option<Vec<Wanted>>, DiskError> {
    let store = Store::open_shared(folder)?;
    let Ok(list) = cbor::decode::<HashList<'_>>(hash_list) else {
        return Ok(None);
    };
    let layers = manifest.layers.iter();
    let mut wanted = Vec::new();
    for layer in layers.filter(|layer| layer.kind != LayerKind::HashList) {
        // Verified whole before it is used; a damaged one is found and fetched then.
        if store.blob_path(&layer.blob_digest).exists() {
            continue;
        }
        let Some(hashes) = list.layer(&layer.digest) else {
            return Ok(None);
        };
        let have = store.pieces_on_disk(&hashes, list.piece_size)?;
        store.reserve(&layer.digest, layer.size)?;
        wanted.push(Wanted {
            digest: layer.digest,
            pieces: hashes.len(),
            have,
        });
    }
    Ok(Some(wanted))
}
