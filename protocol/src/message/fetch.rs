//! Asking for metadata and pieces, and the answer.
//!
//! The question is signed; the answer is not: everything that it can carry is verified by what
//! it is.

use crate::cose::Document;
use crate::digest::Digest;
use crate::id::DeviceId;
use crate::limits::MESSAGE_BYTES_MAX;
use minicbor::{Decode, Encode};

/// What a device wants.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Fetch<'b> {
    /// The device.
    #[n(0)]
    pub device: DeviceId,
    /// What.
    #[b(1)]
    pub what: What<'b>,
    /// How many pieces from there on; at least one is sent.
    #[n(2)]
    pub count: u32,
}

/// The name of something that travels on `down/piece`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Encode, Decode)]
pub enum What<'b> {
    /// Metadata of a role, from byte `offset`.
    #[n(0)]
    Metadata {
        /// The role: `root`, `timestamp`, `snapshot`, `targets`, `models/{model}`; or `fleet.json`.
        #[b(0)]
        role: &'b str,
        /// Its version, or the latest.
        #[n(1)]
        version: Option<u64>,
        /// First byte of the part.
        #[n(2)]
        offset: u64,
    },
    /// One piece of a blob, by the piece size of its hash list; statements, manifests and hash
    /// lists are piece 0 at the largest piece size.
    #[n(1)]
    Blob {
        /// Digest as sent.
        #[n(0)]
        digest: Digest,
        /// Which piece.
        #[n(1)]
        index: u32,
        /// Bytes of a piece.
        #[n(2)]
        piece_size: u32,
    },
}

/// The answer to one wanted thing.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Piece<'b> {
    /// What was asked for.
    #[b(0)]
    pub what: What<'b>,
    /// What there is.
    #[b(1)]
    pub answer: Answer<'b>,
}

/// What the fleet has of it.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub enum Answer<'b> {
    /// Nothing that this device may have. Never evidence.
    #[n(0)]
    NotFound,
    /// These bytes.
    #[n(1)]
    Bytes {
        /// Size of the whole metadata document or blob.
        #[n(0)]
        total: u64,
        /// The piece or part.
        #[cbor(b(1), with = "minicbor::bytes")]
        bytes: &'b [u8],
    },
}

impl<'b> Document<'b> for Fetch<'b> {
    const CONTEXT: &'static str = "muster/v1/fetch";
    const BYTES_MAX: usize = 1024;
}

/// Largest encoded [`Piece`].
pub const PIECE_MESSAGE_BYTES_MAX: usize = MESSAGE_BYTES_MAX;
