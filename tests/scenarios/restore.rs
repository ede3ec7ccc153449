//! The controller is lost and comes back from a backup: no device goes back, no number is given
//! twice, and an old hello ends no hold.

use muster_tests::bundles::{self, flip};
use muster_tests::device::Device;
use muster_tests::document::{self, Said};
use muster_tests::fleet::Fleet;
use muster_tests::load::Load;
use muster_tests::settings::Settings;
use muster_tests::{skip, wait};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use super::{FEATURES, expect_score};

/// What the lost controller numbered stays far below.
const RAISED: u64 = 1 << 32;

fn backup(fleet: &Fleet, name: &str, more: &[&str]) -> PathBuf {
    let path = fleet.folder().join(name);
    let file = path.to_str().expect("our paths are text");
    fleet.cli(&[&["backup", file], more].concat()).ok();
    path
}

/// Loses the home and restores it; the release keys come back from where they were kept.
fn lose_and_restore(fleet: &Fleet, backup: &Path) -> Value {
    let kept = fleet.folder().join("kept");
    for folder in ["offline", "release"] {
        bundles::copy_folder(&fleet.home().join(folder), &kept.join(folder));
    }
    fs::remove_dir_all(fleet.home()).expect("the home is ours");
    let restored = fleet.json(&["restore", backup.to_str().expect("our paths are text")]);
    for folder in ["offline", "release"] {
        bundles::copy_folder(&kept.join(folder), &fleet.home().join(folder));
    }
    restored
}

fn shown(fleet: &Fleet, device: &str) -> Value {
    fleet.json(&["device", "show", device])
}

/// Epoch and generation that a device has accepted, by its own word.
fn accepted(device: &Device) -> Result<(u64, u64), String> {
    let status = device.status()?;
    let text = status["accepted"].as_str().ok_or("nothing")?;
    let (epoch, generation) = text.split_once('.').ok_or("no pair")?;
    let number = |text: &str| text.parse().map_err(|_| format!("{text:?} is no number"));
    Ok((number(epoch)?, number(generation)?))
}

fn wait_released(fleet: &Fleet, device: &Device) {
    wait::until(
        format!("{} to be released", device.id),
        wait::LATER,
        || match shown(fleet, &device.id)["held"].clone() {
            Value::Null => Ok(()),
            held => Err(held),
        },
    );
}

fn wait_accepted_above(device: &Device, generation: u64) -> (u64, u64) {
    wait::until(
        format!("{} to accept more", device.id),
        wait::LATER,
        || match accepted(device)? {
            at if at.1 > generation => Ok(at),
            at => Err(format!("{at:?}")),
        },
    )
}

fn incidents(fleet: &Fleet) -> BTreeSet<String> {
    let all = fleet.list("incidents").expect("the fleet answers");
    let kind = |incident: &Value| incident["kind"].as_str().unwrap_or_default().to_owned();
    all.iter().map(kind).collect()
}

