//! Bodies of documents: written without a number, numbered and signed when frozen, merged while
//! they have none.
//!
//! A body is an encoded document with an empty stream and number zero.

use super::Lane;
use crate::clock;
use crate::serving::Closed;
use crate::store::atomic::DiskError;
use crate::supervisor::Supervisor;
use ed25519_dalek::SigningKey;
use muster_device::stream::{Handle, MergeClass, Pending, Readiness};
use muster_device::updater::{Release, Verdict};
use muster_protocol::cbor;
use muster_protocol::cose;
use muster_protocol::id::{
    BootId, DeviceId, EpochGeneration, ModelId, Sequence, StreamId, Version,
};
use muster_protocol::message::window::{Merged, Window};
use muster_protocol::message::{Body, Document, Gap, GapReason, Measured, Receipt, Step};

/// The stream of a body that has no number yet.
const NO_STREAM: StreamId = StreamId([0; 8]);

impl Supervisor {
    /// Puts a receipt into its stream.
    pub(in crate::supervisor) fn report(
        &mut self,
        model: &ModelId,
        step: Step,
        release: Option<&Release>,
        verdict: Option<&Verdict>,
        measured: Measured,
    ) {
        let state = self
            .updaters
            .get(model)
            .map(|updater| updater.state().clone());
        let entry = state.and_then(|state| state.entry);
        let version = release.map(|release| release.version.clone());
        let version = version.or_else(|| entry.as_ref().map(|entry| entry.version.clone()));
        let since = release
            .map(|r| r.since)
            .or_else(|| entry.as_ref().map(|e| e.since));
        let now = clock::monotonic();
        let receipt = Receipt {
            model: model.clone(),
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
        };
        let because = verdict.map_or("", |verdict| verdict.detail.as_str());
        tracing::info!(%model, version = %receipt.version, ?step, because, "step");
        let body = self.body(Content::Receipt(receipt));
        if let Err(error) = self.outbox.receipts.put(&body) {
            tracing::error!("{error}");
        }
    }

    /// Puts a closed window into its stream.
    pub(in crate::supervisor) fn put_window(&mut self, closed: &Closed) -> Result<(), DiskError> {
        let Ok(mut window) = cbor::decode::<Window<'_>>(&closed.window) else {
            return Ok(());
        };
        window.unix = self.time().unix(clock::monotonic());
        let body = self.body(Content::Window(window));
        self.outbox.windows.put(&body)
    }

    /// Reports that counts of a model are lost.
    pub(in crate::supervisor) fn put_gap(&mut self, gap: Gap) {
        let body = self.body(Content::Gap(gap));
        if let Err(error) = self.outbox.windows.put(&body) {
            tracing::error!("{error}");
        }
    }

    fn body(&self, content: Content<'_>) -> Vec<u8> {
        encode(
            content,
            &self.outbox.device,
            self.outbox.boot,
            NO_STREAM,
            Sequence(0),
        )
    }
}

