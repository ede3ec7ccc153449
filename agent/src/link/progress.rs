//! Whether a connection still makes progress: what the watchdog judges by.
//!
//! Reads no clock and ends nothing: the keeper does both.

use muster_protocol::time::Millis;
use std::collections::VecDeque;
use std::fmt;

/// What has happened on one connection.
#[derive(Debug)]
pub(super) struct Progress {
    opened: Millis,
    subscribed: Option<Millis>,
    heard: Millis,
    unacknowledged: VecDeque<(u16, Millis)>,
    receiver: Receiver,
}

/// Whoever takes the events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Receiver {
    /// Takes them.
    Ready,
    /// Has not taken the last one: nothing is read from the broker meanwhile.
    Busy,
}

/// How long a connection may make no progress.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patience {
    /// For the answer to the subscription.
    pub(super) answer_ms: u64,
    /// Without any packet.
    pub(super) silence_ms: u64,
    /// For an acknowledgement.
    pub(super) unacknowledged_ms: u64,
}

/// Why a connection counts as dead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stall {
    /// No packet of any kind came.
    Silent { silence_ms: u64 },
    /// A message is not acknowledged.
    Unacknowledged { unacknowledged_ms: u64 },
    /// The broker does not answer the connection or the subscription.
    NoAnswer { answer_ms: u64 },
}

impl Progress {
    /// A connection that was opened at `now`.
    pub(super) const fn new(now: Millis) -> Self {
        Self {
            opened: now,
            subscribed: None,
            heard: now,
            unacknowledged: VecDeque::new(),
            receiver: Receiver::Ready,
        }
    }

    /// Any packet came.
    pub(super) const fn heard(&mut self, now: Millis) {
        self.heard = now;
    }

    /// The subscription is confirmed.
    pub(super) const fn subscribed(&mut self, now: Millis) {
        self.subscribed = Some(now);
    }

    /// Since when it is.
    pub(super) const fn subscribed_at(&self) -> Option<Millis> {
        self.subscribed
    }

    /// A message went out under a packet id; at most as many as the client keeps in flight.
    pub(super) fn sent(&mut self, packet: u16, now: Millis) {
        self.unacknowledged.push_back((packet, now));
    }

    /// The broker has it.
    pub(super) fn acknowledged(&mut self, packet: u16) {
        let sent = self.unacknowledged.iter().position(|(id, _)| *id == packet);
        if let Some(position) = sent {
            self.unacknowledged.remove(position);
        }
    }

    /// While the receiver is busy nothing is read, so nothing can be missed; when it is ready
    /// again, everything waits anew.
    pub(super) fn receiver(&mut self, receiver: Receiver, now: Millis) {
        self.receiver = receiver;
        self.heard = now;
        for (_, sent) in &mut self.unacknowledged {
            *sent = now;
        }
    }

    /// Why this connection counts as dead, if it does.
    pub(super) fn stall(&self, now: Millis, patience: Patience) -> Option<Stall> {
        let Patience {
            answer_ms,
            silence_ms,
            unacknowledged_ms,
        } = patience;
        let oldest = self.unacknowledged.iter().map(|(_, sent)| *sent).min();
        if self.receiver == Receiver::Busy {
            None
        } else if self.subscribed.is_none() && now.since(self.opened) > answer_ms {
            Some(Stall::NoAnswer { answer_ms })
        } else if now.since(self.heard) > silence_ms {
            Some(Stall::Silent { silence_ms })
        } else if oldest.is_some_and(|sent| now.since(sent) > unacknowledged_ms) {
            Some(Stall::Unacknowledged { unacknowledged_ms })
        } else {
            None
        }
    }
}

impl fmt::Display for Stall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Silent { silence_ms } => write!(f, "nothing came for {silence_ms} ms"),
            Self::Unacknowledged { unacknowledged_ms } => write!(
                f,
                "a message was not acknowledged within {unacknowledged_ms} ms"
            ),
            Self::NoAnswer { answer_ms } => write!(
                f,
                "the broker did not confirm connection and subscription within {answer_ms} ms"
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Patience = Patience {
        answer_ms: 10,
        silence_ms: 100,
        unacknowledged_ms: 50,
    };

    fn check(happened: impl Fn(&mut Progress), now: u64, expect: Option<Stall>) {
        let mut progress = Progress::new(Millis(0));
        happened(&mut progress);
        assert_eq!(progress.stall(Millis(now), PATIENCE), expect);
    }

    #[test]
    fn the_subscription_must_be_confirmed() {
        let stall = Some(Stall::NoAnswer { answer_ms: 10 });
        check(|_| (), 10, None);
        check(|_| (), 11, stall);
        check(|progress| progress.heard(Millis(11)), 12, stall);
        check(|progress| progress.subscribed(Millis(11)), 12, None);
    }

    #[test]
    fn something_must_come() {
        let stall = Some(Stall::Silent { silence_ms: 100 });
        let up = |progress: &mut Progress| progress.subscribed(Millis(1));
        check(up, 100, None);
        check(up, 101, stall);
        let heard = |progress: &mut Progress| {
            up(progress);
            progress.heard(Millis(90));
        };
        check(heard, 190, None);
        check(heard, 191, stall);
    }

    #[test]
    fn the_oldest_message_must_be_acknowledged() {
        let sent = |progress: &mut Progress| {
            progress.subscribed(Millis(1));
            progress.sent(1, Millis(10));
            progress.sent(2, Millis(30));
            progress.heard(Millis(60));
        };
        let stall = Some(Stall::Unacknowledged {
            unacknowledged_ms: 50,
        });
        check(sent, 60, None);
        check(sent, 61, stall);
        let first = |progress: &mut Progress| {
            sent(progress);
            progress.acknowledged(1);
            progress.acknowledged(7);
        };
        check(first, 80, None);
        check(first, 81, stall);
    }

    #[test]
    fn a_busy_receiver_is_not_the_brokers_fault() {
        let busy = |progress: &mut Progress| {
            progress.subscribed(Millis(1));
            progress.sent(1, Millis(10));
            progress.receiver(Receiver::Busy, Millis(20));
        };
        check(busy, 9999, None);
        let ready = |progress: &mut Progress| {
            busy(progress);
            progress.receiver(Receiver::Ready, Millis(1000));
        };
        check(ready, 1050, None);
        check(
            ready,
            1051,
            Some(Stall::Unacknowledged {
                unacknowledged_ms: 50,
            }),
        );
    }
}
