//! Where an incident is, as one text; and what makes two findings the same one.
//!
//! The text is for people and stores alike: `device:press-07`, `cohort:site=hall-4`, `fleet`.

use muster_protocol::digest::{Digest, Digester};

use super::kind::Kind;
use crate::finding::{Finding, Scope};

/// A text that names no place.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no place: expected device:NAME, cohort:LABEL=VALUE or fleet")]
pub struct BadPlace(String);

/// A scope as a text.
#[must_use]
pub fn place(scope: &Scope) -> String {
    match scope {
        Scope::Device(device) => format!("device:{device}"),
        Scope::Cohort { label, value } => format!("cohort:{label}={value}"),
        Scope::Fleet => "fleet".to_owned(),
    }
}

/// Reads what [`place`] wrote.
///
/// # Errors
/// [`BadPlace`].
pub fn read_place(text: &str) -> Result<Scope, BadPlace> {
    let bad = || BadPlace(text.to_owned());
    match text.split_once(':') {
        None if text == "fleet" => Ok(Scope::Fleet),
        Some(("device", device)) => device.parse().map(Scope::Device).map_err(|_| bad()),
        Some(("cohort", pair)) => {
            let (label, value) = pair.split_once('=').ok_or_else(bad)?;
            Ok(Scope::Cohort {
                label: label.to_owned(),
                value: value.to_owned(),
            })
        }
        _ => Err(bad()),
    }
}

/// What a finding is known by. The same windows judged once more, also with a device more or in
/// other words, are the same finding.
#[must_use]
pub fn finding_digest(finding: &Finding) -> Digest {
    let mut digester = Digester::default();
    let parts = [
        finding.model.to_string(),
        finding.bundle.to_string(),
        place(&finding.scope),
        finding.feature.clone().unwrap_or_default(),
        Kind::Drift(finding.cause).to_string(),
        finding.at.0.to_string(),
    ];
    for part in parts {
        // Lengths keep parts apart, whatever they hold.
        digester.update(&(part.len() as u64).to_be_bytes());
        digester.update(part.as_bytes());
    }
    digester.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_read_back_as_it_was_written() {
        for text in ["device:press-07", "cohort:site=hall-4", "fleet"] {
            assert_eq!(place(&read_place(text).expect("a place")), text);
        }
        for text in ["", "device:", "device:Press", "cohort:site", "hall", "a:b"] {
            assert!(read_place(text).is_err(), "{text}");
        }
    }
}
