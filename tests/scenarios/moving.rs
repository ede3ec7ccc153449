//! A fleet that works moves from the embedded broker to mosquitto, in the order of the README:
//! predictions go on, and no window is lost or stored twice.

use muster_tests::bundles;
use muster_tests::device::Device;
use muster_tests::fleet::Fleet;
use muster_tests::load::Load;
use muster_tests::mosquitto;
use muster_tests::settings::Settings;
use muster_tests::wait;
use std::fs;

use super::outages::{wait_connected, wait_windows};
use super::{FEATURES, counts_agree, expect_score, stored_once};

/// Waits until the device says that it is connected to this broker.
fn wait_broker(device: &Device, url: &str) {
    wait::until(format!("{} on {url}", device.id), wait::LATER, || {
        let status = device.status()?;
        match status["connected"] == true && status["link"]["broker"] == url {
            true => Ok(()),
            false => Err(status["link"].to_string()),
        }
    });
}

#[test]
fn a_fleet_moves_from_the_embedded_broker_to_mosquitto_and_loses_nothing() {
    if !mosquitto::is_installed("moving to mosquitto") {
        return;
    }
    let mut fleet = Fleet::start();
    let devices =
        ["press-01", "press-02"].map(|id| Device::start_new(&fleet, id, &Settings::default()));
    fleet.ship(&bundles::of_fixture("good", "score", "1.0.0"));
    for device in &devices {
        fleet.wait_receipt(&device.id, "1.0.0", "committed", wait::SOON);
        wait_broker(device, &fleet.broker_url());
    }
    let loads = devices
        .each_ref()
        .map(|d| Load::start(d, "score", &FEATURES, expect_score));

    let url = fleet.start_mosquitto();
    fleet.set_broker(&format!("[\"embedded\", \"{url}\"]"));
    fleet.stop();
    fleet.serve();
    devices.iter().for_each(wait_connected);
    fleet.cli(&["fleet", "set", "--mqtt", &url, "--yes"]).ok();
    for device in &devices {
        wait_broker(device, &url);
    }
    let by_the_old = fleet.proxy().down_bytes();
    wait_windows(&devices[0], 2);

    fleet.set_broker(&format!("\"{url}\""));
    fleet.stop();
    fleet.serve();
    wait_windows(&devices[0], 1);
    for (device, load) in devices.iter().zip(loads) {
        let tally = load.end();
        assert_eq!((tally.failed(), tally.wrong.len()), (0, 0), "{tally:?}");
        counts_agree(&fleet, device, tally.answered() * FEATURES.len() as u64);
    }
    stored_once(&fleet);
    fleet.ship(&bundles::of_fixture("crash_later", "score", "2.0.0"));
    for device in &devices {
        fleet.wait_receipt(&device.id, "2.0.0", "committed", wait::LATER);
    }
    assert_eq!(
        fleet.proxy().down_bytes(),
        by_the_old,
        "bytes by the old broker"
    );

    // Whoever enrols now is sent there at once.
    let newer = Device::enroll(&fleet, "press-03", &Settings::default());
    let told = fs::read_to_string(newer.state().join("identity/enrolment.json"));
    let told = told.expect("it enrolled");
    assert!(told.contains(&url), "{told}");
}
