//! The release statement: what the release keys of a model sign for one version of it.
//!
//! It binds names to digests; it never carries the model.

use crate::cose::{Document, Signers};
use crate::digest::Digest;
use crate::id::{ModelId, Rank, TargetClass, Version};
use crate::limits::{LINUX_DOCUMENT_BYTES_MAX, ROLE_BYTES_MAX};
use crate::time::UnixSeconds;
use core::fmt::Write;
use minicbor::{Decode, Encode};

/// One release of a model.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Statement {
    /// The model.
    #[n(0)]
    pub model: ModelId,
    /// The version; a label.
    #[n(1)]
    pub version: Version,
    /// The order among the releases of the model.
    #[n(2)]
    pub rank: Rank,
    /// Digest of the bundle's manifest.
    #[n(3)]
    pub bundle: Digest,
    /// Size of the manifest in bytes.
    #[n(4)]
    pub manifest_size: u32,
    /// What kind of machine it is for.
    #[n(5)]
    pub class: TargetClass,
    /// What the machine must have.
    #[n(6)]
    pub requirements: Requirements,
    /// When it was released.
    #[n(7)]
    pub issued_at: UnixSeconds,
}

/// What a device must have before it downloads anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Encode, Decode)]
#[cbor(map)]
pub struct Requirements {
    /// Planned peak memory of one worker that serves it, bytes.
    #[n(0)]
    pub peak_memory_bytes: u64,
    /// Bytes on disk: layers as sent and blobs unpacked.
    #[n(1)]
    pub disk_bytes: u64,
    /// Lowest agent protocol level that can run it; see [`AGENT_LEVEL`].
    #[n(2)]
    pub agent_level: u32,
}

/// The agent protocol level of this code; raised when bundles may ask for something new.
pub const AGENT_LEVEL: u32 = 1;

impl Document<'_> for Statement {
    const CONTEXT: &'static str = "muster/v1/statement";
    const BYTES_MAX: usize = LINUX_DOCUMENT_BYTES_MAX;
    const SIGNERS: Signers = Signers::Many;
}

/// `models/{model}/{version}.cbor`: the name of a statement as a TUF target.
#[must_use]
pub fn statement_name(
    model: &ModelId,
    version: &Version,
) -> heapless::String<{ 2 * ROLE_BYTES_MAX }> {
    let mut name = heapless::String::new();
    write!(name, "models/{model}/{version}.cbor").expect("invariant: 7 + 63 + 1 + 32 + 5 bytes");
    name
}
