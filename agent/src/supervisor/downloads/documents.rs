//! The small documents of a release, one after the other, each verified by its digest.
//!
//! A document that is on disk already is not fetched again.

use super::{Held, Purpose, Stage};
use crate::clock;
use crate::supervisor::Supervisor;
use muster_device::updater::{Capabilities, Input, Listing, Release, Verdict};
use muster_protocol::bundle::HashList;
use muster_protocol::bundle::manifest::{LayerKind, Manifest};
use muster_protocol::cbor;
use muster_protocol::cose;
use muster_protocol::digest::Digest;
use muster_protocol::id::ModelId;
use muster_protocol::limits::PIECE_BYTES_MAX;
use muster_protocol::message::{Answer, Reason, Statement, What, statement_name};
use muster_protocol::time::Millis;
use muster_protocol::tuf::Search;

/// How long a document may take before the updater backs off.
const DOCUMENT_MS_MAX: u64 = 10_000;
const MIB: u64 = 1024 * 1024;

impl Supervisor {
    pub(in crate::supervisor) fn fetch_statement(&mut self, model: &ModelId, digest: Digest) {
        self.forget_download(model);
        self.want_document(model, digest, Purpose::Statement);
    }

    pub(in crate::supervisor) fn fetch_plan(&mut self, model: &ModelId, release: &Release) {
        let download = self.downloads.of(model);
        download.release = Some(release.clone());
        self.want_document(model, release.bundle, Purpose::Manifest);
    }

