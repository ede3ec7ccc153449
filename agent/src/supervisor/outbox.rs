//! The two streams of outgoing documents: receipts and windows.
//!
//! The machine says when; the queue keeps the bytes; here they are joined. A document is signed
//! once, with its number, and never again.

mod bodies;
mod checkpoints;
mod documents;
mod unstored;

use super::Supervisor;
use super::state::{self, StartError};
use crate::clock;
use crate::enroll::Identity;
use crate::stick::Numbered;
use crate::store::Store;
use crate::store::atomic::DiskError;
use crate::store::queue::Queue;
use bodies::Signing;
use muster_device::stream::{self, Acked, Input, Output, Stream};
use muster_protocol::digest::Digest;
use muster_protocol::id::{BootId, Sequence, StreamId};
use muster_protocol::limits::STREAMS_MAX;
use muster_protocol::message::{Ack, Kind, StreamState};
use muster_protocol::stick;
use muster_protocol::time::Millis;
use muster_protocol::topic::Up;
use std::collections::BTreeMap;
use unstored::Unstored;

/// Bodies without a number that one stream keeps; beyond it windows merge.
pub(super) const ROOM: usize = 256;
/// Pause before the disk is asked again.
const DISK_RETRY_MS: u64 = 5_000;
/// Windows of time that a window of few samples waits for others, before it is told without its
/// features.
const HELD_WINDOWS_MAX: u64 = 3;

/// Both streams.
#[derive(Debug)]
pub(super) struct Outbox {
    pub(super) receipts: Lane,
    pub(super) windows: Lane,
    signing: Signing,
    /// Since when windows of few samples wait for others to merge with.
    held_since: BTreeMap<stream::Handle, Millis>,
    /// When the first of them has waited long enough.
    held_due: Option<Millis>,
}

/// One stream and its queue.
#[derive(Debug)]
pub(super) struct Lane {
    pub(super) kind: Kind,
    pub(super) stream: Stream<ROOM>,
    pub(super) queue: Queue,
    /// An output that the disk refused, and when to try again.
    pub(super) refused: Option<(Millis, Output)>,
    /// Bodies that found no room; they wait in order.
    pub(super) waiting: std::collections::VecDeque<stream::Pending>,
    /// Bodies that the disk refused.
    unstored: Unstored,
    /// When the disk is asked again to store or to release a body.
    retry_at: Option<Millis>,
}

impl Outbox {
    pub(super) fn open(
        store: &Store,
        identity: &Identity,
        boot: BootId,
    ) -> Result<Self, StartError> {
        Ok(Self {
            receipts: Lane::open(store, Kind::Receipts)?,
            windows: Lane::open(store, Kind::Windows)?,
            signing: Signing {
                device: identity.device.clone(),
                boot,
                key: identity.document_key.clone(),
            },
            held_since: BTreeMap::new(),
            held_due: None,
        })
    }

    pub(super) fn states(&self) -> heapless::Vec<StreamState, STREAMS_MAX> {
        [&self.receipts, &self.windows]
            .into_iter()
            .map(Lane::state)
            .collect()
    }

    pub(super) fn next_due(&self) -> Option<Millis> {
        let lanes = [&self.receipts, &self.windows];
        let streams = lanes
            .iter()
            .filter_map(|lane| lane.stream.poll_timeout().map(|t| t.0));
        let disk = lanes
            .iter()
            .flat_map(|lane| [lane.refused.map(|(at, _)| at), lane.retry_at]);
        // On a disk that refuses, the pause comes first.
        let held = self.held_due.filter(|_| self.windows.retry_at.is_none());
        streams.chain(disk.flatten()).chain(held).min()
    }

    pub(super) fn tick(&mut self, now: Millis) {
        for lane in [&mut self.receipts, &mut self.windows] {
            lane.tell(Input::Tick, now);
        }
    }

    pub(super) fn connected(&mut self) {
        for lane in [&mut self.receipts, &mut self.windows] {
            lane.tell(Input::Connected, clock::monotonic());
        }
    }

    pub(super) fn disconnected(&mut self) {
        for lane in [&mut self.receipts, &mut self.windows] {
            lane.tell(Input::Disconnected, clock::monotonic());
        }
    }

    pub(super) fn acknowledged(&mut self, ack: &Ack<'_>) {
        for lane in [&mut self.receipts, &mut self.windows] {
            if lane.stream.acknowledged(ack) == Acked::BeyondSent {
                tracing::error!(
                    stream = %ack.stream,
                    "the fleet has documents that this device never wrote: was its disk restored \
                     or copied? a new stream begins"
                );
            }
        }
    }
}

impl Lane {
    fn open(store: &Store, kind: Kind) -> Result<Self, StartError> {
        Ok(Self::open_as(store, kind, StreamId(state::random()?))?)
    }

