//! The assignment: the desired state of one device, signed by the director.
//!
//! Settings are a closed enumeration that can tighten a device's own limits, never loosen them.

use crate::cbor::List;
use crate::cose::Document;
use crate::digest::Digest;
use crate::id::{DeviceId, EpochGeneration, ModelId, Version};
use crate::limits::{LINUX_DOCUMENT_BYTES_MAX, MODELS_MAX};
use crate::time::UnixSeconds;
use minicbor::{Decode, Encode};

/// What one device shall run.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Assignment<'b> {
    /// The device it is for.
    #[n(0)]
    pub device: DeviceId,
    /// Its place in the order of assignments.
    #[n(1)]
    pub at: EpochGeneration,
    /// When the director made it.
    #[n(2)]
    pub issued_at: UnixSeconds,
    /// Until when a device may take it up.
    #[n(3)]
    pub accept_by: UnixSeconds,
    /// One entry for each model and role; a model without an entry is removed.
    #[b(4)]
    pub entries: List<'b, Entry, MODELS_MAX>,
}

/// One model of an assignment.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Entry {
    /// The model.
    #[n(0)]
    pub model: ModelId,
    /// The version; with the model it names the statement.
    #[n(1)]
    pub version: Version,
    /// Digest of the signed statement.
    #[n(2)]
    pub statement: Digest,
    /// Size of the signed statement in bytes.
    #[n(3)]
    pub statement_size: u32,
    /// What the release is there for.
    #[n(4)]
    pub role: Role,
    /// When this entry last changed; a deliberate retry raises it.
    #[n(5)]
    pub since: EpochGeneration,
    /// Tightened limits.
    #[n(6)]
    #[cbor(default)]
    pub settings: Settings,
}

/// What a release does on a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Encode, Decode)]
#[cbor(index_only)]
pub enum Role {
    /// It answers.
    #[n(0)]
    Serve,
    /// It runs beside what answers, on a sample of the same inputs, and answers nobody.
    #[n(1)]
    Shadow,
}

/// How one version replaces another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum Swap {
    /// Both in memory for a moment: no prediction waits.
    #[n(0)]
    Overlap,
    /// The old one leaves first: predictions wait for the load.
    #[n(1)]
    StopFirst,
}

/// Limits that a director may tighten; absent ones are the device's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Encode, Decode)]
#[cbor(map)]
pub struct Settings {
    /// Seconds of probation.
    #[n(0)]
    pub probation_s: Option<u32>,
    /// Seconds of one telemetry window.
    #[n(1)]
    pub window_s: Option<u32>,
    /// How to swap.
    #[n(2)]
    pub swap: Option<Swap>,
    /// How much a shadow may take.
    #[n(3)]
    pub shadow: Option<ShadowSettings>,
}

/// How much of a device a shadow may take; absent ones are the device's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Encode, Decode)]
#[cbor(map)]
pub struct ShadowSettings {
    /// Of one core, in a thousand.
    #[n(0)]
    pub cpu_per_mille: Option<u32>,
    /// Of the requests that are answered, those that it is asked as well, in a thousand.
    #[n(1)]
    pub sample_per_mille: Option<u32>,
}

impl<'b> Document<'b> for Assignment<'b> {
    const CONTEXT: &'static str = "muster/v1/assignment";
    const BYTES_MAX: usize = LINUX_DOCUMENT_BYTES_MAX;
}
