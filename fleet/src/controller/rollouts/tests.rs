//! Rollouts over a store in memory: who gets an assignment, and who does not hinder the others.

use muster_protocol::digest::Digest;
use muster_protocol::id::{Epoch, EpochGeneration, Rank, TargetClass};
use muster_protocol::message::{Requirements, Statement};

use super::*;
use crate::rollout::{Percent, RolloutSettings};
use crate::store::{self, HelloRecord, InMemory, IncidentFilter};

const NOW: UnixSeconds = UnixSeconds(1_800_000_000);

fn device(name: &str) -> DeviceId {
    DeviceId::parse(name).expect("valid")
}

fn director() -> Director {
    Director {
        key: ed25519_dalek::SigningKey::from_bytes(&[8; 32]),
        epoch: Epoch(1),
    }
}

fn wanted(version: &str, selector: &str, retry: Retry) -> NewRollout {
    NewRollout {
        model: "bearing".parse().expect("valid"),
        version: version.parse().expect("valid"),
        selector: selector.parse().expect("valid"),
        percent: Percent::ALL,
        settings: RolloutSettings::default(),
        retry,
    }
}

/// Two releases, and these devices.
fn fleet(devices: &[&str]) -> InMemory {
    let connection = store::in_memory();
    let tx = Tx::of(&connection);
    for (rank, version) in [(1, "1.0.0"), (2, "2.0.0")] {
        let statement = Statement {
            model: "bearing".parse().expect("valid"),
            version: version.parse().expect("valid"),
            rank: Rank(rank),
            bundle: Digest::of(version.as_bytes()),
            manifest_size: 1,
            class: TargetClass::parse("any").expect("valid"),
            requirements: Requirements::default(),
            issued_at: NOW,
        };
        tx.add_release(&statement, version.as_bytes(), &[], NOW)
            .expect("a store");
    }
    for name in devices {
        tx.add_device(&device(name), NOW).expect("a store");
    }
    connection
}

/// Says hello for a device, with what it has accepted.
fn accepted(tx: &Tx<'_>, name: &str, at: EpochGeneration) {
    let hello = HelloRecord {
        accepted: Some(at),
        digest: None,
        agent: "0.1.0".parse().expect("valid"),
        boot: muster_protocol::id::BootId([1; 8]),
        at: muster_protocol::time::Millis(1),
        health: serde_json::Value::Null,
        metadata: serde_json::Value::Null,
    };
    tx.record_hello(&device(name), &hello, NOW)
        .expect("a store");
}

#[test]
fn a_rollout_reaches_each_device_once_and_a_retry_again() {
    let connection = fleet(&["a", "b"]);
    let tx = Tx::of(&connection);
    let check = |version: &str, selector: &str, retry, expect: &[&str]| {
        let new = wanted(version, selector, retry);
        let (_, made) = create(&tx, &director(), &new, NOW).expect("created");
        let made: Vec<_> = made.iter().map(|(device, _)| device.as_str()).collect();
        assert_eq!(made, expect, "{version} {selector}");
    };
    check("1.0.0", "", Retry::Never, &["a", "b"]);
    check("1.0.0", "", Retry::Never, &[]);
    check("1.0.0", "device=b", Retry::Again, &["b"]);
    check("2.0.0", "device=a", Retry::Never, &["a"]);
    check("1.0.0", "", Retry::Never, &["a"]);
    let steps = tx.rollout(1).expect("a store").expect("a rollout").steps;
    assert_eq!(steps, [("superseded".to_owned(), 2)].into());
}

#[test]
fn what_reaches_nobody_says_why() {
    let check = |devices: &[&str], version: &str, selector: &str, expect: &str| {
        let connection = fleet(devices);
        let new = wanted(version, selector, Retry::Never);
        let error = create(&Tx::of(&connection), &director(), &new, NOW).expect_err("nobody");
        assert_eq!(error.to_string(), expect);
    };
    check(&[], "1.0.0", "", "no device is enrolled");
    let none = "the selector \"site=x\" matches no device";
    check(&["a"], "1.0.0", "site=x", none);
    let missing = "the release bearing 3.0.0 does not exist";
    check(&["a"], "3.0.0", "", missing);
}

#[test]
fn a_device_that_lies_about_its_place_does_not_hinder_the_others() {
    for at in [
        EpochGeneration::new(9, 1),
        EpochGeneration::new(1, u64::MAX),
    ] {
        let connection = fleet(&["a", "b"]);
        let tx = Tx::of(&connection);
        accepted(&tx, "a", at);
        let new = wanted("1.0.0", "", Retry::Never);
        let (_, made) = create(&tx, &director(), &new, NOW).expect("created");
        let made: Vec<_> = made.iter().map(|(device, _)| device.as_str()).collect();
        assert_eq!(made, ["b"], "{at}");
        let incidents = tx
            .incidents(&IncidentFilter::default(), &Page::default())
            .expect("a store")
            .items;
        let told: Vec<_> = incidents
            .iter()
            .map(|incident| (incident.place(), incident.kind.as_str()))
            .collect();
        assert_eq!(told, [("a", "not_composed")], "{at}");
    }
}

#[test]
fn a_model_that_was_taken_off_leaves_the_next_assignment() {
    let connection = fleet(&["a"]);
    let (tx, model) = (Tx::of(&connection), "bearing".parse().expect("valid"));
    create(&tx, &director(), &wanted("1.0.0", "", Retry::Never), NOW).expect("created");
    let take_off = || take_off(&tx, &director(), &device("a"), (&model, Role::Serve), NOW);
    let made = take_off().expect("it was there").expect("an assignment");
    assert_eq!(made.at, EpochGeneration::new(1, 2));
    assert_eq!(tx.newest_entries(&device("a")).expect("a store"), []);
    let steps = tx.rollout(1).expect("a store").expect("a rollout").steps;
    assert_eq!(steps, [("unassigned".to_owned(), 1)].into());
    let again = take_off().expect_err("it is gone").to_string();
    assert_eq!(again, "the model bearing on the device a does not exist");
}
