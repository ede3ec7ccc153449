//! One stream of outgoing documents: numbered when frozen, kept until acknowledged.
//!
//! Holds the index only; bodies stay with the host. A document gets its number together with
//! its final signed bytes, durably, before its first send; only never-frozen windows merge; what
//! an acknowledgement covers is removed only after the host has stored that it was covered.

use crate::backoff::Backoff;
use heapless::Deque;
use muster_protocol::id::{Sequence, StreamId};
use muster_protocol::limits::{FROZEN_MAX, WINDOW_SAMPLES_MIN};
use muster_protocol::message::{Ack, RejectReason};
use muster_protocol::time::Millis;

mod pending;
mod room;

pub use pending::{MergeClass, Pending, Readiness};

/// Silence after which unacknowledged documents are sent again, at first.
const RESEND_MS: u64 = 10_000;
/// Longest such silence.
const RESEND_MS_MAX: u64 = 300_000;

/// Names a stored body, as the host chose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Handle(pub u64);

/// What a stream hears.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// A body was stored, durably, and wants a number.
    Added(Pending),
    /// The document was signed and stored with its number, durably.
    Frozen(Handle),
    /// Two bodies were stored as one, durably, under the name of the later: merged, or a gap.
    Merged(Pending),
    /// A body of [`Stream::held`] was stored again, durably, so that it may be sent alone.
    Released(Pending),
    /// [`Output::Covered`] was stored, durably.
    CoveredStored,
    /// The link is up.
    Connected,
    /// The link is down.
    Disconnected,
    /// Time has passed.
    Tick,
}

/// What a stream asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Output {
    /// Sign this body with this number and store it.
    Freeze {
        /// The body.
        body: Handle,
        /// Its number.
        sequence: Sequence,
    },
    /// Send the stored document.
    Send {
        /// Its number.
        sequence: Sequence,
    },
    /// Store that everything up to here is acknowledged, then remove it.
    Covered {
        /// Highest acknowledged number.
        through: Sequence,
    },
    /// Keep the document aside for people: the fleet could not read it.
    Quarantine {
        /// Its number.
        sequence: Sequence,
        /// Why.
        reason: RejectReason,
    },
    /// Merge these two bodies of one class into one; none of their class lies between them.
    Merge {
        /// The earlier body.
        earlier: Handle,
        /// The later body; the merged one takes its name.
        later: Handle,
    },
    /// There is no room and nothing merges: replace these two by one gap that sums both.
    Overflow {
        /// The earlier body.
        earlier: Handle,
        /// The later body; the gap takes its name.
        later: Handle,
    },
    /// The fleet knows documents that we never wrote (a disk image was restored): begin a new
    /// stream that names this one as its predecessor.
    Supersede,
}

/// What became of an acknowledgement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Acked {
    /// It covers something new.
    Taken,
    /// It covers nothing new, or belongs to another stream.
    Ignored,
    /// It covers numbers that were never given.
    BeyondSent,
}

/// A stream with room for `ROOM` bodies that have no number yet.
#[derive(Debug)]
pub struct Stream<const ROOM: usize> {
    id: StreamId,
    /// Everything up to here is acknowledged.
    through: Sequence,
    /// Numbers after `through` that are stored with their signed bytes.
    frozen: Deque<Sequence, FROZEN_MAX>,
    /// Of the frozen ones, how many were sent on this connection.
    sent: usize,
    pending: Deque<Pending, ROOM>,
    asked: Asked,
    covered: Option<Sequence>,
    rejected: Deque<(Sequence, RejectReason), FROZEN_MAX>,
    superseded: bool,
    connected: bool,
    resend: Backoff,
    deadline: Option<Millis>,
}

/// What the host was asked and has not answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asked {
    Nothing,
    Freeze(Handle),
    Merge { earlier: Handle, later: Handle },
    Overflow { earlier: Handle, later: Handle },
    Covered { through: Sequence },
    Supersede,
}

impl<const ROOM: usize> Stream<ROOM> {
    /// A stream as found on disk: acknowledged up to `through`, `frozen` documents behind it.
    /// Bodies without a number follow as [`Input::Added`], oldest first.
    #[must_use]
    pub fn new(id: StreamId, through: Sequence, frozen: u64, seed: u64) -> Self {
        let mut numbers = Deque::new();
        for n in 1..=frozen.min(FROZEN_MAX as u64) {
            // Bounded by the line above.
            let _ = numbers.push_back(Sequence(through.0 + n));
        }
        Self {
            id,
            through,
            frozen: numbers,
            sent: 0,
            pending: Deque::new(),
            asked: Asked::Nothing,
            covered: None,
            rejected: Deque::new(),
            superseded: false,
            connected: false,
            resend: Backoff::new(RESEND_MS, RESEND_MS_MAX, seed),
            deadline: None,
        }
    }

    /// The stream.
    #[must_use]
    pub const fn id(&self) -> StreamId {
        self.id
    }

    /// The number that the next document will get.
    #[must_use]
    pub fn next(&self) -> Sequence {
        Sequence(self.through.0 + self.frozen.len() as u64 + 1)
    }

    /// Lowest number that is not acknowledged.
    #[must_use]
    pub const fn first_kept(&self) -> Sequence {
        Sequence(self.through.0 + 1)
    }

