//! Doing what the updaters ask for, and what the disk has done.
//!
//! What takes long ends in an event of its own; an answer that comes too late falls through in
//! the machine.

use super::super::catalogue::{Fate, MEMORY_BYTES};
use super::super::disk::{StateFile, Write};
use super::super::planted::Planted;
use super::{Around, Device, Effect, Wish};
use muster_device::updater::{Capabilities, Input, Output, Release, TRIES_MAX, Verdict};
use muster_protocol::cbor;
use muster_protocol::digest::Digest;
use muster_protocol::id::{ModelId, TargetClass};
use muster_protocol::message::{Measured, Reason};
use std::collections::BTreeSet;

impl Device {
    pub(super) fn drain_updaters(&mut self, around: &mut Around<'_>) -> bool {
        let mut busy = false;
        let models: Vec<_> = self.running().updaters.keys().cloned().collect();
        for model in models {
            loop {
                let updater = self.running().updaters.get_mut(&model);
                let Some(output) = updater.and_then(muster_device::updater::Updater::poll_output)
                else {
                    break;
                };
                busy = true;
                self.obey(&model, output, around);
            }
        }
        busy
    }

    fn obey(&mut self, model: &ModelId, output: Output, around: &mut Around<'_>) {
        match output {
            Output::Persist => self.persist(model, around),
            Output::FetchStatement { digest, .. } => self.fetch_statement(model, digest, around),
            Output::FetchPlan(release) => self.fetch_plan(model, &release, around),
            Output::FetchPieces(release) => self.fetch_pieces(model, &release, around),
            Output::Stage(release) => {
                let (model, bundle) = (model.clone(), release.bundle);
                self.later(500, Effect::Stage { model, bundle });
            }
            Output::Try(release) => self.begin_trial(model, &release, around),
            Output::Route { release, .. } => {
                let (model, bundle) = (model.clone(), release.bundle);
                self.later(2_000, Effect::Route { model, bundle });
            }
            Output::Unroute => {
                self.note(around, "unroute", 0, || model.to_string());
                self.end_serving(model, around);
            }
            Output::Report {
                step,
                release,
                verdict,
                measured,
            } => {
                let about = (step, release.as_ref(), verdict.as_ref());
                self.report(model, about, measured, around);
            }
            Output::Discard(bundle) => self.discard(model, bundle),
        }
    }

    fn persist(&mut self, model: &ModelId, around: &Around<'_>) {
        self.write_state(Some(model));
        if around.planted == Some(Planted::AcknowledgeBeforeDurable) {
            self.feed(model, Input::Persisted, around);
        }
    }

    /// One write serves every machine that asks before it begins.
    pub(super) fn write_state(&mut self, asks: Option<&ModelId>) {
        let running = self.running();
        let begun = usize::from(running.under_way.is_some());
        let waiting = running.writing.iter_mut().skip(begun);
        let mut states = waiting.filter_map(|write| match write {
            Write::State { asked } => Some(asked),
            _ => None,
        });
        match states.next() {
            Some(asked) => asked.extend(asks.cloned()),
            None => {
                let asked = asks.cloned().into_iter().collect();
                running.writing.push_back(Write::State { asked });
            }
        }
    }

    /// Begins the next write when the disk rests.
    pub(super) fn begin_write(&mut self) {
        let running = self.running();
        if running.under_way.is_some() || running.refused {
            return;
        }
        let Some(next) = running.writing.front() else {
            return;
        };
        let is_state = matches!(next, Write::State { .. });
        let state = is_state.then(|| self.state_file());
        self.running().under_way = Some(state);
        self.wishes.push(Wish::Write);
    }

    fn state_file(&mut self) -> StateFile {
        let running = self.running();
        running.updaters.retain(|_, updater| !updater.is_gone());
        let states = running
            .updaters
            .values()
            .map(|updater| cbor::to_vec(updater.state()));
        StateFile {
            models: states.collect(),
            accepted: running.accepted.clone(),
            floors: running.time.floors(),
        }
    }

    /// The write under way is durable: whoever waits for it is told.
    pub(super) fn on_written(&mut self, around: &mut Around<'_>) {
        let running = self.running();
        let (Some(state), Some(write)) = (running.under_way.take(), running.writing.pop_front())
        else {
            return;
        };
        self.disk.apply(&write, state);
        match write {
            Write::State { asked } => {
                for model in asked {
                    self.feed(&model, Input::Persisted, around);
                }
                self.assignment_written(around);
            }
            Write::KeySet { role, bytes } => {
                self.note(around, "key set", bytes.len() as u64, || role.clone());
                self.take_up_key_set(&role, &bytes, around);
                self.feed_all(&Input::FactsChanged, around);
                self.judge_held(around);
                self.ask_for_key_set(&role);
            }
            Write::Plan { model, bundle, .. } => self.feed(&model, Input::Planned(bundle), around),
            Write::Piece {
                model,
                layer,
                index,
                ..
            } => self.piece_written(&model, layer, index, around),
            stream => self.lane_written(stream, around),
        }
    }

