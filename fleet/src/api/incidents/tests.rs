//! What people do with incidents, silences, rules and requests, through a real socket with the
//! client of the CLI.

use std::net::SocketAddr;

use muster_fleet::finding::{Cause, Finding, Scope};
use muster_fleet::incident::{Event, EventType, Rules};
use muster_protocol::digest::Digest;
use muster_protocol::id::ModelId;
use muster_protocol::time::UnixSeconds;
use serde_json::json;

use super::super::tests::sample::{Sample, TOKEN};
use super::super::{Server, start};
use super::*;
use crate::client::Client;
use crate::error::Exit;
use crate::store::{IncidentKind, StoreError, Tx};

struct Bench {
    sample: Sample,
    server: Server,
    client: Client,
}

impl Bench {
    async fn new() -> Self {
        let sample = Sample::new().await;
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let token = Digest::of(TOKEN.as_bytes());
        let server = start(any, token, Arc::clone(&sample.controller)).await;
        let server = server.expect("a port");
        let url = format!("http://{}", server.local_addr());
        let client = Client::open(&sample.home, Some(&url)).expect("a client");
        Self {
            sample,
            server,
            client,
        }
    }

    /// Finds the same thing in the windows that end at `at`.
    async fn find(&self, at: u64) {
        let finding = Finding {
            model: ModelId::parse("bearing").expect("valid"),
            bundle: Digest([1; 32]),
            scope: Scope::Cohort {
                label: "site".to_owned(),
                value: "a".to_owned(),
            },
            feature: Some("speed".to_owned()),
            cause: Cause::RealDrift,
            devices: Vec::new(),
            because: format!("it moved, until {at}"),
            at: UnixSeconds(at),
        };
        let hearers = self.sample.controller.hearers().clone();
        let now = crate::clock::now();
        let work = move |tx: &Tx<'_>| tx.record_finding(&finding, &hearers.desk(tx)?, now);
        let recorded = self.sample.controller.store().write::<_, StoreError>(work);
        recorded.await.expect("recorded");
    }

    async fn post(&self, path: &str, body: Value) -> Result<Value, (Exit, String)> {
        let said = self.client.post("ask", path, &body).await;
        said.map_err(|error| (error.exit, error.to_string()))
    }

    async fn order(&self, command: &str) -> Result<Value, (Exit, String)> {
        let body = json!({ "command": command, "operator": "ada", "reason": "a look" });
        self.post("/api/v1/incidents/1/orders", body).await
    }
}

#[tokio::test]
async fn an_incident_is_looked_at_judged_and_counted() {
    let bench = Bench::new().await;
    for at in [100, 200, 100] {
        bench.find(at).await;
    }
    let path = "/api/v1/incidents?open=true&cause=real_drift&state=opened";
    let listed = bench.client.all("ask", path).await.expect("a list");
    assert_eq!(listed.len(), 1);
    let first = &listed[0];
    assert_eq!(
        (&first["place"], &first["findings"]),
        (&json!("cohort:site=a"), &json!(2))
    );
    assert_eq!(first["detail"], "it moved, until 200");

    assert_eq!(
        bench.order("ack").await.expect("taken")["state"],
        "acknowledged"
    );
    let (exit, because) = bench.order("ack").await.expect_err("it is");
    assert_eq!(exit, Exit::Missing, "{because}");
    assert!(because.contains("acknowledged already"), "{because}");
    assert!(because.contains(": hint: confirm or dismiss"), "{because}");
    let judged = bench.order("confirm").await.expect("taken");
    assert_eq!(judged["state"], "confirmed");
    assert_eq!(judged["orders"][1]["operator"], "ada");
    assert_eq!(
        judged["newest_findings"][0]["because"],
        "it moved, until 200"
    );

    let kpis = bench
        .client
        .get("ask", "/api/v1/drift/kpis")
        .await
        .expect("counted");
    assert_eq!(
        (&kpis["alerts"], &kpis["acknowledged"]),
        (&json!(1), &json!(1))
    );
    assert_eq!(kpis["alert_precision"]["share"], 1.0);
    assert_eq!(kpis["canary_success"]["share"], Value::Null);
    bench.server.stop().await;
}

#[tokio::test]
async fn what_a_device_said_is_open_until_it_is_judged() {
    let bench = Bench::new().await;
    let open = async || {
        let path = "/api/v1/incidents?open=true";
        let listed = bench.client.all("ask", path).await.expect("a list");
        let numbers = listed.iter().map(|row| row["incident"].as_i64());
        numbers.map(Option::unwrap_or_default).collect::<Vec<_>>()
    };
    let raise = async || {
        let work = |tx: &Tx<'_>| {
            let device = "press-01".parse().expect("valid");
            let now = crate::clock::now();
            tx.raise_incident(&device, IncidentKind::Clone, "two of them", now)
        };
        let store = bench.sample.controller.store();
        store.write::<_, StoreError>(work).await.expect("raised");
    };
    raise().await;
    bench.order("ack").await.expect("taken");
    assert_eq!(open().await, [1]);
    let judged = bench.order("dismiss").await.expect("taken");
    assert!(judged["closed_at"].is_u64(), "{judged}");
    assert_eq!(open().await, [0; 0]);
    raise().await;
    assert_eq!(open().await, [2]);
    bench.server.stop().await;
}