    fn open_as(store: &Store, kind: Kind, fresh: StreamId) -> Result<Self, DiskError> {
        let name = match kind {
            Kind::Receipts => "receipts",
            Kind::Windows => "windows",
        };
        let (queue, found) = Queue::open(store, name, fresh)?;
        let meta = queue.meta();
        let seed = u64::from_le_bytes(fresh.0);
        let mut lane = Self {
            kind,
            stream: Stream::new(meta.id, meta.through, found.frozen, seed),
            queue,
            refused: None,
            waiting: std::collections::VecDeque::new(),
            unstored: Unstored::default(),
            retry_at: None,
        };
        for body in found.pending {
            let pending = lane.describe(body)?;
            lane.add(pending, Millis(0));
        }
        Ok(lane)
    }

    fn state(&self) -> StreamState {
        StreamState {
            kind: self.kind,
            id: self.stream.id(),
            first_kept: self.stream.first_kept(),
            next: self.stream.next(),
            predecessor: self.queue.meta().predecessor,
        }
    }

    /// A body for which there is no room waits: room is made by merging or by acknowledgement.
    pub(super) fn add(&mut self, pending: stream::Pending, now: Millis) {
        self.waiting.push_back(pending);
        while let Some(next) = self.waiting.pop_front() {
            if let Err(back) = self.stream.handle(Input::Added(next), now) {
                self.waiting.push_front(back);
                break;
            }
        }
    }

    pub(super) fn tell(&mut self, input: Input, now: Millis) {
        let refused = self.stream.handle(input, now);
        debug_assert!(refused.is_ok(), "invariant: only Added can be refused");
        if let Some(next) = self.waiting.pop_front() {
            self.add_front(next, now);
        }
    }

    /// The document with this number. A number must not stay a hole for ever: what the disk lost
    /// is reported under it.
    fn document(&mut self, sequence: Sequence, signing: &Signing) -> Result<Vec<u8>, DiskError> {
        if let Some(document) = self.queue.document(sequence)? {
            return Ok(document);
        }
        tracing::error!(%sequence, "a numbered document is gone from the disk: reported as a gap");
        self.replace_lost(sequence, signing)?;
        Ok(self.queue.document(sequence)?.unwrap_or_default())
    }

    /// Does what the stream asks of the disk, and tells it.
    fn obey(&mut self, output: Output, signing: &Signing, now: Millis) -> Result<(), DiskError> {
        match output {
            Output::Freeze { body, sequence } => {
                let document = self.freeze(body, sequence, signing)?;
                self.queue.freeze(body, sequence, &document)?;
                self.tell(Input::Frozen(body), now);
            }
            Output::Covered { through } => {
                self.queue.cover(through)?;
                self.tell(Input::CoveredStored, now);
            }
            Output::Quarantine { sequence, reason } => {
                tracing::error!(%sequence, ?reason, "the fleet could not read a document: kept aside");
                self.queue.quarantine(sequence)?;
            }
            Output::Merge { earlier, later } => {
                let merged = self.merge(earlier, later, signing, now)?;
                self.tell(Input::Merged(merged), now);
            }
            Output::Overflow { earlier, later } => {
                tracing::error!("no room for documents: the oldest are reported as a gap");
                let gap = self.give_up(earlier, later, signing)?;
                self.tell(Input::Merged(gap), now);
            }
            Output::Supersede | Output::Send { .. } => {}
        }
        Ok(())
    }

    fn add_front(&mut self, next: stream::Pending, now: Millis) {
        if let Err(back) = self.stream.handle(Input::Added(next), now) {
            self.waiting.push_front(back);
        }
    }
}

impl Supervisor {
    pub(super) fn drain_outbox(&mut self) -> bool {
        let stored = self.store_unstored();
        let receipts = self.drain_lane(|outbox| &mut outbox.receipts);
        let windows = self.drain_lane(|outbox| &mut outbox.windows);
        stored || receipts || windows || self.release_orphans()
    }

    /// What the disk refused before is stored now, if it takes it.
    fn store_unstored(&mut self) -> bool {
        let now = clock::monotonic();
        let mut busy = self.outbox.receipts.store_oldest(now).is_some();
        while let Some(body) = self.outbox.windows.store_oldest(now) {
            self.outbox.remove_checkpoint_of(&self.store, &body);
            busy = true;
        }
        busy
    }

    /// A held window of a bundle that serves no more, or that hardly anybody asks, waits for
    /// nothing: its counts must not be kept from the fleet for ever.
    fn release_orphans(&mut self) -> bool {
        let now = clock::monotonic();
        if self.outbox.windows.retry_at.is_some_and(|at| at > now) {
            return false;
        }
        self.note_held(now);
        let held_ms_max = HELD_WINDOWS_MAX * self.config.window_s * 1000;
        let late = |body| {
            let since = self.outbox.held_since.get(&body);
            since.is_some_and(|since| now.since(*since) >= held_ms_max)
        };
        let held = self.outbox.windows.stream.held();
        let orphans = held
            .filter(|b| late(b.body) || b.class.is_none_or(|class| !self.may_count(&class.bundle)));
        let orphans: Vec<_> = orphans.map(|body| body.body).collect();
        for body in &orphans {
            if let Err(error) = self.outbox.windows.release(*body, now) {
                self.outbox.windows.disk_refused(&error, now);
                return false;
            }
        }
        !orphans.is_empty()
    }

