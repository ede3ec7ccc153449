//! The way back: verdicts against the candidate or against what serves, and revocation.
//!
//! A device that had a model has one, unless it was revoked with `stop`. A shadow has no way
//! back: it ends.

use super::{Output, Phase, Progress, Release, Slot, TRIES_MAX, Told, Updater, Verdict, judge};
use crate::facts::{RevokedAction, View};
use muster_protocol::digest::Digest;
use muster_protocol::message::{Reason, Step};
use muster_protocol::time::Millis;

impl Updater {
    pub(super) fn failed(&mut self, bundle: Digest, verdict: Verdict, now: Millis) {
        match self.phase {
            Phase::Plan | Phase::Pieces if self.awaits(bundle) => self.refuse(verdict),
            Phase::Staging if self.awaits_verdict(bundle) => self.damaged(verdict, now),
            Phase::Trial if self.awaits_verdict(bundle) => self.trial_failed(verdict, now),
            Phase::Resting
            | Phase::Statement
            | Phase::Plan
            | Phase::Pieces
            | Phase::Staging
            | Phase::Trial
            | Phase::Routing
            | Phase::Probation => {}
        }
    }

    /// What is terminal: reported, kept, never tried again for this entry.
    pub(super) fn refuse(&mut self, verdict: Verdict) {
        let candidate = self.state.candidate.clone();
        let shadow = self.take_shadow();
        self.state.progress = Progress::Refused;
        self.state.outcome = Some(verdict.reason);
        self.phase = Phase::Resting;
        self.deadline = None;
        self.output(Output::Persist);
        self.unroute_shadow(shadow);
        self.report(Step::Refused, candidate.clone(), Some(verdict));
        self.discard_unused(shadow);
        let candidate = candidate.map(|release| release.bundle);
        self.discard_unused(candidate.filter(|bundle| shadow != Some(*bundle)));
    }

    /// Blobs on disk are not what was verified piece by piece: fetch them again, but not for
    /// ever.
    fn damaged(&mut self, verdict: Verdict, now: Millis) {
        self.state.tries = self.state.tries.saturating_add(1);
        if self.state.tries >= TRIES_MAX {
            return self.refuse(verdict);
        }
        self.state.progress = Progress::Offered;
        self.output(Output::Persist);
        let damaged = self.state.candidate.as_ref().map(|release| release.bundle);
        // Unless a slot needs them, the blobs go: nothing of them is trusted any more.
        if let Some(bundle) = damaged.filter(|bundle| !self.state.relies_on(*bundle)) {
            self.output(Output::Discard(bundle));
        }
        self.pause(now);
    }

    fn trial_failed(&mut self, verdict: Verdict, now: Millis) {
        // Equal bytes give equal outputs: trying again would only show that again.
        let same_again = matches!(
            verdict.reason,
            Reason::WrongOutput | Reason::Load | Reason::TooBig | Reason::Manifest
        );
        if same_again || self.state.tries >= TRIES_MAX {
            return self.refuse(verdict);
        }
        self.pause(now);
    }

    pub(super) fn serving_failed(&mut self, verdict: Verdict, facts: &View<'_>) {
        let on_probation = self.state.progress == Progress::Probation;
        match self.eligible_previous(facts) {
            // There is nothing to fall back to, and nobody whom it answers.
            None if self.is_shadow() => self.revert_to_nothing(verdict),
            Some(previous) => self.revert(previous, verdict),
            // Nothing served before it, and it never proved itself.
            None if on_probation && self.state.previous.is_none() && !self.is_proved() => {
                self.revert_to_nothing(verdict);
            }
            None => self.degrade(verdict),
        }
    }

    fn is_proved(&self) -> bool {
        self.state
            .active
            .as_ref()
            .is_some_and(|slot| slot.committed)
    }

    fn eligible_previous(&self, facts: &View<'_>) -> Option<Slot> {
        let slot = self.state.previous.clone()?;
        let revoked = facts.revocation(&slot.release.bundle).is_some();
        (!revoked && slot.release.rank >= self.state.floor_committed).then_some(slot)
    }

    fn revert(&mut self, previous: Slot, verdict: Verdict) {
        let failed = self.state.active.replace(previous.clone());
        self.state.previous = None;
        self.end(Progress::Reverted, &verdict);
        self.output(Output::Persist);
        self.route(previous.release);
        let failed = failed.map(|slot| slot.release);
        self.report(Step::Reverted, failed.clone(), Some(verdict));
        self.discard_unused(failed.map(|release| release.bundle));
    }

