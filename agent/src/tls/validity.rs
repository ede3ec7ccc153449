//! When certificates began to be valid.
//!
//! Checks no signature and no chain: webpki does, with the moment that is found here.

use muster_protocol::time::UnixSeconds;
use rustls::pki_types::CertificateDer;
use tokio_rustls::rustls;
use x509_parser::prelude::{FromDer as _, X509Certificate};

/// The latest start of validity; `None` when one of them cannot be read. Zero before 1970.
pub(super) fn latest_start(
    leaf: &CertificateDer<'_>,
    others: &[CertificateDer<'_>],
) -> Option<UnixSeconds> {
    let mut latest = start(leaf)?;
    for other in others {
        latest = latest.max(start(other)?);
    }
    Some(latest)
}

fn start(certificate: &CertificateDer<'_>) -> Option<UnixSeconds> {
    let (_, certificate) = X509Certificate::from_der(certificate).ok()?;
    let start = certificate.validity().not_before.timestamp();
    Some(UnixSeconds(u64::try_from(start).unwrap_or(0)))
}