/// What a document carries.
enum Content<'b> {
    Receipt(Receipt<'b>),
    Window(Window<'b>),
    Gap(Gap),
}

fn encode(
    content: Content<'_>,
    device: &DeviceId,
    boot: BootId,
    stream: StreamId,
    sequence: Sequence,
) -> Vec<u8> {
    let (mut receipt, mut window, mut gap) = (None, None, None);
    match content {
        Content::Receipt(content) => receipt = Some(content),
        Content::Window(content) => window = Some(content),
        Content::Gap(content) => gap = Some(content),
    }
    let device = device.clone();
    cbor::to_vec(&Document {
        device,
        stream,
        sequence,
        boot,
        receipt,
        window,
        gap,
    })
}

impl Lane {
    /// Stores a body, then hands it to the stream.
    pub(super) fn put(&mut self, body: &[u8]) -> Result<(), DiskError> {
        let handle = self.queue.add(body)?;
        let pending = describe(handle, body);
        self.add(pending, clock::monotonic());
        Ok(())
    }

    /// What the stream must know of a body on disk; a damaged one becomes a gap.
    pub(super) fn describe(&mut self, body: Handle) -> Result<Pending, DiskError> {
        let bytes = self.queue.body(body)?;
        let readable = bytes.filter(|bytes| cbor::decode::<Document<'_>>(bytes).is_ok());
        match readable {
            Some(bytes) => Ok(describe(body, &bytes)),
            None => self.write_gap(body, GapReason::Damaged, None),
        }
    }

    /// The signed bytes of a body under its number.
    pub(super) fn freeze(
        &self,
        body: Handle,
        sequence: Sequence,
        device: &DeviceId,
        boot: BootId,
        signer: &SigningKey,
    ) -> Result<Vec<u8>, DiskError> {
        let (stream, bytes) = (self.stream.id(), self.queue.body(body)?.unwrap_or_default());
        let document = match cbor::decode::<Document<'_>>(&bytes) {
            Ok(document) => Document {
                device: device.clone(),
                stream,
                sequence,
                ..document
            },
            Err(_) => lost(device, boot, stream, sequence),
        };
        Ok(cose::seal_vec(&document, signer))
    }

    /// Signs a gap under the number of a document that the disk lost.
    pub(super) fn replace_lost(
        &self,
        sequence: Sequence,
        device: &DeviceId,
        boot: BootId,
        signer: &SigningKey,
    ) -> Result<(), DiskError> {
        let document = lost(device, boot, self.stream.id(), sequence);
        self.queue
            .replace_document(sequence, &cose::seal_vec(&document, signer))
    }

    /// Two adjacent windows become one, under the name of the later.
    pub(super) fn merge(&mut self, earlier: Handle, later: Handle) -> Result<Pending, DiskError> {
        let first = self.queue.body(earlier)?.unwrap_or_default();
        let second = self.queue.body(later)?.unwrap_or_default();
        let Some(merged) = merge(&first, &second) else {
            // One of them is damaged: what is left of the pair is the other.
            let kept = if cbor::decode::<Document<'_>>(&second).is_ok() {
                second
            } else {
                first
            };
            self.queue.replace(later, &kept, Some(earlier))?;
            return Ok(describe(later, &kept));
        };
        self.queue.replace(later, &merged, Some(earlier))?;
        Ok(describe(later, &merged))
    }

    /// There is no room and nothing merges: counts of the oldest body are given up, and said so.
    pub(super) fn replace_by_gap(&mut self, body: Handle) -> Result<Pending, DiskError> {
        let bytes = self.queue.body(body)?.unwrap_or_default();
        let document = cbor::decode::<Document<'_>>(&bytes).ok();
        let window = document.and_then(|document| document.window);
        self.write_gap(body, GapReason::StoreFull, window.as_ref())
    }

    fn write_gap(
        &mut self,
        body: Handle,
        reason: GapReason,
        window: Option<&Window<'_>>,
    ) -> Result<Pending, DiskError> {
        let gap = Gap {
            model: window.map(|window| window.model.clone()),
            reason,
            closed_windows: window.map_or(0, |window| window.closed_windows),
            calls: window.map_or(0, |window| window.calls),
        };
        let device = DeviceId::parse("unknown").expect("invariant: a valid id");
        let bytes = encode(
            Content::Gap(gap),
            &device,
            BootId([0; 8]),
            NO_STREAM,
            Sequence(0),
        );
        self.queue.replace(body, &bytes, None)?;
        Ok(describe(body, &bytes))
    }
}

/// Whether a body or a signed document is the window that `open` became.
pub(super) fn holds(bytes: &[u8], open: &Window<'_>) -> bool {
    let body = cbor::decode::<Document<'_>>(bytes).ok();
    let document = body.or_else(|| cose::peek::<Document<'_>>(bytes).ok());
    let window = document.and_then(|document| document.window);
    window.is_some_and(|window| {
        let name = |w: &Window<'_>| (w.model.clone(), w.bundle, w.since, w.started);
        name(&window) == name(open) && window.calls >= open.calls
    })
}

fn describe(body: Handle, bytes: &[u8]) -> Pending {
    let document = cbor::decode::<Document<'_>>(bytes).ok();
    match document.and_then(Document::body) {
        Some(Body::Window(window)) => Pending {
            body,
            class: Some(MergeClass {
                bundle: window.bundle,
                since: window.since,
                reference: window.reference,
            }),
            readiness: Readiness::of_samples(window.calls),
            closed_windows: window.closed_windows,
        },
        Some(Body::Receipt(_) | Body::Gap(_)) | None => Pending {
            body,
            class: None,
            readiness: Readiness::Ready,
            closed_windows: 0,
        },
    }
}

fn merge(earlier: &[u8], later: &[u8]) -> Option<Vec<u8>> {
    let first = cbor::decode::<Document<'_>>(earlier).ok()?.window?;
    let document = cbor::decode::<Document<'_>>(later).ok()?;
    let second = document.window.as_ref()?;
    let window = cbor::to_vec(&Merged::of(&first, second).ok()?);
    let window = cbor::decode::<Window<'_>>(&window).ok()?;
    Some(cbor::to_vec(&Document {
        window: Some(window),
        ..document.clone()
    }))
}

fn lost(
    device: &DeviceId,
    boot: BootId,
    stream: StreamId,
    sequence: Sequence,
) -> Document<'static> {
    let gap = Gap {
        model: None,
        reason: GapReason::Damaged,
        closed_windows: 0,
        calls: 0,
    };
    Document {
        device: device.clone(),
        stream,
        sequence,
        boot,
        receipt: None,
        window: None,
        gap: Some(gap),
    }
}

fn no_version() -> Version {
    Version::parse("0.0.0").expect("invariant: a valid version")
}
