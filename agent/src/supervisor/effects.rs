//! Doing what the updaters ask for.
//!
//! What takes long (hashing, unpacking, trials) runs in tasks of its own and answers by an
//! effect; an answer that comes too late falls through in the machine.

use super::{Effect, Supervisor};
use crate::seat::Seat;
use crate::serving::Features;
use crate::store::partial::StageError;
use crate::trial::{Golden, TrialBudget, TrialOutcome, run_trial};
use muster_device::updater::{Input, Output, Release, Verdict};
use muster_protocol::bundle::card::Card;
use muster_protocol::bundle::manifest::{Layer, LayerKind, Manifest};
use muster_protocol::digest::Digest;
use muster_protocol::message::{Measured, Reason};
use std::path::PathBuf;
use std::sync::PoisonError;

const MIB: u64 = 1024 * 1024;

/// What trial and serving need of a staged bundle.
pub(super) struct Staged {
    pub(super) model_path: PathBuf,
    pub(super) model: Layer,
    pub(super) card: Card,
    pub(super) features: Features,
    pub(super) golden: Vec<u8>,
}

impl Supervisor {
    pub(super) fn drain_updaters(&mut self) -> bool {
        let mut busy = false;
        let seats: Vec<_> = self.updaters.keys().cloned().collect();
        for seat in seats {
            while let Some(output) = self.updaters.get_mut(&seat).and_then(|u| u.poll_output()) {
                busy = true;
                self.obey(&seat, output);
            }
        }
        self.end_unwanted_downloads();
        busy
    }

    fn obey(&mut self, seat: &Seat, output: Output) {
        match output {
            Output::Persist => self.persist(),
            Output::FetchStatement { digest, .. } => self.fetch_statement(seat, digest),
            Output::FetchPlan(release) => self.fetch_plan(seat, &release),
            Output::FetchPieces(release) => self.fetch_pieces(seat, &release),
            Output::Stage(release) => self.stage(seat, &release),
            Output::Try(release) => self.begin_trial(seat, &release),
            Output::Route { release, .. } if seat.is_shadow() => self.route_shadow(seat, &release),
            Output::Route { release, swap } => {
                self.route(seat, &release, self.config.swap.no_more_than(swap));
            }
            Output::Unroute => self.unroute(seat),
            Output::Report {
                step,
                release,
                verdict,
                measured,
            } => {
                self.report(seat, step, release.as_ref(), verdict.as_ref(), measured);
            }
            Output::Discard(_) => self.sweep(),
        }
    }

    /// Verifies every blob of the bundle whole, in a thread that may block.
    fn stage(&mut self, seat: &Seat, release: &Release) {
        let bundle = release.bundle;
        let Some(layers) = self.layers(&bundle) else {
            let verdict = Verdict::new(Reason::Manifest, "its manifest is not on disk any more");
            return self.feed(seat, Input::Failed { bundle, verdict });
        };
        let (effects, seat) = (self.effects.clone(), seat.clone());
        let (folder, lock) = (self.store.folder().to_owned(), self.downloads.layers_lock());
        tokio::task::spawn_blocking(move || {
            let _alone = lock.lock().unwrap_or_else(PoisonError::into_inner);
            let result = stage_layers(&folder, &layers);
            // The receiver lives as long as the agent.
            let _ = effects.blocking_send(Effect::Staged {
                seat,
                bundle,
                result,
            });
        });
    }

    fn begin_trial(&mut self, seat: &Seat, release: &Release) {
        let (bundle, effects) = (release.bundle, self.effects.clone());
        let staged = match self.staged(&bundle) {
            Ok(staged) => staged,
            Err(verdict) => return self.feed(seat, Input::Failed { bundle, verdict }),
        };
        let budget = self.trial_budget(&staged.card);
        let (program, seat) = (self.worker_program(), seat.clone());
        tokio::spawn(async move {
            let result = match Golden::from_cbor(&staged.golden) {
                Ok(golden) => judge(run_trial(&program, &staged.model_path, &golden, budget).await),
                Err(error) => Err(Verdict::new(Reason::Manifest, &error.to_string())),
            };
            let _ = effects
                .send(Effect::Tried {
                    seat,
                    bundle,
                    result,
                })
                .await;
        });
    }

    fn trial_budget(&self, card: &Card) -> TrialBudget {
        let own = self.config.trial.latency_us_max;
        let latency_us_max = match (own, card.latency_us_max) {
            (Some(own), Some(card)) => Some(own.min(card)),
            (own, card) => own.or(card),
        };
        TrialBudget {
            load_ms_max: self.config.trial.timeout_ms,
            latency_us_max,
            memory_bytes_max: self.config.worker_memory_mib_max * MIB,
        }
    }

