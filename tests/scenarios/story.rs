//! From an ONNX file to signed, running, counted predictions, and on to the next version.

use muster_tests::bundles::{self, Recipe};
use muster_tests::device::Device;
use muster_tests::fleet::{Fleet, on_each_broker};
use muster_tests::load::Load;
use muster_tests::settings::Settings;
use muster_tests::wait;
use serde_json::Value;
use std::path::{Path, PathBuf};

use super::{FEATURES, counts_agree, expect_score};

/// Rows of the table that the story's reference is made from.
pub(super) const REFERENCE_ROWS: u64 = 2016;

/// That table.
pub(super) fn reference() -> PathBuf {
    story().join("reference.csv")
}

fn story() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../xtask/story")
}

/// The models of the story that `cargo xtask demo` tells.
pub(super) fn bearing(version: &str) -> bundles::Bundle {
    let (story, reference) = (story(), reference());
    Recipe::new(
        &story.join(format!("bearing-{version}.onnx")),
        "bearing",
        version,
    )
    .golden(&story.join(format!("bearing-{version}.golden.npz")))
    .with(&[
        "--reference",
        reference.to_str().expect("our paths are text"),
    ])
    .build()
}

#[test]
fn a_model_reaches_every_device_and_the_next_version_replaces_it_without_a_failed_prediction() {
    on_each_broker("story", the_next_version_replaces_the_first);
}

fn the_next_version_replaces_the_first(fleet: Fleet) {
    let settings = Settings::default();
    let devices = ["press-01", "press-02"].map(|id| Device::start_new(&fleet, id, &settings));
    fleet.ship(&bundles::of_fixture("good", "score", "1.0.0"));
    for device in &devices {
        fleet.wait_receipt(&device.id, "1.0.0", "active", wait::SOON);
        fleet.wait_receipt(&device.id, "1.0.0", "committed", wait::SOON);
        device.wait_serves("score", "1.0.0", wait::SOON);
    }
    let loads = devices
        .each_ref()
        .map(|d| Load::start(d, "score", &FEATURES, expect_score));
    fleet.ship(&bundles::of_fixture("crash_later", "score", "2.0.0"));
    for device in &devices {
        fleet.wait_receipt(&device.id, "2.0.0", "committed", wait::SOON);
    }
    for (device, load) in devices.iter().zip(loads) {
        let tally = load.end();
        assert_eq!((tally.failed(), &tally.wrong), (0, &vec![]), "{tally:?}");
        assert!(tally.by_version.contains_key("1.0.0"), "{tally:?}");
        assert!(tally.by_version.contains_key("2.0.0"), "{tally:?}");
        // The one question with which it was seen to serve.
        counts_agree(&fleet, device, tally.answered() * FEATURES.len() as u64 + 1);
    }
}

#[test]
fn a_model_of_the_story_passes_its_golden_vectors_and_its_windows_carry_features() {
    let fleet = Fleet::start();
    let device = Device::start_new(&fleet, "press-01", &Settings::default());
    fleet.ship(&bearing("1.0.0"));
    fleet.wait_receipt("press-01", "1.0.0", "committed", wait::SOON);
    let reference = reference();
    let line = [
        "predict",
        "bearing",
        reference.to_str().expect("text"),
        "--output",
        "json",
    ];
    let said = device.cli(&line).ok();
    assert_eq!(said.lines().filter(|line| is_answer(line)).count(), 2016);
    let (_, calls) = device.wait_told("bearing", 2016);
    assert_eq!(calls, 2016);
    let (_, predictions) = fleet
        .counted("press-01", "bearing")
        .expect("the fleet answers");
    assert_eq!(predictions, 2016);
    fleet.ship(&bearing("2.0.0"));
    fleet.wait_receipt("press-01", "2.0.0", "committed", wait::SOON);
}

fn is_answer(line: &str) -> bool {
    let answer: Value = serde_json::from_str(line).expect("JSON");
    answer["outputs"]["score"][0].is_f64()
}

#[test]
fn predictions_too_few_to_show_are_counted_all_the_same_after_a_while() {
    let fleet = Fleet::start();
    let device = Device::start_new(&fleet, "press-01", &Settings::default());
    fleet.ship(&bearing("1.0.0"));
    fleet.wait_receipt("press-01", "1.0.0", "committed", wait::SOON);
    device.scores("bearing", &FEATURES).expect("it serves");
    wait::until("the fleet to count them", wait::SOON, || {
        match fleet.counted("press-01", "bearing") {
            Ok((_, calls)) if calls == FEATURES.len() as u64 => Ok(()),
            counted => Err(format!("{counted:?}")),
        }
    });
}