    fn want_document(&mut self, model: &ModelId, digest: Digest, purpose: Purpose) {
        if let Ok(Some(bytes)) = self.store.document(&digest) {
            return self.document_here(model, purpose, &bytes);
        }
        let deadline = clock::monotonic().plus(DOCUMENT_MS_MAX);
        self.downloads.of(model).stage = Stage::Document {
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
            .models
            .iter()
            .find_map(|(model, d)| match d.stage {
                Stage::Document {
                    digest: wanted,
                    purpose,
                    ..
                } if wanted == digest => Some((model.clone(), purpose)),
                Stage::Document { .. } | Stage::Pieces(_) | Stage::Resting => None,
            });
        let Some((model, purpose)) = waiting else {
            return false;
        };
        match answer {
            Answer::NotFound => self.unavailable(&model, "the fleet does not have it"),
            Answer::Bytes { bytes, .. } if Digest::of(bytes) != digest => {
                self.unavailable(&model, "what came is not what was asked for");
            }
            Answer::Bytes { bytes, .. } => self.document_came(&model, digest, purpose, bytes),
        }
        true
    }

    fn document_came(&mut self, model: &ModelId, digest: Digest, purpose: Purpose, bytes: &[u8]) {
        let len = bytes.len() as u64;
        match self.store.put_document(&digest, bytes) {
            Ok(()) => {
                self.downloads.written(len);
                self.downloads.of(model).fetched_bytes += len;
                self.document_here(model, purpose, bytes);
            }
            Err(error) => self.unavailable(model, &error.to_string()),
        }
    }

    fn document_here(&mut self, model: &ModelId, purpose: Purpose, bytes: &[u8]) {
        self.downloads.of(model).stage = Stage::Resting;
        let next = match purpose {
            Purpose::Statement => return self.statement_here(model, bytes.to_vec()),
            Purpose::Manifest => self.manifest_here(model, bytes),
            Purpose::HashList => self.hash_list_here(model, bytes),
            Purpose::Card => self.card_here(model, bytes),
        };
        match next {
            Ok(Some((digest, purpose))) => self.want_document(model, digest, purpose),
            Ok(None) => self.answer_plan(model, Ok(())),
            Err(verdict) => self.answer_plan(model, Err(verdict)),
        }
    }

    fn answer_plan(&mut self, model: &ModelId, plan: Result<(), Verdict>) {
        let release = self.downloads.of(model).release.as_ref();
        let Some(bundle) = release.map(|release| release.bundle) else {
            return;
        };
        match plan {
            Ok(()) => self.feed(model, Input::Planned(bundle)),
            Err(verdict) => self.feed(model, Input::Failed { bundle, verdict }),
        }
    }

    fn manifest_here(&mut self, model: &ModelId, bytes: &[u8]) -> Next {
        let manifest = Manifest::parse(bytes)
            .map_err(|bad| Verdict::new(Reason::Manifest, &bad.to_string()))?;
        let list = manifest
            .layer(LayerKind::HashList)
            .map(|layer| layer.digest);
        self.downloads.of(model).manifest = Some(manifest);
        let missing = || Verdict::new(Reason::Manifest, "it names no hash list");
        list.map(|digest| Some((digest, Purpose::HashList)))
            .ok_or_else(missing)
    }

    fn hash_list_here(&mut self, model: &ModelId, bytes: &[u8]) -> Next {
        let bad = |because: String| Verdict::new(Reason::HashList, &because);
        let list: HashList<'_> = cbor::decode(bytes).map_err(|error| bad(error.to_string()))?;
        let download = self.downloads.of(model);
        let Some(manifest) = &download.manifest else {
            return Ok(None);
        };
        manifest
            .check_hash_list(&list)
            .map_err(|misfit| bad(misfit.to_string()))?;
        download.hash_list = bytes.to_vec();
        Ok(Some((manifest.card.digest, Purpose::Card)))
    }

    fn card_here(&mut self, model: &ModelId, bytes: &[u8]) -> Next {
        let bad = |because: &str| Verdict::new(Reason::Manifest, because);
        let card = muster_protocol::bundle::card::Card::parse(bytes)
            .map_err(|error| bad(&error.to_string()))?;
        if card.model != *model {
            return Err(bad("its card is of another model"));
        }
        Ok(None)
    }

    /// Metadata must list the statement: it is brought up to date first if it could be older.
    fn statement_here(&mut self, model: &ModelId, bytes: Vec<u8>) {
        let bundle = cose::peek::<Statement>(&bytes)
            .ok()
            .map(|statement| statement.bundle);
        let deadline = clock::monotonic().plus(3 * DOCUMENT_MS_MAX);
        self.downloads.statements.insert(
            model.clone(),
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
        if self.downloads.statements.contains_key(model) {
            self.begin_refresh();
        }
    }

    pub(in crate::supervisor) fn judge_statements(&mut self) {
        let models: Vec<_> = self.downloads.statements.keys().cloned().collect();
        for model in models {
            let Some(listing) = self.listing(&model) else {
                continue;
            };
            if let Some(held) = self.downloads.statements.remove(&model) {
                let capabilities = self.capabilities(&model);
                let (bytes, capabilities) = (&held.bytes, &capabilities);
                self.feed(
                    &model,
                    Input::Statement {
                        bytes,
                        listing,
                        capabilities,
                    },
                );
            }
        }
    }

    /// `None` while that cannot be said yet.
    fn listing(&self, model: &ModelId) -> Option<Listing> {
        let held = self.downloads.statements.get(model)?;
        let entry = self.updaters.get(model)?.state().entry.as_ref()?;
        let name = statement_name(&entry.model, &entry.version);
        let digest = Digest::of(&held.bytes);
        match self.trusted.search(&name, self.expiry()) {
            Ok(Search::Found { file, .. }) => {
                let listed = file.check_bytes(&muster_protocol::tuf::Role::Targets, &held.bytes);
                if listed.is_ok() {
                    return Some(Listing::Listed);
                }
                tracing::warn!(%model, %digest, "metadata lists another statement");
                self.refresh.complete.then_some(Listing::Absent)
            }
            Ok(Search::Absent) => self.refresh.complete.then_some(Listing::Absent),
            Ok(Search::Needs(_)) | Err(_) => None,
        }
    }

    /// What is left for one more release beside everything that is planned.
    fn capabilities(&self, model: &ModelId) -> Capabilities {
        let stop_first = self.config.swap == crate::config::SwapSetting::StopFirst;
        let planned: u64 = self
            .updaters
            .iter()
            .filter(|(other, _)| !(stop_first && *other == model))
            .filter_map(|(_, updater)| updater.state().active.as_ref())
            .map(|slot| slot.release.peak_memory_bytes)
            .sum();
        let free = self.store.free_bytes().unwrap_or(0);
        Capabilities {
            class: self.config.class.clone(),
            memory_bytes: (self.config.memory_mib_max * MIB)
                .saturating_sub(planned)
                .min(self.config.worker_memory_mib_max * MIB),
            disk_bytes: free.saturating_sub(self.config.disk_mib_reserved * MIB),
        }
    }

    /// What was asked for on an earlier connection, or on none, is asked for again.
    pub(super) fn documents_connected(&mut self) {
        let later = clock::monotonic().plus(DOCUMENT_MS_MAX);
        let mut digests = Vec::new();
        for download in self.downloads.models.values_mut() {
            if let Stage::Document {
                digest, deadline, ..
            } = &mut download.stage
            {
                *deadline = later;
                digests.push(*digest);
            }
        }
        for digest in digests {
            self.request_document(digest);
        }
    }

    fn request_document(&self, digest: Digest) {
        let what = What::Blob {
            digest,
            index: 0,
            piece_size: PIECE_BYTES_MAX,
        };
        self.request(what, 1);
    }

    pub(super) fn documents_tick(&mut self, now: Millis) {
        let late = self.downloads.models.iter().filter(|(_, d)| match d.stage {
            Stage::Document { deadline, .. } => deadline <= now,
            Stage::Pieces(_) | Stage::Resting => false,
        });
        let late: Vec<_> = late.map(|(model, _)| model.clone()).collect();
        late.iter()
            .for_each(|model| self.unavailable(model, "no answer"));
        let statements = &self.downloads.statements;
        let late = statements.iter().filter(|(_, held)| held.deadline <= now);
        let late: Vec<_> = late.map(|(model, _)| model.clone()).collect();
        for model in late {
            self.downloads.statements.remove(&model);
            self.unavailable(&model, "metadata does not say yet whether it is listed");
        }
    }

    pub(super) fn unavailable(&mut self, model: &ModelId, because: &str) {
        tracing::info!(%model, because, "not to be had now");
        self.downloads.of(model).stage = Stage::Resting;
        self.feed(model, Input::Unavailable);
    }
}

/// The next document, none when all are there, or what is wrong with this one.
type Next = Result<Option<(Digest, Purpose)>, Verdict>;
