//! The disk of a device: what outlives a power cut, and the writes that are on their way to it.
//!
//! Writes are done one after the other; each is atomic, as a file that is written, synced and
//! renamed is. A cut finds the one under way done or not done, and the others not begun. Only
//! pieces are synced by nobody, so that the last of them may be torn or gone. Never judges what is
//! written.

use super::lane::{Body, StoredLane};
use super::network;
use crate::random::Random;
use muster_device::acceptance::Accepted;
use muster_device::stream::Handle;
use muster_device::trusted_time::TimeFloors;
use muster_protocol::digest::Digest;
use muster_protocol::id::{ModelId, Sequence, StreamId};
use std::collections::{BTreeMap, BTreeSet};

/// Pieces that a power cut may take with it.
const UNSYNCED_MAX: u64 = 8;

/// Which of the two streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Stream {
    Receipts,
    Windows,
}

/// The assignment that counts, with its signed bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct AcceptedRecord {
    pub(super) accepted: Accepted,
    pub(super) bytes: Vec<u8>,
}

/// The state file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct StateFile {
    /// Encoded states, one for each model.
    pub(super) models: Vec<Vec<u8>>,
    pub(super) accepted: Option<AcceptedRecord>,
    pub(super) floors: TimeFloors,
}

/// Everything that lies there.
#[derive(Debug, Clone)]
pub(super) struct Disk {
    pub(super) state: StateFile,
    /// How often the state was written, for the checks.
    pub(super) states_written: u64,
    /// Signed key sets, in the order in which they were taken up.
    pub(super) key_sets: Vec<(String, Vec<u8>)>,
    pub(super) plans: BTreeMap<Digest, Vec<u8>>,
    /// Pieces of layers, from the first on.
    pub(super) layers: BTreeMap<Digest, Vec<Vec<u8>>>,
    pub(super) receipts: StoredLane,
    pub(super) windows: StoredLane,
}

/// One write.
#[derive(Debug, Clone)]
pub(super) enum Write {
    /// The state as it is when the write begins; the models wait for it.
    State { asked: BTreeSet<ModelId> },
    /// A key set that continues its chain.
    KeySet { role: String, bytes: Vec<u8> },
    /// The plan of a bundle.
    Plan {
        model: ModelId,
        bundle: Digest,
        bytes: Vec<u8>,
    },
    /// A piece of a layer: the next one, or one that lies there already.
    Piece {
        model: ModelId,
        layer: Digest,
        index: u32,
        bytes: Vec<u8>,
    },
    /// A body without a number.
    Body {
        stream: Stream,
        handle: Handle,
        body: Body,
    },
    /// One body in the place of two, or of itself.
    Replace {
        stream: Stream,
        earlier: Option<Handle>,
        later: Handle,
        body: Body,
    },
    /// A body under its number.
    Freeze {
        stream: Stream,
        handle: Handle,
        sequence: Sequence,
        bytes: Vec<u8>,
    },
    /// How far a stream is acknowledged.
    Cover { stream: Stream, through: Sequence },
    /// A document that the fleet could not read.
    Aside { stream: Stream, sequence: Sequence },
    /// A new stream in the place of one that was continued elsewhere.
    Supersede { stream: Stream, fresh: StreamId },
}

impl Disk {
    pub(super) const fn new(receipts: StreamId, windows: StreamId) -> Self {
        Self {
            state: StateFile {
                models: Vec::new(),
                accepted: None,
                floors: TimeFloors {
                    permanent: muster_protocol::time::UnixSeconds(0),
                    epoch: muster_protocol::id::Epoch(0),
                    scoped: muster_protocol::time::UnixSeconds(0),
                },
            },
            states_written: 0,
            key_sets: Vec::new(),
            plans: BTreeMap::new(),
            layers: BTreeMap::new(),
            receipts: StoredLane::new(receipts),
            windows: StoredLane::new(windows),
        }
    }

    pub(super) const fn lane(&self, stream: Stream) -> &StoredLane {
        match stream {
            Stream::Receipts => &self.receipts,
            Stream::Windows => &self.windows,
        }
    }