#[test]
fn a_controller_restored_from_before_the_last_two_rollouts_takes_no_device_back() {
    let mut fleet = Fleet::start();
    let settings = Settings::default();
    let devices = ["press-01", "press-02"].map(|id| Device::start_new(&fleet, id, &settings));
    fleet.ship(&bundles::of_fixture("good", "score", "1.0.0"));
    for device in &devices {
        fleet.wait_receipt(&device.id, "1.0.0", "committed", wait::LATER);
    }
    let loads = devices
        .each_ref()
        .map(|d| Load::start(d, "score", &FEATURES, expect_score));
    let backup = backup(&fleet, "before", &[]);

    // What the backup does not know: a release of the same model, and a new model.
    let second = bundles::of_fixture("crash_later", "score", "2.0.0");
    let other = bundles::of_fixture("good", "other", "1.0.0");
    fleet.ship(&second);
    fleet.ship(&other);
    for device in &devices {
        fleet.wait_receipt(&device.id, "2.0.0", "committed", wait::LATER);
        wait::until("the new model", wait::LATER, || device.model("other"));
        device.wait_serves("other", "1.0.0", wait::LATER);
    }
    let before = devices.each_ref().map(|d| accepted(d).expect("it answers"));
    assert_eq!(before, [(1, 3), (1, 3)]);

    fleet.kill9();
    let restored = lose_and_restore(&fleet, &backup);
    assert_eq!(restored["devices_held"], 2, "{restored}");
    fleet.serve();
    for device in &devices {
        wait_released(&fleet, device);
        let row = shown(&fleet, &device.id);
        assert_eq!(
            (&row["assigned"], &row["accepted"]),
            (&"1.3".into(), &"1.3".into()),
            "{row}"
        );
        let desired = |model: &Value| (model["model"].clone(), model["desired_version"].clone());
        let models: Vec<_> = row["models"]
            .as_array()
            .expect("models")
            .iter()
            .map(desired)
            .collect();
        let expect = [("other", "1.0.0"), ("score", "2.0.0")];
        assert_eq!(
            models,
            expect.map(|(model, version)| (model.into(), version.into()))
        );
    }
    assert!(incidents(&fleet).contains("release_missing"));
    assert!(incidents(&fleet).contains("metadata_behind"));

    // Their releases come back under the same names, and a new version goes out.
    // Whoever signs must know that the controller was restored: it may hand out what is old.
    fleet
        .cli(&["release", other.arg(), "--yes"])
        .refused(4, &["versions jump", "--after-restore"]);
    for lost in [&other, &second] {
        fleet
            .cli(&["release", lost.arg(), "--yes", "--after-restore"])
            .ok();
    }
    fleet.ship(&bundles::of_fixture("crash_later", "score", "3.0.0"));
    for (device, (_, generation)) in devices.iter().zip(before) {
        let (epoch, after) = wait_accepted_above(device, generation);
        assert!(epoch == 1 && after > RAISED, "{epoch}.{after}");
        fleet.wait_receipt(&device.id, "3.0.0", "committed", wait::LATER);
        device.wait_serves("score", "3.0.0", wait::LATER);
        device.wait_serves("other", "1.0.0", wait::LATER);
    }
    for (device, load) in devices.iter().zip(loads) {
        let tally = load.end();
        assert_eq!((tally.failed(), tally.wrong.len()), (0, 0), "{tally:?}");
        let versions: Vec<_> = tally.by_version.keys().collect();
        assert_eq!(versions, ["1.0.0", "2.0.0", "3.0.0"], "{tally:?}");
        never_went_back(device);
    }
}

/// By its own log: each number once and upwards, and nothing taken back.
fn never_went_back(device: &Device) {
    let log = muster_tests::program::plain(&device.log());
    let taken = log
        .lines()
        .filter(|line| line.contains("assignment accepted"));
    let numbers: Vec<u64> = taken
        .filter_map(|line| {
            line.split("at=1.")
                .nth(1)?
                .split_whitespace()
                .next()?
                .parse()
                .ok()
        })
        .collect();
    assert!(numbers.len() >= 4, "{numbers:?}");
    assert!(
        numbers.windows(2).all(|pair| pair[0] < pair[1]),
        "{numbers:?}"
    );
    for line in log.lines() {
        assert!(!line.contains("same number was accepted"), "{line}");
        assert!(!line.to_lowercase().contains("reverted"), "{line}");
    }
}

#[test]
fn an_old_hello_that_a_broker_says_again_ends_no_hold() {
    let name = "restore: an old hello";
    if !skip::has_program(name, "mosquitto_pub", "apt-get install mosquitto-clients") {
        return;
    }
    let mut fleet = Fleet::start();
    let mut device = Device::start_new(&fleet, "press-01", &Settings::default());
    fleet.ship(&bundles::of_fixture("good", "score", "1.0.0"));
    fleet.wait_receipt("press-01", "1.0.0", "committed", wait::LATER);
    let backup = backup(&fleet, "before", &[]);
    fleet.ship(&bundles::of_fixture("crash_later", "score", "2.0.0"));
    fleet.wait_receipt("press-01", "2.0.0", "committed", wait::LATER);
    device.stop();
    fleet.kill9();
    lose_and_restore(&fleet, &backup);
    fleet.serve();

    // As it was when the backup was made, and signed by the device's own key.
    let key = document::key(device.state());
    let old = document::hello(
        "press-01",
        &key,
        Said {
            accepted: Some((1, 1)),
            challenge: None,
        },
    );
    let guessed = Said {
        accepted: Some((1, 1)),
        challenge: Some([7; 16]),
    };
    let guessed = document::hello("press-01", &key, guessed);
    for hello in [&old, &guessed, &old] {
        document::publish(&fleet, &device, "up/hello", hello);
    }
    let row = shown(&fleet, "press-01");
    assert_eq!(row["held"]["waits_for"], "hello", "{row}");
    // What it shows unasked is not heard either.
    document::publish(&fleet, &device, "up/assignment", b"anything");
    assert_eq!(shown(&fleet, "press-01")["held"]["waits_for"], "hello");
    let line = [
        "rollout",
        "create",
        "--model",
        "score",
        "--version",
        "1.0.0",
        "--yes",
    ];
    fleet.cli(&line).ok();
    assert_eq!(
        shown(&fleet, "press-01")["assigned"],
        "1.1",
        "nothing is composed"
    );
    fleet
        .cli(&["device", "unassign", "press-01", "score"])
        .refused(7, &["is held"]);
    fleet
        .cli(&["device", "release-hold", "press-02", "--yes"])
        .refused(7, &["press-02"]);
    fleet
        .cli(&["device", "release-hold", "press-01"])
        .refused(2, &["--yes"]);

    // The device itself ends it: then the operator's newer wish counts.
    device.start();
    wait_released(&fleet, &device);
    let (_, after) = wait_accepted_above(&device, 2);
    assert!(after > RAISED, "{after}");
    device.wait_serves("score", "1.0.0", wait::LATER);
}

