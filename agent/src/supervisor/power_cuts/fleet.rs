//! The other end, as far as a device can tell: it answers fetches and hellos, and acknowledges.
//!
//! It notices when a number comes again with other bytes.

use super::world::{ACKS, NOW, Seated, TIME, World, device, key};
use crate::store::disk::recorder::Note;
use muster_protocol::cbor::{self, List};
use muster_protocol::cose;
use muster_protocol::digest::Digest;
use muster_protocol::id::{Epoch, EpochGeneration, Sequence, StreamId};
use muster_protocol::message::{
    Ack, Answer, Document, Fetch, GapReason, Hello, MetadataVersions, Piece, Receipt, Rejected,
    SignedTime, Step, What,
};
use muster_protocol::topic::{Down, Up};
use muster_protocol::tuf::fleet_document;
use std::collections::BTreeMap;

/// A document that the fleet has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stored {
    pub(super) digest: Digest,
    pub(super) closed_windows: u64,
    pub(super) calls: u64,
    pub(super) step: Option<Step>,
    pub(super) gap: Option<GapReason>,
}

/// What the fleet knows of one device.
#[derive(Clone)]
pub(super) struct Fleet<'w> {
    world: &'w World,
    /// Number of the newest assignment, and what it says of the model.
    assigned: (u64, Vec<Seated>),
    pub(super) documents: BTreeMap<(StreamId, u64), Stored>,
    /// A number that came with two contents.
    pub(super) conflict: Option<String>,
    /// The newest that a hello said.
    pub(super) accepted: Option<EpochGeneration>,
    pub(super) metadata: MetadataVersions,
    /// Documents of which number it cannot read.
    pub(super) unreadable: Option<u64>,
    /// Whether it acknowledges.
    pub(super) acknowledges: bool,
}

impl<'w> Fleet<'w> {
    /// A fleet that wants the device to run these releases, by the assignment of this number.
    pub(super) fn new(world: &'w World, number: u64, seats: &[Seated]) -> Self {
        Self {
            world,
            assigned: (number, seats.to_vec()),
            documents: BTreeMap::new(),
            conflict: None,
            accepted: None,
            metadata: MetadataVersions::default(),
            unreadable: None,
            acknowledges: true,
        }
    }

    /// Takes what the device said in a recording, and gives no answer.
    pub(super) fn hear(&mut self, note: &Note) {
        if let Note::Said(what, payload) = note {
            let _unheard = self.answer(*what, payload);
        }
    }

    /// What it answers.
    pub(super) fn answer(&mut self, what: Up, payload: &[u8]) -> Vec<(Down, Vec<u8>)> {
        match what {
            Up::Hello => self.greet(payload),
            Up::Fetch => self.give(payload),
            Up::Doc => self.store(payload),
            Up::Status | Up::Assignment => Vec::new(),
        }
    }

    fn greet(&mut self, payload: &[u8]) -> Vec<(Down, Vec<u8>)> {
        let hello = cose::peek::<Hello<'_>>(payload).expect("a hello");
        self.accepted = self.accepted.max(hello.accepted);
        self.metadata = newest(self.metadata, hello.metadata);
        let time = SignedTime {
            device: device(),
            nonce: hello.nonce,
            unix: NOW.plus_days(1),
            epoch: Epoch(1),
            challenge: None,
            show: None,
        };
        let mut answers = vec![(Down::Time, cose::seal_vec(&time, &key(TIME)))];
        let (number, seats) = &self.assigned;
        if *number > 0 && hello.accepted < Some(EpochGeneration::new(1, *number)) {
            let assignment = self.world.assignment(*number, seats);
            answers.push((Down::Assignment, assignment));
        }
        answers
    }

    fn give(&self, payload: &[u8]) -> Vec<(Down, Vec<u8>)> {
        let fetch = cose::peek::<Fetch<'_>>(payload).expect("a fetch");
        let mut answers = Vec::new();
        for n in 0..fetch.count {
            let what = match fetch.what {
                What::Blob {
                    digest,
                    index,
                    piece_size,
                } => What::Blob {
                    digest,
                    index: index + n,
                    piece_size,
                },
                metadata @ What::Metadata { .. } => metadata,
            };
            let answer = self.find(what);
            let piece = cbor::to_vec(&Piece { what, answer });
            answers.push((Down::Piece, piece));
        }
        answers
    }

