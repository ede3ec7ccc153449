//! A device that no network reaches gets a release on a stick, serves it, and is heard by stick: each
//! document counts once, whichever way it comes, and nothing on the stick is believed.

use muster_tests::bundles;
use muster_tests::cli::Said;
use muster_tests::device::Device;
use muster_tests::fleet::Fleet;
use muster_tests::settings::Settings;
use muster_tests::wait;
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};

use super::outages::wait_connected;
use super::{counts_agree, receipts_agree, stored_once};

/// Rows that are predicted while nobody hears of it; enough for windows to be told at once.
const ROWS: usize = 64;

/// A stick, and the two places between which it is carried.
struct Walk<'a> {
    fleet: &'a Fleet,
    device: &'a Device,
    stick: PathBuf,
}

impl<'a> Walk<'a> {
    fn new(fleet: &'a Fleet, device: &'a Device, name: &str) -> Self {
        let stick = fleet.folder().join(name);
        Self {
            fleet,
            device,
            stick,
        }
    }

    fn path(&self) -> &str {
        self.stick.to_str().expect("our paths are text")
    }

    fn written_by_fleet(&self) {
        let line = ["export", "--device", &self.device.id, "--out", self.path()];
        self.fleet.cli(&line).ok();
    }

    fn read_by_device(&self) -> Said {
        self.device.cli(&["import", self.path()])
    }

    fn to_fleet(&self) {
        self.device.cli(&["export", "--out", self.path()]).ok();
        self.fleet.cli(&["import", self.path()]).ok();
    }

    fn to_device(&self) {
        self.written_by_fleet();
        self.read_by_device().ok();
    }
}

fn progress(device: &Device, expect: &str) {
    let what = format!("score to be {expect}");
    wait::until(what, wait::LATER, || {
        let model = device.model("score")?;
        if model["progress"] == expect {
            Ok(())
        } else {
            Err(model.to_string())
        }
    });
}

/// A number of one stream: `frozen` wait for an acknowledgement, `through` have it.
fn lane(device: &Device, name: &str, what: &str) -> u64 {
    let status = device.status().expect("it answers");
    status["queue"][name][what].as_u64().expect("a number")
}

/// Whoever knows the time can judge how old a stick is.
fn wait_time(device: &Device) {
    wait::until_true("the time", wait::LATER, || {
        device.status().expect("it answers")["time_trusted"] == true
    });
}

fn count(fleet: &Fleet, list: &str) -> usize {
    fleet.list(list).expect("the fleet answers").len()
}

#[test]
fn a_release_goes_to_a_device_by_stick_and_its_documents_come_back_once() {
    let fleet = Fleet::start();
    let mut device = Device::enroll(&fleet, "press-01", &Settings::default());
    fleet.proxy().cut();
    device.start();
    fleet.ship(&bundles::of_fixture("good", "score", "1.0.0"));
    let walk = Walk::new(&fleet, &device, "stick");
    walk.written_by_fleet();
    // It was never told the time, so that it cannot know whether this is of today.
    walk.read_by_device().refused(4, &["no trusted time yet"]);
    assert!(device.model("score").is_err(), "nothing was taken up");
    walk.to_fleet();
    walk.to_device();
    device.wait_serves("score", "1.0.0", wait::LATER);
    progress(&device, "committed");
    // The same stick once more changes nothing, and nothing is copied again.
    let said = device
        .cli(&["import", walk.path(), "--output", "json"])
        .ok();
    let said: Value = serde_json::from_str(&said).expect("JSON");
    assert_eq!(said["pieces"], 0, "{said}");

    device
        .scores("score", &[[0.1, 0.2, 0.3, 0.4]; ROWS])
        .expect("it serves");
    let before = wait::until("windows to wait", wait::LATER, || {
        match lane(&device, "windows", "frozen") {
            0 => Err("none waits"),
            more => Ok(more + lane(&device, "receipts", "frozen")),
        }
    });
    walk.to_fleet();
    let kept = lane(&device, "windows", "frozen") + lane(&device, "receipts", "frozen");
    assert!(kept >= before, "a copy deletes nothing: {kept} of {before}");
    fleet.wait_receipt("press-01", "1.0.0", "committed", wait::SOON);
    let stored = (count(&fleet, "receipts"), count(&fleet, "windows"));
    assert!(stored.1 > 0, "{stored:?}");
    fleet.cli(&["import", walk.path()]).ok();
    let again = (count(&fleet, "receipts"), count(&fleet, "windows"));
    assert_eq!(again, stored, "twice is once");

    walk.to_device();
    wait::until_true("what is acknowledged to go", wait::SOON, || {
        let through = |name: &str| lane(&device, name, "through") as usize;
        (through("receipts"), through("windows")) == stored
    });

    fleet.proxy().lead_to(fleet.broker());
    wait_connected(&device);
    // The question with which it was seen to serve is counted too.
    counts_agree(&fleet, &device, ROWS as u64 + 1);
    receipts_agree(&fleet, &device);
    stored_once(&fleet);
    assert_eq!(fleet.list("incidents"), Ok(vec![]));
}

