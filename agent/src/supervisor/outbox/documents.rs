//! Receipts, windows and gaps on their way: stored without a number, numbered and signed when
//! frozen, merged while they have none.
//!
//! Never loses a body that the disk refuses: it waits in memory.

use super::bodies::{self, Content, Signing};
use super::{DISK_RETRY_MS, Lane, Outbox};
use crate::clock;
use crate::seat::Seat;
use crate::serving::Closed;
use crate::store::atomic::DiskError;
use crate::supervisor::Supervisor;
use muster_device::stream::{Handle, Input, Pending};
use muster_device::updater::{Release, Verdict};
use muster_protocol::cbor;
use muster_protocol::id::{EpochGeneration, Sequence, Version};
use muster_protocol::message::window::Window;
use muster_protocol::message::{Measured, Receipt, Role, Step};
use muster_protocol::time::Millis;

/// Where a body is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kept {
    /// Durable.
    OnDisk,
    /// The disk refused it: it is tried again.
    InMemory,
}

impl Supervisor {
    /// Puts a receipt into its stream.
    pub(in crate::supervisor) fn report(
        &mut self,
        seat: &Seat,
        step: Step,
        release: Option<&Release>,
        verdict: Option<&Verdict>,
        measured: Measured,
    ) {
        let state = self
            .updaters
            .get(seat)
            .map(|updater| updater.state().clone());
        let entry = state.and_then(|state| state.entry);
        let version = release.map(|release| release.version.clone());
        let version = version.or_else(|| entry.as_ref().map(|entry| entry.version.clone()));
        let since = release
            .map(|r| r.since)
            .or_else(|| entry.as_ref().map(|e| e.since));
        let now = clock::monotonic();
        let receipt = Receipt {
            model: seat.model.clone(),
            version: version.unwrap_or_else(no_version),
            bundle: release.map(|release| release.bundle),
            since: since.unwrap_or_default(),
            accepted: self
                .state
                .accepted
                .map_or(EpochGeneration::default(), |a| a.at),
            step,
            reason: verdict.map(|verdict| verdict.reason),
            detail: verdict.map(|verdict| verdict.detail.as_str()),
            at: now,
            unix: self.time().unix(now),
            measured,
            role: seat.is_shadow().then_some(Role::Shadow),
        };
        let because = verdict.map_or("", |verdict| verdict.detail.as_str());
        tracing::info!(model = %seat, version = %receipt.version, ?step, because, "step");
        let body = self.outbox.body(Content::Receipt(receipt));
        self.outbox.put_receipt(body);
    }

    /// Puts a closed window into its stream.
    pub(in crate::supervisor) fn put_window(&mut self, closed: &Closed) {
        let Ok(mut window) = cbor::decode::<Window<'_>>(&closed.window) else {
            return;
        };
        window.unix = self.time().unix(clock::monotonic());
        let body = self.outbox.body(Content::Window(window));
        // After the window is durable: cut in between, the queue tells that it was counted.
        if self.outbox.put_window(body.clone()) == Kept::OnDisk {
            self.outbox.remove_checkpoint_of(&self.store, &body);
        }
    }
}

impl Outbox {
    pub(super) fn put_window(&mut self, body: Vec<u8>) -> Kept {
        self.windows.put(body, &self.signing, clock::monotonic())
    }

    pub(super) fn body(&self, content: Content<'_>) -> Vec<u8> {
        bodies::encode(content, &self.signing.device, self.signing.boot)
    }

    fn put_receipt(&mut self, body: Vec<u8>) -> Kept {
        self.receipts.put(body, &self.signing, clock::monotonic())
    }
}

impl Lane {
    /// Stores a body and hands it to the stream; one that the disk refuses waits in memory, and
    /// those that come after it too.
    pub(super) fn put(&mut self, body: Vec<u8>, signing: &Signing, now: Millis) -> Kept {
        if self.unstored.is_empty() {
            match self.store(&body, now) {
                Ok(()) => return Kept::OnDisk,
                Err(error) => self.disk_refused(&error, now),
            }
        }
        self.unstored.push(body, signing);
        Kept::InMemory
    }

