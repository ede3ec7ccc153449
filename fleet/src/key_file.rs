//! Private keys on disk: one Ed25519 key per file, in text, for its owner only.
//!
//! A file holds two lines, what it is and 64 hexadecimal digits; or it is locked with a passphrase.
//! It never holds a second key, and is never overwritten with another.

mod locked;
mod passphrase;

use std::path::Path;

use ed25519_dalek::SigningKey;
use muster_protocol::digest::{Hex, decode_hex};

use crate::error::{Exit, OperatorError};
use crate::home;
pub(crate) use passphrase::Passphrase;

/// Random bytes of the API's token.
const TOKEN_BYTES: usize = 32;
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

/// A new token of the API, as its file holds it.
///
/// # Errors
/// The system gives no randomness.
pub(crate) fn new_token() -> Result<String, OperatorError> {
    let mut token = [0; TOKEN_BYTES];
    random(&mut token)?;
    Ok(format!("{}\n", Hex(&token)))
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

/// Writes a key to a new file that opens with a passphrase.
///
/// # Errors
/// As [`write_new`].
pub(crate) fn write_new_locked(
    path: &Path,
    key: &SigningKey,
    passphrase: &Passphrase,
) -> Result<(), OperatorError> {
    home::write_private(path, locked_text(path, key, passphrase)?.as_bytes())
}

/// Puts a key that lies open under a passphrase, in the same file.
///
/// # Errors
/// As [`read`]; it is locked already, or the disk refuses.
pub(crate) fn lock(path: &Path) -> Result<SigningKey, OperatorError> {
    let what = path.display().to_string();
    if lock_state(path)? == LockState::Locked {
        let hint = "nothing to do; to change the passphrase use `openssl pkcs8 -topk8`";
        return Err(OperatorError::new(
            Exit::Missing,
            format!("lock {what}"),
            "it is locked already",
            hint,
        ));
    }
    let key = read(path)?;
    let text = locked_text(path, &key, &Passphrase::choose(&what)?)?;
    home::replace_private(path, text.as_bytes())?;
    Ok(key)
}

/// Whether a key opens without a passphrase.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum LockState {
    /// It asks for one.
    Locked,
    /// It does not.
    Open,
}

/// How the key in a file is kept.
///
/// # Errors
/// As [`read`], but for the passphrase.
pub(crate) fn lock_state(path: &Path) -> Result<LockState, OperatorError> {
    let text = home::read_secret(path)?;
    if locked::is_locked(&text) {
        return Ok(LockState::Locked);
    }
    parse(&text)
        .map(|_| LockState::Open)
        .ok_or_else(|| no_key(path))
}

/// Reads a key; asks for the passphrase of one that is locked.
///
/// # Errors
/// No such file, others may read it, it holds no key, or the passphrase is wrong.
pub(crate) fn read(path: &Path) -> Result<SigningKey, OperatorError> {
    let text = home::read_secret(path)?;
    if !locked::is_locked(&text) {
        return parse(&text).ok_or_else(|| no_key(path));
    }
    let what = path.display().to_string();
    let passphrase = Passphrase::ask(&what)?;
    locked::unlock(&text, &passphrase).map_err(|because| {
        let hint = "try again; a passphrase that is lost cannot be had back";
        OperatorError::new(Exit::Refused, format!("open the key {what}"), because, hint)
    })
}

fn locked_text(
    path: &Path,
    key: &SigningKey,
    passphrase: &Passphrase,
) -> Result<String, OperatorError> {
    locked::lock(key, passphrase).map_err(|error| {
        let hint = "the system must offer getrandom or /dev/urandom";
        OperatorError::new(
            Exit::Resource,
            format!("lock {}", path.display()),
            error,
            hint,
        )
    })
}

fn no_key(path: &Path) -> OperatorError {
    OperatorError::new(
        Exit::BadInput,
        format!("read the key {}", path.display()),
        "it is not a key file",
        format!(
            "expected the line {FIRST_LINE:?} and a line of 64 hexadecimal digits, or a locked key"
        ),
    )
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
