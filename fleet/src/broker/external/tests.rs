//! The client against a real mosquitto, with the files that the fleet writes for it.

use std::collections::VecDeque;
use std::sync::Mutex;

use super::*;
use crate::broker::Admission;

mod bench;

use bench::{Bench, Heard};

/// What the next call of `ingest` does; it accepts when nothing is planned.
#[derive(Clone, Copy)]
pub(super) enum Plan {
    Retry,
    Panic,
}

pub(super) type Plans = Arc<Mutex<VecDeque<Plan>>>;

fn document(payload: &str) -> Heard {
    Heard::Document(Incoming {
        device: "press-1".to_owned(),
        channel: "doc".to_owned(),
        payload: payload.as_bytes().to_vec(),
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_stored_comes_again_and_what_panics_does_not() {
    let Some(mut bench) = Bench::start("external broker: verdicts").await else {
        return;
    };
    let broker = bench.connect().await;
    bench.say("doc", "a").await;
    assert_eq!(bench.hear().await, document("a"));
    bench.plan(&[Plan::Retry, Plan::Retry]);
    bench.say("doc", "b").await;
    for _ in 0..3 {
        assert_eq!(bench.hear().await, document("b"), "until it is stored");
    }
    bench.plan(&[Plan::Panic]);
    bench.say("doc", "c").await;
    assert_eq!(bench.hear().await, document("c"));
    bench.say("doc", "d").await;
    assert_eq!(
        bench.hear().await,
        document("d"),
        "what panics holds nobody up"
    );
    broker.stop().await;
    let _broker = bench.connect().await;
    bench.say("doc", "e").await;
    assert_eq!(
        bench.hear().await,
        document("e"),
        "everything before is acknowledged"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_devices_say_meanwhile_waits_and_hints_are_heard_of_their_presence() {
    let Some(mut bench) = Bench::start("external broker: sessions").await else {
        return;
    };
    let broker = bench.connect().await;
    bench.say("status", r#"{"online":true}"#).await;
    let connected = Heard::Presence("press-1".to_owned(), Presence::Connected);
    assert_eq!(bench.hear().await, connected);
    broker.stop().await;
    bench.say("doc", "meanwhile").await;
    bench.say("status", r#"{"online":false}"#).await;
    let _broker = bench.connect().await;
    assert_eq!(bench.hear().await, document("meanwhile"));
    let disconnected = Heard::Presence("press-1".to_owned(), Presence::Disconnected);
    assert_eq!(bench.hear().await, disconnected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hint_that_is_published_without_a_connection_is_not_lost() {
    let Some(mut bench) = Bench::start("external broker: hints").await else {
        return;
    };
    bench.kill().await;
    let broker = bench.external();
    let publish = |topic: &'static str, payload: &'static [u8], retain| {
        broker.publish(topic, payload.to_vec(), retain)
    };
    publish("muster/v1/press-1/down/ack", b"lost", Retain::No)
        .await
        .expect("a topic");
    publish("muster/v1/press-1/down/assignment", b"old", Retain::Yes)
        .await
        .expect("a topic");
    publish("muster/v1/press-1/down/assignment", b"new", Retain::Yes)
        .await
        .expect("a topic");
    bench.revive().await;
    assert_eq!(
        bench.read("muster/v1/press-1/down/#").await,
        "assignment new"
    );
    let wild = publish("muster/v1/+/down/ack", b"", Retain::No).await;
    assert!(matches!(wild, Err(BrokerError::Publish { .. })), "{wild:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_prefix_with_wildcards_is_refused() {
    let config = ExternalConfig {
        url: "mqtts://localhost:1".parse().expect("valid"),
        topic_prefix: "a/#".to_owned(),
        payload_bytes_max: 1,
        socket_folder: PathBuf::new(),
        credentials: Arc::new(|| Box::pin(async { Err("none".to_owned()) })),
        timeouts: Timeouts::default(),
    };
    let handlers = Handlers {
        ingest: Arc::new(|_| Box::pin(async { Verdict::Accepted })),
        admit: Arc::new(|_, _| Admission::Admit),
        presence: Arc::new(|_, _| ()),
        lost: Arc::new(|| ()),
    };
    let refused = External::start(config, handlers).err();
    assert!(
        matches!(refused, Some(BrokerError::Prefix { .. })),
        "{refused:?}"
    );
}
