//! The controller is stolen, keys and all. The operator restores a backup with new keys, by the
//! word of the offline keys: devices follow while they predict, and nothing is lost.

use muster_tests::bundles;
use muster_tests::device::Device;
use muster_tests::fleet::Fleet;
use muster_tests::load::Load;
use muster_tests::settings::Settings;
use muster_tests::team::Team;
use muster_tests::wait;
use serde_json::Value;
use std::fs;
use std::path::Path;

use super::outages::{wait_connected, wait_windows};
use super::{FEATURES, counts_agree, expect_score, stored_once};

/// Epoch that a device has accepted, by its own word.
fn epoch(device: &Device) -> Result<u64, String> {
    let status = device.status()?;
    let text = status["accepted"].as_str().ok_or("nothing")?;
    let (epoch, _) = text.split_once('.').ok_or("no pair")?;
    epoch.parse().map_err(|_| format!("{text:?}"))
}

fn keys_of_controller(fleet: &Fleet) -> Value {
    let shown = fleet.json(&["fleet", "show"]);
    serde_json::json!([
        shown["director"],
        shown["ack_keys"],
        shown["time_keys"],
        shown["ca_certificates"]
    ])
}

/// The thief has the whole home but what was offline; the operator has a backup and `offline/`.
fn replace(fleet: &Fleet, backup: &Path) {
    let kept = fleet.folder().join("kept");
    bundles::copy_folder(&fleet.home().join("offline"), &kept.join("offline"));
    bundles::copy_folder(&fleet.home().join("release"), &kept.join("release"));
    fs::rename(fleet.home(), fleet.folder().join("stolen")).expect("the home is ours");
    let file = backup.to_str().expect("our paths are text");
    fleet
        .cli(&["restore", file, "--stolen"])
        .refused(7, &["root.key"]);
    let offline = kept.join("offline");
    let offline = offline.to_str().expect("our paths are text");
    fleet
        .cli(&["restore", file, "--stolen", "--offline", offline])
        .ok();
    let name = |key: &str| fleet.home().join("offline").join(key);
    for key in ["root.key", "targets.key"] {
        fs::copy(kept.join("offline").join(key), name(key)).expect("copied");
    }
    bundles::copy_folder(&kept.join("release"), &fleet.home().join("release"));
}

#[test]
fn a_stolen_controller_is_replaced_and_every_device_follows_under_load() {
    let mut fleet = Fleet::start();
    let devices =
        ["press-01", "press-02"].map(|id| Device::start_new(&fleet, id, &Settings::default()));
    fleet.ship(&bundles::of_fixture("good", "score", "1.0.0"));
    for device in &devices {
        fleet.wait_receipt(&device.id, "1.0.0", "committed", wait::LATER);
    }
    let (before, stolen) = (keys_of_controller(&fleet), fleet.token());
    let loads = devices
        .each_ref()
        .map(|device| Load::start(device, "score", &FEATURES, expect_score));
    wait_windows(&devices[0], 1);

    // Once it is off, what it holds is what devices need not send again.
    fleet.stop();
    let backup = fleet.folder().join("backup");
    fleet.cli(&["backup", backup.to_str().expect("text")]).ok();
    replace(&fleet, &backup);
    fleet.serve();
    devices.iter().for_each(wait_connected);
    assert_ne!(fleet.token(), stolen, "the thief's token");
    let after = keys_of_controller(&fleet);
    for (at, what) in ["director", "ack", "time", "CA"].iter().enumerate() {
        assert_ne!(before[at], after[at], "{what}");
    }
    assert_eq!(fleet.json(&["fleet", "show"])["director_epoch"], 2);
    // The thief may issue certificates under the old CA: devices get theirs under the new one.
    for device in &devices {
        let renewed = device.state().join("identity/renewed.pem");
        wait::until_true("a certificate under the new CA", wait::LATER, || {
            renewed.exists()
        });
        wait_connected(device);
    }
    let bundle = bundles::of_fixture("crash_later", "score", "2.0.0");
    fleet
        .cli(&["release", bundle.arg(), "--yes", "--after-restore"])
        .ok();
    fleet.roll_out("score", "2.0.0");
    for device in &devices {
        fleet.wait_receipt(&device.id, "2.0.0", "committed", wait::LATER);
        wait::until("the new epoch", wait::LATER, || match epoch(device)? {
            2 => Ok(()),
            other => Err(other.to_string()),
        });
    }
    wait_windows(&devices[1], 1);
    for (device, load) in devices.iter().zip(loads) {
        let tally = load.end();
        assert_eq!((tally.failed(), tally.wrong.len()), (0, 0), "{tally:?}");
        counts_agree(&fleet, device, tally.answered() * FEATURES.len() as u64);
    }
    stored_once(&fleet);
}

#[test]
fn a_team_replaces_a_stolen_controller() {
    let mut fleet = Fleet::start();
    let team = Team::take_over(&fleet);
    let [alice, bob, _] = &team.people;
    let device = Device::start_new(&fleet, "press-01", &Settings::default());
    fleet.stop();
    let backup = fleet.folder().join("backup").display().to_string();
    fleet.cli(&["backup", &backup]).ok();
    let offline = fleet.folder().join("kept");
    fs::create_dir(&offline).expect("a folder");
    let carried = fleet.home().join("offline/ca-root.key");
    fs::copy(carried, offline.join("ca-root.key")).expect("copied");
    fs::rename(fleet.home(), fleet.folder().join("stolen")).expect("the home is ours");

    let proposal = fleet.folder().join("replace.proposal");
    let path = proposal.display().to_string();
    let offline = offline.display().to_string();
    let stolen = ["restore", &backup, "--stolen", "--offline", &offline];
    fleet
        .cli(&stolen)
        .refused(4, &["the offline keys here are not enough", "--out FILE"]);
    fleet.cli(&[&stolen[..], &["--out", &path]].concat()).ok();
    // With the keys that the thief has, nobody serves.
    fleet.cli(&["serve"]).refused(4, &["its keys were stolen"]);
    fleet
        .cli(&["controller", "give-up"])
        .refused(4, &["the keys beside them were stolen"]);
    team.trusting(alice, "controller", &proposal).ok();
    fleet
        .cli(&["controller", "publish", &path])
        .refused(4, &["signatures are missing"]);
    let seen = team.trusting(bob, "controller", &proposal).ok();
    assert!(seen.contains("Nothing is missing"), "{seen}");
    fleet.cli(&["controller", "publish", &path]).ok();

    fleet.serve();
    wait_connected(&device);
    let renewed = device.state().join("identity/renewed.pem");
    wait::until_true("a certificate under the new CA", wait::LATER, || {
        renewed.exists()
    });
    wait_connected(&device);
    assert_eq!(fleet.json(&["fleet", "show"])["director_epoch"], 2);
}