    /// Stores the oldest body that waits in memory, if it is time, and gives it.
    pub(super) fn store_oldest(&mut self, now: Millis) -> Option<Vec<u8>> {
        if self.retry_at.is_some_and(|at| at > now) {
            return None;
        }
        self.retry_at = None;
        let body = self.unstored.oldest()?.to_vec();
        match self.store(&body, now) {
            Ok(()) => self.unstored.remove_oldest(),
            Err(error) => {
                self.disk_refused(&error, now);
                None
            }
        }
    }

    fn store(&mut self, body: &[u8], now: Millis) -> Result<(), DiskError> {
        let handle = self.queue.add(body)?;
        self.add(bodies::describe(handle, body), now);
        Ok(())
    }

    pub(super) fn disk_refused(&mut self, error: &DiskError, now: Millis) {
        tracing::error!("{error}");
        self.retry_at = Some(now.plus(DISK_RETRY_MS));
    }

    /// What the stream must know of a body on disk; a damaged one is sent as a gap.
    pub(super) fn describe(&mut self, body: Handle) -> Result<Pending, DiskError> {
        let bytes = match self.queue.body(body) {
            Ok(bytes) => bytes.unwrap_or_default(),
            Err(error) => {
                tracing::error!("{error}");
                // A place that cannot be read must not stop the stream again and again.
                self.queue.replace(body, &[], None)?;
                Vec::new()
            }
        };
        Ok(bodies::describe(body, &bytes))
    }

    /// The signed bytes of a body under its number.
    pub(super) fn freeze(
        &self,
        body: Handle,
        sequence: Sequence,
        signing: &Signing,
    ) -> Result<Vec<u8>, DiskError> {
        let bytes = self.queue.body(body)?.unwrap_or_default();
        Ok(bodies::sign(&bytes, self.stream.id(), sequence, signing))
    }

    /// Signs a gap under a number whose document the disk lost, and stores it.
    pub(super) fn replace_lost(
        &mut self,
        sequence: Sequence,
        signing: &Signing,
    ) -> Result<(), DiskError> {
        let gap = bodies::damaged(signing);
        let document = bodies::sign(&gap, self.stream.id(), sequence, signing);
        self.queue.replace_document(sequence, &document)
    }

    /// Two windows of one class become one, under the name of the later. Of a pair that does not
    /// merge what can be read is kept, and the rest reported.
    pub(super) fn merge(
        &mut self,
        earlier: Handle,
        later: Handle,
        signing: &Signing,
        now: Millis,
    ) -> Result<Pending, DiskError> {
        let mut damaged = false;
        let merged = self.join(earlier, later, |first, second| {
            bodies::merge(first, second).unwrap_or_else(|| {
                let readable = |b: &&[u8]| bodies::describe(later, b).class.is_some();
                let mut kept = [first, second].into_iter().filter(readable);
                match (kept.next(), kept.next()) {
                    (Some(kept), None) => {
                        damaged = true;
                        kept.to_vec()
                    }
                    _ => bodies::give_up(first, second, signing),
                }
            })
        })?;
        if damaged {
            self.put(bodies::damaged(signing), signing, now);
        }
        Ok(merged)
    }

    /// There is no room and nothing merges: counts of both are given up, and said so.
    pub(super) fn give_up(
        &mut self,
        earlier: Handle,
        later: Handle,
        signing: &Signing,
    ) -> Result<Pending, DiskError> {
        self.join(earlier, later, |first, second| {
            bodies::give_up(first, second, signing)
        })
    }

    fn join(
        &mut self,
        earlier: Handle,
        later: Handle,
        one_of: impl FnOnce(&[u8], &[u8]) -> Vec<u8>,
    ) -> Result<Pending, DiskError> {
        let first = self.queue.body(earlier)?.unwrap_or_default();
        let second = self.queue.body(later)?.unwrap_or_default();
        let one = one_of(&first, &second);
        self.queue.replace(later, &one, Some(earlier))?;
        Ok(bodies::describe(later, &one))
    }

    /// Stores a held window so that it may be sent alone: no later one will come to merge with.
    pub(super) fn release(&mut self, body: Handle, now: Millis) -> Result<(), DiskError> {
        let bytes = self.queue.body(body)?.unwrap_or_default();
        let alone = bodies::without_features(&bytes).unwrap_or_default();
        self.queue.replace(body, &alone, None)?;
        self.tell(Input::Released(bodies::describe(body, &alone)), now);
        Ok(())
    }
}

fn no_version() -> Version {
    Version::parse("0.0.0").expect("invariant: a valid version")
}
