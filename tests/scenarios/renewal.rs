//! Certificates end: a device renews its own in good time and goes on predicting, and one whose
//! certificate has expired while it lay in a drawer renews it by its document key.

use muster_tests::bundles;
use muster_tests::device::Device;
use muster_tests::fake_clock::FakeClock;
use muster_tests::fleet::Fleet;
use muster_tests::load::Load;
use muster_tests::settings::Settings;
use muster_tests::wait;

use super::outages::{wait_connected, wait_windows};
use super::{FEATURES, counts_agree, expect_score, stored_once};

/// When the device's certificate ends, by its own word.
fn ends(device: &Device) -> Result<u64, String> {
    let status = device.status()?;
    status["certificate"]["ends"]
        .as_u64()
        .ok_or_else(|| status.to_string())
}

fn wait_renewed(device: &Device, before: u64) -> u64 {
    let what = format!("{} to renew its certificate", device.id);
    wait::until(what, wait::LATER, || match ends(device)? {
        after if after > before => Ok(after),
        same => Err(format!("it ends at {same}; {:?}", device.status())),
    })
}

#[test]
fn a_certificate_is_renewed_in_good_time_and_after_it_has_expired() {
    let mut fleet = Fleet::init();
    fleet.configure("device_certificate_days = 3\n");
    let clock = |name: &str| FakeClock::at("renewal", &fleet.folder().join(name), "+0");
    let (Some(of_fleet), Some(of_device)) = (clock("clock-fleet"), clock("clock-device")) else {
        return;
    };
    fleet.set_clock(Some(of_fleet));
    fleet.serve();
    let settings = Settings::default();
    let mut device = Device::enroll_by_clock(&fleet, "press-01", &settings, of_device);
    device.start();
    fleet.ship(&bundles::of_fixture("good", "score", "1.0.0"));
    fleet.wait_receipt("press-01", "1.0.0", "committed", wait::LATER);
    let first = wait::until("a certificate", wait::SOON, || ends(&device));
    let load = Load::gentle(&device, "score", &FEATURES, expect_score);
    wait_windows(&device, 1);

    // Two of its three days later; signed metadata tells the device so.
    fleet.clock().set("+50h");
    fleet.ship(&bundles::of_fixture("crash_later", "score", "2.0.0"));
    let second = wait_renewed(&device, first);
    wait_connected(&device);
    wait_windows(&device, 1);
    let tally = load.end();
    assert_eq!(
        (tally.failed(), tally.wrong.len()),
        (0, 0),
        "failed predictions"
    );

    counts_agree(&fleet, &device, tally.answered() * FEATURES.len() as u64);

    // It lies in a drawer until long after the second one has ended.
    device.stop();
    fleet.clock().set("+12d");
    device.clock().set("+12d");
    fleet.stop();
    fleet.serve();
    device.start();
    let third = wait_renewed(&device, second);
    assert!(third > second + 5 * 86_400, "{second} {third}");
    wait_connected(&device);
    let load = Load::gentle(&device, "score", &FEATURES, expect_score);
    wait_windows(&device, 1);
    let more = load.end();
    assert_eq!(
        (more.failed(), more.wrong.len()),
        (0, 0),
        "failed predictions"
    );
    stored_once(&fleet);
}
