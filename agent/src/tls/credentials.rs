//! What a device shows in TLS: its certificate chain and its key.
//!
//! Reads text, never files: where they lie is the identity's business.

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::fmt;
use tokio_rustls::rustls;

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
