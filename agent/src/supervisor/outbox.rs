//! The two streams of outgoing documents: receipts and windows.
//!
//! The machine says when; the queue keeps the bytes; here they are joined. A document is signed
//! once, with its number, and never again.

mod documents;

use super::Supervisor;
use super::state::{self, StartError};
use crate::clock;
use crate::enroll::Identity;
use crate::store::Store;
use crate::store::atomic::DiskError;
use crate::store::queue::Queue;
use muster_device::stream::{self, Acked, Input, Output, Stream};
use muster_protocol::id::{BootId, DeviceId, Sequence, StreamId};
use muster_protocol::limits::STREAMS_MAX;
use muster_protocol::message::{Ack, Kind, StreamState, Window};
use muster_protocol::time::Millis;
use muster_protocol::topic::Up;

/// Bodies without a number that one stream keeps; beyond it windows merge.
pub(super) const ROOM: usize = 256;
/// Pause before the disk is asked again.
const DISK_RETRY_MS: u64 = 5_000;

/// Both streams.
#[derive(Debug)]
pub(super) struct Outbox {
    pub(super) receipts: Lane,
    pub(super) windows: Lane,
    pub(super) device: DeviceId,
    pub(super) signer: ed25519_dalek::SigningKey,
    pub(super) boot: BootId,
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
            device: identity.device.clone(),
            signer: identity.document_key.clone(),
            boot,
        })
    }

    pub(super) fn states(&self) -> heapless::Vec<StreamState, STREAMS_MAX> {
        [&self.receipts, &self.windows]
            .into_iter()
            .map(Lane::state)
            .collect()
    }

    /// Whether a stored body or document holds the window that `open` became.
    pub(super) fn has_window_of(&self, open: &Window<'_>) -> bool {
        self.windows
            .queue
            .bodies()
            .iter()
            .any(|bytes| documents::holds(bytes, open))
    }

    pub(super) fn next_due(&self) -> Option<Millis> {
        let lanes = [&self.receipts, &self.windows];
        let streams = lanes
            .iter()
            .filter_map(|lane| lane.stream.poll_timeout().map(|t| t.0));
        streams
            .chain(
                lanes
                    .iter()
                    .filter_map(|lane| lane.refused.map(|(at, _)| at)),
            )
            .min()
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

    fn add_front(&mut self, next: stream::Pending, now: Millis) {
        if let Err(back) = self.stream.handle(Input::Added(next), now) {
            self.waiting.push_front(back);
        }
    }
}

impl Supervisor {
    pub(super) fn drain_outbox(&mut self) -> bool {
        let receipts = self.drain_lane(|outbox| &mut outbox.receipts);
        let windows = self.drain_lane(|outbox| &mut outbox.windows);
        receipts || windows
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

    fn send_document(&mut self, lane_of: fn(&mut Outbox) -> &mut Lane, sequence: Sequence) {
        match lane_of(&mut self.outbox).queue.document(sequence) {
            Ok(Some(document)) => self.send(Up::Doc, document),
            Ok(None) => self.replace_lost(lane_of, sequence),
            Err(error) => tracing::error!("{error}"),
        }
    }

    /// A number must not stay a hole for ever: what the disk lost is reported under it.
    fn replace_lost(&mut self, lane_of: fn(&mut Outbox) -> &mut Lane, sequence: Sequence) {
        tracing::error!(%sequence, "a numbered document is gone from the disk: reported as a gap");
        let signer = self.outbox.signer.clone();
        let (device, boot) = (self.outbox.device.clone(), self.outbox.boot);
        let lane = lane_of(&mut self.outbox);
        if let Err(error) = lane.replace_lost(sequence, &device, boot, &signer) {
            tracing::error!("{error}");
        }
    }

    fn obey_stream(
        &mut self,
        lane_of: fn(&mut Outbox) -> &mut Lane,
        output: Output,
    ) -> Result<(), DiskError> {
        let now = clock::monotonic();
        let signer = self.outbox.signer.clone();
        let (device, boot) = (self.outbox.device.clone(), self.outbox.boot);
        let lane = lane_of(&mut self.outbox);
        match output {
            Output::Freeze { body, sequence } => {
                let document = lane.freeze(body, sequence, &device, boot, &signer)?;
                lane.queue.freeze(body, sequence, &document)?;
                lane.tell(Input::Frozen(body), now);
            }
            Output::Covered { through } => {
                lane.queue.cover(through)?;
                lane.tell(Input::CoveredStored, now);
            }
            Output::Quarantine { sequence, reason } => {
                tracing::error!(%sequence, ?reason, "the fleet could not read a document: kept aside");
                lane.queue.quarantine(sequence)?;
            }
            Output::Merge { earlier, later } => {
                let merged = lane.merge(earlier, later)?;
                lane.tell(Input::Merged(merged), now);
            }
            Output::Overflow { body } => {
                let gap = lane.replace_by_gap(body)?;
                lane.tell(Input::Merged(gap), now);
            }
            Output::Supersede => self.supersede(lane_of)?,
            Output::Send { .. } => {}
        }
        Ok(())
    }

    fn supersede(&mut self, lane_of: fn(&mut Outbox) -> &mut Lane) -> Result<(), DiskError> {
        let Ok(fresh) = state::random() else {
            return Ok(());
        };
        let lane = lane_of(&mut self.outbox);
        lane.queue.supersede(StreamId(fresh))?;
        let reopened = Lane::open_as(&self.store, lane.kind, StreamId(fresh))?;
        *lane_of(&mut self.outbox) = reopened;
        if self.connected {
            lane_of(&mut self.outbox).tell(Input::Connected, clock::monotonic());
        }
        Ok(())
    }
}
