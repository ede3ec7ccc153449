//! The CA certificates that a server's certificate may lead to.
//!
//! Reads text, never files. A list without a usable certificate is none: nobody could be trusted
//! by it.

use super::BadCredentials;
use super::credentials::certificates;
use muster_protocol::digest::Digest;
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use tokio_rustls::rustls;

/// Exactly the CAs to trust, at least one, sorted; each can be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Anchors(Vec<CertificateDer<'static>>);

impl Anchors {
    /// Reads PEM. What cannot be used is left out, and said so in the log: it can anchor nobody.
    ///
    /// # Errors
    /// Not one certificate can be used; why the last one cannot.
    pub fn from_pem<T: AsRef<str>>(texts: &[T]) -> Result<Self, BadCredentials> {
        let mut anchors = Vec::new();
        let mut refused = BadCredentials::new("CA certificate", "there is none");
        for text in texts {
            match read(text.as_ref()) {
                Ok(mut found) => anchors.append(&mut found),
                Err(bad) => {
                    tracing::warn!(%bad, "a CA certificate is left out");
                    refused = bad;
                }
            }
        }
        anchors.sort_unstable_by(|a, b| a.as_ref().cmp(b.as_ref()));
        anchors.dedup();
        if anchors.is_empty() {
            return Err(refused);
        }
        Ok(Self(anchors))
    }

    /// Whether a certificate with this sha256 in DER is one of them.
    #[must_use]
    pub fn include(&self, fingerprint: Digest) -> bool {
        self.0
            .iter()
            .any(|anchor| Digest::of(anchor) == fingerprint)
    }

    /// As the verifier wants them.
    pub(super) fn certificates(&self) -> &[CertificateDer<'static>] {
        &self.0
    }
}

fn read(text: &str) -> Result<Vec<CertificateDer<'static>>, BadCredentials> {
    let found = certificates("CA certificate", text)?;
    let mut roots = RootCertStore::empty();
    for certificate in &found {
        roots
            .add(certificate.clone())
            .map_err(|error| BadCredentials::new("CA certificate", error))?;
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::super::sample::Ca;
    use super::*;

    #[test]
    fn only_usable_certificates_count_and_one_must_be() {
        let (first, second) = (Ca::new().certificate.pem(), Ca::new().certificate.pem());
        let garbage = "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n";
        let check = |texts: &[&str], expect: Option<usize>| {
            let found = Anchors::from_pem(texts).ok().map(|anchors| anchors.0.len());
            assert_eq!(found, expect, "{texts:?}");
        };
        check(&[], None);
        check(&["no certificate", garbage], None);
        check(&[&first], Some(1));
        check(&[garbage, &first, ""], Some(1));
        check(&[&first, &second], Some(2));
        check(&[&(first.clone() + &second), &first], Some(2));
        let one = Anchors::from_pem(&[&first, &second]);
        assert_eq!(
            one,
            Anchors::from_pem(&[&second, &first]),
            "order says nothing"
        );
    }
}
