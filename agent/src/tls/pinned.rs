//! Trusts a server that presents the certificate whose digest a token carries.
//!
//! Used for the first contact only, when a device has neither certificates nor time: validity
//! dates are not looked at. The pinned certificate must have issued the server's, for the host
//! that the device asked for; presenting it alone proves nothing.

use super::Anchored;
use muster_protocol::digest::Digest;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, DigitallySignedStruct, Error, SignatureScheme};
use std::sync::Arc;
use tokio_rustls::rustls;

/// The verifier of enrolment.
#[derive(Debug)]
pub struct Pinned {
    ca: Digest,
}

impl Pinned {
    /// Trusts what the certificate with this digest (of its DER) has issued.
    #[must_use]
    pub const fn new(ca: Digest) -> Self {
        Self { ca }
    }
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        wall: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let ca = others
            .iter()
            .find(|certificate| Digest::of(certificate) == self.ca)
            .ok_or(CertificateError::ApplicationVerificationFailure)?;
        Anchored::new(&[ca.clone().into_owned()], Arc::new(|| None))
            .map_err(|error| Error::General(error.to_string()))?
            .verify_server_cert(leaf, others, name, ocsp, wall)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = super::provider().signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, &algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = super::provider().signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, &algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        super::provider()
            .signature_verification_algorithms
            .supported_schemes()
    }
}
