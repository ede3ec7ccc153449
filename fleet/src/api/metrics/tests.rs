//! Metrics of small and large fleets, and who may read them.

use axum::body::Body;
use axum::http::{Request, StatusCode};
use http_body_util::BodyExt as _;
use muster_fleet::finding::{Cause, Finding, Scope};
use muster_fleet::incident::{AppliedRules, Command, Desk, Person, State};
use muster_protocol::digest::Digest;
use muster_protocol::id::DeviceId;
use muster_protocol::time::UnixSeconds;
use tower::ServiceExt as _;

use super::super::tests::sample::{Sample, TOKEN};
use super::*;
use crate::store::{IncidentKind, StoreError, Tx};

const PORT: u16 = 8080;

async fn ask(sample: &Sample, access: MetricsAccess, host: &str, token: &str) -> (u16, String) {
    let guard = Guard {
        token: Digest::of(TOKEN.as_bytes()),
        port: PORT,
    };
    let request = Request::get("/metrics")
        .header(header::HOST, host)
        .header(header::AUTHORIZATION, token)
        .body(Body::empty())
        .expect("a request");
    let router = router(guard, access).with_state(Arc::clone(&sample.controller));
    let answer = router.oneshot(request).await.expect("infallible");
    let status = answer.status();
    let body = answer.into_body().collect().await.expect("a body");
    let body = String::from_utf8(body.to_bytes().to_vec()).expect("text");
    if status == StatusCode::OK {
        assert!(body.contains("# TYPE muster_devices gauge"), "{body}");
    }
    (status.as_u16(), body)
}

#[tokio::test]
async fn metrics_need_the_token_unless_they_are_open_to_this_machine() {
    use MetricsAccess::{Open, Token};
    let sample = Sample::new().await;
    let bearer = format!("Bearer {TOKEN}");
    let (here, there) = ("127.0.0.1:8080", "evil.example:8080");
    for (access, host, token, expect) in [
        (Token, here, bearer.as_str(), 200),
        (Token, here, "", 401),
        (Token, there, bearer.as_str(), 421),
        (Open, here, "", 200),
        (Open, there, "", 421),
    ] {
        let (status, _) = ask(&sample, access, host, token).await;
        assert_eq!(status, expect, "{access:?} {host}");
    }
}

/// A window and an incident of a device.
async fn count(sample: &Sample, device: DeviceId) {
    let work = move |tx: &Tx<'_>| {
        tx.put_counts(&device, "bearing")?;
        tx.raise_incident(&device, IncidentKind::Clone, "two of them", UnixSeconds(1))
    };
    let counted = sample.controller.store().write::<_, StoreError>(work);
    counted.await.expect("stored");
}

#[tokio::test]
async fn an_incident_of_windows_is_open_until_it_has_closed_whatever_people_said() {
    let sample = Sample::new().await;
    let work = |tx: &Tx<'_>| {
        let finding = Finding {
            model: "bearing".parse().expect("valid"),
            bundle: Digest([1; 32]),
            scope: Scope::Fleet,
            feature: None,
            cause: Cause::RealDrift,
            devices: Vec::new(),
            because: "it moved".to_owned(),
            at: UnixSeconds(1),
        };
        let person = Person::new("ada", "it is so").expect("valid");
        let (command, to, now) = (Command::Confirm, State::Confirmed, UnixSeconds(2));
        let desk = Desk {
            applied: AppliedRules::default(),
            listeners: Vec::new(),
            source: "muster:test".to_owned(),
        };
        tx.record_finding(&finding, &desk, now)?;
        tx.judge_incident(1, command, to, &person, now)?;
        tx.close_judged(1, &desk, now)
    };
    let judged = sample.controller.store().write::<_, StoreError>(work);
    judged.await.expect("stored");
    let (_, text) = ask(&sample, MetricsAccess::Open, "127.0.0.1:8080", "").await;
    let line = "muster_incidents_open{cause=\"real_drift\"} 1";
    assert!(text.contains(line), "{text}");
}

/// The names of all series.
fn series(text: &str) -> Vec<&str> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines
        .filter_map(|line| line.rsplit_once(' '))
        .map(|(name, _)| name)
        .collect()
}

#[tokio::test]
async fn there_are_as_many_series_for_many_devices_as_for_few() {
    let sample = Sample::new().await;
    let mut found = Vec::new();
    for devices in [2, 300] {
        for number in 0..devices {
            let device: DeviceId = format!("press-{number}").parse().expect("valid");
            sample.add_device(&device).await;
            count(&sample, device).await;
        }
        let (_, text) = ask(&sample, MetricsAccess::Open, "127.0.0.1:8080", "").await;
        assert!(!text.contains("press-"), "{text}");
        let names: Vec<String> = series(&text).into_iter().map(str::to_owned).collect();
        found.push(names);
    }
    assert_eq!(found[0], found[1]);
    for expect in [
        "muster_devices{state=\"never_seen\"}",
        "muster_documents{kind=\"windows\"}",
        "muster_windows{model=\"bearing\",version=\"\"}",
        "muster_incidents_open{cause=\"clone\"}",
    ] {
        let has = found[0].iter().any(|name| name == expect);
        assert!(has, "{expect} is not in {:?}", found[0]);
    }
}
