//! A full disk, of a device or of the controller: what serves keeps serving, nothing is lost, and
//! it goes on when there is room.

use muster_tests::bundles::{self, Bundle, Recipe};
use muster_tests::device::Device;
use muster_tests::disk::Disk;
use muster_tests::fleet::Fleet;
use muster_tests::load::Load;
use muster_tests::settings::Settings;
use muster_tests::{cli, device, onnx, program, wait};
use std::path::Path;
use std::process::Command;

use super::kills::wait_answers;
use super::outages::{wait_connected, wait_windows};
use super::{FEATURES, counts_agree, expect_score, receipts_agree, stored_once};

/// What the system says of a full disk.
const FULL: &str = "No space left on device";
/// Size of the disk of a device, MiB.
const DEVICE_MIB: u64 = 8;
/// Size of the disk of the controller, MiB.
const CONTROLLER_MIB: u64 = 24;
/// Size of a model that is on its way when the disk becomes full, KiB.
const MODEL_KIB: u64 = 1024;
/// Size of its pieces, KiB.
const PIECE_KIB: u64 = 16;

/// A device with a small disk of its own.
fn on_a_disk(name: &str, fleet: &Fleet) -> Option<(Device, Disk)> {
    let state = fleet.folder().join("press-01");
    let disk = Disk::mount(name, &state, DEVICE_MIB)?;
    let settings = Settings::default().with("disk_mib_reserved", 1);
    let device = Device::enroll_at(fleet, "press-01", &settings, &state);
    Some((device, disk))
}

#[test]
fn a_full_disk_stops_no_prediction_and_updates_go_on_when_there_is_room() {
    let fleet = Fleet::start();
    let Some((mut device, disk)) = on_a_disk("full disk", &fleet) else {
        return;
    };
    device.start();
    fleet.ship(&bundles::of_fixture("good", "score", "1.0.0"));
    fleet.wait_receipt("press-01", "1.0.0", "committed", wait::SOON);
    let load = Load::start(&device, "score", &FEATURES, expect_score);
    disk.fill();
    fleet.ship(&bundles::of_fixture("crash_later", "score", "2.0.0"));
    wait_full(&device);
    wait_answers(&load, 100);
    disk.make_room();
    fleet.ship(&bundles::of_fixture("crash_later", "score", "3.0.0"));
    fleet.wait_receipt("press-01", "3.0.0", "committed", wait::LATER);
    let tally = load.end();
    assert_eq!((tally.failed(), tally.wrong.len()), (0, 0), "{tally:?}");
    drop(device);
}

fn wait_full(device: &Device) {
    wait::until_true("the disk to be named", wait::SOON, || {
        device.log().contains(FULL)
    });
}

#[test]
fn a_device_whose_disk_is_full_from_the_start_enrols_and_serves_when_there_is_room() {
    let fleet = Fleet::start();
    let state = fleet.folder().join("press-01");
    let Some(disk) = Disk::mount("full disk from the start", &state, DEVICE_MIB) else {
        return;
    };
    let token = fleet.cli(&["enroll-token", "press-01"]).ok();
    // The token is good until all of the identity is there: each file is the last in turn.
    let full_at = (0..).find(|pages| {
        disk.fill_but(*pages);
        let said = device::enroll(&token, &state);
        let enrolled = said.code == Some(0);
        if !enrolled {
            said.refused(6, &[FULL]);
        }
        disk.make_room();
        enrolled
    });
    let settings = Settings::default().with("disk_mib_reserved", 1);
    let mut device = Device::enroll_with(&fleet, "press-01", &settings, &token);
    disk.fill();
    device.cli(&["run"]).refused(6, &[FULL]);
    disk.make_room();
    device.start();
    fleet.ship(&bundles::of_fixture("good", "score", "1.0.0"));
    fleet.wait_receipt("press-01", "1.0.0", "committed", wait::SOON);
    let refusals = full_at.expect("it enrols");
    assert!(refusals > 2, "{refusals} files found no room");
    println!("enrolled with {refusals} pages, refused with less");
    drop(device);
}

#[test]
fn a_device_that_starts_on_a_full_disk_serves_what_it_has() {
    let fleet = Fleet::start();
    let Some((mut device, disk)) = on_a_disk("start on a full disk", &fleet) else {
        return;
    };
    device.start();
    fleet.ship(&bundles::of_fixture("good", "score", "1.0.0"));
    fleet.wait_receipt("press-01", "1.0.0", "committed", wait::SOON);
    let load = Load::gentle(&device, "score", &FEATURES, expect_score);
    wait_windows(&device, 1);
    disk.fill();
    wait_full(&device);
    wait_windows(&device, 2);
    device.kill9();
    let tally = load.end();
    assert!(tally.refused.is_empty(), "{tally:?}");
    device.start();
    device.wait_serves("score", "1.0.0", wait::SOON);
    let load = Load::gentle(&device, "score", &FEATURES, expect_score);
    wait_windows(&device, 2);
    disk.make_room();
    fleet.ship(&bundles::of_fixture("crash_later", "score", "2.0.0"));
    fleet.wait_receipt("press-01", "2.0.0", "committed", wait::LATER);
    let tally = load.end();
    assert_eq!((tally.failed(), tally.wrong.len()), (0, 0), "{tally:?}");
    device.wait_told("score", 0);
    // What was closed while the disk was full died with the agent, which had it in its memory.
    receipts_agree(&fleet, &device);
    drop(device);
}

