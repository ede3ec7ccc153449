//! A device is revoked while it is connected: its session ends, nothing of it counts any more, and
//! a new token brings it back.

use muster_tests::bundles;
use muster_tests::device::{self, Device};
use muster_tests::fleet::Fleet;
use muster_tests::load::Load;
use muster_tests::settings::Settings;
use muster_tests::wait;

use super::outages::{wait_connected, wait_windows};
use super::{FEATURES, expect_score, stored_once};

fn refused(device: &Device) -> Result<(), String> {
    let status = device.status()?;
    match status["connected"] == false {
        true => Ok(()),
        false => Err(status["link"].to_string()),
    }
}

fn is_revoked(fleet: &Fleet, id: &str) -> bool {
    fleet.json(&["device", "show", id])["revoked"] == true
}

#[test]
fn a_revoked_device_is_turned_away_at_once_until_it_enrols_anew() {
    let fleet = Fleet::start();
    let mut device = Device::start_new(&fleet, "press-01", &Settings::default());
    let other = Device::start_new(&fleet, "press-02", &Settings::default());
    fleet.ship(&bundles::of_fixture("good", "score", "1.0.0"));
    for device in [&device, &other] {
        fleet.wait_receipt(&device.id, "1.0.0", "committed", wait::LATER);
    }
    fleet
        .cli(&["device", "revoke", "press-01"])
        .refused(2, &["--yes"]);
    fleet
        .cli(&["device", "revoke", "press-09", "--yes"])
        .refused(7, &["press-09"]);
    fleet.cli(&["device", "revoke", "press-01", "--yes"]).ok();
    fleet
        .cli(&["device", "revoke", "press-01", "--yes"])
        .refused(7, &["press-01"]);

    wait::until("the end of its session", wait::LATER, || refused(&device));
    assert!(is_revoked(&fleet, "press-01") && !is_revoked(&fleet, "press-02"));
    wait_connected(&other);
    // It serves what it has, and waits.
    device.wait_serves("score", "1.0.0", wait::SOON);
    device.infer("score", &FEATURES).expect("it answers");
    refused(&device).expect("it stays away");

    device.stop();
    let token = fleet.cli(&["enroll-token", "press-01"]).ok();
    device::enroll(token.trim(), device.state()).ok();
    device.start();
    wait_connected(&device);
    assert!(!is_revoked(&fleet, "press-01"));
    let load = Load::gentle(&device, "score", &FEATURES, expect_score);
    wait_windows(&device, 1);
    assert_eq!(load.end().failed(), 0, "failed predictions");
    stored_once(&fleet);
}
