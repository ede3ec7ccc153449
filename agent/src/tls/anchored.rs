//! Trusts a server whose certificate leads to one of the given CAs and names the host.
//!
//! Chain, name and purpose always count. Validity dates count only against trusted time: a
//! device whose clock is wrong must still reach the fleet that tells it the time.

use super::validity;
use super::{BadCredentials, provider};
use muster_protocol::time::UnixSeconds;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use tokio_rustls::rustls;

/// Says what time it is, when that is known from a signed source; `None` until then.
pub type TrustedTime = Arc<dyn Fn() -> Option<UnixSeconds> + Send + Sync>;

/// The verifier of the link.
pub struct Anchored {
    webpki: Arc<WebPkiServerVerifier>,
    time: TrustedTime,
}

impl Anchored {
    /// Trusts exactly `anchors`. An intermediate may be one; its own dates are not looked at.
    ///
    /// # Errors
    /// No anchor, or one that is no certificate.
    pub fn new(
        anchors: &[CertificateDer<'static>],
        time: TrustedTime,
    ) -> Result<Self, BadCredentials> {
        let mut roots = RootCertStore::empty();
        for anchor in anchors {
            roots
                .add(anchor.clone())
                .map_err(|error| BadCredentials::new("CA certificate", error))?;
        }
        let webpki = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider())
            .build()
            .map_err(|error| BadCredentials::new("CA certificate", error))?;
        Ok(Self { webpki, time })
    }

    /// Without trusted time: the latest start of validity among the presented certificates. If
    /// they were ever valid together, they were at that moment.
    fn now(
        &self,
        leaf: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
    ) -> Result<UnixTime, Error> {
        let seconds = match (self.time)() {
            Some(trusted) => trusted,
            None => validity::latest_start(leaf, others).ok_or(CertificateError::BadEncoding)?,
        };
        Ok(UnixTime::since_unix_epoch(Duration::from_secs(seconds.0)))
    }
}

impl fmt::Debug for Anchored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Anchored").finish_non_exhaustive()
    }
}

impl ServerCertVerifier for Anchored {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        _wall: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let now = self.now(leaf, others)?;
        self.webpki
            .verify_server_cert(leaf, others, name, ocsp, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.webpki
            .verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.webpki
            .verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.webpki.supported_verify_schemes()
    }
}
