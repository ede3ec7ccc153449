//! The small documents of a release, one after the other, each verified by its digest.
//!
//! A document that is on disk already is not fetched again.

use super::{Held, Purpose, Stage, is_under_way};
use crate::clock;
use crate::seat::Seat;
use crate::stick::Weight;
use crate::supervisor::Supervisor;
use muster_device::updater::{Capabilities, Input, Listing, ModelState, Release, Verdict};
use muster_protocol::bundle::HashList;
use muster_protocol::bundle::manifest::{LayerKind, Manifest};
use muster_protocol::cbor;
use muster_protocol::cose;
use muster_protocol::digest::Digest;
use muster_protocol::limits::PIECE_BYTES_MAX;
use muster_protocol::message::{Answer, Reason, Statement, Swap, What, statement_name};
use muster_protocol::time::Millis;
use muster_protocol::tuf::Search;

/// How long a document may take before the updater backs off.
const DOCUMENT_MS_MAX: u64 = 10_000;
/// How long a statement waits for metadata that lists it before the updater backs off.
const STATEMENT_MS_MAX: u64 = 30_000;
const MIB: u64 = 1024 * 1024;
/// Nothing is late while there is no connection.
const NEVER: Millis = Millis(u64::MAX);

impl Supervisor {
    pub(in crate::supervisor) fn fetch_statement(&mut self, seat: &Seat, digest: Digest) {
        self.forget_download(seat);
        self.want_document(seat, digest, Purpose::Statement);
    }

    pub(in crate::supervisor) fn fetch_plan(&mut self, seat: &Seat, release: &Release) {
        let download = self.downloads.of(seat);
        download.release = Some(release.clone());
        self.want_document(seat, release.bundle, Purpose::Manifest);
    }

    fn want_document(&mut self, seat: &Seat, digest: Digest, purpose: Purpose) {
        if let Ok(Some(bytes)) = self.store.document(&digest) {
            return self.document_here(seat, purpose, &bytes);
        }
        let deadline = self.answer_by(DOCUMENT_MS_MAX);
        self.downloads.of(seat).stage = Stage::Document {
            digest,
            purpose,
            deadline,
        };
        self.request_document(digest);
    }

    /// Takes the answer to a document that some model waits for; says whether it was one.
    pub(super) fn take_document_answer(&mut self, digest: Digest, answer: &Answer<'_>) -> bool {
        let waiting = self
            .downloads
            .seats
            .iter()
            .find_map(|(seat, d)| match d.stage {
                Stage::Document {
                    digest: wanted,
                    purpose,
                    ..
                } if wanted == digest => Some((seat.clone(), purpose)),
                Stage::Document { .. } | Stage::Pieces(_) | Stage::Resting => None,
            });
        let Some((seat, purpose)) = waiting else {
            return false;
        };
        match answer {
            Answer::NotFound => {
                self.ask_hello();
                self.unavailable(&seat, "the fleet does not have it");
            }
            Answer::Bytes { bytes, .. } if Digest::of(bytes) != digest => {
                self.refuse(&digest.to_string(), "it has another digest", Weight::Bad);
                self.unavailable(&seat, "what came is not what was asked for");
            }
            Answer::Bytes { bytes, .. } => self.document_came(&seat, digest, purpose, bytes),
        }
        true
    }

    fn document_came(&mut self, seat: &Seat, digest: Digest, purpose: Purpose, bytes: &[u8]) {
        let len = bytes.len() as u64;
        match self.store.put_document(&digest, bytes) {
            Ok(()) => {
                self.downloads.written(len);
                self.downloads.of(seat).fetched_bytes += len;
                self.document_here(seat, purpose, bytes);
            }
            Err(error) => self.unavailable(seat, &error.to_string()),
        }
    }

    fn document_here(&mut self, seat: &Seat, purpose: Purpose, bytes: &[u8]) {
        self.downloads.of(seat).stage = Stage::Resting;
        let next = match purpose {
            Purpose::Statement => return self.statement_here(seat, bytes.to_vec()),
            Purpose::Manifest => self.manifest_here(seat, bytes),
            Purpose::HashList => self.hash_list_here(seat, bytes),
            Purpose::Card => self.card_here(seat, bytes),
        };
        match next {
            Ok(Some((digest, purpose))) => self.want_document(seat, digest, purpose),
            Ok(None) => self.answer_plan(seat, Ok(())),
            Err(verdict) => self.answer_plan(seat, Err(verdict)),
        }
    }

    fn answer_plan(&mut self, seat: &Seat, plan: Result<(), Verdict>) {
        let release = self.downloads.of(seat).release.as_ref();
        let Some(bundle) = release.map(|release| release.bundle) else {
            return;
        };
        match plan {
            Ok(()) => self.feed(seat, Input::Planned(bundle)),
            Err(verdict) => self.feed(seat, Input::Failed { bundle, verdict }),
        }
    }

