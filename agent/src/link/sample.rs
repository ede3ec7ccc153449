//! Targets for tests.

use super::Target;
use crate::enroll::Broker;
use crate::tls::sample::Ca;

/// A broker at the usual port.
pub(crate) fn broker(host: &str) -> Broker {
    Broker {
        host: host.to_owned(),
        port: 8883,
    }
}

/// Leads to one broker, under a CA of its own.
pub(crate) fn target(broker: Broker) -> Target {
    Target {
        first: broker.clone(),
        broker,
        stand_ins: Vec::new(),
        anchors: Ca::new().anchors(),
    }
}
