//! The broker's address changes by a new `fleet.json`: devices follow it and lose nothing, and an
//! address that leads nowhere does not cost them the one that works.

use muster_tests::device::Device;
use muster_tests::fleet::Fleet;
use muster_tests::load::Load;
use muster_tests::proxy::Proxy;
use muster_tests::settings::Settings;
use muster_tests::{bundles, ceremony, wait};
use serde_json::{Value, json};
use std::time::Duration;

use super::{FEATURES, counts_agree, expect_score};

fn address(proxy: &Proxy) -> String {
    format!("mqtts://localhost:{}", proxy.port())
}

/// Signs and publishes a `fleet.json` that names this broker; gives its version.
fn name(fleet: &Fleet, broker: &str) -> u64 {
    ceremony::publish(fleet, |document| {
        document.endpoints.mqtt = broker.to_owned()
    })
}

/// Waits until the device says so of its link.
fn wait_link(device: &Device, deadline: Duration, expect: &Value) {
    wait::until(format!("the link to be {expect}"), deadline, || {
        let link = device.status()?["link"].clone();
        let expected = expect.as_object().expect("an object");
        match expected.iter().all(|(key, value)| link[key] == *value) {
            true => Ok(()),
            false => Err(link.to_string()),
        }
    });
}

/// Waits until the device remembers which broker worked while which one was meant.
fn wait_remembered(device: &Device, expect: &Value) {
    wait::until(format!("{expect} to be kept"), wait::LATER, || {
        let kept = std::fs::read_to_string(device.state().join("broker.json"));
        let kept = kept.map_err(|error| error.to_string())?;
        match serde_json::from_str::<Value>(&kept) {
            Ok(value) if value == *expect => Ok(()),
            _ => Err(kept),
        }
    });
}

/// How often its link was led elsewhere.
fn times_led(device: &Device) -> usize {
    device.log().matches("it is led elsewhere: next").count()
}

fn closed_windows(device: &Device) -> Result<u64, String> {
    let closed = device.model("score")?["closed_windows"].as_u64();
    closed.ok_or_else(|| "none".to_owned())
}

/// Waits until the device has closed some more windows and told everything.
fn wait_windows(device: &Device, more: u64) {
    let before = closed_windows(device).expect("it answers");
    wait::until(
        format!("{more} more windows"),
        wait::SOON,
        || match closed_windows(device)? {
            now if now >= before + more => Ok(()),
            now => Err(format!("{before} then, {now} now")),
        },
    );
}