    /// Remembers since when each window is held.
    fn note_held(&mut self, now: Millis) {
        let held: Vec<_> = self.outbox.windows.stream.held().map(|b| b.body).collect();
        let before = std::mem::take(&mut self.outbox.held_since);
        let since = |body| (body, before.get(&body).copied().unwrap_or(now));
        self.outbox.held_since = held.into_iter().map(since).collect();
        let held_ms_max = HELD_WINDOWS_MAX * self.config.window_s * 1000;
        let first = self.outbox.held_since.values().min();
        self.outbox.held_due = first.map(|since| since.plus(held_ms_max));
    }

    /// Whether windows of a bundle may still be closed: it serves, or a task of it has not ended.
    fn may_count(&self, bundle: &Digest) -> bool {
        let tasks = self.serving.values().flatten().map(|task| task.bundle);
        let shadows = self.shadows.values().flatten().map(|task| task.bundle);
        let active = |slot: &muster_device::updater::Slot| slot.release.bundle == *bundle;
        let mut updaters = self.updaters.values();
        tasks.chain(shadows).any(|task| task == *bundle)
            || updaters.any(|updater| updater.state().active.as_ref().is_some_and(active))
    }

    fn drain_lane(&mut self, lane_of: fn(&mut Outbox) -> &mut Lane) -> bool {
        let mut busy = false;
        let now = clock::monotonic();
        loop {
            let lane = lane_of(&mut self.outbox);
            let output = match lane.refused {
                Some((at, _)) if at > now => return busy,
                Some((_, output)) => Some(output),
                None => lane.stream.poll_output(now),
            };
            lane.refused = None;
            let Some(output) = output else { return busy };
            busy = true;
            if let Output::Send { sequence } = output {
                self.send_document(lane_of, sequence);
            } else if let Err(error) = self.obey_stream(lane_of, output) {
                tracing::error!("{error}");
                let lane = lane_of(&mut self.outbox);
                lane.refused = Some((now.plus(DISK_RETRY_MS), output));
            }
        }
    }

    /// Every document that has its number and no acknowledgement, under the name of its file.
    pub(super) fn numbered_documents(&mut self) -> Result<Vec<Numbered>, DiskError> {
        let signing = self.outbox.signing.clone();
        let mut documents = Vec::new();
        for lane in [&mut self.outbox.receipts, &mut self.outbox.windows] {
            let (id, first, next) = (
                lane.stream.id(),
                lane.stream.first_kept(),
                lane.stream.next(),
            );
            for sequence in (first.0..next.0).map(Sequence) {
                let name = stick::document_name(id, sequence);
                let bytes = lane.document(sequence, &signing)?;
                documents.push(Numbered { name, bytes });
            }
        }
        Ok(documents)
    }

    fn send_document(&mut self, lane_of: fn(&mut Outbox) -> &mut Lane, sequence: Sequence) {
        let signing = self.outbox.signing.clone();
        match lane_of(&mut self.outbox).document(sequence, &signing) {
            Ok(document) => self.send(Up::Doc, document),
            Err(error) => tracing::error!("{error}"),
        }
    }

    fn obey_stream(
        &mut self,
        lane_of: fn(&mut Outbox) -> &mut Lane,
        output: Output,
    ) -> Result<(), DiskError> {
        if output == Output::Supersede {
            return self.supersede(lane_of);
        }
        let signing = self.outbox.signing.clone();
        lane_of(&mut self.outbox).obey(output, &signing, clock::monotonic())
    }

    fn supersede(&mut self, lane_of: fn(&mut Outbox) -> &mut Lane) -> Result<(), DiskError> {
        let Ok(fresh) = state::random() else {
            return Ok(());
        };
        let lane = lane_of(&mut self.outbox);
        lane.queue.supersede(StreamId(fresh))?;
        let reopened = Lane::open_as(&self.store, lane.kind, StreamId(fresh))?;
        let before = std::mem::replace(lane_of(&mut self.outbox), reopened);
        let lane = lane_of(&mut self.outbox);
        (lane.unstored, lane.retry_at) = (before.unstored, before.retry_at);
        if self.connected {
            lane_of(&mut self.outbox).tell(Input::Connected, clock::monotonic());
        }
        Ok(())
    }
}

#[cfg(test)]
mod absence;
#[cfg(test)]
mod tests;
