//! Whether the certificate that a broker has will still do.
//!
//! Never makes one.

use std::collections::BTreeSet;
use std::fs;
use std::net::IpAddr;
use std::path::Path;

use muster_protocol::time::UnixSeconds;
use x509_parser::extensions::GeneralName;
use x509_parser::pem::parse_x509_pem;

use crate::authority::Authority;
use crate::broker::mosquitto::{SERVER, SERVER_KEY};

/// Days before its end in which a certificate is made anew.
const RENEW_DAYS: u64 = 90;

/// Whether the folder holds a certificate of this authority for just these names, with a key, that
/// does not end soon.
pub(super) fn serves(
    folder: &Path,
    hosts: &[String],
    authority: &Authority,
    now: UnixSeconds,
) -> bool {
    let text = fs::read_to_string(folder.join(SERVER)).unwrap_or_default();
    let named = read(&text, authority, now);
    folder.join(SERVER_KEY).is_file() && named == Some(hosts.iter().cloned().collect())
}

fn read(text: &str, authority: &Authority, now: UnixSeconds) -> Option<BTreeSet<String>> {
    let (_, pem) = parse_x509_pem(text.as_bytes()).ok()?;
    let certificate = pem.parse_x509().ok()?;
    let ends = u64::try_from(certificate.validity().not_after.timestamp()).ok()?;
    if ends < now.plus_days(RENEW_DAYS).0 || !authority.has_issued(&certificate) {
        return None;
    }
    let names = certificate.subject_alternative_name().ok()??;
    names.value.general_names.iter().map(name).collect()
}

fn name(name: &GeneralName<'_>) -> Option<String> {
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "the library's list: our certificates carry no other names"
    )]
    match name {
        GeneralName::DNSName(name) => Some((*name).to_owned()),
        GeneralName::IPAddress(bytes) => {
            let v4 = <[u8; 4]>::try_from(*bytes).map(IpAddr::from);
            let v6 = <[u8; 16]>::try_from(*bytes).map(IpAddr::from);
            v4.or(v6).ok().map(|address| address.to_string())
        }
        _ => None,
    }
}