    fn begin_trial(&mut self, model: &ModelId, release: &Release, around: &mut Around<'_>) {
        let before = self.seen.trials.get(model);
        let before = before.filter(|(since, _)| *since == release.since);
        let begun = before.map_or(0, |(_, begun)| *begun) + 1;
        let trials = &mut self.seen.trials;
        trials.insert(model.clone(), (release.since, begun));
        self.note(around, "trial", begun.into(), || {
            format!("{model} {}", release.version)
        });
        if begun > u32::from(TRIES_MAX) {
            self.broke(
                "tries are limited",
                format!("trial {begun} of {model} {}", release.version),
            );
        }
        let (model, bundle) = (model.clone(), release.bundle);
        self.later(4_000, Effect::Trial { model, bundle });
    }

    pub(super) fn on_ended(&mut self, effect: Effect, around: &mut Around<'_>) {
        match effect {
            Effect::Stage { model, bundle } => self.staged(&model, bundle, around),
            Effect::Trial { model, bundle } => self.tried(&model, bundle, around),
            Effect::Route { model, bundle } => self.ready(&model, bundle, around),
            Effect::Restart { model, bundle } => {
                if self.running().routes.get(&model) != Some(&bundle) {
                    self.ready(&model, bundle, around);
                }
            }
            Effect::Crash { model, bundle } => {
                if self.serves(&model, bundle) {
                    self.note(around, "serving crashed", 0, || model.to_string());
                    self.serving_fails(&model, bundle, Reason::Crashed, around);
                    self.later(30_000, Effect::Recover { model, bundle });
                }
            }
            Effect::Recover { model, bundle } => {
                if self.serves(&model, bundle) {
                    self.feed(&model, Input::Recovered, around);
                }
            }
        }
    }

    /// Verifies every blob whole.
    fn staged(&mut self, model: &ModelId, bundle: Digest, around: &Around<'_>) {
        let careless = around.planted == Some(Planted::WriteBeforeVerifying);
        if careless || self.disk.is_whole(bundle) {
            let input = Input::Staged {
                bundle,
                fetched_bytes: 1,
                written_bytes: 1,
            };
            return self.feed(model, input, around);
        }
        self.fail(model, bundle, Reason::Blob, around);
    }

    fn tried(&mut self, model: &ModelId, bundle: Digest, around: &mut Around<'_>) {
        let fate = around
            .catalogue
            .by_bundle(bundle)
            .map(|release| release.fate);
        match fate {
            Some(Fate::TakesMachineDown) => self.wishes.push(Wish::PowerCut),
            Some(Fate::WrongOutput) => self.fail(model, bundle, Reason::WrongOutput, around),
            Some(Fate::CrashesInTrial) => self.fail(model, bundle, Reason::Crashed, around),
            Some(Fate::Hangs) => self.fail(model, bundle, Reason::Hung, around),
            Some(Fate::Good | Fate::FailsOnProbation | Fate::TooBig | Fate::Forged) | None => {
                self.seen.passed.insert(bundle);
                let measured = Measured::default();
                self.feed(model, Input::TrialPassed { bundle, measured }, around);
            }
        }
    }

    pub(super) fn fail(
        &mut self,
        model: &ModelId,
        bundle: Digest,
        reason: Reason,
        around: &Around<'_>,
    ) {
        let verdict = Verdict::new(reason, "simulated");
        self.feed(model, Input::Failed { bundle, verdict }, around);
    }

    pub(super) fn serving_fails(
        &mut self,
        model: &ModelId,
        bundle: Digest,
        reason: Reason,
        around: &Around<'_>,
    ) {
        let verdict = Verdict::new(reason, "simulated");
        self.feed(model, Input::ServingFailed { bundle, verdict }, around);
    }

    /// Nothing of this model refers to the bundle any more; a download of it that goes on does.
    fn discard(&mut self, model: &ModelId, bundle: Digest) {
        let download = self.running().downloads.get(model);
        if download.is_some_and(|download| download.is_of(bundle)) {
            self.running().downloads.remove(model);
        }
        let mut kept: BTreeSet<Digest> = self.disk.plans.keys().copied().collect();
        kept.remove(&bundle);
        self.disk.sweep(&kept);
    }

    pub(super) fn serves(&mut self, model: &ModelId, bundle: Digest) -> bool {
        let updater = self.running().updaters.get(model);
        let active = updater.and_then(|updater| updater.state().active.as_ref());
        active.is_some_and(|slot| slot.release.bundle == bundle)
    }

    pub(super) fn later(&mut self, ms: u64, effect: Effect) {
        let jitter_ms = self.random.below(ms);
        self.wishes.push(Wish::Later(ms + jitter_ms, effect));
    }
}

/// What the machine has left.
pub(super) fn capabilities() -> Capabilities {
    Capabilities {
        class: TargetClass::parse("linux").expect("invariant: a class"),
        memory_bytes: MEMORY_BYTES,
        disk_bytes: 1_000_000,
    }
}
