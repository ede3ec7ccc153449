//! After power-up: what to do next follows from durable state alone.
//!
//! Never trusts that anything after the last `Persisted` happened.

use super::{ModelState, Output, Phase, Policy, Progress, Release, Updater};
use muster_protocol::message::{Reason, Step};

impl Updater {
    /// Continues from what was durable: serves the active slot, then takes up the entry where
    /// it stood, and reports again how it stands, since the receipt may not have been stored.
    ///
    /// The host then says [`super::Input::FactsChanged`], and removes every blob that no
    /// [`ModelState::bundles`] names: what was to be discarded is not said again. A state that
    /// [`ModelState::is_empty`] has no role any more and is left out.
    #[must_use]
    pub fn boot(state: ModelState, policy: Policy, seed: u64) -> Self {
        let role = state.role();
        let mut updater = Self::with(state, role, policy, seed);
        if let Some(verdict) = updater.unwanted_shadow() {
            updater.refuse(verdict);
            return updater;
        }
        if let Some(slot) = updater.state.active.clone() {
            updater.route(slot.release);
        }
        updater.resume();
        updater
    }

    /// Says anew, from the state alone, what must be done; receipts of single steps are lost.
    pub(super) fn start_over(&mut self) {
        self.outputs.clear();
        self.deadline = None;
        self.phase = Phase::Resting;
        self.output(Output::Persist);
        match self.state.active.clone() {
            Some(slot) => self.route(slot.release),
            None => self.output(Output::Unroute),
        }
        self.resume();
    }

    fn resume(&mut self) {
        let candidate = self.state.candidate.clone();
        let active = self.state.active.as_ref().map(|slot| slot.release.clone());
        match self.state.progress {
            Progress::Nothing => {}
            Progress::Offered => self.offer_again(),
            Progress::Staged | Progress::Trial => self.stage_again(candidate),
            // The route above answers with `Routed`, which starts probation anew.
            Progress::Probation => self.phase = Phase::Routing,
            Progress::Committed => self.report(Step::Committed, active, None),
            Progress::Refused => self.repeat(Step::Refused, candidate),
            Progress::Reverted => self.repeat(Step::Reverted, candidate),
            Progress::Stopped => self.repeat(Step::Stopped, candidate),
        }
    }

    /// Going back to what a slot keeps costs no bytes after a power cut either.
    fn offer_again(&mut self) {
        let known = self
            .state
            .entry
            .as_ref()
            .and_then(|entry| self.known(entry, None));
        match known {
            // Damage was found before: what is missing is fetched, and no try is spent on that.
            Some(release) if self.state.tries > 0 => {
                self.state.candidate = Some(release.clone());
                self.phase = Phase::Plan;
                self.output(Output::FetchPlan(release));
            }
            Some(release) => {
                self.state.candidate = Some(release.clone());
                self.stage_again(Some(release));
            }
            None => self.ask_for_statement(),
        }
    }

    fn stage_again(&mut self, candidate: Option<Release>) {
        match candidate {
            Some(release) => {
                self.phase = Phase::Staging;
                self.output(Output::Stage(release));
            }
            None => self.ask_for_statement(),
        }
    }

    fn repeat(&mut self, step: Step, release: Option<Release>) {
        let reason = self.state.outcome.unwrap_or(Reason::Superseded);
        let verdict = super::Verdict::new(reason, "as decided before this boot");
        self.report(step, release, Some(verdict));
    }
}
