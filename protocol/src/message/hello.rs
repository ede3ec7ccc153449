//! The hello: what a device says of itself on every connect, signed.
//!
//! Evidence of what it accepted; its health is a hint.

use crate::cbor::List;
use crate::cose::Document;
use crate::digest::Digest;
use crate::id::{BootId, DeviceId, EpochGeneration, Nonce, Sequence, StreamId, Version};
use crate::limits::STREAMS_MAX;
use crate::time::Millis;
use minicbor::{Decode, Encode};

/// What a device is and has.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Hello<'b> {
    /// The device.
    #[n(0)]
    pub device: DeviceId,
    /// The assignment that it accepted last.
    #[n(1)]
    pub accepted: Option<EpochGeneration>,
    /// Digest of that signed assignment.
    #[n(2)]
    pub assignment: Option<Digest>,
    /// Versions of the metadata that it trusts.
    #[n(3)]
    pub metadata: MetadataVersions,
    /// Its streams.
    #[b(4)]
    pub streams: List<'b, StreamState, STREAMS_MAX>,
    /// For signed time: the answer repeats it.
    #[n(5)]
    pub nonce: Nonce,
    /// Version of the agent.
    #[n(6)]
    pub agent: Version,
    /// This boot.
    #[n(7)]
    pub boot: BootId,
    /// Monotonic time.
    #[n(8)]
    pub at: Millis,
    /// How the machine does.
    #[n(9)]
    #[cbor(default)]
    pub health: Health,
    /// What a controller asked to be repeated on `down/time`.
    #[n(10)]
    pub challenge: Option<Nonce>,
}

/// Versions of trusted metadata; zero is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Encode, Decode)]
#[cbor(map)]
pub struct MetadataVersions {
    /// Root.
    #[n(0)]
    pub root: u64,
    /// Timestamp.
    #[n(1)]
    pub timestamp: u64,
    /// Snapshot.
    #[n(2)]
    pub snapshot: u64,
    /// Targets.
    #[n(3)]
    pub targets: u64,
    /// `fleet.json`.
    #[n(4)]
    pub fleet: u64,
}

/// What one stream holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct StreamState {
    /// Receipts or windows.
    #[n(0)]
    pub kind: Kind,
    /// The stream.
    #[n(1)]
    pub id: StreamId,
    /// Lowest number that is not acknowledged.
    #[n(2)]
    pub first_kept: Sequence,
    /// The number that the next document will get.
    #[n(3)]
    pub next: Sequence,
    /// The stream that this one replaces.
    #[n(4)]
    pub predecessor: Option<StreamId>,
}

/// What a stream carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Encode, Decode)]
#[cbor(index_only)]
pub enum Kind {
    /// Receipts.
    #[n(0)]
    Receipts,
    /// Windows and gaps.
    #[n(1)]
    Windows,
}

/// How the machine does; zero fields are absent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Encode, Decode)]
#[cbor(map)]
pub struct Health {
    /// Memory of the machine, bytes.
    #[n(0)]
    pub memory_bytes: Option<u64>,
    /// Of it available, bytes.
    #[n(1)]
    pub memory_available_bytes: Option<u64>,
    /// Free on the disk of the state folder, bytes.
    #[n(2)]
    pub disk_free_bytes: Option<u64>,
    /// Load average of one minute, thousandths.
    #[n(3)]
    pub load_milli: Option<u32>,
    /// Hottest sensor, thousandths of a degree Celsius.
    #[n(4)]
    pub temperature_milli_celsius: Option<i32>,
    /// Seconds since the machine booted.
    #[n(5)]
    pub uptime_s: Option<u64>,
}

impl<'b> Document<'b> for Hello<'b> {
    const CONTEXT: &'static str = "muster/v1/hello";
    const BYTES_MAX: usize = 2048;
}
