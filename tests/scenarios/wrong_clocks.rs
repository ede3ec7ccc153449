//! Clocks that are wrong: of devices, whose date counts for nothing, and of the controller, which
//! is believed only so far, and never for ever.

use muster_tests::bundles;
use muster_tests::device::Device;
use muster_tests::fake_clock::FakeClock;
use muster_tests::fleet::Fleet;
use muster_tests::load::Load;
use muster_tests::program;
use muster_tests::settings::Settings;
use muster_tests::wait;
use serde_json::Value;
use std::time::{SystemTime, UNIX_EPOCH};

use super::outages::{wait_connected, wait_windows};
use super::{FEATURES, counts_agree, expect_score, receipts_agree, stored_once};

const PAST: &str = "@1970-01-02 00:00:00";
const FUTURE: &str = "@2040-01-01 00:00:00";

/// Unix seconds of the machine that the test runs on.
fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.expect("a machine of our time").as_secs()
}

/// A log line begins with the year that its program believes.
fn wait_logged(year: &str, log: impl Fn() -> String) {
    wait::until_true(format!("a log line of {year}"), wait::SOON, || {
        let log = program::plain(&log());
        log.lines().any(|line| line.starts_with(year))
    });
}

/// The year of a date.
fn year(when: &str) -> &str {
    when.get(1..5).expect("a date")
}

/// Every time that the fleet was told lies between these, and there are some.
fn true_times(rows: &[Value], from: u64) -> usize {
    let told: Vec<_> = rows.iter().filter_map(|row| row["unix"].as_u64()).collect();
    // Signed time is a second's, and travels.
    let (from, to) = (from - 2, now() + 2);
    assert!(
        told.iter().all(|unix| (from..=to).contains(unix)),
        "{told:?}"
    );
    assert!(!told.is_empty(), "{rows:?}");
    told.len()
}

/// A device whose date is `first` enrols and serves; then its date jumps, and it goes on.
fn check_device(first: &str, jump: &str) {
    let (begun, fleet) = (now(), Fleet::start());
    let file = fleet.folder().join("clock");
    let Some(clock) = FakeClock::at("wrong clocks", &file, first) else {
        return;
    };
    let settings = Settings::default();
    let mut device = Device::enroll_by_clock(&fleet, "press-01", &settings, clock);
    device.start();
    fleet.ship(&bundles::of_fixture("good", "score", "1.0.0"));
    fleet.wait_receipt("press-01", "1.0.0", "committed", wait::SOON);
    wait_logged(year(first), || device.log());
    let load = Load::gentle(&device, "score", &FEATURES, expect_score);
    wait_windows(&device, 2);

    device.clock().set(jump);
    fleet.ship(&bundles::of_fixture("crash_later", "score", "2.0.0"));
    fleet.wait_receipt("press-01", "2.0.0", "committed", wait::SOON);
    wait_logged(year(jump), || device.log());
    wait_windows(&device, 2);
    let tally = load.end();
    assert_eq!((tally.failed(), tally.wrong.len()), (0, 0), "{tally:?}");
    counts_agree(&fleet, &device, tally.answered() * FEATURES.len() as u64);

    device.kill9();
    device.start();
    device.wait_serves("score", "2.0.0", wait::SOON);
    wait_connected(&device);
    fleet.ship(&bundles::of_fixture("crash_later", "score", "3.0.0"));
    fleet.wait_receipt("press-01", "3.0.0", "committed", wait::SOON);
    device.wait_told("score", 1);
    receipts_agree(&fleet, &device);
    stored_once(&fleet);
    // By the wrong date it ended or has not begun; a link that is down may ask once by that date.
    let renewed = fleet.log().matches("renewed a certificate").count();
    assert!(renewed <= 2, "{renewed} certificates in a minute");
    let windows = true_times(&fleet.list("windows").expect("it answers"), begun);
    let receipts = true_times(&fleet.list("receipts").expect("it answers"), begun);
    println!(
        "a device of {}, then of {}: {windows} windows and {receipts} receipts with true times",
        year(first),
        year(jump)
    );
}

#[test]
fn a_device_that_lives_in_1970_enrols_serves_and_jumps_to_2040() {
    check_device(PAST, FUTURE);
}