    fn manifest_here(&mut self, seat: &Seat, bytes: &[u8]) -> Next {
        let manifest = Manifest::parse(bytes)
            .map_err(|bad| Verdict::new(Reason::Manifest, &bad.to_string()))?;
        let list = manifest
            .layer(LayerKind::HashList)
            .map(|layer| layer.digest);
        self.downloads.of(seat).manifest = Some(manifest);
        let missing = || Verdict::new(Reason::Manifest, "it names no hash list");
        list.map(|digest| Some((digest, Purpose::HashList)))
            .ok_or_else(missing)
    }

    fn hash_list_here(&mut self, seat: &Seat, bytes: &[u8]) -> Next {
        let bad = |because: String| Verdict::new(Reason::HashList, &because);
        let list: HashList<'_> = cbor::decode(bytes).map_err(|error| bad(error.to_string()))?;
        let download = self.downloads.of(seat);
        let Some(manifest) = &download.manifest else {
            return Ok(None);
        };
        manifest
            .check_hash_list(&list)
            .map_err(|misfit| bad(misfit.to_string()))?;
        download.hash_list = bytes.to_vec();
        download.piece_size = list.piece_size;
        Ok(Some((manifest.card.digest, Purpose::Card)))
    }

    fn card_here(&mut self, seat: &Seat, bytes: &[u8]) -> Next {
        let bad = |because: &str| Verdict::new(Reason::Manifest, because);
        let card = muster_protocol::bundle::card::Card::parse(bytes)
            .map_err(|error| bad(&error.to_string()))?;
        if card.model != seat.model {
            return Err(bad("its card is of another seat"));
        }
        Ok(None)
    }

    /// Metadata must list the statement: it is brought up to date first if it could be older.
    fn statement_here(&mut self, seat: &Seat, bytes: Vec<u8>) {
        let bundle = cose::peek::<Statement>(&bytes)
            .ok()
            .map(|statement| statement.bundle);
        let deadline = self.answer_by(STATEMENT_MS_MAX);
        self.downloads.statements.insert(
            seat.clone(),
            Held {
                bytes,
                bundle,
                deadline,
            },
        );
        // What an earlier refresh did not find may have been released since.
        self.refresh.complete = false;
        self.rebuild_facts();
        self.judge_statements();
        if self.downloads.statements.contains_key(seat) {
            self.begin_refresh();
        }
    }

    pub(in crate::supervisor) fn judge_statements(&mut self) {
        let seats: Vec<_> = self.downloads.statements.keys().cloned().collect();
        for seat in seats {
            let Some(listing) = self.listing(&seat) else {
                continue;
            };
            if let Some(held) = self.downloads.statements.remove(&seat) {
                let capabilities = self.capabilities(&seat, held.bundle.as_ref());
                let (bytes, capabilities) = (&held.bytes, &capabilities);
                self.feed(
                    &seat,
                    Input::Statement {
                        bytes,
                        listing,
                        capabilities,
                    },
                );
            }
        }
    }

    /// `None` while that cannot be said yet, or only by metadata that is too old. Newer metadata
    /// may be withheld, so that absence is a verdict only once `accept_by` has passed.
    fn listing(&self, seat: &Seat) -> Option<Listing> {
        let held = self.downloads.statements.get(seat)?;
        if self.freshness().is_stale() {
            return None;
        }
        let entry = self.updaters.get(seat)?.state().entry.as_ref()?;
        let name = statement_name(&entry.model, &entry.version);
        let digest = Digest::of(&held.bytes);
        match self.trusted.search(&name, self.expiry()) {
            Ok(Search::Found { file, .. }) => {
                let listed = file.check_bytes(&muster_protocol::tuf::Role::Targets, &held.bytes);
                if listed.is_ok() {
                    return Some(Listing::Listed);
                }
                tracing::warn!(model = %seat, %digest, "metadata lists another statement");
                self.absence()
            }
            Ok(Search::Absent) if self.refresh.complete => {
                tracing::info!(model = %seat, %digest, "metadata does not list it yet");
                self.absence()
            }
            Ok(Search::Absent | Search::Needs(_)) | Err(_) => None,
        }
    }

    fn absence(&self) -> Option<Listing> {
        (self.refresh.complete && self.accept_by_passed()).then_some(Listing::Absent)
    }

