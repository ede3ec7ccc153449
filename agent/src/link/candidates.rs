//! Which broker the next attempt goes to.
//!
//! Connects to nobody and waits for nothing: the keeper does both.

use super::Target;
use crate::enroll::Broker;

/// Attempts at one broker before those that stand in for it are tried as well.
const PATIENCE: u32 = 3;

/// The brokers of one target, and how the attempts went.
#[derive(Debug, Clone)]
pub(super) struct Candidates {
    /// The one that is meant, then those that stand in for it.
    brokers: Vec<Broker>,
    /// Where a round of attempts begins.
    preferred: usize,
    /// Rounds that failed since a connection worked.
    rounds: u32,
    /// Which attempt of the round this is.
    place: usize,
    /// This attempt goes to the one that is meant, outside the rounds.
    detour: bool,
}

/// When the next attempt may begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// At once: it goes to another broker of the same round.
    AtOnce,
    /// After a pause that grows.
    AfterPause,
}

impl Candidates {
    pub(super) fn of(target: &Target) -> Self {
        let mut brokers = vec![target.broker.clone()];
        for other in &target.stand_ins {
            if !brokers.contains(other) {
                brokers.push(other.clone());
            }
        }
        let preferred = brokers.iter().position(|it| *it == target.first);
        Self {
            brokers,
            preferred: preferred.unwrap_or(0),
            rounds: 0,
            place: 0,
            detour: false,
        }
    }

    /// Where this attempt goes.
    pub(super) fn current(&self) -> &Broker {
        &self.brokers[self.index()]
    }

    /// The one that is meant, when this attempt goes to another.
    pub(super) fn better(&self) -> Option<&Broker> {
        (self.index() != 0).then(|| &self.brokers[0])
    }

    /// The attempt failed, or the connection ended.
    pub(super) fn failed(&mut self) -> Next {
        if std::mem::take(&mut self.detour) {
            self.place = 0;
            return Next::AtOnce;
        }
        let last = self.rounds + 1 < PATIENCE || self.place + 1 == self.brokers.len();
        if !last {
            self.place += 1;
            return Next::AtOnce;
        }
        self.place = 0;
        self.rounds = self.rounds.saturating_add(1);
        Next::AfterPause
    }

    /// The broker took the subscription. One that is meant and works needs no stand-in any more.
    pub(super) fn worked(&mut self) {
        self.preferred = self.index();
        (self.rounds, self.place, self.detour) = (0, 0, false);
        if self.preferred == 0 {
            self.brokers.truncate(1);
        }
    }

    /// The next attempt goes to the one that is meant; if it fails, all is as before.
    pub(super) const fn turn_back(&mut self) {
        self.detour = true;
    }

    fn index(&self) -> usize {
        if self.detour {
            return 0;
        }
        match self.place {
            0 => self.preferred,
            // The others in their order, without the one that was first.
            place if place <= self.preferred => place - 1,
            place => place,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::sample::{broker, target};
    use super::*;

    /// Plays a story of `x` (failed), `w` (worked) and `b` (the one that is meant answers again);
    /// gives where each attempt went, with a dot where a pause came before it.
    fn check(meant: &str, first: &str, stand_ins: &[&str], story: &str, expect: &str) {
        let mut target = target(broker(meant));
        target.first = broker(first);
        target.stand_ins = stand_ins.iter().map(|host| broker(host)).collect();
        let mut candidates = Candidates::of(&target);
        let mut went = candidates.current().host.clone();
        for step in story.chars() {
            match step {
                'w' => {
                    candidates.worked();
                    continue;
                }
                'b' => candidates.turn_back(),
                _ if candidates.failed() == Next::AfterPause => went.push('.'),
                _ => {}
            }
            went += &candidates.current().host;
        }
        assert_eq!(went, expect, "{meant} {first} {stand_ins:?} {story}");
    }

    #[test]
    fn the_one_that_is_meant_is_tried_three_times_before_the_others() {
        check("m", "m", &["w", "e"], "xxxxxx", "m.m.mwe.mw");
        check("m", "m", &["m", "w", "w"], "xxxxx", "m.m.mw.mw");
        check("m", "m", &[], "xxxx", "m.m.m.m.m");
    }

    #[test]
    fn what_worked_is_where_the_next_attempts_begin() {
        check("m", "m", &["w", "e"], "xxxwxxxxx", "m.m.mw.w.wme.w");
        check("m", "m", &["w", "e"], "xxxxwxxxx", "m.m.mwe.e.emw");
        check("m", "w", &["w", "e"], "xxxx", "w.w.wme");
        check("m", "unknown", &["w"], "xxx", "m.m.mw");
    }

    #[test]
    fn one_that_is_meant_and_worked_is_not_left_again() {
        check("m", "m", &["w"], "wxxxx", "m.m.m.m.m");
    }

    #[test]
    fn the_way_back_is_tried_once_and_changes_nothing_when_it_fails() {
        check("m", "w", &["w", "e"], "wbx", "wmw");
        check("m", "w", &["w", "e"], "wbxxxx", "wmw.w.wm");
        check("m", "w", &["w", "e"], "wbwxxx", "wm.m.m.m");
    }
}
