//! The card of a bundle whose blobs are here.
//!
//! Never judges what it says.

use muster_protocol::bundle::Card;
use muster_protocol::bundle::manifest::Manifest;
use muster_protocol::digest::Digest;
use muster_protocol::limits::WHOLE_BYTES_MAX;

use crate::blobs::Blobs;

/// The card of a bundle; asking blocks.
///
/// # Errors
/// A sentence: a blob is not there, or not what it should be.
pub(crate) fn card_of(blobs: &Blobs, bundle: Digest) -> Result<Card, String> {
    let manifest = Manifest::parse(&read(blobs, bundle)?).map_err(|bad| bad.to_string())?;
    card(blobs, &manifest)
}

/// The card that a manifest names.
pub(super) fn card(blobs: &Blobs, manifest: &Manifest) -> Result<Card, String> {
    let card = Card::parse(&read(blobs, manifest.card.digest)?);
    card.map_err(|bad| bad.to_string())
}

/// A blob that is small enough to be read whole.
pub(super) fn read(blobs: &Blobs, digest: Digest) -> Result<Vec<u8>, String> {
    let found = blobs.read(digest, u64::from(WHOLE_BYTES_MAX));
    let found = found.map_err(|error| error.to_string())?;
    found.ok_or_else(|| format!("the blob {digest} is not there"))
}