    /// What is left for one more release beside everything that is planned.
    fn capabilities(&self, seat: &Seat, bundle: Option<&Digest>) -> Capabilities {
        let planned = self.updaters.iter().map(|(other, updater)| {
            let state = updater.state();
            let whose = if other == seat {
                Whose::Own
            } else {
                Whose::Other
            };
            planned_bytes(state, whose, self.swap_of(state))
        });
        let planned = planned.fold(0, u64::saturating_add);
        // Space that an earlier attempt reserved is there for the same bundle.
        let there = bundle.map_or(0, |bundle| self.bytes_on_disk(bundle));
        let free = self.store.free_bytes().unwrap_or(0).saturating_add(there);
        Capabilities {
            class: self.config.class.clone(),
            memory_bytes: (self.config.memory_mib_max * MIB)
                .saturating_sub(planned)
                .min(self.config.worker_memory_mib_max * MIB),
            disk_bytes: free.saturating_sub(self.config.disk_mib_reserved * MIB),
        }
    }

    fn bytes_on_disk(&self, bundle: &Digest) -> u64 {
        let layers = self.layers(bundle).unwrap_or_default();
        let digests = layers.iter().flat_map(|l| [l.digest, l.blob_digest]);
        self.store.allocated_bytes(&digests.collect())
    }

    /// How a model swaps: of own setting and entry, what takes less memory.
    fn swap_of(&self, state: &ModelState) -> Swap {
        let own = self.config.swap;
        let asked = state.entry.as_ref().and_then(|entry| entry.settings.swap);
        own.no_more_than(asked.unwrap_or(own.into()))
    }

    /// What was asked for on an earlier connection, or on none, is asked for again.
    pub(super) fn documents_connected(&mut self) {
        let now = clock::monotonic();
        for held in self.downloads.statements.values_mut() {
            held.deadline = now.plus(STATEMENT_MS_MAX);
        }
        let mut digests = Vec::new();
        for download in self.downloads.seats.values_mut() {
            if let Stage::Document {
                digest, deadline, ..
            } = &mut download.stage
            {
                *deadline = now.plus(DOCUMENT_MS_MAX);
                digests.push(*digest);
            }
        }
        for digest in digests {
            self.request_document(digest);
        }
    }

    /// Silence says nothing while nobody can be heard.
    pub(super) fn documents_disconnected(&mut self) {
        for held in self.downloads.statements.values_mut() {
            held.deadline = NEVER;
        }
        for download in self.downloads.seats.values_mut() {
            if let Stage::Document { deadline, .. } = &mut download.stage {
                *deadline = NEVER;
            }
        }
    }

    fn answer_by(&self, timeout_ms: u64) -> Millis {
        match self.can_ask() {
            true => clock::monotonic().plus(timeout_ms),
            false => NEVER,
        }
    }

    fn request_document(&mut self, digest: Digest) {
        let what = What::Blob {
            digest,
            index: 0,
            piece_size: PIECE_BYTES_MAX,
        };
        self.request(what, 1);
    }

    pub(super) fn documents_tick(&mut self, now: Millis) {
        let late = self.downloads.seats.iter().filter(|(_, d)| match d.stage {
            Stage::Document { deadline, .. } => deadline <= now,
            Stage::Pieces(_) | Stage::Resting => false,
        });
        let late: Vec<_> = late.map(|(seat, _)| seat.clone()).collect();
        late.iter()
            .for_each(|seat| self.unavailable(seat, "no answer"));
        let statements = &self.downloads.statements;
        if statements.values().any(|held| held.deadline <= now) {
            self.judge_statements();
        }
        let statements = &self.downloads.statements;
        let late = statements.iter().filter(|(_, held)| held.deadline <= now);
        let late: Vec<_> = late.map(|(seat, _)| seat.clone()).collect();
        for seat in late {
            self.downloads.statements.remove(&seat);
            self.unavailable(&seat, "metadata does not say yet whether it is listed");
        }
    }

    pub(super) fn unavailable(&mut self, seat: &Seat, because: &str) {
        tracing::info!(model = %seat, because, "not to be had now");
        self.downloads.of(seat).stage = Stage::Resting;
        self.feed(seat, Input::Unavailable);
    }
}

/// Whose memory is planned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Whose {
    /// Of the seat that something new is judged for.
    Own,
    /// Of another one.
    Other,
}

/// Memory that a model may come to take, without what is judged now.
pub(super) fn planned_bytes(state: &ModelState, whose: Whose, swap: Swap) -> u64 {
    let active = state.active.as_ref().map(|slot| &slot.release);
    let active_bytes = active.map_or(0, |release| release.peak_memory_bytes);
    let unfinished = state
        .candidate
        .as_ref()
        .filter(|_| is_under_way(state.progress));
    let candidate_bytes = unfinished.map_or(0, |release| release.peak_memory_bytes);
    match (whose, swap) {
        (Whose::Own, Swap::Overlap) => active_bytes,
        (Whose::Own, Swap::StopFirst) => 0,
        (Whose::Other, Swap::Overlap) => active_bytes.saturating_add(candidate_bytes),
        (Whose::Other, Swap::StopFirst) => active_bytes.max(candidate_bytes),
    }
}

/// The next document, none when all are there, or what is wrong with this one.
type Next = Result<Option<(Digest, Purpose)>, Verdict>;
