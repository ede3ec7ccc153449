//! The way forward: from an accepted entry to a committed release.
//!
//! Each step is one answer of the host; nothing here waits.

use super::{
    Capabilities, Listing, Output, Phase, Progress, Release, Slot, TRIES_MAX, Told, Updater,
    Verdict, Wait, judge,
};
use crate::facts::View;
use muster_protocol::digest::Digest;
use muster_protocol::message::{Entry, Measured, Reason, Step};
use muster_protocol::time::Millis;

impl Updater {
    pub(super) fn assigned(
        &mut self,
        entry: Option<&Entry>,
        beside: Option<&Release>,
        facts: &View<'_>,
    ) {
        match entry {
            None => self.remove(),
            // An entry that did not change is not restarted when another model's entry moves.
            Some(entry) if self.is_in_force(entry) => {}
            // The machine of the other role takes it.
            Some(entry) if entry.role != self.role => {}
            Some(entry) => self.offer(entry, beside, facts),
        }
    }

    fn is_in_force(&self, entry: &Entry) -> bool {
        let identity = |e: &Entry| (e.statement, e.since, e.role);
        self.state
            .entry
            .as_ref()
            .is_some_and(|mine| identity(mine) == identity(entry))
    }

    fn offer(&mut self, entry: &Entry, beside: Option<&Release>, facts: &View<'_>) {
        let left = self.leave_candidate(entry);
        let shadow = self.leave_shadow(entry);
        // A model that was here before begins with the floor that the facts kept.
        self.take_up_floors(facts);
        self.measured = Measured::default();
        self.retry.reset();
        self.state.entry = Some(entry.clone());
        self.state.progress = Progress::Offered;
        self.state.tries = 0;
        self.state.outcome = None;
        self.output(Output::Persist);
        self.unroute_shadow(shadow);
        self.report(Step::Offered, None, None);
        self.discard_unused(left);
        self.discard_unused(shadow.filter(|bundle| left != Some(*bundle)));
        if let Some(verdict) = self.unwanted_shadow() {
            return self.refuse(verdict);
        }
        match self.known(entry, beside) {
            Some(release) => self.offer_known(release, facts),
            None => self.ask_for_statement(),
        }
    }

    /// A release of which a slot, of this machine or of that of the other role, keeps the proof
    /// and the blobs.
    pub(super) fn known(&self, entry: &Entry, beside: Option<&Release>) -> Option<Release> {
        let beside = beside.filter(|release| release.statement == entry.statement);
        let release = self.state.known(&entry.statement).or(beside)?;
        Some(Release {
            since: entry.since,
            ..release.clone()
        })
    }

    /// Going back, or staying, costs no bytes; floors and revocations count all the same.
    fn offer_known(&mut self, release: Release, facts: &View<'_>) {
        self.state.candidate = Some(release.clone());
        if let Err(verdict) = judge::authority(&release, self.state.floor_seen, facts) {
            return self.refuse(verdict);
        }
        let active = self.state.active.as_ref();
        // What serves but fails is staged and tried again, so that damage is found and mended.
        let well = active.filter(|_| !self.told.degraded);
        if let Some(slot) = well.filter(|slot| slot.release.bundle == release.bundle) {
            return self.stay(release, slot.committed);
        }
        self.phase = Phase::Staging;
        self.output(Output::Stage(release));
    }

    /// What serves is what the entry names: only its probation, if it was not over, begins anew.
    fn stay(&mut self, release: Release, committed: bool) {
        self.state.active = Some(Slot {
            release: release.clone(),
            committed,
        });
        (self.state.progress, self.phase) = if committed {
            (Progress::Committed, Phase::Resting)
        } else {
            (Progress::Probation, Phase::Routing)
        };
        self.output(Output::Persist);
        self.route(release.clone());
        if committed {
            self.report(Step::Committed, Some(release), None);
        }
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
        let Some(entry) = self.state.entry.clone() else {
            return;
        };
        // Other bytes than the entry names are the network's fault.
        if Digest::of(bytes) != entry.statement {
            return self.pause(now);
        }
        match judge::statement(
            bytes,
            &entry,
            listing,
            capabilities,
            self.state.floor_seen,
            facts,
        ) {
            Err(verdict) => self.refuse(verdict),
            Ok(release) => {
                self.advance(Phase::Plan);
                self.state.candidate = Some(release.clone());
                // From here on its pieces are kept through a power cut.
                self.output(Output::Persist);
                self.output(Output::FetchPlan(release));
            }
        }
    }

