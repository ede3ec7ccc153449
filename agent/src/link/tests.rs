//! The link against a real broker (mosquitto), with mutual TLS.

mod broker;
mod proxy;

use super::{Link, LinkBusy, LinkConfig, LinkEvent, Source, Target, Timeouts};
use crate::enroll::{Broker, TopicPrefix};
use crate::free_port::FreePort;
use crate::tls::sample::{Ca, Issued};
use broker::Mosquitto;
use muster_protocol::id::DeviceId;
use muster_protocol::limits::MESSAGE_BYTES_MAX;
use muster_protocol::topic::{Down, PREFIX, Up};
use proxy::Proxy;
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;
use tokio::sync::mpsc::Receiver;
use tokio::time::timeout;

const DEVICE: &str = "press-07";
const DEADLINE: Duration = Duration::from_secs(30);
const PATIENT: Timeouts = Timeouts {
    dial_ms: 5000,
    answer_ms: 5000,
    silence_ms: 60_000,
    unacknowledged_ms: 60_000,
    retry_first_ms: 20,
    retry_longest_ms: 200,
    settled_ms: 0,
    return_first_ms: 20,
    return_longest_ms: 200,
};

/// A device, and what it writes to.
struct Device {
    state: TempDir,
    link: Link,
    events: Receiver<LinkEvent>,
}

impl Device {
    fn start(ca: &Ca, certificate: &Issued, port: u16, timeouts: Timeouts) -> Self {
        let target = target(ca, port, &[]);
        Self::start_to(&target, certificate, timeouts)
    }

    fn start_to(target: &Target, certificate: &Issued, timeouts: Timeouts) -> Self {
        let state = tempfile::tempdir().expect("a folder");
        let config = LinkConfig {
            device: DeviceId::parse(DEVICE).expect("valid"),
            topic_prefix: TopicPrefix::parse(PREFIX).expect("valid"),
            credentials: certificate.credentials(),
            state_folder: state.path().to_owned(),
            keep_alive_s: 1,
            agent_version: "0.0.0".to_owned(),
            timeouts,
        };
        let (link, events) = Link::start(config, target, Arc::new(|| None), 1).expect("starts");
        Self {
            state,
            link,
            events,
        }
    }

    async fn next(&mut self) -> LinkEvent {
        let event = timeout(DEADLINE, self.events.recv()).await;
        event.expect("an event in time").expect("the link runs")
    }

    async fn until_up(&mut self) {
        while !matches!(self.next().await, LinkEvent::Up { .. }) {}
    }

    async fn until_down(&mut self) -> String {
        loop {
            if let LinkEvent::Down { because } = self.next().await {
                return because;
            }
        }
    }
}

fn local(port: u16) -> Broker {
    Broker {
        host: "127.0.0.1".to_owned(),
        port,
    }
}

/// Leads to `port`, and to others while that fails.
fn target(ca: &Ca, port: u16, stand_ins: &[u16]) -> Target {
    Target {
        broker: local(port),
        stand_ins: stand_ins.iter().copied().map(local).collect(),
        first: local(port),
        anchors: ca.anchors(),
    }
}

fn message(from: Source, payload: &[u8]) -> LinkEvent {
    let payload = payload.to_vec();
    LinkEvent::Message { from, payload }
}

