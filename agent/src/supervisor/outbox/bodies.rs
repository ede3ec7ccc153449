//! Bodies of documents as bytes: written, described to the stream, merged, given up.
//!
//! A body is an encoded document with an empty stream and number zero. Never touches the disk.

use ed25519_dalek::SigningKey;
use muster_device::stream::{Handle, MergeClass, Pending, Readiness};
use muster_protocol::cbor::{self, List};
use muster_protocol::cose;
use muster_protocol::id::{BootId, DeviceId, ModelId, Sequence, StreamId};
use muster_protocol::message::window::{Merged, Window};
use muster_protocol::message::{Body, Document, Gap, GapReason, Receipt, Shadow};

/// The stream of a body that has no number yet.
const NO_STREAM: StreamId = StreamId([0; 8]);

/// What a document carries.
#[expect(clippy::large_enum_variant, reason = "few, and moved once")]
pub(super) enum Content<'b> {
    Receipt(Receipt<'b>),
    Window(Window<'b>),
    Gap(Gap),
}

/// Who signs, in which boot.
#[derive(Debug, Clone)]
pub(super) struct Signing {
    pub(super) device: DeviceId,
    pub(super) boot: BootId,
    pub(super) key: SigningKey,
}

/// A body of `content`.
pub(super) fn encode(content: Content<'_>, device: &DeviceId, boot: BootId) -> Vec<u8> {
    let (mut receipt, mut window, mut gap) = (None, None, None);
    match content {
        Content::Receipt(content) => receipt = Some(content),
        Content::Window(content) => window = Some(content),
        Content::Gap(content) => gap = Some(content),
    }
    cbor::to_vec(&Document {
        device: device.clone(),
        stream: NO_STREAM,
        sequence: Sequence(0),
        boot,
        receipt,
        window,
        gap,
    })
}

/// The signed bytes of a body under its number; of a damaged one, those of a gap.
pub(super) fn sign(
    body: &[u8],
    stream: StreamId,
    sequence: Sequence,
    signing: &Signing,
) -> Vec<u8> {
    let Ok(document) = cbor::decode::<Document<'_>>(body) else {
        return sign(&damaged(signing), stream, sequence, signing);
    };
    let device = signing.device.clone();
    let document = Document {
        device,
        stream,
        sequence,
        ..document
    };
    cose::seal_vec(&document, &signing.key)
}

/// What is said in place of a body that cannot be read.
pub(super) fn damaged(signing: &Signing) -> Vec<u8> {
    let gap = Gap {
        model: None,
        reason: GapReason::Damaged,
        closed_windows: 0,
        calls: 0,
    };
    encode(Content::Gap(gap), &signing.device, signing.boot)
}

/// What the stream must know of a body; a damaged one is sent as a gap.
pub(super) fn describe(body: Handle, bytes: &[u8]) -> Pending {
    let document = cbor::decode::<Document<'_>>(bytes).ok();
    let (class, readiness, closed_windows) = match document.and_then(Document::body) {
        Some(Body::Window(window)) => (
            Some(class_of(&window)),
            readiness_of(&window),
            window.closed_windows,
        ),
        Some(Body::Gap(gap)) => (None, Readiness::Ready, gap.closed_windows),
        Some(Body::Receipt(_)) | None => (None, Readiness::Ready, 0),
    };
    Pending {
        body,
        class,
        readiness,
        closed_windows,
    }
}

fn class_of(window: &Window<'_>) -> MergeClass {
    MergeClass {
        bundle: window.bundle,
        since: window.since,
        reference: window.reference,
        latency_objective_us: window.latency_misses.map(|misses| misses.objective_us),
        beside: window.shadow.as_ref().map(|shadow| shadow.beside),
    }
}

