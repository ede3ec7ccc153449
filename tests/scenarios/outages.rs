//! The controller goes away: predictions go on, and afterwards both ends have counted the same.

use muster_tests::bundles;
use muster_tests::device::Device;
use muster_tests::fleet::{Fleet, on_each_broker};
use muster_tests::load::Load;
use muster_tests::settings::Settings;
use muster_tests::{skip, wait};
use std::time::Duration;

use super::{FEATURES, counts_agree, expect_score, stored_once};

/// Windows that are closed while the controller is away: one a second.
fn windows_alone() -> u64 {
    if skip::full() { 60 } else { 4 }
}

#[test]
fn predictions_go_on_without_the_controller_and_every_window_is_stored_once() {
    on_each_broker(
        "outages: the controller",
        a_controller_that_dies_misses_nothing,
    );
}

fn a_controller_that_dies_misses_nothing(mut fleet: Fleet) {
    let device = Device::start_new(&fleet, "press-01", &Settings::default());
    fleet.ship(&bundles::of_fixture("good", "score", "1.0.0"));
    fleet.wait_receipt("press-01", "1.0.0", "committed", wait::SOON);
    let load = Load::start(&device, "score", &FEATURES, expect_score);
    for _ in 0..2 {
        wait_windows(&device, 1);
        fleet.kill9();
        wait_windows(&device, windows_alone());
        fleet.serve();
    }
    wait_windows(&device, 1);
    wait_connected(&device);
    let tally = load.end();
    assert_eq!((tally.failed(), tally.wrong.len()), (0, 0), "{tally:?}");
    counts_agree(&fleet, &device, tally.answered() * FEATURES.len() as u64);
    stored_once(&fleet);
}

/// Waits until the device has closed some more windows.
pub(super) fn wait_windows(device: &Device, more: u64) {
    let closed = || {
        device.model("score")?["closed_windows"]
            .as_u64()
            .ok_or("none".to_owned())
    };
    let before = closed().expect("it answers");
    let deadline = wait::SOON + Duration::from_secs(more);
    wait::until(format!("{more} more windows"), deadline, || {
        match closed()? {
            now if now >= before + more => Ok(()),
            now => Err(format!("{before} then, {now} now")),
        }
    });
}

#[test]
fn an_agent_that_starts_without_a_broker_serves_what_it_has() {
    let mut fleet = Fleet::start();
    let mut device = Device::start_new(&fleet, "press-01", &Settings::default());
    fleet.ship(&bundles::of_fixture("good", "score", "1.0.0"));
    fleet.wait_receipt("press-01", "1.0.0", "committed", wait::SOON);
    fleet.stop();
    device.stop();
    device.start();
    device.wait_serves("score", "1.0.0", wait::SOON);
    let rows = device.cli(&["status"]).ok();
    assert!(rows.contains("not connected"), "{rows}");
    fleet.serve();
    wait_connected(&device);
    // The question with which it was seen to serve is the only one of both runs.
    counts_agree(&fleet, &device, 1);
    fleet.ship(&bundles::of_fixture("crash_later", "score", "2.0.0"));
    fleet.wait_receipt("press-01", "2.0.0", "committed", wait::LATER);
}

pub(super) fn wait_connected(device: &Device) {
    // After a long outage a device waits up to five minutes before it asks again.
    wait::until("the link", Duration::from_secs(330), || {
        let status = device.status()?;
        if status["connected"] == true {
            Ok(())
        } else {
            Err(status.to_string())
        }
    });
}
