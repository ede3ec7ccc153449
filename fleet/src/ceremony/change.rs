//! The next `fleet.json`: the one before, with what an operator wants changed.
//!
//! Pure.

use muster_protocol::digest::Digest;
use muster_protocol::time::UnixSeconds;
use muster_protocol::tuf::FleetDocument;
use muster_protocol::tuf::fleet_document::FleetDocumentError;

use super::WHAT;
use super::certificate::Certificate;
use crate::authority;
use crate::endpoint::{HttpsUrl, MqttUrl};
use crate::error::{Exit, OperatorError};
use crate::own_metadata::VersionFloor;

/// What is wanted. What is absent stays.
#[derive(Debug, Clone, Default)]
pub(super) struct Change {
    pub(super) mqtt: Option<MqttUrl>,
    pub(super) enroll: Option<HttpsUrl>,
    pub(super) add_ca: Vec<Certificate>,
    pub(super) remove_ca: Vec<Digest>,
}

/// Why it cannot be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unchangeable {
    #[error("it accepts no CA with the fingerprint {0}")]
    NoSuchCa(Digest),
    #[error("devices would accept no CA at all")]
    NoCa,
    #[error("its version can rise no further")]
    Version,
    #[error("it was issued at a later time ({0} s after 1970) than this machine's clock shows")]
    Clock(u64),
    #[error(transparent)]
    Document(#[from] FleetDocumentError),
}

/// The next document; none when it would say the same.
///
/// # Errors
/// [`Unchangeable`].
pub(super) fn changed(
    before: &FleetDocument,
    change: &Change,
    version_floor: VersionFloor,
    now: UnixSeconds,
) -> Result<Option<FleetDocument>, Unchangeable> {
    let mut next = before.clone();
    if let Some(url) = &change.mqtt {
        next.endpoints.mqtt = url.to_string();
    }
    if let Some(url) = &change.enroll {
        next.endpoints.enroll = url.to_string();
    }
    let accepted = &mut next.ca_certificates;
    for ca in &change.add_ca {
        if !accepted.iter().any(|pem| is(pem, ca.fingerprint)) {
            accepted.push(ca.pem.clone());
        }
    }
    for fingerprint in &change.remove_ca {
        let before = accepted.len();
        accepted.retain(|pem| !is(pem, *fingerprint));
        if accepted.len() == before {
            return Err(Unchangeable::NoSuchCa(*fingerprint));
        }
    }
    if accepted.is_empty() {
        return Err(Unchangeable::NoCa);
    }
    if next == *before {
        return Ok(None);
    }
    if now.0 < before.issued_at_s {
        return Err(Unchangeable::Clock(before.issued_at_s));
    }
    next.version = version_floor.after(before.version);
    if next.version == before.version {
        return Err(Unchangeable::Version);
    }
    next.issued_at_s = now.0;
    next.encode()?;
    Ok(Some(next))
}

fn is(pem: &str, fingerprint: Digest) -> bool {
    authority::certificate_digest(pem) == Some(fingerprint)
}

impl Unchangeable {
    /// The sentence for the operator.
    pub(super) fn told(&self) -> OperatorError {
        let (exit, hint) = match self {
            Self::NoSuchCa(_) => (Exit::Missing, "`muster fleet show` lists those it accepts"),
            Self::NoCa => (
                Exit::Refused,
                "add another CA with --add-ca in the same step",
            ),
            Self::Clock(_) => (Exit::Resource, "set the clock of this machine"),
            Self::Document(_) => (Exit::BadInput, "shorten the addresses, or remove a CA"),
            Self::Version => (Exit::Bug, "report it"),
        };
        OperatorError::new(exit, WHAT, self, hint)
    }
}

#[cfg(test)]
mod tests {
    use muster_protocol::tuf::Hex;
    use muster_protocol::tuf::fleet_document::{Director, Endpoints};

    use super::*;

    const NOW: UnixSeconds = UnixSeconds(1_800_000_000);

    fn ca(founded: &authority::Founded) -> Certificate {
        Certificate::of_ca(&founded.root_pem).expect("a CA")
    }

    fn document(ca: &Certificate) -> FleetDocument {
        let key = vec![Hex([1; 32])];
        FleetDocument {
            version: 3,
            issued_at_s: NOW.0 - 100,
            director_epoch: 1,
            director: Director {
                keys: key.clone(),
                threshold: 1,
            },
            ack_keys: key.clone(),
            time_keys: key,
            ca_certificates: vec![ca.pem.clone()],
            endpoints: Endpoints {
                mqtt: "mqtts://localhost:8883".to_owned(),
                enroll: "https://localhost:8443".to_owned(),
            },
            floor: Default::default(),
            revoked: Default::default(),
        }
    }

    #[test]
    fn only_what_is_named_changes_and_nonsense_is_refused() {
        let found = || authority::found(&[], NOW).expect("certificates");
        let (old, new) = (ca(&found()), ca(&found()));
        let before = document(&old);
        let check = |change: Change, expect: Result<Option<FleetDocument>, Unchangeable>| {
            assert_eq!(
                changed(&before, &change, VersionFloor::NONE, NOW),
                expect,
                "{change:?}"
            );
        };
        let next = FleetDocument {
            version: 4,
            issued_at_s: NOW.0,
            ..before.clone()
        };
        let mqtt = |url: &str| Change {
            mqtt: Some(url.parse().expect("valid")),
            ..Change::default()
        };
        check(Change::default(), Ok(None));
        check(mqtt("mqtts://localhost"), Ok(None));
        let mut moved = next.clone();
        moved.endpoints.mqtt = "mqtts://broker.example:1".to_owned();
        check(mqtt("mqtts://broker.example:1"), Ok(Some(moved)));
        let add = Change {
            add_ca: vec![new.clone(), new.clone()],
            ..Change::default()
        };
        let mut both = next.clone();
        both.ca_certificates.push(new.pem.clone());
        check(add.clone(), Ok(Some(both)));
        let swap = Change {
            remove_ca: vec![old.fingerprint],
            ..add
        };
        let mut swapped = next;
        swapped.ca_certificates = vec![new.pem.clone()];
        check(swap, Ok(Some(swapped)));
        let remove = |fingerprint| Change {
            remove_ca: vec![fingerprint],
            ..Change::default()
        };
        check(remove(old.fingerprint), Err(Unchangeable::NoCa));
        check(
            remove(new.fingerprint),
            Err(Unchangeable::NoSuchCa(new.fingerprint)),
        );
        let long = format!("mqtts://{}", "a".repeat(300));
        let refused = FleetDocumentError::TooMany("endpoints.mqtt");
        check(mqtt(&long), Err(Unchangeable::Document(refused)));
        let early = UnixSeconds(NOW.0 - 101);
        let early = changed(&before, &mqtt("mqtts://a:1"), VersionFloor::NONE, early);
        assert_eq!(early, Err(Unchangeable::Clock(before.issued_at_s)));
    }
}