#[tokio::test]
async fn a_device_says_it_is_there_hears_and_speaks() {
    let ca = Ca::new();
    let Some(broker) = Mosquitto::start("link", &ca).await else {
        return;
    };
    let mut device = Device::start(&ca, &ca.device(DEVICE), broker.port(), PATIENT);
    device.until_up().await;
    let socket = device.state.path().join("link");
    assert!(!socket.exists(), "nobody else can connect as this device");
    let status = format!("{PREFIX}/{DEVICE}/up/status");
    broker.expect(&status, r#""online":true"#).await;

    for (topic, from) in [
        ("press-07/down/ack", Source::Down(Down::Ack)),
        ("press-07/down/piece", Source::Down(Down::Piece)),
        ("_/timestamp", Source::Timestamp),
    ] {
        broker
            .say(&format!("{PREFIX}/{topic}"), topic.as_bytes())
            .await;
        assert_eq!(device.next().await, message(from, topic.as_bytes()));
    }

    let mut listener = broker.listen(&format!("{PREFIX}/{DEVICE}/up/#")).await;
    let doc = vec![b'x'; MESSAGE_BYTES_MAX];
    assert_eq!(device.link.publisher().publish(Up::Doc, doc), Ok(()));
    let heard = listener.hear("up/doc").await;
    assert_eq!(heard.matches('x').count(), MESSAGE_BYTES_MAX);
    let large = vec![0; MESSAGE_BYTES_MAX + 1];
    assert_eq!(
        device.link.publisher().publish(Up::Doc, large),
        Err(LinkBusy::TooLarge)
    );

    device.link.stop().await;
    broker.expect(&status, r#""online":false"#).await;
}

#[tokio::test]
async fn strange_and_oversized_messages_are_dropped_and_the_link_stays() {
    let ca = Ca::new();
    let Some(broker) = Mosquitto::start("link-strangers", &ca).await else {
        return;
    };
    let mut device = Device::start(&ca, &ca.device(DEVICE), broker.port(), PATIENT);
    device.until_up().await;
    let ack = format!("{PREFIX}/{DEVICE}/down/ack");
    broker
        .say(&format!("{PREFIX}/{DEVICE}/down/other"), b"a")
        .await;
    broker.say(&format!("{PREFIX}/_/other"), b"b").await;
    broker.say(&ack, &vec![0; MESSAGE_BYTES_MAX + 1]).await;
    broker.say(&ack, &vec![1; MESSAGE_BYTES_MAX]).await;
    let largest = message(Source::Down(Down::Ack), &vec![1; MESSAGE_BYTES_MAX]);
    assert!(device.next().await == largest, "only the largest one comes");
}

#[tokio::test]
async fn a_broker_that_dies_and_comes_back_is_found_again() {
    let ca = Ca::new();
    let Some(mut broker) = Mosquitto::start("link-restart", &ca).await else {
        return;
    };
    let mut device = Device::start(&ca, &ca.device(DEVICE), broker.port(), PATIENT);
    device.until_up().await;
    broker.kill().await;
    assert_eq!(
        device.until_down().await,
        "the broker closed the connection"
    );
    let because = device.until_down().await;
    assert!(because.contains("cannot be reached"), "{because}");
    assert_eq!(
        device.link.publisher().publish(Up::Doc, vec![1]),
        Err(LinkBusy::Down)
    );
    broker.revive();
    device.until_up().await;
    assert_eq!(device.link.publisher().publish(Up::Doc, vec![1]), Ok(()));
}

#[tokio::test]
async fn certificates_of_another_ca_are_named_on_both_sides() {
    let (ca, other) = (Ca::new(), Ca::new());
    let Some(broker) = Mosquitto::start("link-certificates", &ca).await else {
        return;
    };
    let check = async |trusted: &Ca, issuer: &Ca, expect: &str| {
        let certificate = issuer.device(DEVICE);
        let mut device = Device::start(trusted, &certificate, broker.port(), PATIENT);
        let because = device.until_down().await;
        assert!(because.contains(expect), "{because}");
    };
    let refused = "certificate for 127.0.0.1 is refused: none of the accepted CAs issued it";
    check(&other, &ca, refused).await;
    check(&ca, &other, "the broker refuses this device in TLS").await;
}

#[tokio::test]
async fn a_connection_without_progress_is_replaced() {
    let ca = Ca::new();
    let Some(broker) = Mosquitto::start("link-watchdog", &ca).await else {
        return;
    };
    let check = async |timeouts: Timeouts, expect: &str| {
        let mut proxy = Proxy::start(broker.port()).await;
        let mut device = Device::start(&ca, &ca.device(DEVICE), proxy.port(), timeouts);
        device.until_up().await;
        proxy.freeze();
        assert_eq!(device.link.publisher().publish(Up::Doc, vec![1]), Ok(()));
        assert_eq!(device.until_down().await, expect);
        device.until_up().await;
        assert_eq!(device.link.publisher().publish(Up::Doc, vec![1]), Ok(()));
    };
    let silent = Timeouts {
        silence_ms: 1500,
        ..PATIENT
    };
    check(silent, "nothing came for 1500 ms").await;
    let unacknowledged = Timeouts {
        unacknowledged_ms: 300,
        ..PATIENT
    };
    check(
        unacknowledged,
        "a message was not acknowledged within 300 ms",
    )
    .await;
}

#[tokio::test]
async fn a_device_that_vanishes_leaves_its_last_will() {
    let ca = Ca::new();
    let Some(broker) = Mosquitto::start("link-will", &ca).await else {
        return;
    };
    let mut proxy = Proxy::start(broker.port()).await;
    let slow = Timeouts {
        retry_first_ms: 60_000,
        retry_longest_ms: 60_000,
        ..PATIENT
    };
    let mut device = Device::start(&ca, &ca.device(DEVICE), proxy.port(), slow);
    device.until_up().await;
    let status = format!("{PREFIX}/{DEVICE}/up/status");
    broker.expect(&status, r#""online":true"#).await;
    proxy.cut();
    device.until_down().await;
    broker.expect(&status, r#""online":false"#).await;
}

#[tokio::test]
async fn a_device_that_is_taken_over_says_so_and_comes_back() {
    let ca = Ca::new();
    let Some(broker) = Mosquitto::start("link-takeover", &ca).await else {
        return;
    };
    let certificate = ca.device(DEVICE);
    let growing = Timeouts {
        settled_ms: 600_000,
        retry_longest_ms: 600_000,
        ..PATIENT
    };
    let mut first = Device::start(&ca, &certificate, broker.port(), growing);
    first.until_up().await;
    let mut second = Device::start(&ca, &certificate, broker.port(), growing);
    for _ in 0..4 {
        second.until_up().await;
        assert_eq!(first.until_down().await, "the broker closed the connection");
        first.until_up().await;
        assert_eq!(
            second.until_down().await,
            "the broker closed the connection"
        );
    }
}

fn up(port: u16) -> LinkEvent {
    let broker = local(port);
    LinkEvent::Up { broker }
}

#[tokio::test]
async fn a_link_that_is_led_elsewhere_says_goodbye_and_goes() {
    let ca = Ca::new();
    let (Some(old), Some(new)) = (
        Mosquitto::start("link-moves", &ca).await,
        Mosquitto::start("link-moves-too", &ca).await,
    ) else {
        return;
    };
    let mut device = Device::start(&ca, &ca.device(DEVICE), old.port(), PATIENT);
    assert_eq!(device.next().await, up(old.port()));
    let publisher = device.link.publisher();
    device
        .link
        .lead_to(&target(&ca, new.port(), &[old.port()]))
        .expect("usable");
    assert_eq!(device.until_down().await, "it is led elsewhere");
    assert_eq!(device.next().await, up(new.port()));
    let status = format!("{PREFIX}/{DEVICE}/up/status");
    old.expect(&status, r#""online":false"#).await;
    new.expect(&status, r#""online":true"#).await;
    assert_eq!(
        publisher.publish(Up::Doc, vec![1]),
        Ok(()),
        "to the new one"
    );
    device.link.stop().await;
    new.expect(&status, r#""online":false"#).await;
}

#[tokio::test]
async fn a_link_that_waits_for_a_dead_broker_is_led_elsewhere_at_once() {
    let ca = Ca::new();
    let Some(broker) = Mosquitto::start("link-waits", &ca).await else {
        return;
    };
    let slow = Timeouts {
        retry_first_ms: 600_000,
        retry_longest_ms: 600_000,
        ..PATIENT
    };
    let dead = FreePort::take();
    let mut device = Device::start(&ca, &ca.device(DEVICE), dead.port(), slow);
    device.until_down().await;
    let target = target(&ca, broker.port(), &[]);
    device.link.lead_to(&target).expect("usable");
    assert_eq!(device.next().await, up(broker.port()));
}

#[tokio::test]
async fn another_broker_stands_in_until_the_one_that_is_meant_answers() {
    let ca = Ca::new();
    let (Some(mut meant), Some(other)) = (
        Mosquitto::start("link-meant", &ca).await,
        Mosquitto::start("link-stands-in", &ca).await,
    ) else {
        return;
    };
    meant.kill().await;
    let dead = FreePort::take();
    let target = target(&ca, meant.port(), &[dead.port(), other.port()]);
    let mut device = Device::start_to(&target, &ca.device(DEVICE), PATIENT);
    // Three times the one that is meant, once the dead one.
    for _ in 0..4 {
        let because = device.until_down().await;
        assert!(because.contains("cannot be reached"), "{because}");
    }
    assert_eq!(device.next().await, up(other.port()));
    meant.revive();
    assert_eq!(
        device.next().await,
        LinkEvent::Down {
            because: "the broker that is meant answers".to_owned(),
        }
    );
    assert_eq!(device.next().await, up(meant.port()));
}

#[tokio::test]
async fn a_ca_that_is_named_no_more_is_not_trusted_at_the_old_broker_either() {
    let (stolen, new) = (Ca::new(), Ca::new());
    let Some(old) = Mosquitto::start("link-stolen-ca", &stolen).await else {
        return;
    };
    let certificate = stolen.device(DEVICE);
    let mut device = Device::start(&stolen, &certificate, old.port(), PATIENT);
    device.until_up().await;
    let dead = FreePort::take();
    let target = target(&new, dead.port(), &[old.port()]);
    device.link.lead_to(&target).expect("usable");
    assert_eq!(device.until_down().await, "it is led elsewhere");
    let mut refused = 0;
    for _ in 0..8 {
        match device.next().await {
            LinkEvent::Down { because } => {
                refused += usize::from(because.contains("none of the accepted CAs issued it"));
            }
            event => panic!("{event:?} under a CA that is named no more"),
        }
    }
    // Attempts 4, 6 and 8 go to the old one.
    assert_eq!(refused, 3);
}