    /// Bodies without a number.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.pending.len()
    }

    /// Bodies that wait for a later one of their class. When none will come, the host stores them
    /// so that they may be sent alone, and says [`Input::Released`].
    pub fn held(&self) -> impl Iterator<Item = &Pending> {
        // One that is being merged is not to be touched.
        let idle = self.asked == Asked::Nothing;
        self.pending
            .iter()
            .filter(move |body| idle && !body.is_ready())
    }

    /// Whether every stored body and document is acknowledged.
    #[must_use]
    pub fn is_drained(&self) -> bool {
        self.frozen.is_empty() && self.pending.is_empty()
    }

    /// Takes one input. An `Added` beyond the room is refused: the caller polls first, so that
    /// room is made.
    ///
    /// # Errors
    /// Gives back a body for which there is no room.
    pub fn handle(&mut self, input: Input, now: Millis) -> Result<(), Pending> {
        match input {
            Input::Added(body) => return self.pending.push_back(body),
            Input::Frozen(body) => self.frozen_stored(body),
            Input::Merged(body) => self.merged(body),
            Input::Released(body) => self.replace_pending(body),
            Input::CoveredStored => self.covered_stored(now),
            Input::Connected => {
                self.connected = true;
                self.sent = 0;
            }
            Input::Disconnected => {
                self.connected = false;
                self.deadline = None;
            }
            Input::Tick if self.deadline.is_some_and(|deadline| deadline <= now) => {
                self.sent = 0;
                self.deadline = None;
            }
            Input::Tick => {}
        }
        Ok(())
    }

    /// Takes an acknowledgement whose signature was verified.
    pub fn acknowledged(&mut self, ack: &Ack<'_>) -> Acked {
        if ack.stream != self.id {
            return Acked::Ignored;
        }
        if ack.through >= self.next() {
            self.superseded = true;
            return Acked::BeyondSent;
        }
        if ack.through <= self.through.max(self.covered.unwrap_or_default()) {
            return Acked::Ignored;
        }
        for rejected in ack.rejected.iter() {
            let mine = (self.first_kept()..=ack.through).contains(&rejected.sequence);
            if mine
                && !self
                    .rejected
                    .iter()
                    .any(|(sequence, _)| *sequence == rejected.sequence)
            {
                // Full only when every frozen document was rejected; each is in there once.
                let _ = self
                    .rejected
                    .push_back((rejected.sequence, rejected.reason));
            }
        }
        self.covered = Some(ack.through);
        Acked::Taken
    }

    /// What to do next, if anything.
    pub fn poll_output(&mut self, now: Millis) -> Option<Output> {
        if self.asked != Asked::Nothing {
            // Sending does not wait for the disk.
            return self.send(now);
        }
        if self.superseded {
            self.asked = Asked::Supersede;
            return Some(Output::Supersede);
        }
        if let Some((sequence, reason)) = self.rejected.pop_front() {
            return Some(Output::Quarantine { sequence, reason });
        }
        if let Some(through) = self.covered {
            self.asked = Asked::Covered { through };
            return Some(Output::Covered { through });
        }
        self.make_room()
            .or_else(|| self.freeze())
            .or_else(|| self.send(now))
    }

    /// When to call with [`Input::Tick`], and why.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<(Millis, &'static str)> {
        self.deadline
            .map(|deadline| (deadline, "documents sent are not acknowledged"))
    }

    fn freeze(&mut self) -> Option<Output> {
        let body = self.freezable()?;
        self.asked = Asked::Freeze(body);
        Some(Output::Freeze {
            body,
            sequence: self.next(),
        })
    }

    fn send(&mut self, now: Millis) -> Option<Output> {
        if !self.connected {
            return None;
        }
        let sequence = *self.frozen.iter().nth(self.sent)?;
        self.sent += 1;
        if self.deadline.is_none() {
            self.deadline = Some(now.plus(self.resend.next_ms()));
        }
        Some(Output::Send { sequence })
    }

    fn frozen_stored(&mut self, body: Handle) {
        if self.asked == Asked::Freeze(body) {
            self.asked = Asked::Nothing;
            let next = self.next();
            self.remove_pending(body);
            // A freeze is asked for only when there is room.
            let _ = self.frozen.push_back(next);
        }
    }

    fn merged(&mut self, merged: Pending) {
        let (Asked::Merge { earlier, later } | Asked::Overflow { earlier, later }) = self.asked
        else {
            return;
        };
        if later == merged.body {
            self.asked = Asked::Nothing;
            self.remove_pending(earlier);
            self.replace_pending(merged);
        }
    }

    fn covered_stored(&mut self, now: Millis) {
        let Asked::Covered { through } = self.asked else {
            return;
        };
        self.asked = Asked::Nothing;
        // A later acknowledgement may have come meanwhile: it is not stored yet.
        self.covered = self.covered.filter(|later| *later > through);
        self.resend.reset();
        while self
            .frozen
            .front()
            .is_some_and(|sequence| *sequence <= through)
        {
            self.frozen.pop_front();
            self.sent = self.sent.saturating_sub(1);
        }
        self.through = through;
        self.deadline = (self.sent > 0).then(|| now.plus(self.resend.next_ms()));
    }

    fn replace_pending(&mut self, new: Pending) {
        let mut bodies = self.pending.iter_mut();
        if let Some(body) = bodies.find(|body| body.body == new.body) {
            *body = new;
        }
    }

    fn remove_pending(&mut self, body: Handle) {
        self.pending.retain(|pending| pending.body != body);
    }
}

#[cfg(test)]
mod tests;
