//! The two streams of outgoing documents: the machine says when, the disk keeps the bytes.
//!
//! A document is signed once, with its number, and never again; it is sent as it lies on disk.

use super::super::bodies;
use super::super::disk::{Stream as Which, Write};
use super::super::lane::{Body, StoredLane};
use super::super::planted::Planted;
use super::super::seal;
use super::{Around, Device, Wish};
use muster_device::stream::{Handle, Input, Output, Pending, Stream};
use muster_device::updater::{Release, Verdict};
use muster_protocol::id::{ModelId, Sequence, StreamId, Version};
use muster_protocol::limits::STREAMS_MAX;
use muster_protocol::message::document::Body as Content;
use muster_protocol::message::{Kind, Measured, Receipt, Step, StreamState};
use muster_protocol::time::Millis;
use muster_protocol::topic::Up;
use std::collections::VecDeque;

/// Bodies without a number that one stream keeps; few, so that windows merge often.
pub(super) const ROOM: usize = 8;
/// Bodies that may wait in memory for room: far more than one event can make.
pub(in crate::sim) const WAITING_MAX: usize = 64;

/// One stream.
#[derive(Debug)]
pub(in crate::sim) struct Lane {
    pub(in crate::sim) stream: Stream<ROOM>,
    /// Bodies that found no room; they wait in order.
    pub(in crate::sim) waiting: VecDeque<Pending>,
    next_handle: Handle,
}

impl Lane {
    pub(super) fn open(stored: &StoredLane, seed: u64) -> Self {
        let frozen = stored.frozen.len() as u64;
        Self {
            stream: Stream::new(stored.id, stored.through, frozen, seed),
            waiting: VecDeque::new(),
            next_handle: stored.next_handle(),
        }
    }

    fn add(&mut self, pending: Pending, clock: Millis) {
        self.waiting.push_back(pending);
        self.fill(clock);
    }

    fn fill(&mut self, clock: Millis) {
        while let Some(next) = self.waiting.pop_front() {
            if let Err(back) = self.stream.handle(Input::Added(next), clock) {
                return self.waiting.push_front(back);
            }
        }
    }

    fn tell(&mut self, input: Input, clock: Millis) {
        let refused = self.stream.handle(input, clock);
        debug_assert!(refused.is_ok(), "invariant: only Added can be refused");
        self.fill(clock);
    }
}

/// A step, what it is about, and why.
pub(super) type About<'r> = (Step, Option<&'r Release>, Option<&'r Verdict>);

impl Device {
    fn lane(&mut self, which: Which) -> &mut Lane {
        match which {
            Which::Receipts => &mut self.running().receipts,
            Which::Windows => &mut self.running().windows,
        }
    }

    pub(super) fn recall_bodies(&mut self, which: Which, around: &Around<'_>) {
        let clock = self.clock(around.now);
        let stored = self.disk.lane(which).pending.iter();
        let found: Vec<_> = stored
            .map(|(handle, body)| bodies::describe(*handle, body))
            .collect();
        for pending in found {
            self.lane(which).add(pending, clock);
        }
    }

    pub(super) fn tell_lanes(&mut self, input: &Input, around: &Around<'_>) {
        let clock = self.clock(around.now);
        for which in [Which::Receipts, Which::Windows] {
            self.lane(which).tell(input.clone(), clock);
        }
    }

    pub(super) fn tick_lanes(&mut self, clock: Millis) {
        for which in [Which::Receipts, Which::Windows] {
            self.lane(which).tell(Input::Tick, clock);
        }
    }

    /// Puts a receipt into its stream.
    pub(super) fn report(
        &mut self,
        model: &ModelId,
        about: About<'_>,
        measured: Measured,
        around: &mut Around<'_>,
    ) {
        let (step, release, verdict) = about;
        if step == Step::Offered {
            self.seen.trials.remove(model);
        }
        let clock = self.clock(around.now);
        let running = self.running();
        let state = running
            .updaters
            .get(model)
            .map(|updater| updater.state().clone());
        let entry = state.and_then(|state| state.entry);
        let version = release.map(|release| release.version.clone());
        let version = version.or_else(|| entry.as_ref().map(|entry| entry.version.clone()));
        let since = release
            .map(|r| r.since)
            .or_else(|| entry.as_ref().map(|e| e.since));
        let accepted = running.accepted.as_ref().map(|record| record.accepted.at);
        let receipt = Receipt {
            model: model.clone(),
            version: version
                .unwrap_or_else(|| Version::parse("0.0.0").expect("invariant: a semver")),
            bundle: release.map(|release| release.bundle),
            since: since.unwrap_or_default(),
            accepted: accepted.unwrap_or_default(),
            step,
            reason: verdict.map(|verdict| verdict.reason),
            detail: verdict.map(|verdict| verdict.detail.as_str()),
            at: clock,
            unix: running.time.unix(clock),
            measured,
            role: None,
        };
        let reason = receipt.reason;
        let line = format!("{model} {} {step:?} {reason:?}", receipt.version);
        let (device, boot) = (self.id.clone(), self.running().boot);
        let body = bodies::encode(Content::Receipt(receipt), &device, boot);
        self.note(around, "step", step as u64, || line);
        self.put(Which::Receipts, body);
    }

    /// Sends a body on its way to the disk, and then to its stream.
    pub(super) fn put(&mut self, stream: Which, body: Body) {
        let lane = self.lane(stream);
        let handle = lane.next_handle;
        lane.next_handle = Handle(handle.0 + 1);
        self.running().writing.push_back(Write::Body {
            stream,
            handle,
            body,
        });
    }

