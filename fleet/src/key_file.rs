//! Private keys on disk: one Ed25519 key per file, in text, for its owner only.
//!
//! A file holds two lines: what it is, and 64 hexadecimal digits. It never holds a password or
//! a second key, and a key is never overwritten.

use std::path::Path;

use ed25519_dalek::SigningKey;
use muster_protocol::digest::{Hex, decode_hex};

use crate::error::{Exit, OperatorError};
use crate::home;

const FIRST_LINE: &str = "muster ed25519 private key 1";

/// A new key from the system's randomness.
///
/// # Errors
/// The system gives none.
pub(crate) fn generate() -> Result<SigningKey, OperatorError> {
    let mut seed = [0; 32];
    random(&mut seed)?;
    Ok(SigningKey::from_bytes(&seed))
}

/// Fills `bytes` with the system's randomness.
///
/// # Errors
/// The system gives none.
pub(crate) fn random(bytes: &mut [u8]) -> Result<(), OperatorError> {
    getrandom::fill(bytes).map_err(|error| {
        OperatorError::new(
            Exit::Resource,
            "make a key",
            error,
            "the system must offer getrandom or /dev/urandom",
        )
    })
}

/// Writes a key to a new file.
///
/// # Errors
/// The file exists or cannot be written.
pub(crate) fn write_new(path: &Path, key: &SigningKey) -> Result<(), OperatorError> {
    let text = format!("{FIRST_LINE}\n{}\n", Hex(&key.to_bytes()));
    home::write_private(path, text.as_bytes())
}

/// Makes a key, writes it to a new file and returns it.
///
/// # Errors
/// As [`generate`] and [`write_new`].
pub(crate) fn create(path: &Path) -> Result<SigningKey, OperatorError> {
    let key = generate()?;
    write_new(path, &key)?;
    Ok(key)
}

/// Reads a key.
///
/// # Errors
/// No such file, others may read it, or it holds no key.
pub(crate) fn read(path: &Path) -> Result<SigningKey, OperatorError> {
    let text = home::read_secret(path)?;
    parse(&text).ok_or_else(|| {
        OperatorError::new(
            Exit::BadInput,
            format!("read the key {}", path.display()),
            "it is not a key file",
            format!("expected the line {FIRST_LINE:?} and a line of 64 hexadecimal digits"),
        )
    })
}

fn parse(text: &str) -> Option<SigningKey> {
    let mut lines = text.lines();
    let (first, hex) = (lines.next()?, lines.next()?);
    let mut seed = [0; 32];
    decode_hex(hex, &mut seed).ok()?;
    (first == FIRST_LINE && lines.next().is_none()).then(|| SigningKey::from_bytes(&seed))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_read_as_it_was_written() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a.key");
        let key = create(&path).expect("written");
        assert_eq!(read(&path).expect("read").to_bytes(), key.to_bytes());
        assert!(create(&path).is_err(), "a key is never overwritten");
    }

    #[test]
    fn what_is_not_two_right_lines_is_no_key() {
        let digits = "07".repeat(32);
        for (text, expect) in [
            (format!("{FIRST_LINE}\n{digits}\n"), true),
            (format!("{FIRST_LINE}\n{digits}"), true),
            (format!("{FIRST_LINE}\n{digits}\nmore"), false),
            (format!("{FIRST_LINE}\n{}\n", &digits[1..]), false),
            (
                format!("{FIRST_LINE}\n{}\n", digits.replace('7', "G")),
                false,
            ),
            (format!("muster ed25519 private key 2\n{digits}\n"), false),
            (digits, false),
            (String::new(), false),
        ] {
            assert_eq!(parse(&text).is_some(), expect, "{text:?}");
        }
    }
}
