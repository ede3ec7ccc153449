//! Signed time: the director's answer to the nonce of a hello.
//!
//! It never outlives its epoch; see `muster_device::clock` for how far it is believed.

use crate::cose::Document;
use crate::id::{DeviceId, Epoch, Nonce};
use crate::time::UnixSeconds;
use minicbor::{Decode, Encode};

/// What time it is, for one device and one question.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct SignedTime {
    /// For whom.
    #[n(0)]
    pub device: DeviceId,
    /// The nonce of its hello.
    #[n(1)]
    pub nonce: Nonce,
    /// The time.
    #[n(2)]
    pub unix: UnixSeconds,
    /// The director's epoch.
    #[n(3)]
    pub epoch: Epoch,
    /// A question of the fleet: the next hello repeats it.
    #[n(4)]
    pub challenge: Option<Nonce>,
    /// What the device is asked to show beside.
    #[n(5)]
    pub show: Option<Show>,
}

/// What a fleet that lost it asks a device to show; numbers are append-only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum Show {
    /// The signed bytes of the assignment that it accepted, on `up/assignment`.
    #[n(0)]
    Assignment,
}

impl Document<'_> for SignedTime {
    const CONTEXT: &'static str = "muster/v1/time";
    const BYTES_MAX: usize = 512;
}