/// Only counts of features, of scores and of pairs of answers can show single values; labels have
/// a minimum of their own.
fn readiness_of(window: &Window<'_>) -> Readiness {
    let pairs = |shadow: &Shadow<'_>| shadow.agreement.len() + shadow.differences.len();
    let pairs = window.shadow.as_ref().map_or(0, pairs);
    if window.features.is_empty() && window.scores.is_none() && pairs == 0 {
        Readiness::Ready
    } else {
        Readiness::of_samples(window.calls)
    }
}

/// Two windows as one, of the boot of the later; `None` when they are not two windows of one
/// kind.
pub(super) fn merge(earlier: &[u8], later: &[u8]) -> Option<Vec<u8>> {
    let before = cbor::decode::<Document<'_>>(earlier).ok()?;
    let document = cbor::decode::<Document<'_>>(later).ok()?;
    let (first, second) = (before.window.as_ref()?, document.window.as_ref()?);
    let mut merged = Merged::of(first, second).ok()?;
    if before.boot != document.boot {
        merged = merged.across_boots();
    }
    let window = cbor::to_vec(&merged);
    let window = cbor::decode::<Window<'_>>(&window).ok()?;
    Some(cbor::to_vec(&Document {
        window: Some(window),
        ..document.clone()
    }))
}

/// Two bodies for which there is no room, as one gap that sums what they counted.
pub(super) fn give_up(earlier: &[u8], later: &[u8], signing: &Signing) -> Vec<u8> {
    let (first, second) = (loss_of(earlier), loss_of(later));
    let same = first.model == second.model;
    let gap = Gap {
        model: first.model.filter(|_| same),
        reason: GapReason::StoreFull,
        closed_windows: first.closed_windows.saturating_add(second.closed_windows),
        calls: first.calls.saturating_add(second.calls),
    };
    encode(Content::Gap(gap), &signing.device, signing.boot)
}

/// What is lost with a body: of a receipt no counts, of a damaged body as many as are known.
fn loss_of(body: &[u8]) -> Gap {
    let document = cbor::decode::<Document<'_>>(body).ok();
    let of = |model: Option<ModelId>, closed_windows, calls| Gap {
        model,
        reason: GapReason::StoreFull,
        closed_windows,
        calls,
    };
    match document.and_then(Document::body) {
        Some(Body::Window(window)) => of(Some(window.model), window.closed_windows, window.calls),
        Some(Body::Receipt(receipt)) => of(Some(receipt.model), 0, 0),
        Some(Body::Gap(gap)) => gap,
        None => of(None, 0, 0),
    }
}

/// The window without what could show single values, so that it may be sent alone.
pub(super) fn without_features(body: &[u8]) -> Option<Vec<u8>> {
    let document = cbor::decode::<Document<'_>>(body).ok()?;
    let window = document.window.clone()?;
    let shadow = window.shadow.map(|shadow| Shadow {
        agreement: List::default(),
        differences: List::default(),
        ..shadow
    });
    let window = Window {
        reference: None,
        features: List::default(),
        shadow,
        scores: None,
        ..window
    };
    Some(cbor::to_vec(&Document {
        window: Some(window),
        ..document
    }))
}

/// Whether a body or a signed document holds the window of the body `open`, as it stands there
/// or grown, alone or merged with others.
pub(super) fn holds(bytes: &[u8], open: &[u8]) -> bool {
    let body = cbor::decode::<Document<'_>>(bytes).ok();
    let document = body.or_else(|| cose::peek::<Document<'_>>(bytes).ok());
    let named = |document: Option<Document<'_>>| {
        let (boot, window) = document.and_then(|d| Some((d.boot, d.window?)))?;
        let name = (boot, window.model, window.bundle, window.since);
        Some((name, window.started, window.ended))
    };
    let open = named(cbor::decode::<Document<'_>>(open).ok());
    named(document).zip(open).is_some_and(|(closed, open)| {
        closed.0 == open.0 && closed.1 <= open.1 && open.2 <= closed.2
    })
}

#[cfg(test)]
pub(super) mod tests;