/// Copies a folder with all that is in it.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).expect("a folder") {
        let entry = entry.expect("an entry");
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).expect("the disk takes it");
        }
    }
}

fn flip(path: &Path) {
    let mut bytes = fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let at = bytes.len() / 2;
    bytes[at] ^= 1;
    fs::write(path, bytes).expect("the disk takes it");
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("a folder");
    let mut files: Vec<_> = entries
        .map(|entry| entry.expect("an entry").path())
        .collect();
    files.sort_by_key(|path| fs::metadata(path).expect("a file").len());
    files
}

const DOWN: &str = "devices/press-01/down";

/// What somebody does to a stick, the exit code, and what the refusal says.
type Attack = (&'static str, fn(&Path), i32, &'static [&'static str]);

/// Those before an assignment is taken up.
const ATTACKS: [Attack; 8] = [
    (
        "flipped timestamp",
        |stick| flip(&stick.join("metadata/timestamp.json")),
        4,
        &["timestamp.json"],
    ),
    (
        "flipped snapshot",
        |stick| flip(&stick.join("metadata/snapshot.json")),
        4,
        &["snapshot.json"],
    ),
    (
        "missing snapshot",
        |stick| fs::remove_file(stick.join("metadata/snapshot.json")).expect("removed"),
        3,
        &["metadata/snapshot.json is not on it"],
    ),
    (
        "acknowledgement of another device",
        |stick| {
            let other = stick.join("devices/press-02/down");
            let ack = files(&other)
                .into_iter()
                .find(|path| path.display().to_string().contains("/ack-"))
                .expect("press-02 was acknowledged");
            fs::copy(ack, stick.join(DOWN).join("ack-0000000000000000")).expect("copied");
        },
        4,
        &["acknowledgement", "it is for another device"],
    ),
    (
        "flipped assignment",
        |stick| flip(&stick.join(DOWN).join("assignment")),
        4,
        &["assignment"],
    ),
    (
        "assignment of another device",
        |stick| {
            let other = stick.join("devices/press-02/down/assignment");
            fs::copy(other, stick.join(DOWN).join("assignment")).expect("copied");
        },
        4,
        &["assignment", "it is for another device"],
    ),
    (
        "a link in place of the assignment",
        |stick| {
            let path = stick.join(DOWN).join("assignment");
            fs::remove_file(&path).expect("removed");
            std::os::unix::fs::symlink("/etc/hostname", path).expect("linked");
        },
        3,
        &["it is no plain file"],
    ),
    (
        "no stick",
        |stick| fs::remove_file(stick.join("muster-stick")).expect("removed"),
        3,
        &["it holds no stick"],
    ),
];

/// Blobs of this stick alone, not of the old one beside it.
fn new_blobs(stick: &Path) -> Vec<PathBuf> {
    let old = stick.with_file_name("old").join("blobs");
    let new = |path: &PathBuf| !old.join(path.file_name().expect("a name")).exists();
    files(&stick.join("blobs"))
        .into_iter()
        .filter(new)
        .collect()
}

/// One that comes in pieces: a layer of the manifest.
fn layer(stick: &Path) -> PathBuf {
    let new = new_blobs(stick);
    let manifests = new.iter().filter_map(|path| {
        let manifest: Value = serde_json::from_slice(&fs::read(path).ok()?).ok()?;
        manifest["layers"].as_array().cloned()
    });
    let layers = manifests.flatten().filter(|layer| {
        let kind = layer["mediaType"].as_str().expect("text");
        !kind.contains("hash")
    });
    let digests = layers.map(|layer| layer["digest"].as_str().expect("text").to_owned());
    let digests: Vec<_> = digests.collect();
    let is_layer = |path: &&PathBuf| {
        let name = path.file_name().expect("a name").to_str().expect("hex");
        digests.iter().any(|digest| digest.ends_with(name))
    };
    new.iter().find(is_layer).expect("a layer is new").clone()
}

/// Those on what a good assignment reaches.
const PIECE_ATTACKS: [Attack; 3] = [
    (
        "flipped statement and manifest",
        |stick| {
            let layer = layer(stick);
            let others = new_blobs(stick).into_iter().filter(|path| *path != layer);
            others.for_each(|path| flip(&path));
        },
        4,
        &["it has another digest"],
    ),
    (
        "missing blob",
        |stick| fs::remove_file(layer(stick)).expect("removed"),
        3,
        &["is not on it"],
    ),
    (
        "flipped piece",
        |stick| flip(&layer(stick)),
        4,
        &["piece", "it does not match its hash"],
    ),
];

#[test]
fn a_stick_that_was_tampered_with_is_refused_by_name_and_changes_nothing() {
    let fleet = Fleet::start();
    let settings = Settings::default();
    let devices = ["press-01", "press-02"].map(|id| Device::start_new(&fleet, id, &settings));
    fleet.ship(&bundles::of_fixture("good", "score", "1.0.0"));
    for device in &devices {
        fleet.wait_receipt(&device.id, "1.0.0", "committed", wait::SOON);
    }
    let device = &devices[0];
    let accepted = || device.status().expect("it answers")["accepted"].clone();
    fleet.proxy().cut();
    let old = Walk::new(&fleet, device, "old");
    old.written_by_fleet();
    fleet.ship(&bundles::of_fixture("crash_later", "score", "2.0.0"));
    let walk = Walk::new(&fleet, device, "stick");
    walk.written_by_fleet();
    let line = ["export", "--device", "press-02", "--out", walk.path()];
    fleet.cli(&line).ok();

    let before = accepted();
    for (attack, change, code, parts) in ATTACKS {
        tampered(&walk, attack, change).refused(code, parts);
        assert_eq!(accepted(), before, "{attack}");
    }
    for (attack, change, code, parts) in PIECE_ATTACKS {
        tampered(&walk, attack, change).refused(code, parts);
        let (serving, _) = device
            .scores("score", &[[0.1, 0.2, 0.3, 0.4]])
            .expect(attack);
        assert_eq!(serving, "1.0.0", "{attack}");
    }
    walk.read_by_device().ok();
    device.wait_serves("score", "2.0.0", wait::LATER);
    let newest = accepted();
    old.read_by_device()
        .refused(4, &["assignment", "was accepted already"]);
    assert_eq!(accepted(), newest);
    device.wait_serves("score", "2.0.0", wait::SOON);
}

fn tampered(walk: &Walk<'_>, attack: &str, change: fn(&Path)) -> Said {
    let stick = walk.fleet.folder().join(attack.replace(' ', "-"));
    copy(&walk.stick, &stick);
    change(&stick);
    let path = stick.to_str().expect("our paths are text");
    walk.device.cli(&["import", path])
}

#[test]
fn documents_of_a_stick_that_were_tampered_with_leave_no_trace() {
    let fleet = Fleet::start();
    let device = Device::start_new(&fleet, "press-01", &Settings::default());
    wait_time(&device);
    fleet.proxy().cut();
    fleet.ship(&bundles::of_fixture("good", "score", "1.0.0"));
    let walk = Walk::new(&fleet, &device, "stick");
    walk.to_device();
    progress(&device, "committed");
    device.cli(&["export", "--out", walk.path()]).ok();
    let up = walk.stick.join("devices/press-01/up");
    let original = fleet.folder().join("original");
    copy(&walk.stick, &original);
    for path in files(&up) {
        flip(&path);
    }
    let said = fleet.cli(&["import", walk.path()]);
    said.refused(4, &["press-01"]);
    assert_eq!(count(&fleet, "receipts"), 0, "{said}");
    assert_eq!(count(&fleet, "incidents"), 0, "{said}");
    let original = original.to_str().expect("our paths are text");
    fleet.cli(&["import", original]).ok();
    fleet.wait_receipt("press-01", "1.0.0", "committed", wait::SOON);
}
