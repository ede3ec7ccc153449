//! One version after the other takes over under load, and no client sees it.

use muster_tests::bundles;
use muster_tests::device::Device;
use muster_tests::fleet::Fleet;
use muster_tests::load::{Load, Tally};
use muster_tests::settings::Settings;
use muster_tests::skip;
use muster_tests::wait;

use super::{FEATURES, expect_score};

/// Predictions that show how it is without swaps.
const STEADY: u64 = 1_000;

fn swaps() -> usize {
    if skip::full() { 1_000 } else { 20 }
}

#[test]
fn a_thousand_swaps_under_load_cost_no_prediction() {
    let fleet = Fleet::start();
    // What is tried out here is the change of route; both versions are good.
    let settings = Settings::default().with("probation_s", 0);
    let device = Device::start_new(&fleet, "press-01", &settings);
    fleet.ship(&bundles::of_fixture("good", "score", "1.0.0"));
    wait_committed(&device, "1.0.0");
    fleet.release(&bundles::of_fixture("crash_later", "score", "2.0.0"));
    let steady = steady(&device);
    let load = Load::start(&device, "score", &FEATURES, expect_score);
    for swap in 0..swaps() {
        let version = ["2.0.0", "1.0.0"][swap % 2];
        fleet.roll_out("score", version);
        wait_committed(&device, version);
    }
    let swapping = load.end();
    assert_eq!(
        (swapping.failed(), &swapping.wrong),
        (0, &vec![]),
        "{:?} {:?}",
        swapping.refused,
        swapping.words
    );
    for version in ["1.0.0", "2.0.0"] {
        assert!(swapping.by_version.contains_key(version), "{version}");
    }
    let shown = |tally: &Tally| {
        let (p50, p99) = (tally.latency_us(50), tally.latency_us(99));
        format!("{p50} us p50, {p99} us p99 of {}", tally.answered())
    };
    println!("steady    {}", shown(&steady));
    println!("swapping  {}, {} swaps", shown(&swapping), swaps());
}

fn steady(device: &Device) -> Tally {
    let load = Load::start(device, "score", &FEATURES, expect_score);
    wait::until_true("predictions without swaps", wait::LATER, || {
        load.so_far().answered() >= STEADY
    });
    load.end()
}

fn wait_committed(device: &Device, version: &str) {
    let what = format!("{version} to serve for good");
    wait::until(what, wait::LATER, || {
        let model = device.model("score")?;
        let active = &model["active"];
        let done = active["version"] == version
            && active["committed"] == true
            && model["progress"] == "committed";
        if done { Ok(()) } else { Err(model.to_string()) }
    });
}
