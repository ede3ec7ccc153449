//! The two keys of a device: one signs documents (Ed25519), one is for TLS (P-256).
//!
//! Made once and kept, so that the same token asks for the same certificate again. Never sent.

use super::EnrollError;
use super::disk::Folder;
use super::identity::{self, DOCUMENT_KEY, IdentityError, NEXT_TLS_KEY, TLS_KEY};
use crate::tls::Credentials;
use ed25519_dalek::SigningKey;
use muster_protocol::digest::{Hex, decode_hex};
use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256, PublicKeyData as _};
use std::path::Path;

const FIRST_LINE: &str = "muster ed25519 private key 1";

/// Both keys.
pub(super) struct Keys {
    pub(super) document: SigningKey,
    tls: KeyPair,
}

impl Keys {
    pub(super) fn load_or_make(folder: &Folder) -> Result<Self, EnrollError> {
        if !folder.file(DOCUMENT_KEY).exists() {
            folder.write(DOCUMENT_KEY, print(&make_document()?).as_bytes())?;
        }
        if !folder.file(TLS_KEY).exists() {
            folder.write(TLS_KEY, make_tls()?.serialize_pem().as_bytes())?;
        }
        let tls = folder.file(TLS_KEY);
        Ok(Self {
            document: read_document(&folder.file(DOCUMENT_KEY))?,
            tls: KeyPair::from_pem(&identity::read_secret(&tls)?)
                .map_err(|error| IdentityError::broken(&tls, error))?,
        })
    }

    /// A certificate request for its TLS key.
    pub(super) fn certificate_request(&self) -> Result<Vec<u8>, EnrollError> {
        certificate_request(&self.tls)
    }

    /// The TLS key's public half as certificates carry it (SubjectPublicKeyInfo, DER).
    pub(super) fn tls_public(&self) -> Vec<u8> {
        self.tls.subject_public_key_info()
    }
}

/// The next TLS key: kept until it is certified, so that a lost reply is asked for again; never
/// the one in use.
pub(super) fn next_tls(folder: &Folder, in_use: &Credentials) -> Result<KeyPair, EnrollError> {
    let path = folder.file(NEXT_TLS_KEY);
    if path.exists()
        && let Ok(key) = KeyPair::from_pem(&identity::read_secret(&path)?)
        && !in_use.is_for(&key.subject_public_key_info())
    {
        return Ok(key);
    }
    let key = make_tls()?;
    folder.write(NEXT_TLS_KEY, key.serialize_pem().as_bytes())?;
    Ok(key)
}

/// A certificate request (PKCS #10, DER) without any wish: only the key in it counts.
pub(super) fn certificate_request(key: &KeyPair) -> Result<Vec<u8>, EnrollError> {
    let request = CertificateParams::default()
        .serialize_request(key)
        .map_err(EnrollError::key)?;
    Ok(request.der().to_vec())
}

/// Reads the key that signs documents.
pub(super) fn read_document(path: &Path) -> Result<SigningKey, IdentityError> {
    parse(&identity::read_secret(path)?)
        .ok_or_else(|| IdentityError::broken(path, "it is not a key file"))
}

fn make_document() -> Result<SigningKey, EnrollError> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(EnrollError::key)?;
    Ok(SigningKey::from_bytes(&seed))
}

fn make_tls() -> Result<KeyPair, EnrollError> {
    KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(EnrollError::key)
}

fn print(key: &SigningKey) -> String {
    format!("{FIRST_LINE}\n{}\n", Hex(&key.to_bytes()))
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
    fn a_document_key_is_read_as_it_was_printed_and_nothing_else_is() {
        let check = |text: &str, expect: bool| assert_eq!(parse(text).is_some(), expect, "{text}");
        let text = print(&SigningKey::from_bytes(&[7; 32]));
        assert_eq!(parse(&text).map(|key| key.to_bytes()), Some([7; 32]));
        check(&format!("{text}more\n"), false);
        check(&text[..text.len() - 2], false);
        check(&text.replace("key 1", "key 2"), false);
        check("", false);
    }
}
