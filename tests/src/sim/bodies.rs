//! Bodies of documents as bytes, as the agent makes them: described, merged, given up, signed.
//!
//! Every one is a document of `muster-protocol`. Never touches a disk.

use super::lane::{Body, Counts};
use super::seal::Signatures;
use ed25519_dalek::SigningKey;
use muster_device::stream::{Handle, MergeClass, Pending, Readiness};
use muster_protocol::cbor::{self, List};
use muster_protocol::id::{BootId, DeviceId, Sequence, StreamId};
use muster_protocol::message::document::{Body as Content, Document, Gap, GapReason};
use muster_protocol::message::window::{Merged, Window};

/// A body of this content.
pub(super) fn encode(content: Content<'_>, device: &DeviceId, boot: BootId) -> Body {
    let counts = counts_of(Some(&content));
    let mut document = Document {
        device: device.clone(),
        stream: StreamId([0; 8]),
        sequence: Sequence(0),
        boot,
        receipt: None,
        window: None,
        gap: None,
    };
    match content {
        Content::Receipt(receipt) => document.receipt = Some(receipt),
        Content::Window(window) => document.window = Some(window),
        Content::Gap(gap) => document.gap = Some(gap),
    }
    Body {
        bytes: cbor::to_vec(&document),
        counts,
    }
}

/// What a document counts.
pub(super) fn counts_of(content: Option<&Content<'_>>) -> Counts {
    match content {
        Some(Content::Window(window)) => Counts {
            windows: window.closed_windows.into(),
            calls: window.calls,
        },
        Some(Content::Gap(gap)) => Counts {
            windows: gap.closed_windows.into(),
            calls: gap.calls,
        },
        Some(Content::Receipt(_)) | None => Counts::default(),
    }
}

/// What a stream must know of a body.
pub(super) fn describe(handle: Handle, body: &Body) -> Pending {
    let document = cbor::decode::<Document<'_>>(&body.bytes).ok();
    let (class, readiness, closed_windows) = match document.and_then(Document::body) {
        Some(Content::Window(window)) => {
            let class = MergeClass {
                bundle: window.bundle,
                since: window.since,
                reference: window.reference,
                latency_objective_us: window.latency_misses.map(|misses| misses.objective_us),
                beside: window.shadow.as_ref().map(|shadow| shadow.beside),
            };
            (Some(class), readiness_of(&window), window.closed_windows)
        }
        Some(Content::Gap(gap)) => (None, Readiness::Ready, gap.closed_windows),
        Some(Content::Receipt(_)) | None => (None, Readiness::Ready, 0),
    };
    Pending {
        body: handle,
        class,
        readiness,
        closed_windows,
    }
}

fn readiness_of(window: &Window<'_>) -> Readiness {
    if window.features.is_empty() && window.scores.is_none() {
        Readiness::Ready
    } else {
        Readiness::of_samples(window.calls)
    }
}

/// Two windows as one; of what does not merge, a gap that sums both.
pub(super) fn merge(earlier: &Body, later: &Body, device: &DeviceId, boot: BootId) -> Body {
    merge_windows(earlier, later).unwrap_or_else(|| give_up(earlier, later, device, boot))
}

fn merge_windows(earlier: &Body, later: &Body) -> Option<Body> {
    let before = cbor::decode::<Document<'_>>(&earlier.bytes).ok()?;
    let document = cbor::decode::<Document<'_>>(&later.bytes).ok()?;
    let (first, second) = (before.window.as_ref()?, document.window.as_ref()?);
    let mut merged = Merged::of(first, second).ok()?;
    if before.boot != document.boot {
        merged = merged.across_boots();
    }
    let window = cbor::to_vec(&merged);
    let window = cbor::decode::<Window<'_>>(&window).ok()?;
    Some(encode(
        Content::Window(window),
        &document.device,
        document.boot,
    ))
}

/// Two bodies for which there is no room, as one gap that sums what they counted.
pub(super) fn give_up(earlier: &Body, later: &Body, device: &DeviceId, boot: BootId) -> Body {
    let sum = earlier.counts + later.counts;
    let gap = Gap {
        model: None,
        reason: GapReason::StoreFull,
        closed_windows: u32::try_from(sum.windows).unwrap_or(u32::MAX),
        calls: sum.calls,
    };
    encode(Content::Gap(gap), device, boot)
}

/// A window without what could show single values, so that it may be sent alone.
pub(super) fn without_features(body: &Body) -> Body {
    let document = cbor::decode::<Document<'_>>(&body.bytes).ok();
    let Some((window, device, boot)) = document.and_then(|d| Some((d.window?, d.device, d.boot)))
    else {
        return body.clone();
    };
    let window = Window {
        reference: None,
        features: List::default(),
        scores: None,
        ..window
    };
    encode(Content::Window(window), &device, boot)
}

/// The signed bytes of a body under its number.
pub(super) fn sign(
    body: &Body,
    stream: StreamId,
    sequence: Sequence,
    (key, signatures): (&SigningKey, Signatures),
) -> Vec<u8> {
    let document = cbor::decode::<Document<'_>>(&body.bytes);
    let document = document.expect("invariant: the disk gives back what was written");
    signatures.seal(
        &Document {
            stream,
            sequence,
            ..document
        },
        key,
    )
}
