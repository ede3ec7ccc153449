//! Getting what a release consists of: statement, manifest, hash list, card, pieces.
//!
//! Small documents travel whole and are verified by their digest; pieces by the hash list. What
//! does not match is dropped and asked for again later: the network is never evidence.

mod documents;
mod pieces;

use super::Supervisor;
use crate::seat::Seat;
use muster_device::fetcher::Fetcher;
use muster_device::updater::{ModelState, Progress, Release, Updater};
use muster_protocol::bundle::manifest::Manifest;
use muster_protocol::cose;
use muster_protocol::digest::Digest;
use muster_protocol::message::{Fetch, Piece, What};
use muster_protocol::time::Millis;
use muster_protocol::topic::Up;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

/// What is being fetched for every model and role.
#[derive(Debug)]
pub(super) struct Downloads {
    seats: BTreeMap<Seat, Download>,
    /// Statements that wait for metadata to say whether they are listed.
    statements: BTreeMap<Seat, Held>,
    seed: u64,
    written_bytes: u64,
    /// Held by whoever works on layers: two bundles may share one.
    layers: Arc<Mutex<()>>,
}

/// A statement that waits for metadata.
#[derive(Debug)]
struct Held {
    bytes: Vec<u8>,
    bundle: Option<Digest>,
    deadline: Millis,
}

/// What is being fetched for one model in one role.
#[derive(Debug)]
struct Download {
    stage: Stage,
    release: Option<Release>,
    manifest: Option<Manifest>,
    hash_list: Vec<u8>,
    /// Bytes of a piece, by the hash list; zero before that is there.
    piece_size: u32,
    fetched_bytes: u64,
    written_before: u64,
}

/// How far a download came.
#[derive(Debug)]
enum Stage {
    /// Waits for a small document until the deadline.
    Document {
        digest: Digest,
        purpose: Purpose,
        deadline: Millis,
    },
    /// Fetches pieces.
    Pieces(Box<Fetcher>),
    /// Nothing is under way.
    Resting,
}

/// What a small document is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Purpose {
    Statement,
    Manifest,
    HashList,
    Card,
}

impl Downloads {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            seats: BTreeMap::new(),
            statements: BTreeMap::new(),
            seed,
            written_bytes: 0,
            layers: Arc::default(),
        }
    }

    /// What work on layers holds, one bundle at a time.
    pub(super) fn layers_lock(&self) -> Arc<Mutex<()>> {
        self.layers.clone()
    }

    /// Bytes that went to disk.
    pub(super) const fn written(&mut self, bytes: u64) {
        self.written_bytes = self.written_bytes.saturating_add(bytes);
    }

    /// Bytes fetched and written for a model since its entry was offered.
    pub(super) fn bytes(&self, seat: &Seat) -> (u64, u64) {
        self.seats.get(seat).map_or((0, 0), |download| {
            (
                download.fetched_bytes,
                self.written_bytes - download.written_before,
            )
        })
    }

    pub(super) fn next_due(&self) -> Option<Millis> {
        let downloads = self
            .seats
            .values()
            .filter_map(|download| match &download.stage {
                Stage::Document { deadline, .. } => Some(*deadline),
                Stage::Pieces(fetcher) => fetcher.poll_timeout().map(|(at, _)| at),
                Stage::Resting => None,
            });
        downloads
            .chain(self.statements.values().map(|held| held.deadline))
            .min()
    }

    /// Whether a statement is here and metadata does not list it yet.
    pub(super) fn awaits_metadata(&self, seat: &Seat) -> bool {
        self.statements.contains_key(seat)
    }

    /// Bundles that are being considered.
    pub(super) fn bundles(&self) -> impl Iterator<Item = Digest> + '_ {
        let releases = self
            .seats
            .values()
            .filter_map(|d| d.release.as_ref().map(|r| r.bundle));
        releases.chain(self.statements.values().filter_map(|held| held.bundle))
    }

    fn of(&mut self, seat: &Seat) -> &mut Download {
        let written_before = self.written_bytes;
        self.seats.entry(seat.clone()).or_insert_with(|| Download {
            stage: Stage::Resting,
            release: None,
            manifest: None,
            hash_list: Vec::new(),
            piece_size: 0,
            fetched_bytes: 0,
            written_before,
        })
    }
}

impl Download {
    fn is_wanted_by(&self, state: &ModelState) -> bool {
        if let Stage::Document {
            digest,
            purpose: Purpose::Statement,
            ..
        } = self.stage
        {
            return awaits_statement(state, digest);
        }
        let bundle = self.release.as_ref().map(|release| release.bundle);
        is_under_way(state.progress) && bundle.is_none_or(|bundle| is_candidate(state, bundle))
    }
}

impl Held {
    fn is_wanted_by(&self, state: &ModelState) -> bool {
        awaits_statement(state, Digest::of(&self.bytes))
    }
}

const fn is_under_way(progress: Progress) -> bool {
    match progress {
        Progress::Offered | Progress::Staged | Progress::Trial => true,
        Progress::Nothing
        | Progress::Probation
        | Progress::Committed
        | Progress::Refused
        | Progress::Reverted
        | Progress::Stopped => false,
    }
}

fn is_candidate(state: &ModelState, bundle: Digest) -> bool {
    let candidate = state.candidate.as_ref();
    candidate.is_some_and(|candidate| candidate.bundle == bundle)
}

fn awaits_statement(state: &ModelState, digest: Digest) -> bool {
    let named = state.entry.as_ref().map(|entry| entry.statement);
    state.progress == Progress::Offered && named == Some(digest)
}

impl Supervisor {
    /// Takes an answer to something that was asked for.
    pub(super) fn take_piece(&mut self, piece: &Piece<'_>) {
        match piece.what {
            What::Metadata {
                role,
                version,
                offset,
            } => {
                self.take_metadata(role, version, offset, &piece.answer);
            }
            What::Blob {
                digest,
                index,
                piece_size,
            } => self.take_blob(digest, index, piece_size, &piece.answer),
        }
    }

    /// Ends the downloads that no updater waits for: its entry was given up, replaced or came to
    /// serve.
    pub(super) fn end_unwanted_downloads(&mut self) {
        let updaters = &self.updaters;
        let state = |seat: &Seat| updaters.get(seat).map(Updater::state);
        self.downloads
            .seats
            .retain(|seat, download| state(seat).is_some_and(|state| download.is_wanted_by(state)));
        self.downloads
            .statements
            .retain(|seat, held| state(seat).is_some_and(|state| held.is_wanted_by(state)));
    }

    /// Forgets what was fetched for an entry that is no longer in force.
    pub(super) fn forget_download(&mut self, seat: &Seat) {
        self.downloads.seats.remove(seat);
        self.downloads.statements.remove(seat);
    }

    pub(super) fn downloads_tick(&mut self, now: Millis) {
        self.documents_tick(now);
        self.pieces_tick(now);
    }

    /// Asks for pieces or metadata, a stick first.
    pub(super) fn request(&mut self, what: What<'_>, count: u32) {
        if self.wish(&what, count) {
            return;
        }
        let fetch = Fetch {
            device: self.identity.device.clone(),
            what,
            count,
        };
        let signed = cose::seal_vec(&fetch, &self.identity.document_key);
        self.send(Up::Fetch, signed);
    }
}

#[cfg(test)]
mod tests;
