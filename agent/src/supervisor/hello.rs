//! Saying who we are and how we do, on every connect and now and then.
//!
//! A hello asks for the time as well: its nonce is repeated in the answer, and counts once. What
//! comes over the link never makes hellos follow each other without a pause.

use super::{Supervisor, state};
use crate::clock;
use crate::health;
use muster_protocol::cbor::List;
use muster_protocol::cose;
use muster_protocol::id::{Nonce, Version};
use muster_protocol::message::{Hello, MetadataVersions};
use muster_protocol::time::Millis;
use muster_protocol::topic::Up;

/// Span in which at most two hellos are said, at first; it doubles while time stays unknown.
const PAUSE_MS: u64 = 5_000;
/// How often it doubles.
const DOUBLINGS_MAX: u32 = 6;

/// When to say hello, and which of its questions for the time are open.
#[derive(Debug, Default)]
pub(super) struct Hellos {
    periodic_at: Millis,
    asked_at: Option<Millis>,
    /// How many were asked for since a signed time was believed.
    asked: u32,
    /// When the last two were said, the newest last.
    said: [Option<Millis>; 2],
    /// Nonces of the last two that were not answered, the newest last.
    open: [Option<Nonce>; 2],
}

/// Why a hello is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Due {
    /// Its time has come.
    Periodic,
    /// Something that came, or did not, asks for it.
    Asked,
}

impl Hellos {
    /// One hello as soon as the pause allows.
    pub(super) fn ask(&mut self, now: Millis) {
        let pause_ms = PAUSE_MS << self.asked.min(DOUBLINGS_MAX);
        let at = self.said[0].map_or(now, |before| now.max(before.plus(pause_ms)));
        self.asked_at = Some(self.asked_at.map_or(at, |asked| asked.min(at)));
    }

    /// A hello with this nonce goes out; the next comes after `period_ms`.
    pub(super) fn say(&mut self, nonce: Nonce, now: Millis, period_ms: u64) {
        self.asked = self
            .asked
            .saturating_add(u32::from(self.asked_at.is_some()));
        self.put_off(now, period_ms);
        self.said = [self.said[1], Some(now)];
        self.open = [self.open[1], Some(nonce)];
    }

    /// The next hello comes after `period_ms`.
    pub(super) const fn put_off(&mut self, now: Millis, period_ms: u64) {
        self.periodic_at = now.plus(period_ms);
        self.asked_at = None;
    }

    /// Whether this nonce was open. It is used up, with those before it: neither the answer
    /// itself nor an older one can set the clock back later.
    pub(super) fn answered(&mut self, nonce: Nonce) -> bool {
        let Some(place) = self.open.iter().position(|open| *open == Some(nonce)) else {
            return false;
        };
        self.open[..=place].fill(None);
        true
    }

    /// Time is known: asking pays.
    pub(super) const fn settle(&mut self) {
        self.asked = 0;
    }

    /// When the next one is due.
    pub(super) fn next_due(&self) -> Millis {
        self.asked_at
            .unwrap_or(Millis(u64::MAX))
            .min(self.periodic_at)
    }

    /// Whether one is due now, and why.
    pub(super) fn due(&self, now: Millis) -> Option<Due> {
        if self.periodic_at <= now {
            return Some(Due::Periodic);
        }
        self.asked_at.filter(|at| *at <= now).map(|_| Due::Asked)
    }
}

impl Supervisor {
    /// Metadata is brought up to date with every periodic hello: a hint may have been lost.
    pub(super) fn hello_tick(&mut self, now: Millis) {
        match self.hellos.due(now) {
            Some(Due::Periodic) => {
                self.say_hello();
                self.begin_refresh();
            }
            Some(Due::Asked) => self.say_hello(),
            None => {}
        }
    }

    /// Asks for a hello that something from the link made useful.
    pub(super) fn ask_hello(&mut self) {
        self.hellos.ask(clock::monotonic());
    }

    pub(super) fn say_hello(&mut self) {
        match self.hello() {
            Ok(signed) => self.send(Up::Hello, signed),
            Err(because) => {
                tracing::error!(%because, "no hello without a random number");
                let period_ms = self.config.hello_s * 1000;
                self.hellos.put_off(clock::monotonic(), period_ms);
            }
        }
    }

