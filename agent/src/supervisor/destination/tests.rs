//! Which brokers a device turns to, and under which CAs.

use super::*;
use crate::tls::sample::Ca;
use muster_protocol::tuf::Hex;
use muster_protocol::tuf::fleet_document::{Director, Endpoints};
use std::collections::BTreeMap;

fn enrolled(ca: &Ca) -> Enrolled {
    Enrolled {
        broker: Broker::parse("mqtts://enrolled.example").expect("valid"),
        anchors: ca.anchors(),
    }
}

fn named(ca: &Ca, endpoint: &str) -> Named {
    Named {
        version: 7,
        broker: usable(endpoint),
        anchors: ca.anchors(),
    }
}

fn worked(meant: &str, broker: &str) -> Worked {
    Worked {
        meant: meant.to_owned(),
        broker: broker.to_owned(),
    }
}

/// `expect` is: the broker that is meant, where that is from, where the first attempt goes when
/// it is another, and what stands in.
fn check(endpoint: Option<&str>, last: Option<Worked>, expect: &str) {
    let (old, new) = (Ca::new(), Ca::new());
    let named = endpoint.map(|endpoint| named(&new, endpoint));
    let got = Destination::decide(&enrolled(&old), named.as_ref(), last.as_ref());
    let Target {
        broker,
        stand_ins,
        first,
        anchors,
    } = &got.target;
    let short = |broker: &Broker| broker.to_string().replace("mqtts://", "");
    let mut line = format!("{} by {}", short(broker), got.origin);
    if first != broker {
        line += &format!(", first {}", short(first));
    }
    for other in stand_ins {
        line += &format!(", or {}", short(other));
    }
    if let Some(fault) = &got.fault {
        line += &format!("; {fault}");
    }
    assert_eq!(line, expect, "{endpoint:?} {last:?}");
    let trusted = if named.is_some() { new } else { old };
    assert_eq!(
        *anchors,
        trusted.anchors(),
        "exactly the newest CAs: {line}"
    );
}

const OLD: &str = "mqtts://enrolled.example:8883";
const NEW: &str = "mqtts://new.example:8883";

#[test]
fn the_enrolment_counts_until_there_is_a_fleet_document() {
    check(None, None, "enrolled.example:8883 by enrolment");
    check(
        None,
        Some(worked(OLD, OLD)),
        "enrolled.example:8883 by enrolment",
    );
    check(
        None,
        Some(worked(NEW, NEW)),
        "enrolled.example:8883 by enrolment, or new.example:8883",
    );
}

#[test]
fn the_address_of_the_fleet_document_is_followed() {
    check(
        Some("mqtts://new.example"),
        None,
        "new.example:8883 by fleet.json version 7, or enrolled.example:8883",
    );
    check(
        Some("mqtts://[2001:db8::1]:1"),
        Some(worked(OLD, OLD)),
        "[2001:db8::1]:1 by fleet.json version 7, or enrolled.example:8883",
    );
    check(
        Some(OLD),
        Some(worked(OLD, OLD)),
        "enrolled.example:8883 by fleet.json version 7",
    );
}

#[test]
fn one_that_worked_has_no_stand_in_and_one_that_did_not_has() {
    check(
        Some(NEW),
        Some(worked(NEW, NEW)),
        "new.example:8883 by fleet.json version 7",
    );
    let last = worked(OLD, "mqtts://192.0.2.1:8883");
    check(
        Some(NEW),
        Some(last),
        "new.example:8883 by fleet.json version 7, or 192.0.2.1:8883, or enrolled.example:8883",
    );
}

#[test]
fn a_start_begins_with_what_worked_while_the_same_was_meant() {
    check(
        Some(NEW),
        Some(worked(NEW, OLD)),
        "new.example:8883 by fleet.json version 7, first enrolled.example:8883, or \
         enrolled.example:8883",
    );
    check(
        Some(NEW),
        Some(worked(OLD, OLD)),
        "new.example:8883 by fleet.json version 7, or enrolled.example:8883",
    );
}

#[test]
fn an_address_that_cannot_be_used_does_not_cost_the_link() {
    let form = "is not of the form mqtts://host:port";
    for endpoint in ["http://new.example:80", "new.example", "mqtts://new:99999"] {
        check(
            Some(endpoint),
            None,
            &format!("enrolled.example:8883 by enrolment; {endpoint:?} {form}"),
        );
        check(
            Some(endpoint),
            Some(worked(NEW, NEW)),
            &format!("new.example:8883 by what worked last; {endpoint:?} {form}"),
        );
    }
    check(
        Some("mqtts://localhost:0"),
        Some(worked(OLD, OLD)),
        "enrolled.example:8883 by enrolment; \"mqtts://localhost:0\" names no port",
    );
}

#[test]
fn garbage_in_what_worked_is_nothing() {
    check(
        Some(NEW),
        Some(worked(NEW, "garbage")),
        "new.example:8883 by fleet.json version 7, or enrolled.example:8883",
    );
    check(
        None,
        Some(worked("", "")),
        "enrolled.example:8883 by enrolment",
    );
}

#[test]
fn a_fleet_document_without_a_usable_ca_names_nobody_to_trust() {
    let (first, second) = (Ca::new().certificate.pem(), Ca::new().certificate.pem());
    let check = |certificates: &[&str], expect: bool| {
        let read = Named::of(&document(certificates));
        assert_eq!(read.is_ok(), expect, "{certificates:?}");
    };
    check(&["no certificate"], false);
    check(&["no certificate", &first], true);
    check(&[&first, &second], true);
}

fn document(certificates: &[&str]) -> FleetDocument {
    let key = || vec![Hex([1; 32])];
    FleetDocument {
        version: 7,
        issued_at_s: 0,
        director_epoch: 1,
        director: Director {
            keys: key(),
            threshold: 1,
        },
        ack_keys: key(),
        time_keys: key(),
        ca_certificates: certificates.iter().map(|it| (*it).to_owned()).collect(),
        endpoints: Endpoints {
            mqtt: NEW.to_owned(),
            enroll: "https://new.example".to_owned(),
        },
        floor: BTreeMap::new(),
        revoked: BTreeMap::new(),
    }
}

#[test]
fn the_way_is_the_same_while_broker_and_cas_are() {
    let (old, new) = (Ca::new(), Ca::new());
    let to = |ca: &Ca, endpoint: &str| {
        Destination::decide(&enrolled(&old), Some(&named(ca, endpoint)), None)
    };
    let before = to(&new, NEW);
    let check = |ca: &Ca, endpoint: &str, expect: bool| {
        assert_eq!(before.is_same_way(&to(ca, endpoint)), expect, "{endpoint}");
    };
    check(&new, "mqtts://new.example", true);
    check(&new, "mqtts://new.example:1", false);
    check(&old, NEW, false);
    let by_enrolment = Destination::decide(&enrolled(&new), None, None);
    assert!(by_enrolment.is_same_way(&to(&new, "garbage")));
}
