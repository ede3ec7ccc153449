//! A private key under a passphrase: PKCS#8 in PEM (RFC 5958, RFC 7468), encrypted by PBES2 with
//! scrypt and AES-256 (RFC 8018, RFC 7914), as openssl reads it too.
//!
//! Never asks for a passphrase, and never says whether it was nearly right.

use ed25519_dalek::SigningKey;
use pkcs8::der::asn1::OctetStringRef;
use pkcs8::der::pem::{LineEnding, PemLabel as _};
use pkcs8::{
    AlgorithmIdentifierRef, EncryptedPrivateKeyInfoRef, ObjectIdentifier, PrivateKeyInfoRef,
    SecretDocument,
};

use super::passphrase::Passphrase;

/// id-Ed25519 (RFC 8410).
const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");
/// The header of an octet string of 32 bytes, in which RFC 8410 wraps the seed.
const SEED_HEADER: [u8; 2] = [0x04, 0x20];

/// Whether a text says that it is such a key.
pub(super) fn is_locked(text: &str) -> bool {
    text.starts_with("-----BEGIN ENCRYPTED PRIVATE KEY-----")
}

/// Why a key cannot be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unopened {
    #[error("it is no PEM of an encrypted private key")]
    Unreadable,
    #[error("the passphrase is not the one it was locked with, or the file is damaged")]
    Passphrase,
    #[error("it holds a key of another kind than Ed25519")]
    OtherKind,
}

/// Locks a key.
///
/// # Errors
/// The system gives no randomness.
pub(super) fn lock(key: &SigningKey, passphrase: &Passphrase) -> Result<String, pkcs8::Error> {
    let mut wrapped = [0; 34];
    wrapped[..2].copy_from_slice(&SEED_HEADER);
    wrapped[2..].copy_from_slice(key.as_bytes());
    let algorithm = AlgorithmIdentifierRef {
        oid: ED25519,
        parameters: None,
    };
    let info = PrivateKeyInfoRef::new(algorithm, OctetStringRef::new(&wrapped)?);
    let locked = info.encrypt(passphrase.as_bytes())?;
    let pem = locked.to_pem(EncryptedPrivateKeyInfoRef::PEM_LABEL, LineEnding::LF)?;
    Ok(pem.to_string())
}

/// Opens a key.
///
/// # Errors
/// [`Unopened`].
pub(super) fn unlock(pem: &str, passphrase: &Passphrase) -> Result<SigningKey, Unopened> {
    let (label, document) = SecretDocument::from_pem(pem).map_err(|_| Unopened::Unreadable)?;
    if label != EncryptedPrivateKeyInfoRef::PEM_LABEL {
        return Err(Unopened::Unreadable);
    }
    let locked = EncryptedPrivateKeyInfoRef::try_from(document.as_bytes())
        .map_err(|_| Unopened::Unreadable)?;
    let opened = locked
        .decrypt(passphrase.as_bytes())
        .map_err(|_| Unopened::Passphrase)?;
    let info: PrivateKeyInfoRef<'_> = opened.decode_msg().map_err(|_| Unopened::Passphrase)?;
    seed(&info).ok_or(Unopened::OtherKind)
}

fn seed(info: &PrivateKeyInfoRef<'_>) -> Option<SigningKey> {
    let wrapped = info.private_key.as_bytes();
    let seed = wrapped.strip_prefix(&SEED_HEADER)?;
    let ours = info.algorithm.oid == ED25519;
    Some(SigningKey::from_bytes(seed.try_into().ok()?)).filter(|_| ours)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Passphrase {
        Passphrase::new(text.to_owned())
    }

    #[test]
    fn a_locked_key_opens_with_its_passphrase_alone() {
        let key = SigningKey::from_bytes(&[7; 32]);
        let pem = lock(&key, &words("correct horse")).expect("locked");
        assert!(is_locked(&pem), "{pem}");
        let again = lock(&key, &words("correct horse")).expect("locked");
        assert_ne!(pem, again, "every salt is new");
        let check = |pem: &str, passphrase: &str, expect: Result<[u8; 32], Unopened>| {
            let opened = unlock(pem, &words(passphrase));
            assert_eq!(opened.map(|key| key.to_bytes()), expect, "{passphrase}");
        };
        check(&pem, "correct horse", Ok([7; 32]));
        check(&pem, "correct horse ", Err(Unopened::Passphrase));
        check(&pem, "", Err(Unopened::Passphrase));
        check("garbage", "", Err(Unopened::Unreadable));
        let other = pem.replace("ENCRYPTED PRIVATE", "PRIVATE");
        check(&other, "correct horse", Err(Unopened::Unreadable));
    }

    #[test]
    fn a_cut_key_is_unreadable() {
        let key = SigningKey::from_bytes(&[7; 32]);
        let pem = lock(&key, &words("p")).expect("locked");
        let cut: String = pem.lines().take(2).collect::<Vec<_>>().join("\n");
        let opened = unlock(&cut, &words("p"));
        assert_eq!(opened.expect_err("cut"), Unopened::Unreadable);
    }
}