    fn find(&self, what: What<'_>) -> Answer<'_> {
        let (bytes, from, len) = match what {
            What::Metadata {
                role,
                version,
                offset,
            } => (self.metadata(role, version), offset, u64::MAX),
            What::Blob {
                digest,
                index,
                piece_size,
            } => {
                let mut blobs = self.world.releases.iter().map(|release| &release.blobs);
                let found = blobs.find_map(|blobs| blobs.get(&digest));
                let (index, len) = (u64::from(index), u64::from(piece_size));
                (found, index * len, len)
            }
        };
        let Some(bytes) = bytes else {
            return Answer::NotFound;
        };
        let total = bytes.len() as u64;
        let (from, to) = (from.min(total), from.saturating_add(len).min(total));
        let at = |place: u64| usize::try_from(place).expect("small");
        Answer::Bytes {
            total,
            bytes: &bytes[at(from)..at(to)],
        }
    }

    fn metadata(&self, role: &str, version: Option<u64>) -> Option<&Vec<u8>> {
        if role == fleet_document::PATH {
            return Some(&self.world.fleet);
        }
        let all = &self.world.metadata;
        let newest = || all.keys().filter(|(of, _)| of == role).map(|k| k.1).max();
        all.get(&(role.to_owned(), version.or_else(newest)?))
    }

    /// Exactly once, by stream and number; acknowledges up to the first that is missing.
    fn store(&mut self, payload: &[u8]) -> Vec<(Down, Vec<u8>)> {
        let document = cose::peek::<Document<'_>>(payload).expect("a document");
        let (stream, sequence) = (document.stream, document.sequence);
        let stored = stored(&document, Digest::of(payload));
        let place = (stream, sequence.0);
        let before = self
            .documents
            .entry(place)
            .or_insert_with(|| stored.clone());
        if *before != stored {
            self.conflict = Some(format!("number {sequence} came with two contents"));
        }
        if !self.acknowledges {
            return Vec::new();
        }
        let through = (1..).find(|n| !self.documents.contains_key(&(stream, *n)));
        let through = Sequence(through.unwrap_or(1) - 1);
        let rejected = self
            .unreadable
            .filter(|n| *n == sequence.0)
            .map(|_| Rejected {
                sequence,
                reason: muster_protocol::message::RejectReason::Malformed,
            });
        vec![(Down::Ack, ack(stream, through, rejected))]
    }

    /// The bundle that it wants the device to serve.
    pub(super) fn bundle(&self) -> Digest {
        self.world.releases[self.assigned.1[0].release].bundle
    }

    /// Whether a receipt of this step came.
    pub(super) fn has_step(&self, step: Step) -> bool {
        self.documents
            .values()
            .any(|stored| stored.step == Some(step))
    }
}

/// A signed acknowledgement.
pub(super) fn ack(stream: StreamId, through: Sequence, rejected: Option<Rejected>) -> Vec<u8> {
    let rejected: Vec<_> = rejected.into_iter().collect();
    let ack = Ack {
        device: device(),
        stream,
        through,
        rejected: List::of(&rejected),
    };
    cose::seal_vec(&ack, &key(ACKS))
}

/// What a document counts.
pub(super) fn stored(document: &Document<'_>, digest: Digest) -> Stored {
    let window = document.window.as_ref();
    let gap = document.gap.as_ref();
    let windows = window
        .map(|w| w.closed_windows)
        .or(gap.map(|g| g.closed_windows));
    let calls = window.map(|w| w.calls).or(gap.map(|g| g.calls));
    Stored {
        digest,
        closed_windows: u64::from(windows.unwrap_or(0)),
        calls: calls.unwrap_or(0),
        step: document
            .receipt
            .as_ref()
            .map(|receipt: &Receipt<'_>| receipt.step),
        gap: gap.map(|gap| gap.reason),
    }
}

fn newest(a: MetadataVersions, b: MetadataVersions) -> MetadataVersions {
    MetadataVersions {
        root: a.root.max(b.root),
        timestamp: a.timestamp.max(b.timestamp),
        snapshot: a.snapshot.max(b.snapshot),
        targets: a.targets.max(b.targets),
        fleet: a.fleet.max(b.fleet),
    }
}
