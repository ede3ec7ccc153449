//! A worker that dies under load: the supervisor answers, starts it again, and goes back to the
//! version before when it keeps dying or answers with nonsense.

use muster_tests::bundles;
use muster_tests::device::Device;
use muster_tests::fleet::Fleet;
use muster_tests::load::Load;
use muster_tests::program;
use muster_tests::settings::Settings;
use muster_tests::wait;

use super::{FEATURES, expect_score};

/// Kills the worker that serves now, and gives its number.
fn kill_worker(device: &Device, not: Option<i32>) -> i32 {
    let pid = wait::until("another worker", wait::SOON, || {
        let pid = device.worker_pid("score")?;
        if Some(pid) == not {
            Err(format!("still {pid}"))
        } else {
            Ok(pid)
        }
    });
    program::kill9(pid);
    pid
}

#[test]
fn a_worker_that_is_killed_under_load_is_started_again() {
    let fleet = Fleet::start();
    let device = Device::start_new(&fleet, "press-01", &Settings::default());
    fleet.ship(&bundles::of_fixture("good", "score", "1.0.0"));
    fleet.wait_receipt("press-01", "1.0.0", "committed", wait::SOON);
    let load = Load::start(&device, "score", &FEATURES, expect_score);
    wait::until_true("predictions", wait::SOON, || load.so_far().answered() > 10);
    let killed = kill_worker(&device, None);
    wait::until("a new worker", wait::SOON, || {
        match device.worker_pid("score")? {
            pid if pid == killed => Err(format!("still {pid}")),
            _ => Ok(()),
        }
    });
    let before = load.so_far().answered();
    wait::until_true("predictions", wait::SOON, || {
        load.so_far().answered() > before + 10
    });
    let tally = load.end();
    // The supervisor itself answered every request, and those without a worker with 503.
    assert_eq!((tally.broken, tally.wrong.len()), (0, 0), "{tally:?}");
    assert!(
        tally.refused.keys().all(|status| *status == 503),
        "{tally:?}"
    );
    assert!(
        tally.words.iter().all(|word| word.contains(": because ")),
        "{tally:?}"
    );
    let receipts = fleet
        .receipts("press-01", "1.0.0")
        .expect("the fleet answers");
    let last = receipts.last().expect("some");
    assert_eq!(last["step"], "committed", "one death is no verdict: {last}");
}

#[test]
fn a_version_whose_worker_keeps_dying_on_probation_is_reverted() {
    let fleet = Fleet::start();
    let mut device = Device::enroll(&fleet, "press-01", &Settings::default());
    device.start();
    fleet.ship(&bundles::of_fixture("good", "score", "1.0.0"));
    fleet.wait_receipt("press-01", "1.0.0", "committed", wait::SOON);
    device.stop();
    device.set(&Settings::default().with("probation_s", 600));
    device.start();
    fleet.ship(&bundles::of_fixture("crash_later", "score", "2.0.0"));
    fleet.wait_receipt("press-01", "2.0.0", "active", wait::SOON);
    device.wait_serves("score", "2.0.0", wait::SOON);
    let load = Load::start(&device, "score", &FEATURES, expect_score);
    let first = kill_worker(&device, None);
    let second = kill_worker(&device, Some(first));
    kill_worker(&device, Some(second));
    let reverted = fleet.wait_receipt("press-01", "2.0.0", "reverted", wait::SOON);
    assert_eq!(reverted["reason"], "crashed", "{reverted}");
    device.wait_serves("score", "1.0.0", wait::SOON);
    let tally = load.end();
    assert_eq!((tally.broken, tally.wrong.len()), (0, 0), "{tally:?}");
    assert!(
        tally.refused.keys().all(|status| *status == 503),
        "{tally:?}"
    );
}

/// A version that passes its trial, breaks on certain inputs on probation, and why.
fn check_poisoned(fixture: &str, poison: [f32; 4], reason: &str) {
    let fleet = Fleet::start();
    let settings = Settings::default().with("probation_s", 600);
    let mut device = Device::enroll(&fleet, "press-01", &Settings::default());
    device.start();
    fleet.ship(&bundles::of_fixture("good", "score", "1.0.0"));
    fleet.wait_receipt("press-01", "1.0.0", "committed", wait::SOON);
    device.stop();
    device.set(&settings);
    device.start();
    fleet.ship(&bundles::of_fixture(fixture, "score", "2.0.0"));
    device.wait_serves("score", "2.0.0", wait::SOON);
    let load = Load::start(&device, "score", &[poison], |_, _| true);
    let reverted = fleet.wait_receipt("press-01", "2.0.0", "reverted", wait::SOON);
    assert_eq!(reverted["reason"], reason, "{reverted}");
    device.wait_serves("score", "1.0.0", wait::SOON);
    let tally = load.end();
    assert_eq!(tally.broken, 0, "{tally:?}");
}

#[test]
fn a_version_that_crashes_on_what_it_meets_in_the_field_is_reverted() {
    check_poisoned("crash_later", [5.0; 4], "crashed");
}

#[test]
fn a_version_that_answers_what_is_no_number_is_reverted() {
    check_poisoned("nan", [1000.0; 4], "not_a_number");
}
