//! The way forward: from an accepted entry to a committed release.
//!
//! Each step is one answer of the host; nothing here waits.

use super::{
    Capabilities, Listing, Output, Phase, Progress, Release, Slot, TRIES_MAX, Updater,
    Verdict, Wait, judge,
};
use crate::facts::View;
use muster_protocol::digest::Digest;
use muster_protocol::message::{Entry, Measured, Reason, Role, Step};
use muster_protocol::time::Millis;

impl Updater {
    pub(super) fn assigned(&mut self, entry: Option<&Entry>, facts: &View<'_>) {
        match entry {
            None => self.remove(),
            // An entry that did not change is not restarted when another model's entry moves.
            Some(entry) if self.is_in_force(entry) => {}
            Some(entry) => self.offer(entry, facts),
        }
    }

    fn is_in_force(&self, entry: &Entry) -> bool {
        let identity = |e: &Entry| (e.statement, e.since, e.role);
        self.state.entry.as_ref().is_some_and(|mine| identity(mine) == identity(entry))
    }

    fn offer(&mut self, entry: &Entry, facts: &View<'_>) {
        self.leave_candidate();
        self.measured = Measured::default();
        self.retry.reset();
        self.state.entry = Some(entry.clone());
        self.state.progress = Progress::Offered;
        self.state.tries = 0;
        self.state.outcome = None;
        self.output(Output::Persist);
        self.report(Step::Offered, None, None);
        if entry.role != Role::Serve {
            return self.refuse(Verdict::new(Reason::Role, "this agent runs no shadow yet"));
        }
        match self.known(entry) {
            Some(release) => self.offer_known(release, facts),
            None => self.ask_for_statement(),
        }
    }

    /// A release of which a slot keeps the proof and the blobs.
    fn known(&self, entry: &Entry) -> Option<Release> {
        let slots = [self.state.active.as_ref(), self.state.previous.as_ref()];
        let slot = slots.into_iter().flatten().find(|s| s.release.statement == entry.statement)?;
        Some(Release { since: entry.since, ..slot.release.clone() })
    }

    /// Going back, or staying, costs no bytes; floors and revocations count all the same.
    fn offer_known(&mut self, release: Release, facts: &View<'_>) {
        self.state.candidate = Some(release.clone());
        if let Err(verdict) = judge::authority(&release, self.state.floor_seen, facts) {
            return self.refuse(verdict);
        }
        let serving = self.state.active.as_ref();
        if serving.is_some_and(|slot| slot.committed && slot.release.bundle == release.bundle) {
            self.state.active = Some(Slot { release: release.clone(), committed: true });
            self.state.progress = Progress::Committed;
            self.phase = Phase::Resting;
            self.output(Output::Persist);
            self.route(release.clone());
            return self.report(Step::Committed, Some(release), None);
        }
        self.phase = Phase::Staging;
        self.output(Output::Stage(release));
    }

    pub(super) fn ask_for_statement(&mut self) {
        if let Some(entry) = &self.state.entry {
            let (digest, size) = (entry.statement, entry.statement_size);
            self.phase = Phase::Statement;
            self.output(Output::FetchStatement { digest, size });
        }
    }

    pub(super) fn statement(
        &mut self,
        bytes: &[u8],
        listing: Listing,
        capabilities: &Capabilities,
        facts: &View<'_>,
        now: Millis,
    ) {
        let Some(entry) = self.state.entry.clone() else { return };
        // Other bytes than the entry names are the network's fault.
        if Digest::of(bytes) != entry.statement {
            return self.pause(now);
        }
        match judge::statement(bytes, &entry, listing, capabilities, self.state.floor_seen, facts) {
            Err(verdict) => self.refuse(verdict),
            Ok(release) => {
                self.retry.reset();
                self.state.candidate = Some(release.clone());
                self.phase = Phase::Plan;
                self.output(Output::FetchPlan(release));
            }
        }
    }

    pub(super) fn planned(&mut self) {
        if let Some(release) = self.state.candidate.clone() {
            self.retry.reset();
            self.phase = Phase::Pieces;
            self.report(Step::Fetching, Some(release.clone()), None);
            self.output(Output::FetchPieces(release));
        }
    }

    pub(super) fn fetched(&mut self) {
        if let Some(release) = self.state.candidate.clone() {
            self.phase = Phase::Staging;
            self.output(Output::Stage(release));
        }
    }

    pub(super) fn staged(&mut self, fetched_bytes: u64, written_bytes: u64) {
        let some = |bytes: u64| (bytes > 0).then_some(bytes);
        self.measured.fetched_bytes = some(fetched_bytes);
        self.measured.written_bytes = some(written_bytes);
        if self.state.progress == Progress::Offered {
            self.state.progress = Progress::Staged;
            self.output(Output::Persist);
            let release = self.state.candidate.clone();
            self.report(Step::Staged, release, None);
        }
        self.begin_trial();
    }

    /// The try is counted, durably, before it begins: a trial that takes the machine down
    /// counts too.
    fn begin_trial(&mut self) {
        let Some(release) = self.state.candidate.clone() else { return };
        if self.state.tries >= TRIES_MAX {
            let sentence = "every trial took the machine or its worker down";
            return self.refuse(Verdict::new(Reason::TriesExhausted, sentence));
        }
        self.state.tries += 1;
        self.state.progress = Progress::Trial;
        self.phase = Phase::Trial;
        self.output(Output::Persist);
        self.output(Output::Try(release));
    }

