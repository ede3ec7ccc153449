//! The acknowledgement: what the fleet has stored of a stream, signed.
//!
//! Only this counts; what a broker acknowledged proves nothing.

use crate::cbor::List;
use crate::cose::Document;
use crate::id::{DeviceId, Sequence, StreamId};
use crate::limits::FROZEN_MAX;
use minicbor::{Decode, Encode};

/// Everything up to `through` is stored, or rejected below.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Ack<'b> {
    /// Whose stream.
    #[n(0)]
    pub device: DeviceId,
    /// Which stream.
    #[n(1)]
    pub stream: StreamId,
    /// Highest number up to which nothing is missing.
    #[n(2)]
    pub through: Sequence,
    /// Documents that the fleet could not read: quarantine them, do not send them again.
    #[b(3)]
    #[cbor(default)]
    pub rejected: List<'b, Rejected, FROZEN_MAX>,
}

/// One document that will not be stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub struct Rejected {
    /// Its number.
    #[n(0)]
    pub sequence: Sequence,
    /// Why.
    #[n(1)]
    pub reason: RejectReason,
}

/// Why a document is not stored; numbers are append-only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum RejectReason {
    /// The content is malformed.
    #[n(0)]
    Malformed,
    /// The body is of a kind that this controller does not know.
    #[n(1)]
    UnknownBody,
    /// It belongs to another stream kind.
    #[n(2)]
    WrongStream,
}

impl<'b> Document<'b> for Ack<'b> {
    const CONTEXT: &'static str = "muster/v1/ack";
    const BYTES_MAX: usize = 1024;
}