    pub(super) fn stream_states(&mut self) -> Vec<StreamState> {
        let mut states = Vec::with_capacity(STREAMS_MAX);
        for (which, kind) in [
            (Which::Receipts, Kind::Receipts),
            (Which::Windows, Kind::Windows),
        ] {
            let predecessor = self.disk.lane(which).predecessor;
            let stream = &self.lane(which).stream;
            states.push(StreamState {
                kind,
                id: stream.id(),
                first_kept: stream.first_kept(),
                next: stream.next(),
                predecessor,
            });
        }
        states
    }

    pub(super) fn drain_lane(&mut self, which: Which, around: &mut Around<'_>) -> bool {
        let clock = self.clock(around.now);
        let mut busy = false;
        while let Some(output) = self.lane(which).stream.poll_output(clock) {
            busy = true;
            self.obey_stream(which, output, around);
        }
        busy
    }

    fn obey_stream(&mut self, stream: Which, output: Output, around: &mut Around<'_>) {
        let stored = self.disk.lane(stream);
        let body = |handle| stored.pending.get(&handle).cloned();
        let (device, boot) = (self.id.clone(), self.running.as_ref().map(|r| r.boot));
        let boot = boot.expect("invariant: the device has power");
        let write = match output {
            Output::Send { sequence } => return self.send_document(stream, sequence, around),
            Output::Freeze {
                body: handle,
                sequence,
            } => body(handle).map(|body| {
                let bytes = bodies::sign(&body, stored.id, sequence, (&self.key, self.signatures));
                Write::Freeze {
                    stream,
                    handle,
                    sequence,
                    bytes,
                }
            }),
            Output::Merge { earlier, later } => body(earlier).zip(body(later)).map(|(a, b)| {
                let body = bodies::merge(&a, &b, &device, boot);
                Write::Replace {
                    stream,
                    earlier: Some(earlier),
                    later,
                    body,
                }
            }),
            Output::Overflow { earlier, later } => body(earlier).zip(body(later)).map(|(a, b)| {
                let body = bodies::give_up(&a, &b, &device, boot);
                Write::Replace {
                    stream,
                    earlier: Some(earlier),
                    later,
                    body,
                }
            }),
            Output::Covered { through } => Some(Write::Cover { stream, through }),
            Output::Quarantine { sequence, .. } => Some(Write::Aside { stream, sequence }),
            Output::Supersede => {
                let fresh = StreamId(self.random.draw().to_le_bytes());
                Some(Write::Supersede { stream, fresh })
            }
        };
        match write {
            Some(write) => self.running().writing.push_back(write),
            None => self.broke("what a stream holds is durable", format!("{output:?}")),
        }
    }

    /// Sent as it lies on the disk: what is not durable cannot be sent.
    fn send_document(&mut self, stream: Which, sequence: Sequence, around: &mut Around<'_>) {
        let frozen = self.disk.lane(stream).frozen.get(&sequence);
        let Some(bytes) = frozen.map(|frozen| frozen.bytes.clone()) else {
            return self.broke("what is sent is durable", format!("{stream:?} {sequence}"));
        };
        self.note(around, "sends", sequence.0, || {
            format!("{stream:?} {sequence}")
        });
        self.wishes.push(Wish::Send(Up::Doc, bytes));
    }

    /// A write of a stream was done.
    pub(super) fn lane_written(&mut self, write: Write, around: &mut Around<'_>) {
        let clock = self.clock(around.now);
        match write {
            Write::Body {
                stream,
                handle,
                body,
            } => {
                self.lane(stream)
                    .add(bodies::describe(handle, &body), clock);
            }
            Write::Replace {
                stream,
                earlier,
                later,
                body,
            } => {
                let one = bodies::describe(later, &body);
                let input = earlier.map_or(Input::Released(one.clone()), |_| Input::Merged(one));
                self.lane(stream).tell(input, clock);
            }
            Write::Freeze {
                stream,
                handle,
                sequence,
                ..
            } => {
                self.lane(stream).tell(Input::Frozen(handle), clock);
                if around.planted == Some(Planted::MergeAfterSend) && stream == Which::Windows {
                    self.merge_what_was_sent(sequence, clock);
                }
            }
            Write::Cover { stream, .. } => self.lane(stream).tell(Input::CoveredStored, clock),
            Write::Supersede { stream, .. } => {
                self.note(around, "new stream", 0, || format!("{stream:?}"));
                let seed = self.random.draw();
                *self.lane(stream) = Lane::open(self.disk.lane(stream), seed);
                self.recall_bodies(stream, around);
                if self.running().connected {
                    self.lane(stream).tell(Input::Connected, clock);
                }
            }
            Write::Aside { .. } | Write::State { .. } | Write::KeySet { .. } => {}
            Write::Plan { .. } | Write::Piece { .. } => {}
        }
    }

    /// The planted mistake: a window that has its number stays among those that may merge.
    fn merge_what_was_sent(&mut self, sequence: Sequence, clock: Millis) {
        let Some(frozen) = self.disk.windows.frozen.get(&sequence).cloned() else {
            return;
        };
        let Some(document) = seal::read(&frozen.bytes) else {
            return;
        };
        let bytes =
            muster_protocol::cbor::to_vec::<muster_protocol::message::Document<'_>>(&document);
        let body = Body {
            bytes,
            counts: frozen.counts,
        };
        let pending = bodies::describe(frozen.handle, &body);
        if pending.class.is_some() && self.random.below(8) == 0 {
            self.disk.windows.pending.insert(frozen.handle, body);
            self.lane(Which::Windows).add(pending, clock);
        }
    }
}