    /// An answer came: no question is repeated any more.
    fn advance(&mut self, phase: Phase) {
        self.retry.reset();
        self.deadline = None;
        self.phase = phase;
    }

    pub(super) fn planned(&mut self) {
        if let Some(release) = self.state.candidate.clone() {
            self.advance(Phase::Pieces);
            self.report(Step::Fetching, Some(release.clone()), None);
            self.output(Output::FetchPieces(release));
        }
    }

    pub(super) fn fetched(&mut self) {
        if let Some(release) = self.state.candidate.clone() {
            self.advance(Phase::Staging);
            self.output(Output::Stage(release));
        }
    }

    pub(super) fn staged(&mut self, fetched_bytes: u64, written_bytes: u64) {
        let some = |bytes: u64| (bytes > 0).then_some(bytes);
        self.measured.fetched_bytes = some(fetched_bytes);
        self.measured.written_bytes = some(written_bytes);
        let first = self.state.progress == Progress::Offered;
        if !self.count_try() {
            return;
        }
        if first {
            let release = self.state.candidate.clone();
            self.report(Step::Staged, release, None);
        }
        self.run_trial();
    }

    fn try_again(&mut self) {
        if self.count_try() {
            self.run_trial();
        }
    }

    /// The try is counted, durably, before it begins: a trial that takes the machine down
    /// counts too. False when none is left, which refuses the candidate.
    fn count_try(&mut self) -> bool {
        if self.state.tries >= TRIES_MAX {
            let sentence = "every trial took the machine or its worker down";
            self.refuse(Verdict::new(Reason::TriesExhausted, sentence));
            return false;
        }
        self.state.tries += 1;
        self.state.progress = Progress::Trial;
        self.output(Output::Persist);
        true
    }

    fn run_trial(&mut self) {
        if let Some(release) = self.state.candidate.clone() {
            self.deadline = None;
            self.phase = Phase::Trial;
            self.output(Output::Try(release));
        }
    }

    pub(super) fn trial_passed(&mut self, measured: Measured, facts: &View<'_>) {
        let Some(release) = self.state.candidate.clone() else {
            return;
        };
        self.measured = Measured {
            fetched_bytes: self.measured.fetched_bytes,
            written_bytes: self.measured.written_bytes,
            ..measured
        };
        if let Err(verdict) = judge::authority(&release, self.state.floor_seen, facts) {
            return self.refuse(verdict);
        }
        let displaced = self.activate(release.clone());
        self.state.progress = Progress::Probation;
        self.phase = Phase::Routing;
        // What is durable is what serves: the slot first, the route after it.
        self.output(Output::Persist);
        self.route(release);
        self.discard_unused(displaced);
    }

    /// The candidate becomes active; of what served, the last committed one becomes previous.
    /// Gives the bundle that has no slot any more.
    fn activate(&mut self, release: Release) -> Option<Digest> {
        self.told = Told::default();
        let replaced = self.state.active.replace(Slot {
            release,
            committed: false,
        });
        let mine = self.state.active.as_ref().map(|slot| slot.release.bundle);
        // What proved itself before, in either slot, has not lost that by being tried again.
        let proved = |slot: &Slot| slot.committed && Some(slot.release.bundle) == mine;
        let before = replaced
            .iter()
            .chain(self.state.previous.iter())
            .any(proved);
        if let Some(slot) = &mut self.state.active {
            slot.committed = before;
        }
        let displaced = match replaced {
            Some(slot) if slot.committed && Some(slot.release.bundle) != mine => {
                self.state.previous.replace(slot)
            }
            other => other,
        };
        if self.state.previous.as_ref().map(|slot| slot.release.bundle) == mine {
            self.state.previous = None;
        }
        displaced.map(|slot| slot.release.bundle)
    }

    pub(super) fn routed(&mut self, bundle: Digest, now: Millis) {
        let Some(slot) = self
            .state
            .active
            .clone()
            .filter(|s| s.release.bundle == bundle)
        else {
            return;
        };
        if self.is_shadow() {
            return self.shadowing(slot.release);
        }
        self.begin_probation(now);
        self.report(Step::Active, Some(slot.release), None);
    }

