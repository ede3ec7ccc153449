//! Documents as a device signs them, for tests that speak in its place.

use ed25519_dalek::SigningKey;
use muster_protocol::digest::{Digest, decode_hex};
use muster_protocol::id::DeviceId;
use muster_protocol::message::{Answer, Fetch, Piece, What};
use muster_protocol::{cbor, cose};
use std::fs;
use std::path::Path;

/// The key that signs a device's documents, from its state folder.
///
/// # Panics
/// When there is none.
pub fn key(state: &Path) -> SigningKey {
    let folder = fs::read_dir(state.join("identity")).expect("an identity");
    let files = folder.map(|entry| entry.expect("an entry").path());
    let text = files.filter_map(|path| fs::read_to_string(path).ok());
    let hex = text.filter_map(|text| {
        text.strip_prefix("muster ed25519 private key 1\n")
            .map(|hex| hex.trim().to_owned())
    });
    let mut seed = [0; 32];
    decode_hex(&hex.last().expect("a document key"), &mut seed).expect("64 digits");
    SigningKey::from_bytes(&seed)
}

/// A signed request for the first piece of a blob.
///
/// # Panics
/// When the id is none.
pub fn fetch(device: &str, key: &SigningKey, digest: Digest) -> Vec<u8> {
    let device = DeviceId::parse(device).expect("a valid id");
    let what = What::Blob {
        digest,
        index: 0,
        piece_size: 96 * 1024,
    };
    cose::seal_vec(
        &Fetch {
            device,
            what,
            count: 1,
        },
        key,
    )
}

/// What a `down/piece` says of a blob: `Some(bytes)`, or `None` for `not_found`.
pub fn piece_of(message: &[u8], digest: Digest) -> Option<Option<Vec<u8>>> {
    let piece = cbor::decode::<Piece<'_>>(message).ok()?;
    if !matches!(piece.what, What::Blob { digest: of, .. } if of == digest) {
        return None;
    }
    Some(match piece.answer {
        Answer::NotFound => None,
        Answer::Bytes { bytes, .. } => Some(bytes.to_vec()),
    })
}
