//! The TLS key that a device asks a certificate for, from its certificate request (PKCS #10).
//!
//! Name, extensions and wishes in a request are ignored.

use muster_protocol::digest::Digest;
use rcgen::{CertificateSigningRequestParams, PKCS_ECDSA_P256_SHA256, PublicKeyData};
use x509_parser::prelude::{FromDer as _, X509CertificationRequest};

/// A P-256 key whose holder has proved to hold it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TlsKey(rcgen::PublicKey);

/// Why a certificate request gives no key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BadRequest {
    /// Not a certificate request in DER.
    #[error("it is not a certificate request in DER, or asks for what is not supported")]
    Malformed,
    /// Its signature is not by its own key.
    #[error("its signature is not by the key in it")]
    NotSigned,
    /// Another kind of key.
    #[error("its key is not ECDSA P-256")]
    KeyKind,
}

impl TlsKey {
    /// Takes the key of a request after checking that its holder signed the request.
    ///
    /// # Errors
    /// [`BadRequest`].
    pub(crate) fn of_request(der: &[u8]) -> Result<Self, BadRequest> {
        check_kind(der)?;
        let request = CertificateSigningRequestParams::from_der(&der.into());
        let request = request.map_err(|error| match error {
            rcgen::Error::InvalidCertificationRequestSignature => BadRequest::NotSigned,
            _ => BadRequest::Malformed,
        })?;
        Ok(Self(request.public_key))
    }

    /// The key as an uncompressed point (RFC 5480, 2.2), for the enrolment log.
    pub(crate) fn bytes(&self) -> &[u8] {
        self.0.der_bytes()
    }

    /// The digest of [`TlsKey::bytes`].
    pub(crate) fn digest(&self) -> Digest {
        Digest::of(self.bytes())
    }
}

impl PublicKeyData for TlsKey {
    fn der_bytes(&self) -> &[u8] {
        self.0.der_bytes()
    }

    fn algorithm(&self) -> &'static rcgen::SignatureAlgorithm {
        &PKCS_ECDSA_P256_SHA256
    }
}

/// The key must say what it is: the library takes that from the signature's algorithm.
fn check_kind(der: &[u8]) -> Result<(), BadRequest> {
    let (rest, request) =
        X509CertificationRequest::from_der(der).map_err(|_| BadRequest::Malformed)?;
    if !rest.is_empty() {
        return Err(BadRequest::Malformed);
    }
    let spki = &request.certification_request_info.subject_pki;
    let curve = spki
        .algorithm
        .parameters
        .as_ref()
        .and_then(|curve| curve.as_oid().ok());
    let p256 = spki.algorithm.algorithm == x509_parser::oid_registry::OID_KEY_TYPE_EC_PUBLIC_KEY
        && curve == Some(x509_parser::oid_registry::OID_EC_P256);
    // 0x04 and two coordinates: RFC 5480, 2.2, uncompressed.
    let data = &spki.subject_public_key.data;
    if !p256 || data.len() != 65 || data.first() != Some(&4) {
        return Err(BadRequest::KeyKind);
    }
    Ok(())
}
