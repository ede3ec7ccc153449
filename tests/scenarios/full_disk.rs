//! A device whose disk is full: what serves keeps serving, and it goes on when there is room.

use muster_tests::bundles;
use muster_tests::cli;
use muster_tests::device::Device;
use muster_tests::fleet::Fleet;
use muster_tests::load::Load;
use muster_tests::settings::Settings;
use muster_tests::{skip, wait};
use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{FEATURES, expect_score};

/// A small disk of its own, gone with the test.
struct Disk(PathBuf);

impl Disk {
    /// None where the system does not let us mount.
    fn mount(at: &Path) -> Option<Self> {
        fs::create_dir_all(at).expect("a folder");
        let mut command = Command::new("mount");
        let said = cli::run(
            command
                .args(["-t", "tmpfs", "-o", "size=8m,mode=700", "none"])
                .arg(at),
        );
        if said.code == Some(0) {
            return Some(Self(at.to_owned()));
        }
        skip::skip(
            "full disk",
            "this user may not mount a small disk",
            "run the tests as root",
        );
        None
    }

    /// Writes until nothing more fits.
    fn fill(&self) -> PathBuf {
        let path = self.0.join("filler");
        let mut file = File::create(&path).expect("a file fits");
        let mut block = 64 * 1024;
        while block > 0 {
            if file.write_all(&vec![1; block]).is_err() {
                block /= 2;
            }
        }
        path
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Lazily: the agent may still be ending.
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[test]
fn a_full_disk_stops_no_prediction_and_updates_go_on_when_there_is_room() {
    let fleet = Fleet::start();
    let state = fleet.folder().join("press-01");
    let Some(disk) = Disk::mount(&state) else {
        return;
    };
    let settings = Settings::default().with("disk_mib_reserved", 1);
    let mut device = Device::enroll_at(&fleet, "press-01", &settings, &state);
    device.start();
    fleet.ship(&bundles::of_fixture("good", "score", "1.0.0"));
    fleet.wait_receipt("press-01", "1.0.0", "committed", wait::SOON);
    let load = Load::start(&device, "score", &FEATURES, expect_score);
    let filler = disk.fill();
    fleet.ship(&bundles::of_fixture("crash_later", "score", "2.0.0"));
    wait::until_true("the disk to be named", wait::SOON, || {
        device.log().contains("No space left on device")
    });
    let before = load.so_far().answered();
    wait::until_true("predictions", wait::SOON, || {
        load.so_far().answered() > before + 100
    });
    fs::remove_file(filler).expect("it is ours");
    fleet.ship(&bundles::of_fixture("crash_later", "score", "3.0.0"));
    fleet.wait_receipt("press-01", "3.0.0", "committed", wait::LATER);
    let tally = load.end();
    assert_eq!((tally.failed(), tally.wrong.len()), (0, 0), "{tally:?}");
    drop(device);
}
