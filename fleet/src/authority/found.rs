//! Making a new authority: root, intermediate and server certificate; once for `muster init`, and
//! again when a controller was stolen.
//!
//! Writes nothing: the texts go to whoever keeps them.

use std::path::PathBuf;

use muster_protocol::time::UnixSeconds;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, KeyUsagePurpose,
};

use super::{AuthorityError, check_pair, named};
use crate::home::Home;

/// Life of the CA root.
const ROOT_DAYS: u64 = 20 * 365;
/// Life of the intermediate.
const INTERMEDIATE_DAYS: u64 = 10 * 365;
/// Life of the server's certificate: devices trust a private CA, and judge dates only once they
/// trust a clock.
const SERVER_DAYS: u64 = 5 * 365;

/// Names that every server certificate carries.
pub(crate) const LOCAL_NAMES: [&str; 2] = ["localhost", "127.0.0.1"];

/// A new authority; all fields are PEM.
pub(crate) struct Founded {
    /// The root's certificate.
    pub(crate) root_pem: String,
    /// The root's key: offline.
    pub(crate) root_key_pem: String,
    /// The intermediate's certificate.
    pub(crate) intermediate_pem: String,
    /// The intermediate's key.
    pub(crate) intermediate_key_pem: String,
    /// The server's certificate, the intermediate, the same by an older root, and the root.
    pub(crate) server_chain_pem: String,
    /// The server's key.
    pub(crate) server_key_pem: String,
}

impl Founded {
    /// Where each text lies in a home; `anchors` are those of device certificates.
    pub(crate) fn files<'a>(&'a self, home: &Home, anchors: &'a str) -> [(PathBuf, &'a str); 7] {
        [
            (home.ca_root_key(), &self.root_key_pem),
            (home.ca_root_pem(), &self.root_pem),
            (home.ca_key(), &self.intermediate_key_pem),
            (home.ca_pem(), &self.intermediate_pem),
            (home.server_key(), &self.server_key_pem),
            (home.server_pem(), &self.server_chain_pem),
            (home.client_ca_pem(), anchors),
        ]
    }

    /// The anchors of device certificates.
    pub(crate) fn anchors(&self) -> String {
        self.intermediate_pem.clone() + &self.root_pem
    }
}

/// Makes an authority with a server certificate for `host_names` and the local names.
///
/// # Errors
/// [`AuthorityError::Name`] for what is no host name, [`AuthorityError::Sign`] otherwise.
pub(crate) fn found(host_names: &[String], now: UnixSeconds) -> Result<Founded, AuthorityError> {
    build(host_names, now, None)
}

/// Makes an authority that follows another: its server shows a way to the old root as well, so
/// that devices which know only that one connect, and hear of the new one.
///
/// # Errors
/// As [`found`]; the old root or its key is not readable, or they do not belong together.
pub(crate) fn succeed(
    host_names: &[String],
    old_root_pem: &str,
    old_root_key_pem: &str,
    now: UnixSeconds,
) -> Result<Founded, AuthorityError> {
    let key = KeyPair::from_pem(old_root_key_pem)?;
    check_pair(old_root_pem, &key).map_err(|because| AuthorityError::Sign { because })?;
    let old = Issuer::from_ca_cert_pem(old_root_pem, key)?;
    build(host_names, now, Some(&old))
}

fn build(
    host_names: &[String],
    now: UnixSeconds,
    old: Option<&Issuer<'static, KeyPair>>,
) -> Result<Founded, AuthorityError> {
    let root = CertifiedIssuer::self_signed(
        ca("Muster CA root", 1, now, ROOT_DAYS)?,
        KeyPair::generate()?,
    )?;
    let intermediate = CertifiedIssuer::signed_by(
        ca("Muster CA", 0, now, INTERMEDIATE_DAYS)?,
        KeyPair::generate()?,
        &root,
    )?;
    let by_the_old = old.map(|old| {
        let params = ca("Muster CA", 0, now, INTERMEDIATE_DAYS)?;
        let certificate = params.signed_by(intermediate.key(), old)?;
        Ok::<_, AuthorityError>(certificate.pem())
    });
    let by_the_old = by_the_old.transpose()?.unwrap_or_default();
    let server_key = KeyPair::generate()?;
    let mut names = host_names.to_vec();
    names.extend(LOCAL_NAMES.map(str::to_owned));
    let server = server(&names, now)?.signed_by(&server_key, &intermediate)?;
    Ok(Founded {
        server_chain_pem: server.pem() + &intermediate.pem() + &by_the_old + &root.pem(),
        server_key_pem: server_key.serialize_pem(),
        intermediate_pem: intermediate.pem(),
        intermediate_key_pem: intermediate.key().serialize_pem(),
        root_pem: root.pem(),
        root_key_pem: root.key().serialize_pem(),
    })
}

fn ca(
    name: &str,
    path_len: u8,
    now: UnixSeconds,
    days: u64,
) -> Result<CertificateParams, AuthorityError> {
    let mut params = named(name, now, days)?;
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(path_len));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.use_authority_key_identifier_extension = true;
    Ok(params)
}

/// A certificate for servers only, under these names.
pub(super) fn server(
    host_names: &[String],
    now: UnixSeconds,
) -> Result<CertificateParams, AuthorityError> {
    let mut names: Vec<&str> = host_names.iter().map(String::as_str).collect();
    names.sort_unstable();
    names.dedup();
    let mut params = named("muster", now, SERVER_DAYS)?;
    for name in names {
        params.subject_alt_names.extend(alternative_names(name)?);
    }
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.use_authority_key_identifier_extension = true;
    Ok(params)
}

fn alternative_names(name: &str) -> Result<Vec<rcgen::SanType>, AuthorityError> {
    let bad = || AuthorityError::Name {
        name: name.to_owned(),
    };
    if name.parse::<std::net::IpAddr>().is_err() && !is_host_name(name) {
        return Err(bad());
    }
    let params = CertificateParams::new([name.to_owned()]).map_err(|_| bad())?;
    Ok(params.subject_alt_names)
}

/// Letters, digits and hyphens in labels between dots (RFC 1123, 2.1).
fn is_host_name(name: &str) -> bool {
    let label = |label: &str| {
        let plain = label
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'-');
        (1..=63).contains(&label.len()) && plain && !label.starts_with('-') && !label.ends_with('-')
    };
    name.len() <= 253 && name.split('.').all(label)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_names_have_neither_scheme_nor_port() {
        for (name, expect) in [
            ("fleet.example", true),
            ("10.0.0.7", true),
            ("::1", true),
            ("a-b", true),
            ("https://fleet.example", false),
            ("fleet.example:8883", false),
            ("-a", false),
            ("a..b", false),
            ("", false),
            ("é", false),
        ] {
            assert_eq!(alternative_names(name).is_ok(), expect, "{name:?}");
        }
    }
}
