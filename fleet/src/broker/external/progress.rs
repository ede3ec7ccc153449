//! Whether a connection still makes progress: what the watchdog judges by.
//!
//! Reads no clock and ends nothing: the keeper does both.

use std::collections::VecDeque;
use std::fmt;
use std::time::{Duration, Instant};

use super::Timeouts;

/// What has happened on one connection.
#[derive(Debug)]
pub(super) struct Progress {
    opened: Instant,
    subscribed: Option<Instant>,
    heard: Instant,
    /// At most as many as the client keeps in flight.
    unacknowledged: VecDeque<(u16, Instant)>,
}

/// Why a connection counts as dead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stall {
    /// The broker does not answer the connection or the subscription.
    NoAnswer(Duration),
    /// No packet of any kind came.
    Silent(Duration),
    /// A message is not acknowledged.
    Unacknowledged(Duration),
}

impl Progress {
    /// A connection that was opened at `now`.
    pub(super) const fn new(now: Instant) -> Self {
        Self {
            opened: now,
            subscribed: None,
            heard: now,
            unacknowledged: VecDeque::new(),
        }
    }

    /// Any packet came.
    pub(super) const fn heard(&mut self, now: Instant) {
        self.heard = now;
    }

    /// The subscription is confirmed.
    pub(super) const fn subscribed(&mut self, now: Instant) {
        self.subscribed = Some(now);
    }

    /// Since when it is.
    pub(super) const fn subscribed_at(&self) -> Option<Instant> {
        self.subscribed
    }

    /// A message went out under a packet id.
    pub(super) fn sent(&mut self, packet: u16, now: Instant) {
        self.unacknowledged.push_back((packet, now));
    }

    /// The broker has it.
    pub(super) fn acknowledged(&mut self, packet: u16) {
        let sent = self.unacknowledged.iter().position(|(id, _)| *id == packet);
        if let Some(position) = sent {
            self.unacknowledged.remove(position);
        }
    }

    /// Why this connection counts as dead, if it does.
    pub(super) fn stall(&self, now: Instant, limits: &Timeouts) -> Option<Stall> {
        let beyond = |since: Instant, limit| now.saturating_duration_since(since) > limit;
        let oldest = self.unacknowledged.front().map(|(_, sent)| *sent);
        if self.subscribed.is_none() && beyond(self.opened, limits.answer) {
            Some(Stall::NoAnswer(limits.answer))
        } else if beyond(self.heard, limits.silence) {
            Some(Stall::Silent(limits.silence))
        } else if oldest.is_some_and(|sent| beyond(sent, limits.unacknowledged)) {
            Some(Stall::Unacknowledged(limits.unacknowledged))
        } else {
            None
        }
    }
}

impl fmt::Display for Stall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoAnswer(limit) => write!(
                f,
                "it did not confirm connection and subscription within {limit:?}"
            ),
            Self::Silent(limit) => write!(f, "nothing came for {limit:?}"),
            Self::Unacknowledged(limit) => {
                write!(f, "a message was not acknowledged within {limit:?}")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;

    #[test]
    fn a_connection_without_progress_counts_as_dead() {
        let limits = Timeouts {
            answer: Duration::from_secs(10),
            silence: Duration::from_secs(100),
            unacknowledged: Duration::from_secs(50),
            ..Timeouts::default()
        };
        let start = clock::monotonic();
        let at = |seconds| start + Duration::from_secs(seconds);
        let check = |happened: &dyn Fn(&mut Progress), now: u64, expect: Option<Stall>| {
            let mut progress = Progress::new(start);
            happened(&mut progress);
            assert_eq!(
                progress.stall(at(now), &limits),
                expect,
                "{progress:?} at {now}"
            );
        };
        check(&|_| (), 10, None);
        check(&|_| (), 11, Some(Stall::NoAnswer(limits.answer)));
        let up = |progress: &mut Progress| progress.subscribed(at(1));
        check(&up, 100, None);
        check(&up, 101, Some(Stall::Silent(limits.silence)));
        let sent = |progress: &mut Progress| {
            up(progress);
            progress.sent(1, at(10));
            progress.sent(2, at(30));
            progress.heard(at(60));
        };
        check(&sent, 60, None);
        check(
            &sent,
            61,
            Some(Stall::Unacknowledged(limits.unacknowledged)),
        );
        let first = |progress: &mut Progress| {
            sent(progress);
            progress.acknowledged(1);
            progress.acknowledged(7);
        };
        check(&first, 80, None);
        check(
            &first,
            81,
            Some(Stall::Unacknowledged(limits.unacknowledged)),
        );
    }
}
