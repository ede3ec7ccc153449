//! Where the link is to lead, and whom it trusts there: out of enrolment, `fleet.json` and what
//! worked last.
//!
//! Pure. With a `fleet.json` exactly its CAs are trusted, at every address: one that it does not
//! name any more may have been stolen.

use crate::enroll::Broker;
use crate::link::Target;
use crate::store::worked::Worked;
use crate::tls::{Anchors, BadCredentials};
use muster_protocol::tuf::FleetDocument;
use std::fmt;

/// What enrolment left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Enrolled {
    pub(super) broker: Broker,
    pub(super) anchors: Anchors,
}

/// What one `fleet.json` says of the link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Named {
    version: u64,
    /// The broker, or why the address that is named cannot be used.
    broker: Result<Broker, String>,
    anchors: Anchors,
}

/// Where the link is to lead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Destination {
    pub(super) target: Target,
    pub(super) origin: Origin,
    /// Why the address of `fleet.json` is not followed.
    pub(super) fault: Option<String>,
}

/// Where the address of the broker that is meant comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin {
    Enrolment,
    /// Of this version.
    FleetDocument(u64),
    /// It worked before a `fleet.json` came whose address cannot be used.
    Worked,
}

impl Named {
    /// Reads the addresses and CAs of a verified document.
    ///
    /// # Errors
    /// Not one of its CA certificates can be used: nobody could be trusted by it.
    pub(super) fn of(fleet: &FleetDocument) -> Result<Self, BadCredentials> {
        Ok(Self {
            version: fleet.version,
            broker: usable(&fleet.endpoints.mqtt),
            anchors: Anchors::from_pem(&fleet.ca_certificates)?,
        })
    }
}

fn usable(endpoint: &str) -> Result<Broker, String> {
    match Broker::parse(endpoint) {
        Ok(broker) if broker.port == 0 => Err(format!("{endpoint:?} names no port")),
        Ok(broker) => Ok(broker),
        Err(bad) => Err(bad.to_string()),
    }
}

impl Destination {
    /// Decides. A start begins with what worked while the same was meant; one that is meant and
    /// worked needs no other to stand in for it.
    pub(super) fn decide(
        enrolled: &Enrolled,
        named: Option<&Named>,
        worked: Option<&Worked>,
    ) -> Self {
        let last = worked.and_then(|worked| Broker::parse(&worked.broker).ok());
        let (broker, origin) = meant(enrolled, named, last.as_ref());
        let meant_then = worked.is_some_and(|worked| worked.meant == broker.to_string());
        let first = last.clone().filter(|_| meant_then);
        let mut stand_ins = Vec::new();
        if first.as_ref() != Some(&broker) {
            stand_ins.extend(last.into_iter().chain([enrolled.broker.clone()]));
            stand_ins.retain(|other| *other != broker);
            stand_ins.dedup();
        }
        let anchors = named.map_or(&enrolled.anchors, |named| &named.anchors);
        let target = Target {
            first: first.unwrap_or_else(|| broker.clone()),
            broker,
            stand_ins,
            anchors: anchors.clone(),
        };
        let fault = named.and_then(|named| named.broker.clone().err());
        Self {
            target,
            origin,
            fault,
        }
    }

    /// Whether a link that leads here needs not be led anew to lead there.
    pub(super) fn is_same_way(&self, other: &Self) -> bool {
        let (here, there) = (&self.target, &other.target);
        here.broker == there.broker && here.anchors == there.anchors
    }
}

/// An address that cannot be used never costs the device the one that works.
fn meant(enrolled: &Enrolled, named: Option<&Named>, last: Option<&Broker>) -> (Broker, Origin) {
    let enrolment = || (enrolled.broker.clone(), Origin::Enrolment);
    let Some(named) = named else {
        return enrolment();
    };
    match (&named.broker, last) {
        (Ok(broker), _) => (broker.clone(), Origin::FleetDocument(named.version)),
        (Err(_), Some(last)) if *last != enrolled.broker => (last.clone(), Origin::Worked),
        (Err(_), _) => enrolment(),
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Enrolment => f.write_str("enrolment"),
            Self::FleetDocument(version) => write!(f, "fleet.json version {version}"),
            Self::Worked => f.write_str("what worked last"),
        }
    }
}

#[cfg(test)]
mod tests;