    pub(super) fn worker_program(&self) -> PathBuf {
        let own = || std::env::current_exe().unwrap_or_else(|_| PathBuf::from("/proc/self/exe"));
        self.config.worker_program.clone().unwrap_or_else(own)
    }

    /// Reads what lies on disk of a bundle; each part is verified again.
    pub(super) fn staged(&self, bundle: &Digest) -> Result<Staged, Verdict> {
        let bad = |because: &str| Verdict::new(Reason::Blob, because);
        let manifest = self.store.document(bundle).ok().flatten();
        let manifest = manifest.ok_or_else(|| bad("its manifest is not on disk any more"))?;
        let manifest = Manifest::parse(&manifest).map_err(|error| bad(&error.to_string()))?;
        let layer = |kind| {
            manifest
                .layer(kind)
                .ok_or_else(|| bad("a layer is missing"))
        };
        let (model, golden) = (layer(LayerKind::Model)?, layer(LayerKind::Golden)?);
        let reference = layer(LayerKind::Reference)?;
        let card = self.store.document(&manifest.card.digest).ok().flatten();
        let card = Card::parse(&card.ok_or_else(|| bad("its card is not on disk any more"))?)
            .map_err(|error| bad(&error.to_string()))?;
        let read = |layer: &Layer| {
            let bytes = std::fs::read(self.store.blob_path(&layer.blob_digest)).ok();
            bytes.filter(|bytes| Digest::of(bytes) == layer.blob_digest)
        };
        let reference_bytes = read(reference).ok_or_else(|| bad("its reference is damaged"))?;
        let features = Features::of(reference.blob_digest, &reference_bytes)
            .map_err(|because| bad(&because))?;
        Ok(Staged {
            model_path: self.store.blob_path(&model.blob_digest),
            model: *model,
            card,
            features,
            golden: read(golden).ok_or_else(|| bad("its golden vectors are damaged"))?,
        })
    }

    pub(super) fn on_effect(&mut self, effect: Effect) {
        match effect {
            Effect::Renewed { result } => self.renewed(result),
            Effect::Surveyed {
                seat,
                bundle,
                result,
            } => self.surveyed(&seat, bundle, result),
            Effect::Staged {
                seat,
                bundle,
                result,
            } => match result {
                Ok(written) => {
                    self.downloads.written(written);
                    let (fetched_bytes, written_bytes) = self.downloads.bytes(&seat);
                    let staged = Input::Staged {
                        bundle,
                        fetched_bytes,
                        written_bytes,
                    };
                    self.feed(&seat, staged);
                }
                Err(verdict) => self.feed(&seat, Input::Failed { bundle, verdict }),
            },
            Effect::Tried {
                seat,
                bundle,
                result,
            } => match result {
                Ok(measured) => self.feed(&seat, Input::TrialPassed { bundle, measured }),
                Err(verdict) => self.feed(&seat, Input::Failed { bundle, verdict }),
            },
        }
    }
}

fn stage_layers(folder: &std::path::Path, layers: &[Layer]) -> Result<u64, Verdict> {
    let others = layers
        .iter()
        .filter(|layer| layer.kind != LayerKind::HashList);
    let mut written = 0;
    for layer in others {
        written += crate::store::partial::stage_layer(folder, layer).map_err(|error| {
            let reason = match &error {
                StageError::Disk(_) => Reason::Disk,
                StageError::Damaged(_) | StageError::Unpacks(_) => Reason::Blob,
            };
            Verdict::new(reason, &error.to_string())
        })?;
    }
    Ok(written)
}

fn judge(outcome: TrialOutcome) -> Result<Measured, Verdict> {
    let reason = match &outcome {
        TrialOutcome::Pass {
            load_ms,
            latency_us_median,
            peak_bytes,
        } => {
            let u32_of = |value: u64| u32::try_from(value).unwrap_or(u32::MAX);
            return Ok(Measured {
                load_ms: Some(u32_of(*load_ms)),
                latency_us: Some(u32_of(*latency_us_median)),
                peak_memory_bytes: Some(*peak_bytes),
                ..Measured::default()
            });
        }
        TrialOutcome::WrongOutput { .. } | TrialOutcome::WrongForm { .. } => Reason::WrongOutput,
        TrialOutcome::TooSlow { .. } => Reason::TooSlow,
        TrialOutcome::TooBig { .. } => Reason::TooBig,
        TrialOutcome::Crashed { .. } | TrialOutcome::NotHeld { .. } => Reason::Crashed,
        TrialOutcome::Hung { .. } => Reason::Hung,
        TrialOutcome::Refused { .. } => Reason::Load,
    };
    Err(Verdict::new(reason, &outcome.to_string()))
}
