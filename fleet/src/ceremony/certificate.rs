//! A CA certificate as a person brings or reads it.
//!
//! Never judges whom it belongs to: that is what the fingerprint is for.

use muster_protocol::digest::Digest;
use x509_parser::pem::Pem;

/// One certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Certificate {
    /// As `fleet.json` carries it.
    pub(super) pem: String,
    /// The sha256 in DER.
    pub(super) fingerprint: Digest,
    /// Whom it names.
    pub(super) subject: String,
    /// When it ends, for people.
    pub(super) ends: String,
}

impl Certificate {
    /// Reads text that holds one certificate.
    ///
    /// # Errors
    /// None or several, or one that cannot be read.
    pub(super) fn read(text: &str) -> Result<Self, String> {
        Self::parse(text).map(|(certificate, _)| certificate)
    }

    /// As [`Certificate::read`], of a CA.
    ///
    /// # Errors
    /// As there, and for a certificate that may not issue others.
    pub(super) fn of_ca(text: &str) -> Result<Self, String> {
        match Self::parse(text)? {
            (certificate, true) => Ok(certificate),
            (Self { subject, .. }, false) => Err(format!("{subject} is not a CA")),
        }
    }

    fn parse(text: &str) -> Result<(Self, bool), String> {
        let mut blocks = Pem::iter_from_buffer(text.as_bytes());
        let first = blocks.next().ok_or("there is no certificate in it")?;
        let pem = first.map_err(|error| format!("it cannot be read ({error})"))?;
        if pem.label != "CERTIFICATE" {
            return Err(format!("it holds a {}", pem.label));
        }
        if blocks.next().is_some() {
            return Err("it holds more than one block".to_owned());
        }
        let parsed = pem
            .parse_x509()
            .map_err(|error| format!("it cannot be read ({error})"))?;
        let read = Self {
            pem: text.to_owned(),
            fingerprint: Digest::of(&pem.contents),
            subject: parsed.subject().to_string(),
            ends: parsed.validity().not_after.to_string(),
        };
        Ok((read, parsed.is_ca()))
    }
}

#[cfg(test)]
mod tests {
    use muster_protocol::time::UnixSeconds;

    use super::*;
    use crate::authority;

    #[test]
    fn one_ca_certificate_is_read_and_nothing_else() {
        let founded = authority::found(&[], UnixSeconds(1_800_000_000)).expect("certificates");
        let check =
            |text: &str, expect: Result<&str, &str>| match (Certificate::of_ca(text), expect) {
                (Ok(read), Ok(subject)) => assert_eq!(read.subject, subject),
                (Err(why), Err(part)) => assert!(why.contains(part), "{why}"),
                (read, expect) => panic!("{read:?} instead of {expect:?}"),
            };
        check(&founded.root_pem, Ok("CN=Muster CA root"));
        check("", Err("no certificate"));
        check("garbage", Err("no certificate"));
        check(&founded.root_key_pem, Err("it holds a PRIVATE KEY"));
        check(
            &(founded.root_pem.clone() + &founded.intermediate_pem),
            Err("more than one"),
        );
        let (server, _) =
            founded
                .server_chain_pem
                .split_at(founded.server_chain_pem.find("-----BEGIN").map_or(0, |_| {
                    founded
                        .server_chain_pem
                        .find("-----END CERTIFICATE-----\n")
                        .expect("PEM")
                        + 26
                }));
        check(server, Err("is not a CA"));
    }
}
