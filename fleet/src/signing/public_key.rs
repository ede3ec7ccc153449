//! A public key in a file, as metadata writes it: what signers give to whoever proposes.
//!
//! Never a private key.

use std::path::Path;

use muster_protocol::tuf::Key;

use crate::error::{Exit, OperatorError};
use crate::home;

/// Reads one.
///
/// # Errors
/// It cannot be read, or holds no Ed25519 key.
pub(crate) fn read(path: &Path) -> Result<[u8; 32], OperatorError> {
    let text = home::read_text(path)?;
    let key: Option<Key> = serde_json::from_str(&text).ok();
    key.and_then(|key| key.ed25519_public()).ok_or_else(|| {
        let hint = "name a file that `muster keys create` or `muster keys export` wrote";
        let what = format!("read the public key {}", path.display());
        OperatorError::new(Exit::BadInput, what, "it is no public key of Ed25519", hint)
    })
}

/// Writes a new one.
///
/// # Errors
/// It exists, or the disk refuses.
pub(crate) fn write(path: &Path, key: &Key) -> Result<(), OperatorError> {
    home::write_private(path, text(key).as_bytes())
}

/// A key as text.
pub(crate) fn text(key: &Key) -> String {
    let text = serde_json::to_string(key).expect("invariant: a key is plain JSON");
    text + "\n"
}
