//! What a device shows in TLS: its certificate chain and its key.
//!
//! Reads text, never files: where they lie is the identity's business.

use super::Anchors;
use muster_protocol::time::UnixSeconds;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::fmt;
use tokio_rustls::rustls;
use x509_parser::prelude::{ASN1Time, FromDer as _, ParsedExtension, X509Certificate};

/// A device's side of mutual TLS.
pub struct Credentials {
    pub(super) chain: Vec<CertificateDer<'static>>,
    pub(super) key: PrivateKeyDer<'static>,
}

/// A certificate or key that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the {what} cannot be used ({because})")]
pub struct BadCredentials {
    /// Which part.
    pub what: &'static str,
    /// Why.
    pub because: String,
}

impl BadCredentials {
    pub(super) fn new(what: &'static str, because: impl fmt::Display) -> Self {
        let because = because.to_string();
        Self { what, because }
    }
}

impl Credentials {
    /// Reads PEM: the device's certificate first in its chain.
    ///
    /// # Errors
    /// Text without a certificate or key, or a broken one.
    pub fn from_pem(chain: &str, key: &str) -> Result<Self, BadCredentials> {
        Ok(Self {
            chain: certificates("certificate chain", chain)?,
            key: PrivateKeyDer::from_pem_slice(key.as_bytes())
                .map_err(|error| BadCredentials::new("TLS key", error))?,
        })
    }
}

impl Credentials {
    /// From when until when the certificate is valid; nothing if it cannot be read.
    #[must_use]
    pub fn validity(&self) -> Option<(UnixSeconds, UnixSeconds)> {
        let leaf = self.leaf()?;
        let seconds = |time: ASN1Time| UnixSeconds(u64::try_from(time.timestamp()).unwrap_or(0));
        let validity = leaf.validity();
        Some((seconds(validity.not_before), seconds(validity.not_after)))
    }

    /// Whether the certificate is for this key (SubjectPublicKeyInfo, DER).
    #[must_use]
    pub fn is_for(&self, key: &[u8]) -> bool {
        self.leaf().is_some_and(|leaf| leaf.public_key().raw == key)
    }

    /// Whether the intermediate names one of these CAs as its issuer, by their key ids. A chain
    /// that does not say is taken for one of them.
    #[must_use]
    pub fn is_under(&self, anchors: &Anchors) -> bool {
        let issuer = self.chain.get(1).and_then(|der| key_ids(der).1);
        let Some(issuer) = issuer else { return true };
        let mut known = anchors.certificates().iter();
        known.any(|anchor| key_ids(anchor).0.as_ref() == Some(&issuer))
    }

    fn leaf(&self) -> Option<X509Certificate<'_>> {
        let (_, leaf) = X509Certificate::from_der(self.chain.first()?).ok()?;
        Some(leaf)
    }
}

/// The key ids of a certificate and of its issuer (RFC 5280, 4.2.1.1 and 4.2.1.2).
fn key_ids(der: &[u8]) -> (Option<Vec<u8>>, Option<Vec<u8>>) {
    let Ok((_, certificate)) = X509Certificate::from_der(der) else {
        return (None, None);
    };
    let (mut own, mut issuer) = (None, None);
    for extension in certificate.extensions() {
        match extension.parsed_extension() {
            ParsedExtension::SubjectKeyIdentifier(id) => own = Some(id.0.to_vec()),
            ParsedExtension::AuthorityKeyIdentifier(id) => {
                issuer = id.key_identifier.as_ref().map(|id| id.0.to_vec());
            }
            _ => {}
        }
    }
    (own, issuer)
}

impl Clone for Credentials {
    fn clone(&self) -> Self {
        Self {
            chain: self.chain.clone(),
            key: self.key.clone_key(),
        }
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials")
            .field("chain", &self.chain.len())
            .finish_non_exhaustive()
    }
}

/// Every certificate of a PEM text, at least one.
pub(super) fn certificates(
    what: &'static str,
    pem: &str,
) -> Result<Vec<CertificateDer<'static>>, BadCredentials> {
    let found: Vec<_> = CertificateDer::pem_slice_iter(pem.as_bytes())
        .collect::<Result<_, _>>()
        .map_err(|error| BadCredentials::new(what, error))?;
    if found.is_empty() {
        return Err(BadCredentials::new(what, "there is no certificate in it"));
    }
    Ok(found)
}