    fn revert_to_nothing(&mut self, verdict: Verdict) {
        let failed = self.state.active.take().map(|slot| slot.release);
        self.end(Progress::Reverted, &verdict);
        self.output(Output::Persist);
        self.output(Output::Unroute);
        self.report(Step::Reverted, failed.clone(), Some(verdict));
        self.discard_unused(failed.map(|release| release.bundle));
    }

    /// What served is taken back. The entry in force ends with it only if it brought it: one
    /// that is still on its way goes on, and one that ended keeps its end.
    fn end(&mut self, progress: Progress, verdict: &Verdict) {
        self.told = Told::default();
        if self.state.entry_serves() {
            self.state.progress = progress;
            self.state.outcome = Some(verdict.reason);
            self.phase = Phase::Resting;
            self.deadline = None;
        }
    }

    /// Reported once; the host restarts the worker with growing pauses.
    fn degrade(&mut self, verdict: Verdict) {
        if !core::mem::replace(&mut self.told.degraded, true) {
            self.report(Step::Degraded, self.serving(), Some(verdict));
        }
    }

    pub(super) fn recovered(&mut self) {
        if core::mem::replace(&mut self.told.degraded, false) {
            self.report(Step::Recovered, self.serving(), None);
        }
    }

    /// Reported once, however often the facts change.
    fn keep_revoked(&mut self, verdict: Verdict) {
        if !core::mem::replace(&mut self.told.revoked, true) {
            self.report(Step::RevokedNoFallback, self.serving(), Some(verdict));
        }
    }

    fn serving(&self) -> Option<Release> {
        self.state.active.as_ref().map(|slot| slot.release.clone())
    }

    pub(super) fn facts_changed(&mut self, facts: &View<'_>) {
        let floors = (self.state.floor_seen, self.state.floor_committed);
        self.take_up_floors(facts);
        if floors != (self.state.floor_seen, self.state.floor_committed) {
            self.output(Output::Persist);
        }
        self.judge_candidate(facts);
        self.judge_active(facts);
    }

    /// `seen` rises with the facts, `committed` only with something at or above it that proved
    /// itself.
    pub(super) fn take_up_floors(&mut self, facts: &View<'_>) {
        let seen = self.state.floor_seen.max(facts.floor);
        self.state.floor_seen = seen;
        let proved = |slot: &Slot| slot.committed && slot.release.rank >= seen;
        if self.state.active.as_ref().is_some_and(proved) {
            self.state.floor_committed = self.state.floor_committed.max(seen);
        }
    }

    /// A candidate that must not serve any more is given up before it does.
    fn judge_candidate(&mut self, facts: &View<'_>) {
        let waiting = matches!(
            self.phase,
            Phase::Plan | Phase::Pieces | Phase::Staging | Phase::Trial
        );
        let Some(release) = self.state.candidate.as_ref().filter(|_| waiting) else {
            return;
        };
        if let Err(verdict) = judge::authority(release, self.state.floor_seen, facts) {
            self.refuse(verdict);
        }
    }

    fn judge_active(&mut self, facts: &View<'_>) {
        let Some(slot) = &self.state.active else {
            return;
        };
        let bundle = slot.release.bundle;
        let Some(action) = facts.revocation(&bundle) else {
            self.told.revoked = false;
            return;
        };
        let verdict = Verdict::new(Reason::Revoked, "fleet.json revokes it");
        match (action, self.eligible_previous(facts)) {
            (RevokedAction::Stop, _) => self.stop(verdict),
            (RevokedAction::Fallback, _) if self.is_shadow() => self.stop(verdict),
            (RevokedAction::Fallback, Some(previous)) => self.revert(previous, verdict),
            (RevokedAction::Fallback, None) => self.keep_revoked(verdict),
        }
    }

    fn stop(&mut self, verdict: Verdict) {
        let stopped = self.state.active.take().map(|slot| slot.release);
        self.end(Progress::Stopped, &verdict);
        self.output(Output::Persist);
        self.output(Output::Unroute);
        self.report(Step::Stopped, stopped.clone(), Some(verdict));
        self.discard_unused(stopped.map(|release| release.bundle));
    }
}