    pub(super) fn trial_passed(&mut self, measured: Measured, facts: &View<'_>) {
        let Some(release) = self.state.candidate.clone() else { return };
        self.measured = Measured {
            fetched_bytes: self.measured.fetched_bytes,
            written_bytes: self.measured.written_bytes,
            ..measured
        };
        if let Err(verdict) = judge::authority(&release, self.state.floor_seen, facts) {
            return self.refuse(verdict);
        }
        self.activate(release.clone());
        self.state.progress = Progress::Probation;
        self.phase = Phase::Routing;
        // What is durable is what serves: the slot first, the route after it.
        self.output(Output::Persist);
        self.route(release);
    }

    /// The candidate becomes active; of what served, the last committed one becomes previous.
    fn activate(&mut self, release: Release) {
        let replaced = self.state.active.replace(Slot { release, committed: false });
        let mine = self.state.active.as_ref().map(|slot| slot.release.bundle);
        match replaced {
            Some(slot) if slot.committed && Some(slot.release.bundle) != mine => {
                let before = self.state.previous.replace(slot);
                self.discard_unused(before.map(|slot| slot.release.bundle));
            }
            other => self.discard_unused(other.map(|slot| slot.release.bundle)),
        }
        if self.state.previous.as_ref().map(|slot| slot.release.bundle) == mine {
            self.state.previous = None;
        }
    }

    pub(super) fn routed(&mut self, bundle: Digest, now: Millis) {
        let Some(slot) = self.state.active.clone().filter(|s| s.release.bundle == bundle) else {
            return;
        };
        self.phase = Phase::Probation;
        let asked = self.state.entry.as_ref().and_then(|entry| entry.settings.probation_s);
        let asked_ms = asked.map_or(0, |s| u64::from(s) * 1000);
        self.deadline = Some((now.plus(self.policy.probation_ms.max(asked_ms)), Wait::Probation));
        self.report(Step::Active, Some(slot.release), None);
    }

    fn commit(&mut self, facts: &View<'_>) {
        let Some(slot) = &mut self.state.active else { return };
        slot.committed = true;
        let release = slot.release.clone();
        // The floor is taken up only once something at or above it has proved itself.
        let floor = self.state.floor_seen.max(facts.floor);
        if release.rank >= floor {
            self.state.floor_committed = self.state.floor_committed.max(floor);
        }
        self.state.progress = Progress::Committed;
        self.phase = Phase::Resting;
        self.output(Output::Persist);
        self.report(Step::Committed, Some(release), None);
    }

    /// Not a verdict: asks again later, for as long as the entry is in force.
    pub(super) fn pause(&mut self, now: Millis) {
        let delay_ms = self.retry.next_ms();
        self.deadline = Some((now.plus(delay_ms), Wait::Retry));
    }

    pub(super) fn tick(&mut self, facts: &View<'_>, now: Millis) {
        let Some((_, wait)) = self.deadline.filter(|(at, _)| *at <= now) else { return };
        self.deadline = None;
        match (wait, self.phase) {
            (Wait::Probation, Phase::Probation) => self.commit(facts),
            (Wait::Retry, Phase::Statement) => self.ask_for_statement(),
            (Wait::Retry, Phase::Plan) => self.ask_again(Output::FetchPlan),
            (Wait::Retry, Phase::Pieces) => self.ask_again(Output::FetchPieces),
            (Wait::Retry, Phase::Staging) => self.ask_again(Output::FetchPlan),
            (Wait::Retry, Phase::Trial) => self.begin_trial(),
            (Wait::Probation | Wait::Retry, _) => {}
        }
    }

    fn ask_again(&mut self, ask: fn(Release) -> Output) {
        if let Some(release) = self.state.candidate.clone() {
            if self.phase == Phase::Staging {
                self.phase = Phase::Plan;
            }
            self.output(ask(release));
        }
    }

    pub(super) fn route(&mut self, release: Release) {
        let asked = self.state.entry.as_ref().and_then(|entry| entry.settings.swap);
        let swap = asked.unwrap_or(self.policy.swap);
        self.output(Output::Route { release, swap });
    }

    fn remove(&mut self) {
        if self.state.is_empty() {
            return;
        }
        let release = self.state.active.as_ref().map(|slot| slot.release.clone());
        let mut bundles = heapless::Vec::<Digest, 3>::new();
        for bundle in self.state.bundles() {
            // Three slots at most hold a bundle.
            let _ = bundles.push(bundle);
        }
        let (seen, committed) = (self.state.floor_seen, self.state.floor_committed);
        self.state = super::ModelState::new(self.state.model.clone());
        (self.state.floor_seen, self.state.floor_committed) = (seen, committed);
        self.phase = Phase::Resting;
        self.deadline = None;
        self.output(Output::Persist);
        self.output(Output::Unroute);
        bundles.into_iter().for_each(|bundle| self.output(Output::Discard(bundle)));
        self.report(Step::Removed, release, None);
    }

    /// A newer entry takes over: what was not active yet is left behind.
    fn leave_candidate(&mut self) {
        let left = self.state.candidate.take().map(|release| release.bundle);
        self.deadline = None;
        self.phase = Phase::Resting;
        self.discard_unused(left);
    }

    pub(super) fn discard_unused(&mut self, bundle: Option<Digest>) {
        let Some(bundle) = bundle else { return };
        if !self.state.bundles().any(|used| used == bundle) {
            self.output(Output::Discard(bundle));
        }
    }
}