#[tokio::test]
async fn a_model_that_nobody_heard_of_is_refused_and_no_empty_list() {
    let bench = Bench::new().await;
    bench.find(100).await;
    for list in [
        "incidents",
        "drift/alarms",
        "drift/placings",
        "retrain-requests",
    ] {
        let path = format!("/api/v1/{list}?model=bering");
        let error = bench.client.all("ask", &path).await.expect_err(list);
        assert_eq!(error.exit, Exit::Missing, "{error}");
        let because = error.to_string();
        let expect = "a release or a window of the model bering does not exist: hint: check";
        assert!(because.contains(expect), "{because}");
    }
    // One that has incidents is known by them.
    let path = "/api/v1/incidents?model=bearing";
    assert_eq!(
        bench.client.all("ask", path).await.expect("a list").len(),
        1
    );
    bench.server.stop().await;
}

#[tokio::test]
async fn an_alert_to_a_webhook_that_is_gone_is_not_replayed() {
    let bench = Bench::new().await;
    let sent = |tx: &Tx<'_>| {
        let (kind, now) = (EventType::AlertTest, UnixSeconds(1));
        let event = Event::new(kind, "muster:test", "alerts/test", now, &json!({}));
        let ada = Person::new("ada", "a trial").expect("valid");
        tx.add_test_alert(&event, "gone", &ada, now)
    };
    let written = bench.sample.controller.store().write::<_, StoreError>(sent);
    written.await.expect("written");
    let path = "/api/v1/alerts/replay";
    let one = json!({ "alert": 1, "operator": "ada", "reason": "again" });
    let (exit, because) = bench.post(path, one).await.expect_err("gone");
    assert_eq!(exit, Exit::Refused, "{because}");
    assert!(
        because.contains("\"gone\", which muster.toml does not have"),
        "{because}"
    );
    let all = json!({ "since_s": u32::MAX, "operator": "ada", "reason": "again" });
    let done = bench.post(path, all).await.expect("taken");
    assert_eq!(done, json!({ "replayed": 0, "left_out": 1 }));
    bench.server.stop().await;
}

#[tokio::test]
async fn silences_have_an_end_and_rules_have_versions() {
    let bench = Bench::new().await;
    let wanted = json!({ "selector": { "cause": "real_drift" }, "expires_in_s": 600,
                         "operator": "ada", "reason": "known" });
    let made = bench.post("/api/v1/silences", wanted).await.expect("made");
    assert_eq!(made["silence"], 1);
    bench.find(100).await;
    let found = bench
        .client
        .get("ask", "/api/v1/incidents/1")
        .await
        .expect("there");
    assert_eq!(
        (&found["told"], &found["silence"]),
        (&json!("silenced"), &json!(1))
    );
    let by = json!({ "operator": "ada", "reason": "over" });
    let path = "/api/v1/silences/1/end";
    let ended = bench.post(path, by.clone()).await.expect("ended");
    assert!(ended["ended_at"].is_u64(), "{ended}");
    let (_, because) = bench.post(path, by).await.expect_err("it has");
    assert!(because.contains("ended already"), "{because}");

    let rules = "/api/v1/drift/rules";
    let apply = |text: String| {
        bench.post(
            rules,
            json!({ "rules": text, "operator": "ada", "reason": "tried" }),
        )
    };
    let same = apply(Rules::default_text().to_owned())
        .await
        .expect("understood");
    assert_eq!(same["number"], 0, "what holds is no new version");
    let text = Rules::default_text().replace("per_hour = 20", "per_hour = 5");
    for _ in 0..2 {
        let applied = apply(text.clone()).await.expect("understood");
        assert_eq!(
            (&applied["number"], &applied["text"]),
            (&json!(1), &json!(text))
        );
    }
    let to_nobody = text.replace("\"all\"", "[\"pager\"]");
    let (exit, because) = apply(to_nobody).await.expect_err("no such webhook");
    assert_eq!(exit, Exit::Refused, "{because}");
    assert!(
        because.contains("(pager): hint: add [[webhooks]]"),
        "{because}"
    );
    let versions = bench.client.all("ask", rules).await.expect("a list");
    assert_eq!(versions.len(), 1);
    let newest = bench.client.get("ask", "/api/v1/drift/rules/newest").await;
    assert_eq!(newest.expect("there")["number"], 1);
    bench.server.stop().await;
}