    fn begin_probation(&mut self, now: Millis) {
        self.phase = Phase::Probation;
        let asked = self
            .state
            .entry
            .as_ref()
            .and_then(|entry| entry.settings.probation_s);
        let asked_ms = asked.map_or(0, |s| u64::from(s) * 1000);
        self.deadline = Some((
            now.plus(self.policy.probation_ms.max(asked_ms)),
            Wait::Probation,
        ));
    }

    fn commit(&mut self, facts: &View<'_>) {
        let Some(slot) = &mut self.state.active else {
            return;
        };
        slot.committed = true;
        let release = slot.release.clone();
        self.take_up_floors(facts);
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

    /// A pause that the network caused becomes as short as the first one. Whatever else waits,
    /// waits on.
    pub(super) fn hurry(&mut self, now: Millis) {
        if let Some((at, Wait::Retry)) = self.deadline {
            self.retry.reset();
            let soon = now.plus(self.retry.next_ms());
            self.deadline = Some((at.min(soon), Wait::Retry));
        }
    }

    pub(super) fn tick(&mut self, facts: &View<'_>, now: Millis) {
        let Some((_, wait)) = self.deadline.filter(|(at, _)| *at <= now) else {
            return;
        };
        self.deadline = None;
        match (wait, self.phase) {
            // What is in trouble proves nothing.
            (Wait::Probation, Phase::Probation) if self.told.degraded => self.begin_probation(now),
            (Wait::Probation, Phase::Probation) => self.commit(facts),
            (Wait::Retry, Phase::Statement) => self.ask_for_statement(),
            (Wait::Retry, Phase::Plan) => self.ask_again(Output::FetchPlan),
            (Wait::Retry, Phase::Pieces) => self.ask_again(Output::FetchPieces),
            (Wait::Retry, Phase::Staging) => self.ask_again(Output::FetchPlan),
            (Wait::Retry, Phase::Trial) => self.try_again(),
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
        let asked = self
            .state
            .entry
            .as_ref()
            .and_then(|entry| entry.settings.swap);
        let swap = asked.unwrap_or(self.policy.swap);
        self.output(Output::Route { release, swap });
    }

    fn remove(&mut self) {
        if self.state.is_empty() {
            return;
        }
        let active = self.state.active.as_ref().map(|slot| slot.release.clone());
        let release = active.or_else(|| self.state.wanted().cloned());
        let mut bundles = heapless::Vec::<Digest, 3>::new();
        for bundle in self.state.bundles() {
            if !bundles.contains(&bundle) {
                // Three slots at most hold a bundle.
                let _ = bundles.push(bundle);
            }
        }
        let (seen, committed) = (self.state.floor_seen, self.state.floor_committed);
        self.state = super::ModelState::new(self.state.model.clone());
        (self.state.floor_seen, self.state.floor_committed) = (seen, committed);
        self.told = Told::default();
        self.measured = Measured::default();
        self.phase = Phase::Resting;
        self.deadline = None;
        self.output(Output::Persist);
        self.output(Output::Unroute);
        bundles
            .into_iter()
            .for_each(|bundle| self.output(Output::Discard(bundle)));
        self.report(Step::Removed, release, None);
    }

    /// A newer entry takes over: what was not active yet is left behind, unless the newer entry
    /// names it again. Gives the bundle that is left, to be discarded once that is durable.
    fn leave_candidate(&mut self, entry: &Entry) -> Option<Digest> {
        self.deadline = None;
        self.phase = Phase::Resting;
        let wanted = self.state.wanted().cloned();
        self.state.candidate = None;
        let candidate = wanted?;
        if candidate.statement == entry.statement {
            self.state.candidate = Some(Release {
                since: entry.since,
                ..candidate
            });
            return None;
        }
        Some(candidate.bundle)
    }

    pub(super) fn discard_unused(&mut self, bundle: Option<Digest>) {
        let Some(bundle) = bundle else { return };
        if !self.state.bundles().any(|used| used == bundle) {
            self.output(Output::Discard(bundle));
        }
    }
}
