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
    /// Decides. An address that cannot be used never costs the device the one that works.
    pub(super) fn decide(
        enrolled: &Enrolled,
        named: Option<&Named>,
        worked: Option<&Worked>,
    ) -> Self {
        let worked_broker = worked.and_then(|worked| Broker::parse(&worked.broker).ok());
        let (broker, origin, fault) = match named.map(|named| (&named.broker, named.version)) {
            None => (enrolled.broker.clone(), Origin::Enrolment, None),
            Some((Ok(broker), version)) => (broker.clone(), Origin::FleetDocument(version), None),
            Some((Err(fault), _)) => match worked_broker.clone() {
                Some(broker) => (broker, Origin::Worked, Some(fault.clone())),
                None => (
                    enrolled.broker.clone(),
                    Origin::Enrolment,
                    Some(fault.clone()),
                ),
            },
        };
        let meant = broker.to_string();
        let then = worked.filter(|worked| worked.meant == meant);
        let stand_ins = if worked_broker.as_ref() == Some(&broker) && then.is_some() {
            Vec::new()
        } else {
            stand_ins(&broker, [worked_broker.as_ref(), Some(&enrolled.broker)])
        };
        let first = worked_broker.filter(|_| then.is_some());
        let anchors = named.map_or(&enrolled.anchors, |named| &named.anchors);
        let target = Target {
            first: first.unwrap_or_else(|| broker.clone()),
            broker,
            stand_ins,
            anchors: anchors.clone(),
        };
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

fn stand_ins(broker: &Broker, others: [Option<&Broker>; 2]) -> Vec<Broker> {
    let mut found = Vec::new();
    for other in others.into_iter().flatten() {
        if other != broker && !found.contains(other) {
            found.push(other.clone());
        }
    }
    found
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