#[test]
fn the_operator_can_end_the_hold_of_a_device_that_cannot_speak() {
    let mut fleet = Fleet::start();
    let mut device = Device::start_new(&fleet, "press-01", &Settings::default());
    fleet.ship(&bundles::of_fixture("good", "score", "1.0.0"));
    fleet.wait_receipt("press-01", "1.0.0", "committed", wait::LATER);
    let backup = backup(&fleet, "before", &["--with-offline-keys"]);
    device.stop();
    fleet.stop();
    fs::remove_dir_all(fleet.home()).expect("the home is ours");
    fleet.cli(&["restore", backup.to_str().expect("text")]).ok();
    fleet.serve();
    fleet
        .cli(&["device", "release-hold", "press-01", "--yes"])
        .ok();
    let row = shown(&fleet, "press-01");
    assert_eq!(row["held"], Value::Null);
    device.start();
    let (_, after) = wait_accepted_above(&device, 1);
    assert!(after > RAISED, "{after}");
    device.wait_serves("score", "1.0.0", wait::LATER);
    // One that is enrolled now may have been enrolled before: it is heard first, too.
    let new = Device::start_new(&fleet, "press-02", &Settings::default());
    wait_released(&fleet, &new);
    // The offline keys came back with the home.
    let second = bundles::of_fixture("crash_later", "score", "2.0.0");
    fleet
        .cli(&["release", second.arg(), "--yes", "--after-restore"])
        .ok();
    fleet.roll_out("score", "2.0.0");
    fleet.wait_receipt("press-01", "2.0.0", "committed", wait::LATER);
    fleet.wait_receipt("press-02", "2.0.0", "committed", wait::LATER);
    let (_, first) = accepted(&new).expect("it answers");
    assert!(first >= RAISED, "{first}");
}

#[test]
fn a_backup_is_made_and_refused_as_it_should() {
    let mut fleet = Fleet::init();
    let (file, damaged) = (fleet.folder().join("file"), fleet.folder().join("damaged"));
    let (file, damaged) = (
        file.to_str().expect("text"),
        damaged.to_str().expect("text"),
    );
    let said = fleet.cli(&["backup", file]);
    assert!(said.stderr.contains("holds secrets"), "{said}");
    let text = said.ok();
    assert!(
        text.starts_with("wrote ") && text.contains("0 devices"),
        "{text}"
    );
    fleet
        .cli(&["backup", file])
        .refused(7, &["nothing is overwritten"]);
    fs::copy(file, damaged).expect("copied");
    flip(Path::new(damaged));
    let home = fleet.folder().join("other");
    let home = home.to_str().expect("text");
    fleet
        .cli(&["restore", damaged, "--home", home])
        .refused(3, &["restore the backup"]);
    fleet
        .cli(&["restore", "no-such-file", "--home", home])
        .refused(7, &["no-such-file"]);
    assert!(!Path::new(home).exists());
    fleet
        .cli(&["restore", file])
        .refused(7, &["never overwritten"]);
    let said = fleet.cli(&["restore", file, "--home", home]);
    assert!(
        said.stderr.contains("make sure that the old one is off"),
        "{said}"
    );
    said.ok();
    fleet
        .cli(&["restore", file, "--home", home])
        .refused(7, &["never overwritten"]);
    // While it is served, and with a second one over the first's leavings.
    fleet.serve();
    fs::write(format!("{file}-2.new"), b"cut off").expect("written");
    let made = fleet.json(&["backup", &format!("{file}-2")]);
    assert_eq!(made["offline_keys"], false, "{made}");
    assert!(!Path::new(&format!("{file}-2.new")).exists());
}
