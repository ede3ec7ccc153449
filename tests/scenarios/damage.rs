//! A flipped bit in what a device fetches or keeps: refused, named, and mended when it is whole
//! again; what serves keeps serving. On the wire it is TLS that sees it; see `protocol` and
//! `device` for the reasons of each document.

use muster_tests::bundles::{self, Bundle};
use muster_tests::device::Device;
use muster_tests::fleet::Fleet;
use muster_tests::load::Load;
use muster_tests::settings::Settings;
use muster_tests::{cli, program, wait};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{FEATURES, expect_score};

fn serving_first(fleet: &Fleet) -> Device {
    let device = Device::start_new(fleet, "press-01", &Settings::default());
    fleet.ship(&bundles::of_fixture("good", "score", "1.0.0"));
    fleet.wait_receipt("press-01", "1.0.0", "committed", wait::SOON);
    device
}

/// The layers of a bundle as the controller keeps them: what the manifest names, not itself.
fn kept_layers(fleet: &Fleet, bundle: &Bundle) -> Vec<PathBuf> {
    let kept = fleet.home().join("controller/blobs/sha256");
    let names = bundle.blobs();
    names
        .iter()
        .map(|blob| kept.join(blob.file_name().expect("a name")))
        .collect()
}

#[test]
fn a_damaged_blob_of_the_controller_is_refused_and_fetched_when_it_is_whole_again() {
    let fleet = Fleet::start();
    let device = serving_first(&fleet);
    let load = Load::start(&device, "score", &FEATURES, expect_score);
    let bundle = bundles::of_fixture("crash_later", "score", "2.0.0");
    fleet.release(&bundle);
    let blobs = kept_layers(&fleet, &bundle);
    assert!(blobs.len() >= 5, "{blobs:?}");
    blobs.iter().for_each(|blob| bundles::flip(blob));
    fleet.roll_out("score", "2.0.0");
    let refused = "what came is not what was asked for";
    wait::until(format!("{refused:?}"), wait::SOON, || {
        let log = program::plain(&device.log());
        let unheard = log.contains(refused) || log.contains("the fleet does not have it");
        if unheard {
            Ok(())
        } else {
            Err(log.lines().last().unwrap_or_default().to_owned())
        }
    });
    blobs.iter().for_each(|blob| bundles::flip(blob));
    fleet.wait_receipt("press-01", "2.0.0", "committed", wait::LATER);
    let tally = load.end();
    assert_eq!((tally.failed(), tally.wrong.len()), (0, 0), "{tally:?}");
}

/// Files below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path());
    let below = |path: PathBuf| {
        if path.is_dir() {
            files(&path)
        } else {
            vec![path]
        }
    };
    entries.flat_map(below).collect()
}

#[test]
fn a_flipped_bit_in_what_a_slot_needs_is_found_by_verify() {
    let fleet = Fleet::start();
    let mut device = serving_first(&fleet);
    device.stop();
    device.cli(&["verify"]).ok();
    let mut found = 0;
    for file in files(&device.state().join("blobs")) {
        bundles::flip(&file);
        let said = device.cli(&["verify"]);
        said.refused(4, &["failed to verify", "score active"]);
        bundles::flip(&file);
        found += 1;
    }
    assert!(found > 0, "no blobs in {}", device.state().display());
    device.cli(&["verify"]).ok();
}

/// Damages the model of a fixture where the device keeps it.
fn damage_model(device: &Device, fixture: &str) {
    let model = fs::read(bundles::fixture(fixture)).expect("a fixture");
    let blobs = files(&device.state().join("blobs"));
    let kept = blobs
        .iter()
        .find(|blob| fs::read(blob).is_ok_and(|bytes| bytes == model));
    bundles::flip(kept.unwrap_or_else(|| panic!("{fixture} is not among {blobs:?}")));
}

#[test]
fn a_damaged_model_is_not_served_after_a_restart() {
    let fleet = Fleet::start();
    let mut device = serving_first(&fleet);
    device.stop();
    damage_model(&device, "good.onnx");
    device.start();
    let degraded = fleet.wait_receipt("press-01", "1.0.0", "degraded", wait::SOON);
    assert_eq!(degraded["reason"], "blob", "{degraded}");
    let answer = device
        .infer("score", &FEATURES)
        .expect("the server answers");
    assert_eq!(answer.status, 404, "{answer:?}");
    fleet.ship(&bundles::of_fixture("crash_later", "score", "2.0.0"));
    device.wait_serves("score", "2.0.0", wait::LATER);
}

#[test]
fn a_damaged_model_gives_way_to_the_version_before_it() {
    let fleet = Fleet::start();
    let mut device = serving_first(&fleet);
    fleet.ship(&bundles::of_fixture("crash_later", "score", "2.0.0"));
    fleet.wait_receipt("press-01", "2.0.0", "committed", wait::SOON);
    device.stop();
    damage_model(&device, "crash_later.onnx");
    device
        .cli(&["verify"])
        .refused(4, &["score active", "damaged"]);
    device.start();
    let reverted = fleet.wait_receipt("press-01", "2.0.0", "reverted", wait::SOON);
    assert_eq!(reverted["reason"], "blob", "{reverted}");
    device.wait_serves("score", "1.0.0", wait::SOON);
}

#[test]
fn a_flipped_bit_anywhere_in_a_bundle_is_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let bundle = bundles::of_fixture("good", "score", "1.0.0").copy(&folder.path().join("bundle"));
    let verify = || {
        let mut command = Command::new(program::path("muster"));
        cli::run(command.args(["bundle", "verify", bundle.arg()]))
    };
    verify().ok();
    let files = files(&bundle.folder);
    assert!(files.len() >= 7, "{files:?}");
    for file in files {
        bundles::flip(&file);
        verify().refused(3, &["verify the bundle"]);
        bundles::flip(&file);
    }
    verify().ok();
}
