//! The real broker over real TLS, asked by clients that behave and by clients that do not.

use tokio::sync::mpsc::unbounded_channel;

use super::*;
use crate::error::{Exit, OperatorError};
use crate::free_port::FreePort;

mod authority;
mod bench;
mod client;

use authority::{Authority, Identity};
use bench::{Bench, Heard, PAYLOAD_BYTES_MAX, Plan, Plans};
use bench::{config, document, handlers, is_puback, write_certificates};
use client::{CONNACK, Client, Hello, NOT_AUTHORISED, UNAVAILABLE};

/// A serial that `bench` does not admit.
const REVOKED_SERIAL: &[u8] = &[0x0b, 0xad];
/// SUBACK's return codes.
const GRANTED: Option<u8> = Some(1);
const REFUSED: Option<u8> = Some(0x80);

#[tokio::test(flavor = "multi_thread")]
async fn a_device_is_heard_and_answered() {
    let mut bench = Bench::start().await;
    let publish = |topic: &'static str, payload: &'static [u8], retain| {
        bench.broker.publish(topic, payload.to_vec(), retain)
    };
    publish("muster/v1/press-1/down/assignment", b"old", Retain::Yes)
        .await
        .expect("room");
    publish("muster/v1/press-1/down/assignment", b"new", Retain::Yes)
        .await
        .expect("room");
    publish("muster/v1/press-2/down/assignment", b"other", Retain::Yes)
        .await
        .expect("room");
    publish("muster/v1/_/timestamp", b"now", Retain::Yes)
        .await
        .expect("room");
    let mut client = bench.join("press-1", true).await;

    assert_eq!(client.subscribe("muster/v1/press-1/down/#").await, GRANTED);
    let assignment = (
        true,
        "muster/v1/press-1/down/assignment".to_owned(),
        b"new".to_vec(),
    );
    assert_eq!(client.message().await, Some(assignment));
    assert_eq!(client.subscribe("muster/v1/_/#").await, GRANTED);
    let timestamp = (true, "muster/v1/_/timestamp".to_owned(), b"now".to_vec());
    assert_eq!(client.message().await, Some(timestamp));

    for channel in ["status", "hello", "doc", "fetch"] {
        let payload = vec![7; PAYLOAD_BYTES_MAX];
        client
            .publish(&format!("muster/v1/press-1/up/{channel}"), 1, &payload)
            .await;
        assert!(is_puback(client.receive().await), "{channel}");
        assert_eq!(bench.hear().await, document("press-1", channel, &payload));
    }
    for sent in 0..50_u8 {
        let topic = "muster/v1/press-1/down/piece";
        bench
            .broker
            .publish(topic, vec![sent], Retain::No)
            .await
            .expect("published");
        assert_eq!(
            client.message().await,
            Some((false, topic.to_owned(), vec![sent]))
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_not_connect_does_not() {
    let bench = Bench::start().await;
    let device = bench.device("press-1");
    let check =
        async |why: &str, identity: Option<&Identity>, hello: Hello<'_>, code: Option<u8>| {
            let (_, answer) = bench.open(identity, hello).await;
            assert_eq!(answer.map(|(_, body)| body[1]), code, "{why}");
        };
    let hello = Hello::new("press-1");
    let will = |topic, size_bytes, qos| Hello {
        will: Some((topic, size_bytes, qos)),
        ..hello
    };
    let status = "muster/v1/press-1/up/status";

    check("nothing wrong", Some(&device), hello, Some(0)).await;
    check(
        "its own will",
        Some(&device),
        will(status, 1024, 1),
        Some(0),
    )
    .await;
    check(
        "the user name does not count",
        Some(&device),
        Hello {
            user: Some("x"),
            ..hello
        },
        Some(0),
    )
    .await;

    check("no certificate", None, hello, None).await;
    let stranger = Authority::new().device("press-1", &[0x01, 0x23]);
    check("another authority", Some(&stranger), hello, None).await;

    let refused = Some(NOT_AUTHORISED);
    check(
        "another client id",
        Some(&device),
        Hello::new("press-2"),
        refused,
    )
    .await;
    check("an empty client id", Some(&device), Hello::new(""), refused).await;
    let spoofed = Hello {
        user: Some("press-1"),
        ..hello
    };
    check(
        "a name only in the user name",
        Some(&bench.authority.nobody()),
        spoofed,
        refused,
    )
    .await;
    let own = bench.device("_fleet");
    check(
        "a name that is no device id",
        Some(&own),
        Hello::new("_fleet"),
        refused,
    )
    .await;
    let revoked = bench.authority.device("press-1", REVOKED_SERIAL);
    check("a revoked certificate", Some(&revoked), hello, refused).await;
    let other = "muster/v1/press-2/up/status";
    check(
        "a will of another device",
        Some(&device),
        will(other, 1, 1),
        refused,
    )
    .await;
    let doc = "muster/v1/press-1/up/doc";
    check(
        "a will on another channel",
        Some(&device),
        will(doc, 1, 1),
        refused,
    )
    .await;
    check(
        "a will too large",
        Some(&device),
        will(status, 1025, 1),
        refused,
    )
    .await;
    check(
        "a will of QoS 2",
        Some(&device),
        will(status, 1, 2),
        refused,
    )
    .await;
    check(
        "MQTT 3.1",
        Some(&device),
        Hello { level: 3, ..hello },
        refused,
    )
    .await;
    check(
        "MQTT 5",
        Some(&device),
        Hello { level: 5, ..hello },
        Some(0x87),
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_device_may_not_publish_closes_its_connection() {
    let mut bench = Bench::start().await;
    for (topic, qos, size_bytes) in [
        ("muster/v1/press-2/up/doc", 1, 1),
        ("muster/v1/press-2/up/doc", 0, 1),
        ("muster/v1/press-2/down/assignment", 1, 1),
        ("muster/v1/press-1/down/assignment", 1, 1),
        ("muster/v1/_/timestamp", 1, 1),
        ("muster/v1/press-1/up/other", 1, 1),
        ("$SYS/x", 1, 1),
        ("muster/v1/press-1/up/doc", 2, 1),
        ("muster/v1/press-1/up/doc", 1, PAYLOAD_BYTES_MAX + 1),
        ("muster/v1/press-1/up/doc", 1, 4 * PAYLOAD_BYTES_MAX),
    ] {
        let mut client = bench.join("press-1", true).await;
        client.publish(topic, qos, &vec![7; size_bytes]).await;
        assert_eq!(client.receive().await, None, "{topic} {qos} {size_bytes}");
        let left = Heard::Presence("press-1".to_owned(), Presence::Disconnected);
        assert_eq!(bench.hear().await, left, "{topic} {qos} {size_bytes}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_device_may_not_read_is_refused() {
    let mut bench = Bench::start().await;
    let mut client = bench.join("press-1", true).await;
    for filter in [
        "#",
        "muster/v1/#",
        "muster/v1/+/down/#",
        "muster/v1/press-2/down/#",
        "muster/v1/press-1/#",
        "muster/v1/press-1/up/#",
        "$share/g/muster/v1/press-1/down/#",
        "$share/g/#",
        "$exclusive/muster/v1/press-1/down/#",
        "$limit/1/muster/v1/press-1/down/#",
        "$SYS/#",
    ] {
        assert_eq!(client.subscribe(filter).await, REFUSED, "{filter}");
    }
    bench
        .broker
        .publish("muster/v1/press-2/down/x", vec![1], Retain::No)
        .await
        .expect("published");
    bench
        .broker
        .publish("muster/v1/press-1/down/x", vec![1], Retain::No)
        .await
        .expect("published");
    client.publish("muster/v1/press-1/up/doc", 1, b"last").await;
    assert!(
        is_puback(client.receive().await),
        "the first packet after them, so none was delivered"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_stored_is_not_acknowledged() {
    let mut bench = Bench::start().await;
    for plan in [Plan::Retry, Plan::Panic] {
        bench.plan(plan);
        let mut client = bench.join("press-1", true).await;
        client.publish("muster/v1/press-1/up/doc", 1, b"a").await;
        assert_eq!(client.receive().await, None);
        let left = Heard::Presence("press-1".to_owned(), Presence::Disconnected);
        assert_eq!(bench.hear().await, left);
    }
    let mut client = bench.join("press-1", true).await;
    client.publish("muster/v1/press-1/up/doc", 1, b"a").await;
    assert!(is_puback(client.receive().await));
    assert_eq!(bench.hear().await, document("press-1", "doc", b"a"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_absent_device_finds_its_messages() {
    let mut bench = Bench::start().await;
    let mut client = bench.join("press-1", false).await;
    assert_eq!(client.subscribe("muster/v1/press-1/down/#").await, GRANTED);
    drop(client);
    let left = Heard::Presence("press-1".to_owned(), Presence::Disconnected);
    assert_eq!(bench.hear().await, left);
    let topic = "muster/v1/press-1/down/ack";
    bench
        .broker
        .publish(topic, vec![1], Retain::No)
        .await
        .expect("published");
    let (mut client, present) = bench.enter("press-1", false).await;
    assert!(present, "the session was kept");
    assert_eq!(
        client.message().await,
        Some((false, topic.to_owned(), vec![1]))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disconnected_device_loses_its_session_and_may_return() {
    let mut bench = Bench::start().await;
    let mut client = bench.join("press-1", false).await;
    assert_eq!(client.subscribe("muster/v1/press-1/down/#").await, GRANTED);
    bench.broker.disconnect("press-1").await;
    bench.broker.disconnect("press-2").await;
    assert_eq!(client.receive().await, None);
    let left = Heard::Presence("press-1".to_owned(), Presence::Disconnected);
    assert_eq!(bench.hear().await, left);
    let (_, present) = bench.enter("press-1", false).await;
    assert!(!present, "the session ended with its queue");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_takeover_is_no_absence() {
    let mut bench = Bench::start().await;
    let mut first = bench.join("press-1", true).await;
    let (mut second, _) = bench.enter("press-1", true).await;
    assert_eq!(first.receive().await, None);
    let connected = Heard::Presence("press-1".to_owned(), Presence::Connected);
    // The end of the first may be heard before, never after.
    while bench.hear().await != connected {}
    second.publish("muster/v1/press-1/up/doc", 1, b"a").await;
    assert_eq!(bench.hear().await, document("press-1", "doc", b"a"));
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_are_bounded() {
    let mut bench = Bench::start().await;
    let mut clients = Vec::new();
    for device in 0..8 {
        clients.push(bench.join(&format!("press-{device}"), true).await);
    }
    let (to, device) = (bench.broker.local_addr(), bench.device("press-8"));
    let hello = Hello::new("press-8");
    let (_, answer) = Client::open(to, &bench.authority, Some(&device), hello).await;
    assert_eq!(answer.map(|(_, body)| body[1]), Some(UNAVAILABLE));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_in_use_is_named_and_a_stopped_broker_frees_it() {
    let free = FreePort::take();
    let listen = free.address();
    let mut bench = Bench::start_at(listen).await;
    let mut client = bench.join("press-1", true).await;
    let start = || {
        let (tell, _) = unbounded_channel();
        Embedded::start(
            config(bench.folder.path(), listen),
            handlers(tell, &bench.plans),
        )
    };
    let error = start().await.err().expect("the port is in use");
    assert!(matches!(error, BrokerError::PortInUse { .. }), "{error}");
    let error = OperatorError::from(error);
    assert_eq!(error.exit, Exit::Resource);
    let told = error.to_string();
    assert!(
        told.contains("because the port is in use: hint: "),
        "{told}"
    );

    bench.broker.stop().await;
    assert_eq!(client.receive().await, None);
    let broker = start().await.expect("a broker on the freed port");
    let device = bench.authority.device("press-1", &[0x01, 0x23]);
    let hello = Hello::new("press-1");
    let (_, answer) = Client::open(listen, &bench.authority, Some(&device), hello).await;
    assert_eq!(answer, Some((CONNACK, vec![0, 0])));
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn files_that_are_missing_or_wrong_are_named() {
    let (folder, authority) = (tempfile::tempdir().expect("a folder"), Authority::new());
    write_certificates(folder.path(), &authority);
    let good = config(folder.path(), ([127, 0, 0, 1], 0).into());
    let check = async |config: EmbeddedConfig, exit: Exit, expect: &str| {
        let (tell, _) = unbounded_channel();
        let error = Embedded::start(config, handlers(tell, &Plans::default()))
            .await
            .err();
        let error = OperatorError::from(error.expect("refused"));
        assert_eq!(error.exit, exit, "{error}");
        assert!(error.to_string().contains(expect), "{error}");
    };
    let missing = folder.path().join("none");
    check(
        EmbeddedConfig {
            key: missing,
            ..good.clone()
        },
        Exit::Missing,
        "failed to read the broker's private key",
    )
    .await;
    let other = folder.path().join("ca");
    check(
        EmbeddedConfig {
            key: other,
            ..good.clone()
        },
        Exit::BadInput,
        "failed to set up TLS",
    )
    .await;
    let foreign = ([192, 0, 2, 1], 1).into();
    check(
        EmbeddedConfig {
            listen: foreign,
            ..good.clone()
        },
        Exit::Resource,
        "failed to listen",
    )
    .await;
    check(
        EmbeddedConfig {
            topic_prefix: "a/#".to_owned(),
            ..good
        },
        Exit::BadInput,
        "the topic_prefix \"a/#\"",
    )
    .await;
}