    /// A hello as it is said now; its question for the time is open from here on.
    pub(super) fn hello(&mut self) -> Result<Vec<u8>, getrandom::Error> {
        let now = clock::monotonic();
        let period_ms = self.config.hello_s * 1000;
        let nonce = Nonce(state::random()?);
        self.hellos.say(nonce, now, period_ms);
        let streams = self.outbox.states();
        let hello = Hello {
            device: self.identity.device.clone(),
            accepted: self.state.accepted.map(|record| record.at),
            assignment: self.state.accepted.map(|record| record.digest),
            metadata: self.metadata_versions(),
            streams: List::of(&streams),
            nonce,
            agent: agent_version(),
            boot: self.boot,
            at: now,
            health: health::read(self.store.folder()),
            challenge: self.challenge.take(),
        };
        Ok(cose::seal_vec(&hello, &self.identity.document_key))
    }

    /// What cannot be sent now is asked for, or said, again later.
    pub(super) fn send(&self, what: Up, payload: Vec<u8>) {
        #[cfg(test)]
        crate::store::disk::recorder::said(self.store.folder(), what, &payload);
        let sent = self.publisher().map(|link| link.publish(what, payload));
        if let Some(Err(because)) = sent {
            tracing::debug!(what = what.as_str(), %because, "not sent");
        }
    }

    pub(super) fn metadata_versions(&self) -> MetadataVersions {
        let trusted = &self.trusted;
        MetadataVersions {
            root: trusted.root().version(),
            timestamp: trusted.timestamp().map_or(0, |signed| signed.version()),
            snapshot: trusted.snapshot().map_or(0, |signed| signed.version()),
            targets: trusted
                .targets(&muster_protocol::tuf::Role::Targets)
                .map_or(0, |signed| signed.version()),
            fleet: self.fleet.as_ref().map_or(0, |fleet| fleet.version),
        }
    }
}

/// This agent's version.
pub(super) fn agent_version() -> Version {
    Version::parse(env!("CARGO_PKG_VERSION")).expect("invariant: the package has a semver")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nonce(n: u8) -> Nonce {
        Nonce([n; 16])
    }

    /// Hellos said at these moments, with the nonces 1, 2, …
    fn said(at_ms: &[u64]) -> Hellos {
        let mut hellos = Hellos::default();
        for (n, at) in (1..).zip(at_ms) {
            hellos.say(nonce(n), Millis(*at), 300_000);
        }
        hellos
    }

    #[test]
    fn what_comes_causes_at_most_two_hellos_in_a_pause() {
        let check = |said_ms: &[u64], now_ms, expect_ms| {
            let mut hellos = said(said_ms);
            hellos.ask(Millis(now_ms));
            hellos.ask(Millis(now_ms + 1));
            assert_eq!(hellos.next_due(), Millis(expect_ms), "{said_ms:?} {now_ms}");
        };
        check(&[10], 20, 20);
        check(&[10, 20], 30, 5_010);
        check(&[10, 20], 9_000, 9_000);
        check(&[10, 20, 5_010], 5_011, 5_020);
    }

    #[test]
    fn the_pause_grows_until_time_is_known() {
        let mut hellos = said(&[0]);
        let mut at = Millis(0);
        for expect_ms in [1, 10_000, 20_001, 50_000, 100_001, 210_000, 420_001] {
            hellos.ask(at.plus(1));
            at = hellos.next_due().min(hellos.asked_at.expect("asked"));
            assert_eq!(at, Millis(expect_ms));
            hellos.say(nonce(9), at, 1_000_000);
        }
        hellos.settle();
        hellos.ask(at.plus(1));
        assert_eq!(hellos.next_due(), at.plus(1));
    }

    #[test]
    fn an_answer_counts_once_and_closes_older_questions() {
        let check = |answers: &[u8], expect: &[bool]| {
            let mut hellos = said(&[10, 20, 30]);
            let got: Vec<_> = answers.iter().map(|n| hellos.answered(nonce(*n))).collect();
            assert_eq!(got, expect, "{answers:?}");
        };
        check(&[1], &[false]);
        check(&[2, 2, 3, 3], &[true, false, true, false]);
        check(&[3, 2], &[true, false]);
    }

    #[test]
    fn a_hello_that_was_asked_for_is_not_the_periodic_one() {
        let check = |now_ms, expect| {
            let mut hellos = said(&[10]);
            hellos.ask(Millis(20));
            assert_eq!(hellos.due(Millis(now_ms)), expect, "{now_ms}");
        };
        check(19, None);
        check(20, Some(Due::Asked));
        check(300_010, Some(Due::Periodic));
    }
}
