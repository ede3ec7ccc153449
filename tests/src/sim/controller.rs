//! The controller: an honest model of `muster serve` over the real rules of composing.
//!
//! What it stores, it stores whole or not at all, as the program does in one transaction; what it
//! sends may be lost with it. Every document is one of `muster-protocol`, really signed. Never
//! sees the inside of a device.

mod hello;
mod ingest;
mod store;

use super::Setup;
use super::catalogue::{BEGINNING, Catalogue, Release};
use super::planted::Planted;
use super::seal::Signatures;
use crate::random::Random;
use muster_fleet::compose::{self, DesiredRow};
use muster_protocol::cbor::{self, List};
use muster_protocol::cose;
use muster_protocol::id::{DeviceId, Epoch, ModelId, StreamId};
use muster_protocol::message::fetch::{Answer, Fetch, Piece, What};
use muster_protocol::message::{Assignment, Entry, Role, Settings};
use muster_protocol::time::{Millis, UnixSeconds};
use muster_protocol::topic::Down;
use std::collections::BTreeMap;
pub(super) use store::{Record, Store};

/// Days in which a device may take an assignment up.
const ACCEPT_DAYS: u64 = 30;

/// When to make a new assignment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum When {
    /// Only when an entry differs.
    Changed,
    /// Also when none differs: its dates must move.
    Always,
}

/// What an operator wants.
#[derive(Debug, Clone)]
pub(super) enum Change {
    /// These devices run this release.
    Rollout { release: usize, devices: Vec<usize> },
    /// One device tries again what it gave up.
    Retry { device: usize, model: ModelId },
    /// One device runs this model no more.
    Remove { device: usize, model: ModelId },
}

/// A message to a device.
#[derive(Debug)]
pub(super) struct Letter {
    pub(super) to: usize,
    pub(super) topic: Down,
    pub(super) bytes: Vec<u8>,
}

/// What was signed last: the same words of the same epoch have the same signature.
#[derive(Debug)]
struct Said {
    epoch: Epoch,
    words: Vec<u8>,
    signed: Vec<u8>,
}

/// The controller, up or down.
#[derive(Debug)]
pub(super) struct Controller {
    pub(super) store: Store,
    pub(super) up: bool,
    /// How often it was started: what it was about to send before is not sent.
    pub(super) starts: u64,
    /// How wrong its clock is.
    pub(super) clock_s: i64,
    pub(super) random: Random,
    pub(super) letters: Vec<Letter>,
    pub(super) planted: Option<Planted>,
    signatures: Signatures,
    /// The last acknowledgement of each stream.
    said: BTreeMap<StreamId, Said>,
    /// Whether it can read every document, or meets some of a version that it cannot.
    pub(super) reads_all: bool,
}

impl Controller {
    pub(super) fn new(devices: &[DeviceId], random: Random, setup: &Setup) -> Self {
        Self {
            store: Store::new(devices),
            up: true,
            starts: 0,
            clock_s: 0,
            random,
            letters: Vec::new(),
            planted: setup.planted,
            signatures: Signatures::of(setup.seed),
            said: BTreeMap::new(),
            reads_all: false,
        }
    }

    pub(super) fn unix(&self, now: Millis) -> UnixSeconds {
        UnixSeconds((BEGINNING.0 + now.0 / 1000).saturating_add_signed(self.clock_s))
    }

    /// Puts a backup in the place of the store: every device is held until it has shown what it
    /// has accepted.
    pub(super) fn restore(&mut self, backup: Store) {
        self.store = backup;
        for record in &mut self.store.devices {
            record.hold_above(record.newest);
        }
    }

    /// Stores what an operator wants, and what follows from it for each device: one transaction.
    /// Gives the devices to which something new must be sent.
    pub(super) fn plan(
        &mut self,
        change: &Change,
        catalogue: &Catalogue,
        now: Millis,
    ) -> Vec<usize> {
        let mut touched = Vec::new();
        match change {
            Change::Rollout { release, devices } => {
                let release = &catalogue.releases[*release];
                for device in devices {
                    self.store.devices[*device].want(row_of(release));
                    touched.push(*device);
                }
            }
            Change::Retry { device, model } => {
                let rows = &mut self.store.devices[*device].desired;
                if let Some(row) = rows.iter_mut().find(|row| row.model == *model) {
                    row.attempt += 1;
                    touched.push(*device);
                }
            }
            Change::Remove { device, model } => {
                self.store.devices[*device]
                    .desired
                    .retain(|row| row.model != *model);
                touched.push(*device);
            }
        }
        touched.retain(|device| self.dispatch(*device, When::Changed, catalogue, now));
        touched
    }

