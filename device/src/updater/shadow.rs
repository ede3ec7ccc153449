//! What differs where a release only runs beside what serves.
//!
//! A shadow never commits, never raises a floor and never falls back: one that ends leaves
//! nothing.

use super::{Output, Phase, Release, Shadows, Updater, Verdict};
use muster_protocol::digest::Digest;
use muster_protocol::message::{Entry, Reason, Role, Step};

impl Updater {
    pub(super) fn is_shadow(&self) -> bool {
        self.role == Role::Shadow
    }

    /// The verdict against every shadow of a machine that runs none, unless it was given.
    pub(super) fn unwanted_shadow(&self) -> Option<Verdict> {
        let Shadows::Refused { because } = self.policy.shadows else {
            return None;
        };
        let offered = self.state.entry.is_some() && !self.state.has_ended();
        (self.is_shadow() && offered).then(|| Verdict::new(Reason::Role, because))
    }

    /// It runs: there is no probation to wait for, and nothing to commit.
    pub(super) fn shadowing(&mut self, release: Release) {
        (self.phase, self.deadline) = (Phase::Probation, None);
        self.report(Step::Shadowing, Some(release), None);
    }

    /// A newer entry ends the shadow that runs, unless it names it again: two would share the
    /// budget of one.
    pub(super) fn leave_shadow(&mut self, entry: &Entry) -> Option<Digest> {
        let named = self.state.known(&entry.statement).is_some();
        if named { None } else { self.take_shadow() }
    }

    /// Takes the shadow out of its slot, durable with the next persist; gives its bundle. What
    /// serves stays.
    pub(super) fn take_shadow(&mut self) -> Option<Digest> {
        let slot = self.state.active.take_if(|_| self.role == Role::Shadow)?;
        Some(slot.release.bundle)
    }

    /// After the persist: what ran until then ends.
    pub(super) fn unroute_shadow(&mut self, shadow: Option<Digest>) {
        if shadow.is_some() {
            self.output(Output::Unroute);
        }
    }
}