fn large(folder: &Path, model: &str) -> Bundle {
    let onnx = folder.join(format!("{model}.onnx"));
    std::fs::write(&onnx, onnx::large(MODEL_KIB, 3)).expect("the disk takes it");
    let piece = PIECE_KIB.to_string();
    Recipe::new(&onnx, model, "1.0.0")
        .with(&["--piece-kib", &piece])
        .build()
}

#[test]
fn a_disk_that_becomes_full_while_a_second_model_comes_leaves_the_first_alone() {
    let fleet = Fleet::start();
    let Some((mut device, disk)) = on_a_disk("full disk, second model", &fleet) else {
        return;
    };
    device.start();
    fleet.ship(&bundles::of_fixture("good", "score", "1.0.0"));
    fleet.wait_receipt("press-01", "1.0.0", "committed", wait::SOON);
    let load = Load::gentle(&device, "score", &FEATURES, expect_score);
    let (bundle, wire) = (large(fleet.folder(), "second"), fleet.proxy());
    let half = wire.down_bytes() + MODEL_KIB / 2 * 1024;
    wire.hold_at(Some(half));
    fleet.ship(&bundle);
    wait::until_true("half of the second model", wait::LATER, || {
        wire.down_bytes() >= half
    });
    disk.fill();
    wire.hold_at(None);
    wait_full(&device);
    wait_answers(&load, 100);
    assert_eq!(serving(&device, "second"), None);
    disk.make_room();
    wait::until("the second model to serve", wait::LATER, || {
        serving(&device, "second").ok_or_else(|| format!("{:?}", device.model("second")))
    });
    wait_connected(&device);
    let tally = load.end();
    assert_eq!((tally.failed(), tally.wrong.len()), (0, 0), "{tally:?}");
    counts_agree(&fleet, &device, tally.answered() * FEATURES.len() as u64);
    receipts_agree(&fleet, &device);
    drop(device);
}

/// The version of a model that answers.
fn serving(device: &Device, model: &str) -> Option<String> {
    let scores = device.scores(model, &FEATURES);
    scores.ok().map(|(version, _)| version)
}

#[test]
fn a_controller_on_a_full_disk_acknowledges_nothing_says_why_and_loses_nothing() {
    let name = "controller on a full disk";
    let (mut fleet, disk) = Fleet::init_after(|home| Disk::mount(name, home, CONTROLLER_MIB));
    let Some(disk) = disk else {
        return;
    };
    fleet.serve();
    let device = Device::start_new(&fleet, "press-01", &Settings::default());
    fleet.ship(&bundles::of_fixture("good", "score", "1.0.0"));
    fleet.release(&bundles::of_fixture("crash_later", "score", "2.0.0"));
    fleet.wait_receipt("press-01", "1.0.0", "committed", wait::SOON);
    let load = Load::gentle(&device, "score", &FEATURES, expect_score);
    wait_windows(&device, 1);
    disk.fill();
    let refused = "it could not be stored";
    wait::until_true("something to be refused", wait::LATER, || {
        program::plain(&fleet.log()).contains(refused)
    });
    let told = told(&device);
    let line = [
        "rollout",
        "create",
        "--model",
        "score",
        "--version",
        "2.0.0",
        "--yes",
    ];
    let no_room = "the controller's disk is full";
    fleet.cli(&line).refused(6, &[no_room, "free some space"]);
    fleet.list("summary").expect("what is stored can be read");
    wait_windows(&device, 3);
    assert_eq!(self::told(&device), told, "documents that a full disk took");
    disk.make_room();
    fleet.roll_out("score", "2.0.0");
    wait_connected(&device);
    fleet.wait_receipt("press-01", "2.0.0", "committed", wait::LATER);
    let tally = load.end();
    assert_eq!((tally.failed(), tally.wrong.len()), (0, 0), "{tally:?}");
    counts_agree(&fleet, &device, tally.answered() * FEATURES.len() as u64);
    receipts_agree(&fleet, &device);
    stored_once(&fleet);
    assert_eq!(fleet.gaps("press-01"), Ok(0));
}

/// Numbers of windows that the device knows to be stored.
fn told(device: &Device) -> u64 {
    let status = device.status().expect("it answers");
    let through = status["queue"]["windows"]["through"].as_u64();
    through.expect("a number")
}

#[test]
fn a_key_that_finds_no_room_leaves_no_name_behind() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = folder.path().join("stick");
    let Some(disk) = Disk::mount("a key on a full disk", &at, 1) else {
        return;
    };
    disk.fill();
    let keys = at.join("keys");
    let create = || {
        let mut command = Command::new(program::path("muster"));
        command.args(["keys", "create", "carol", "--no-passphrase", "--keys"]);
        cli::run(command.arg(&keys))
    };
    create().refused(6, &[FULL]);
    assert!(!keys.join("carol.key").exists(), "half a key");
    disk.make_room();
    create().ok();
}