    /// Composes, signs and stores the next assignment of a device; says whether there is one.
    pub(super) fn dispatch(
        &mut self,
        device: usize,
        when: When,
        catalogue: &Catalogue,
        now: Millis,
    ) -> bool {
        let unix = self.unix(now);
        let record = &mut self.store.devices[device];
        if record.held.is_some() {
            return false;
        }
        let at = compose::next_at(
            catalogue.authority.epoch,
            record.newest,
            record.accepted,
            record.generation_floor,
        );
        let Ok(at) = at else { return false };
        let Ok(entries) = compose::entries(&record.entries, &record.desired, at) else {
            return false;
        };
        if when == When::Changed && entries == record.entries {
            return false;
        }
        let listed: Vec<Entry> = entries.iter().map(|stored| stored.entry.clone()).collect();
        let accept_by = unix.plus_days(ACCEPT_DAYS);
        let assignment = Assignment {
            device: record.id.clone(),
            at,
            issued_at: unix,
            accept_by,
            entries: List::of(&listed),
        };
        record.document = cose::seal_vec(&assignment, &catalogue.authority.director);
        (record.newest, record.entries, record.accept_by) = (at, entries, accept_by);
        true
    }

    /// Sends the newest assignment of a device.
    pub(super) fn send_assignment(&mut self, device: usize) {
        let bytes = self.store.devices[device].document.clone();
        if !bytes.is_empty() {
            self.send(device, Down::Assignment, bytes);
        }
    }

    fn send(&mut self, to: usize, topic: Down, bytes: Vec<u8>) {
        self.letters.push(Letter { to, topic, bytes });
    }

    /// Answers a request for pieces, documents or key sets, of what the device's assignments
    /// reach.
    pub(super) fn on_fetch(&mut self, from: usize, bytes: &[u8], catalogue: &Catalogue) {
        let Ok(fetch) = cbor::decode::<Fetch<'_>>(bytes) else {
            return;
        };
        match fetch.what {
            What::Metadata { role, version, .. } => {
                let found = catalogue.authority.key_set(role, version.unwrap_or(0));
                self.answer(from, fetch.what, found);
            }
            What::Blob {
                digest,
                piece_size: 0,
                ..
            } => {
                let found = catalogue.document(digest);
                let found = found.filter(|(release, _)| self.reaches(from, release));
                let found = found.map(|(_, document)| document);
                self.answer(from, fetch.what, found);
            }
            What::Blob {
                digest,
                index,
                piece_size,
            } => {
                let layer = catalogue.by_layer(digest);
                let layer = layer.filter(|(release, _)| self.reaches(from, release));
                for index in index..index.saturating_add(fetch.count.min(32)) {
                    let piece = layer.and_then(|(_, layer)| layer.pieces.get(index as usize));
                    let what = What::Blob {
                        digest,
                        index,
                        piece_size,
                    };
                    self.answer(from, what, piece.map(Vec::as_slice));
                }
            }
        }
    }

    fn answer(&mut self, to: usize, what: What<'_>, found: Option<&[u8]>) {
        let answer = found.map_or(Answer::NotFound, |bytes| Answer::Bytes {
            total: bytes.len() as u64,
            bytes,
        });
        let bytes = cbor::to_vec(&Piece { what, answer });
        self.send(to, Down::Piece, bytes);
    }

    fn reaches(&self, device: usize, release: &Release) -> bool {
        let entries = &self.store.devices[device].entries;
        entries
            .iter()
            .any(|stored| release.is_stated_by(stored.entry.statement))
    }
}

fn row_of(release: &Release) -> DesiredRow {
    DesiredRow {
        model: release.model.clone(),
        version: release.version.clone(),
        role: Role::Serve,
        statement: release.statement_digest,
        statement_size: u32::try_from(release.statement.len()).unwrap_or(u32::MAX),
        settings: Settings::default(),
        attempt: 0,
        rollout: 1,
    }
}