#[test]
fn a_device_moves_to_another_broker_without_a_failed_prediction_or_a_lost_window() {
    let fleet = Fleet::start();
    let (old, new) = (fleet.proxy(), Proxy::start());
    new.lead_to(fleet.broker());
    let mut device = Device::start_new(&fleet, "press-01", &Settings::default());
    fleet.ship(&bundles::of_fixture("good", "score", "1.0.0"));
    fleet.wait_receipt("press-01", "1.0.0", "committed", wait::SOON);
    let at_first = json!({ "broker": address(old), "from": "fleet.json version 1" });
    wait_link(&device, wait::SOON, &at_first);

    let load = Load::start(&device, "score", &FEATURES, expect_score);
    wait_windows(&device, 2);
    let version = name(&fleet, &address(&new));
    let moved = json!({
        "broker": address(&new), "meant": address(&new),
        "from": format!("fleet.json version {version}"), "not_followed": null,
    });
    wait_link(&device, wait::SOON, &moved);
    let by_the_old = old.down_bytes();
    let by_the_new = new.down_bytes();
    wait_windows(&device, 2);
    let tally = load.end();
    assert_eq!((tally.failed(), tally.wrong.len()), (0, 0), "{tally:?}");
    counts_agree(&fleet, &device, tally.answered() * FEATURES.len() as u64);
    assert_eq!(old.down_bytes(), by_the_old, "bytes by the old address");
    assert!(new.down_bytes() > by_the_new, "bytes by the new address");
    let rows = device.cli(&["status"]).ok();
    let line = format!("connected to {} (by fleet.json version", address(&new));
    assert!(rows.contains(&line), "{rows}");

    // A change of something else does not touch the link.
    let at_the_new = |version: u64| json!({ "broker": address(&new), "from": format!("fleet.json version {version}") });
    let version = ceremony::publish(&fleet, |document| {
        document.floor.insert("score".to_owned(), 1);
    });
    wait_link(&device, wait::SOON, &at_the_new(version));
    assert_eq!(times_led(&device), 1, "{}", device.log());

    // Another list of CAs counts from the next handshake on, which comes at once.
    let other = fleet.home().join("controller/ca.pem");
    let other = std::fs::read_to_string(other).expect("init wrote it");
    let version = ceremony::publish(&fleet, |document| document.ca_certificates.push(other));
    let same = at_the_new(version);
    wait::until_true("the link to be led anew", wait::SOON, || {
        times_led(&device) == 2
    });
    wait_link(&device, wait::SOON, &same);

    // A start after a power cut goes there straight, whatever became of the file of what worked.
    for damage in [None, Some("garbage")] {
        device.kill9();
        if let Some(garbage) = damage {
            let path = device.state().join("broker.json");
            std::fs::write(path, garbage).expect("the disk takes it");
        }
        device.start();
        wait_link(&device, wait::SOON, &same);
    }
    fleet.ship(&bundles::of_fixture("crash_later", "score", "2.0.0"));
    fleet.wait_receipt("press-01", "2.0.0", "committed", wait::LATER);
    assert_eq!(old.down_bytes(), by_the_old, "bytes by the old address");
}

#[test]
fn an_address_that_leads_nowhere_does_not_cost_the_device_its_link() {
    let fleet = Fleet::start();
    let (works, dead) = (fleet.proxy(), Proxy::start());
    let mut device = Device::start_new(&fleet, "press-01", &Settings::default());
    fleet.ship(&bundles::of_fixture("good", "score", "1.0.0"));
    fleet.wait_receipt("press-01", "1.0.0", "committed", wait::SOON);

    // Not an address at all: nothing moves.
    name(&fleet, "http://localhost:1883");
    let fault = "\"http://localhost:1883\" is not of the form mqtts://host:port";
    let stays = json!({ "broker": address(works), "not_followed": fault });
    wait_link(&device, wait::SOON, &stays);
    assert_eq!(times_led(&device), 0, "{}", device.log());

    // One at which nobody answers: the one that worked stands in, and windows arrive.
    let load = Load::start(&device, "score", &FEATURES, expect_score);
    name(&fleet, &address(&dead));
    let stands_in = json!({ "broker": address(works), "meant": address(&dead) });
    wait_remembered(&device, &stands_in);
    wait_link(&device, wait::SOON, &stands_in);
    wait_windows(&device, 2);
    let tally = load.end();
    assert_eq!((tally.failed(), tally.wrong.len()), (0, 0), "{tally:?}");
    counts_agree(&fleet, &device, tally.answered() * FEATURES.len() as u64);

    // A start after a power cut begins with what works.
    device.kill9();
    let before = device.log().len();
    device.start();
    wait_link(&device, wait::SOON, &stands_in);
    let log = device.log();
    let since = log.get(before..).unwrap_or_default();
    assert!(!since.contains("next attempt in"), "{since}");
    fleet.ship(&bundles::of_fixture("crash_later", "score", "2.0.0"));
    fleet.wait_receipt("press-01", "2.0.0", "committed", wait::LATER);

    // Once somebody answers there, the device goes without being told.
    dead.lead_to(fleet.broker());
    let there = json!({ "broker": address(&dead), "meant": address(&dead) });
    wait_link(&device, Duration::from_secs(150), &there);
}
