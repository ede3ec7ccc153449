//! What the controller has stored of each device: what a backup keeps and a crash does not take.
//!
//! Never decides anything.

use super::super::lane::Counts;
use muster_fleet::compose::{DesiredRow, StoredEntry, higher_floor};
use muster_protocol::digest::Digest;
use muster_protocol::id::{
    BootId, DeviceId, EpochGeneration, Generation, ModelId, Nonce, Sequence, StreamId,
};
use muster_protocol::message::{Kind, RejectReason, Step};
use muster_protocol::time::{Millis, UnixSeconds};
use std::collections::BTreeMap;

/// Far above what a lost controller can have composed in the meantime.
const RESTORE_STEP: u64 = 1 << 32;

/// Everything.
#[derive(Debug, Clone)]
pub(in crate::sim) struct Store {
    pub(in crate::sim) devices: Vec<Record>,
}

/// One device.
#[derive(Debug, Clone)]
pub(in crate::sim) struct Record {
    pub(in crate::sim) id: DeviceId,
    pub(in crate::sim) desired: Vec<DesiredRow>,
    pub(in crate::sim) entries: Vec<StoredEntry>,
    pub(in crate::sim) newest: EpochGeneration,
    pub(in crate::sim) document: Vec<u8>,
    pub(in crate::sim) accept_by: UnixSeconds,
    pub(in crate::sim) accepted: Option<EpochGeneration>,
    pub(in crate::sim) generation_floor: EpochGeneration,
    pub(in crate::sim) held: Option<Held>,
    pub(in crate::sim) last_hello: Option<(BootId, Millis)>,
    pub(in crate::sim) streams: BTreeMap<StreamId, StreamRow>,
    pub(in crate::sim) documents: BTreeMap<(StreamId, Sequence), Taken>,
    /// What all documents count together.
    pub(in crate::sim) counted: Counts,
    /// Numbers that the device no longer keeps and that never came, first and last.
    pub(in crate::sim) gaps: Vec<(StreamId, Sequence, Sequence)>,
    /// What the device said last of each entry.
    pub(in crate::sim) told: BTreeMap<(ModelId, EpochGeneration), Step>,
    pub(in crate::sim) incidents: u64,
}

/// Nothing is composed until the device has shown what it has accepted.
#[derive(Debug, Clone, Copy, Default)]
pub(in crate::sim) struct Held {
    pub(in crate::sim) challenge: Option<Nonce>,
    pub(in crate::sim) claim: Option<(EpochGeneration, Digest)>,
}

/// One stream of a device.
#[derive(Debug, Clone, Copy)]
pub(in crate::sim) struct StreamRow {
    pub(in crate::sim) kind: Kind,
    pub(in crate::sim) through: Sequence,
    pub(in crate::sim) superseded: bool,
}

/// One document.
#[derive(Debug, Clone)]
pub(in crate::sim) struct Taken {
    pub(in crate::sim) digest: Digest,
    pub(in crate::sim) counts: Counts,
    pub(in crate::sim) told: Option<(ModelId, EpochGeneration, Step)>,
    pub(in crate::sim) rejected: Option<RejectReason>,
}

impl Store {
    pub(super) fn new(devices: &[DeviceId]) -> Self {
        let devices = devices.iter().cloned().map(Record::new).collect();
        Self { devices }
    }
}

impl Record {
    const fn new(id: DeviceId) -> Self {
        Self {
            id,
            desired: Vec::new(),
            entries: Vec::new(),
            newest: EpochGeneration::new(0, 0),
            document: Vec::new(),
            accept_by: UnixSeconds(0),
            accepted: None,
            generation_floor: EpochGeneration::new(0, 0),
            held: None,
            last_hello: None,
            streams: BTreeMap::new(),
            documents: BTreeMap::new(),
            counted: Counts {
                windows: 0,
                calls: 0,
            },
            gaps: Vec::new(),
            told: BTreeMap::new(),
            incidents: 0,
        }
    }

    /// Holds the device, and composes nothing near `at` any more.
    pub(super) fn hold_above(&mut self, at: EpochGeneration) {
        let highest = higher_floor(at, self.generation_floor);
        self.generation_floor = EpochGeneration {
            generation: Generation(highest.generation.0.saturating_add(RESTORE_STEP)),
            ..highest
        };
        self.held = Some(Held::default());
    }

    /// A device runs one release of a model; wanting the same again changes nothing.
    pub(super) fn want(&mut self, row: DesiredRow) {
        let known = self
            .desired
            .iter_mut()
            .find(|known| known.model == row.model);
        match known {
            Some(known) if known.statement == row.statement => {}
            Some(known) => *known = row,
            None => {
                self.desired.push(row);
                self.desired.sort_by(|a, b| a.model.cmp(&b.model));
            }
        }
    }
}
