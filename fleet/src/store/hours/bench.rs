//! Windows for the tests of sums by the hour: empty ones, to be filled, and taken by a store.

use ed25519_dalek::SigningKey;
use muster_protocol::cbor::List;
use muster_protocol::cose;
use muster_protocol::id::{BootId, EpochGeneration, Sequence, StreamId};
use muster_protocol::message::Document;
use muster_protocol::time::Millis;

use super::*;
use crate::store::{InMemory, WindowToStore};

pub(in crate::store) const NOW: UnixSeconds = UnixSeconds(1_800_000_000);

pub(in crate::store) fn model() -> ModelId {
    ModelId::parse("bearing").expect("valid")
}

/// A window in which nothing was counted.
pub(in crate::store) fn window<'w>(reference: Option<u8>) -> Window<'w> {
    Window {
        model: model(),
        bundle: Digest([5; 32]),
        since: EpochGeneration::new(1, 1),
        reference: reference.map(|byte| Digest([byte; 32])),
        started: Millis(0),
        ended: Millis(1000),
        unix: None,
        closed_windows: 1,
        calls: 0,
        errors: List::default(),
        latency: List::default(),
        features: List::default(),
        latency_misses: None,
        shadow: None,
        scores: None,
        labels: None,
    }
}

/// Takes a window of a device, which comes now.
pub(in crate::store) fn take(store: &InMemory, device: &str, sequence: u64, window: &Window<'_>) {
    let device = DeviceId::parse(device).expect("valid");
    let (stream, sequence, boot) = (StreamId([2; 8]), Sequence(sequence), BootId([4; 8]));
    let document = Document {
        device: device.clone(),
        stream,
        sequence,
        boot,
        receipt: None,
        window: Some(window.clone()),
        gap: None,
    };
    let document = cose::seal_vec(&document, &SigningKey::from_bytes(&[1; 32]));
    let stored = WindowToStore {
        device: &device,
        stream,
        sequence,
        boot,
        window,
        document: &document,
    };
    Tx::of(store).add_window(&stored, NOW).expect("a store");
}
