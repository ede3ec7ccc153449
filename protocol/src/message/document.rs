//! What travels on `up/doc`: one numbered document of a stream, signed by the device.
//!
//! The number is part of the signed bytes; a document is never encoded twice.

use super::{Receipt, Window};
use crate::cose;
use crate::id::{BootId, DeviceId, ModelId, Sequence, StreamId};
use crate::limits::DOCUMENT_BYTES_MAX;
use minicbor::{Decode, Encode};

/// A numbered document: key is (device, stream, sequence).
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Document<'b> {
    /// Whose stream.
    #[n(0)]
    pub device: DeviceId,
    /// Which stream.
    #[n(1)]
    pub stream: StreamId,
    /// Its number there.
    #[n(2)]
    pub sequence: Sequence,
    /// The boot whose monotonic clock stamped it.
    #[n(3)]
    pub boot: BootId,
    /// One of three.
    #[b(4)]
    pub receipt: Option<Receipt<'b>>,
    /// One of three.
    #[b(5)]
    pub window: Option<Window<'b>>,
    /// One of three.
    #[n(6)]
    pub gap: Option<Gap>,
}

/// The one body of a document.
#[expect(
    clippy::large_enum_variant,
    reason = "without a heap there is nowhere else to put a window"
)]
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Body<'b> {
    /// What the device did.
    Receipt(Receipt<'b>),
    /// What a model did.
    Window(Window<'b>),
    /// What was lost.
    Gap(Gap),
}

/// What is known to be lost, under a number of its own.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Gap {
    /// The model, when it is known.
    #[n(0)]
    pub model: Option<ModelId>,
    /// Why.
    #[n(1)]
    pub reason: GapReason,
    /// Closed windows lost.
    #[n(2)]
    pub closed_windows: u32,
    /// Rows whose counts are lost, as far as known.
    #[n(3)]
    pub calls: u64,
}

/// Why counts are lost; numbers are append-only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum GapReason {
    /// Power was cut between two checkpoints of the open window.
    #[n(0)]
    PowerCut,
    /// A stored document could not be read back.
    #[n(1)]
    Damaged,
    /// The store was full and nothing could be merged.
    #[n(2)]
    StoreFull,
}

impl<'b> Document<'b> {
    /// The body, when there is exactly one.
    #[must_use]
    pub fn body(self) -> Option<Body<'b>> {
        match (self.receipt, self.window, self.gap) {
            (Some(receipt), None, None) => Some(Body::Receipt(receipt)),
            (None, Some(window), None) => Some(Body::Window(window)),
            (None, None, Some(gap)) => Some(Body::Gap(gap)),
            _ => None,
        }
    }
}

impl<'b> cose::Document<'b> for Document<'b> {
    const CONTEXT: &'static str = "muster/v1/document";
    const BYTES_MAX: usize = DOCUMENT_BYTES_MAX;
}