#[test]
fn a_device_that_lives_in_2040_enrols_serves_and_jumps_to_1970() {
    check_device(FUTURE, PAST);
}

/// What a device makes of the time that a controller with a wrong clock signs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Heard {
    /// Its certificate is not valid by that clock: it does not get in.
    Nothing,
    /// It is in, and believes the time.
    Believed,
    /// It is in, and does not.
    TooFarAhead,
}

struct Scene {
    fleet: Fleet,
    device: Device,
    version: u64,
}

impl Scene {
    fn release_next(&mut self) -> String {
        self.version += 1;
        let version = format!("{}.0.0", self.version);
        let bundle = bundles::of_fixture("crash_later", "score", &version);
        self.fleet.release(&bundle);
        version
    }

    fn serve_by(&mut self, clock: Option<FakeClock>) {
        self.fleet.stop();
        self.fleet.set_clock(clock);
        self.fleet.serve();
    }

    /// The device starts anew, so that nobody has told it the time, and hears that of a
    /// controller with this clock. It is asked from now on.
    fn hear(&mut self, when: &str, heard: Heard) -> Load {
        self.device.kill9();
        let before = program::plain(&self.device.log()).len();
        self.device.start();
        wait::until("a version to serve", wait::SOON, || {
            self.device.scores("score", &FEATURES)
        });
        let load = Load::gentle(&self.device, "score", &FEATURES, expect_score);
        let said = match heard {
            Heard::Nothing => "refuses this device in TLS",
            Heard::Believed => " connected ",
            Heard::TooFarAhead => "TooFarAhead",
        };
        wait::until(format!("{said:?} under {when}"), wait::SOON, || {
            let log = program::plain(&self.device.log());
            let since = log.get(before..).unwrap_or_default();
            match since.contains(said) {
                true => Ok(()),
                false => Err(since.to_owned()),
            }
        });
        let trusted = || {
            let status = self.device.status()?;
            match status["time_trusted"] == (heard == Heard::Believed) {
                true => Ok(()),
                false => Err(status.to_string()),
            }
        };
        wait::until(format!("time under {when}"), wait::SOON, trusted);
        wait_windows(&self.device, 2);
        load
    }
}

fn check_controller(when: &str, heard: Heard) {
    let fleet = Fleet::start();
    let file = fleet.folder().join("clock");
    let Some(clock) = FakeClock::at("wrong clock of the controller", &file, when) else {
        return;
    };
    let device = Device::start_new(&fleet, "press-01", &Settings::default());
    fleet.ship(&bundles::of_fixture("good", "score", "1.0.0"));
    fleet.wait_receipt("press-01", "1.0.0", "committed", wait::SOON);
    let mut scene = Scene {
        fleet,
        device,
        version: 1,
    };
    let version = scene.release_next();
    scene.serve_by(Some(clock));
    if heard == Heard::Nothing {
        wait_logged(year(when), || scene.fleet.log());
    }
    scene.fleet.roll_out("score", &version);
    let load = scene.hear(when, heard);
    // The clock is set right; the device comes back, with nothing done to it.
    scene.serve_by(None);
    scene
        .fleet
        .wait_receipt("press-01", &version, "committed", wait::LATER);
    let version = scene.release_next();
    scene.fleet.roll_out("score", &version);
    scene
        .fleet
        .wait_receipt("press-01", &version, "committed", wait::LATER);
    let tally = load.end();
    assert_eq!((tally.failed(), tally.wrong.len()), (0, 0), "{tally:?}");
    scene.device.wait_told("score", 1);
    receipts_agree(&scene.fleet, &scene.device);
    stored_once(&scene.fleet);
    println!("a controller of {when}: {heard:?}, and the device is on {version}");
}

#[test]
fn a_controller_that_lives_in_1970_bricks_no_device() {
    check_controller(PAST, Heard::Nothing);
}

#[test]
fn a_controller_that_lives_in_2040_bricks_no_device() {
    check_controller(FUTURE, Heard::Nothing);
}

#[test]
fn a_controller_that_is_half_a_year_ahead_is_believed_and_later_corrected() {
    check_controller("+200d", Heard::Believed);
}

#[test]
fn a_controller_that_is_further_ahead_than_it_may_be_is_not_believed() {
    check_controller("+500d", Heard::TooFarAhead);
}