    const fn lane_mut(&mut self, stream: Stream) -> &mut StoredLane {
        match stream {
            Stream::Receipts => &mut self.receipts,
            Stream::Windows => &mut self.windows,
        }
    }

    /// Does a write; `state` is the state when the write began.
    pub(super) fn apply(&mut self, write: &Write, state: Option<StateFile>) {
        match write {
            Write::State { .. } => {
                self.state = state.unwrap_or_default();
                self.states_written += 1;
            }
            Write::KeySet { role, bytes } => self.key_sets.push((role.clone(), bytes.clone())),
            Write::Plan { bundle, bytes, .. } => {
                self.plans.insert(*bundle, bytes.clone());
            }
            Write::Piece {
                layer,
                index,
                bytes,
                ..
            } => {
                let pieces = self.layers.entry(*layer).or_default();
                let (place, end) = (*index as usize, pieces.len());
                if let Some(piece) = pieces.get_mut(place) {
                    piece.clone_from(bytes);
                } else if place == end {
                    pieces.push(bytes.clone());
                }
                // What was swept in between is fetched again from its first piece on.
            }
            Write::Body {
                stream,
                handle,
                body,
            } => self.lane_mut(*stream).add(*handle, body),
            Write::Replace {
                stream,
                earlier,
                later,
                body,
            } => {
                self.lane_mut(*stream).replace(*earlier, *later, body);
            }
            Write::Freeze {
                stream,
                handle,
                sequence,
                bytes,
            } => {
                self.lane_mut(*stream).freeze(*handle, *sequence, bytes);
            }
            Write::Cover { stream, through } => self.lane_mut(*stream).cover(*through),
            Write::Aside { stream, sequence } => self.lane_mut(*stream).keep_aside(*sequence),
            Write::Supersede { stream, fresh } => self.lane_mut(*stream).supersede(*fresh),
        }
    }

    /// What was not synced yet of the last pieces of a layer is lost, and the last one that is
    /// left is not what was written; says whether there was one.
    pub(super) fn tear(&mut self, layer: Digest, random: &mut Random) -> bool {
        let Some(pieces) = self.layers.get_mut(&layer) else {
            return false;
        };
        let lost = usize::try_from(random.below(UNSYNCED_MAX)).unwrap_or_default();
        pieces.truncate(pieces.len().saturating_sub(lost).max(1));
        if let Some(last) = pieces.last_mut() {
            network::damage(last, random);
        }
        true
    }

    /// Pieces of a layer from the first on that are what they shall be; what follows is removed.
    pub(super) fn good_pieces(&mut self, layer: Digest, wanted: &[Digest]) -> usize {
        let Some(pieces) = self.layers.get_mut(&layer) else {
            return 0;
        };
        let good = pieces.iter().zip(wanted);
        let good = good.take_while(|(piece, wanted)| Digest::of(piece) == **wanted);
        let good = good.count();
        pieces.truncate(good);
        good
    }

    /// Whether every piece of a bundle lies here as its plan says.
    pub(super) fn is_whole(&self, bundle: Digest) -> bool {
        let plan = self
            .plans
            .get(&bundle)
            .filter(|plan| Digest::of(plan) == bundle);
        let layers = plan.and_then(|plan| super::catalogue::read_plan(plan));
        layers.is_some_and(|layers| {
            layers.iter().all(|(digest, _)| {
                let pieces = self.layers.get(digest);
                pieces.is_some_and(|pieces| Digest::of(&pieces.concat()) == *digest)
            })
        })
    }

    /// Removes what belongs to none of these bundles.
    pub(super) fn sweep(&mut self, kept: &BTreeSet<Digest>) {
        self.plans.retain(|bundle, _| kept.contains(bundle));
        let layers: BTreeSet<Digest> = self
            .plans
            .values()
            .filter_map(|plan| super::catalogue::read_plan(plan))
            .flatten()
            .map(|(digest, _)| digest)
            .collect();
        self.layers.retain(|layer, _| layers.contains(layer));
    }
}
