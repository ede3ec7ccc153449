//! A small disk of its own, to be filled. Gone with the test.

use crate::{cli, skip};
use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

/// First size of a block that is tried, bytes; then halves of it.
const BLOCK_BYTES: usize = 64 * 1024;
/// What such a disk gives at least.
const PAGE_BYTES: u64 = 4096;

/// A small disk.
#[derive(Debug)]
pub struct Disk(PathBuf);

impl Disk {
    /// Mounts an empty one; none where the system does not let us, and the test `name` is noted
    /// as left out.
    ///
    /// # Panics
    /// When there can be no folder at that place.
    pub fn mount(name: &str, at: &Path, mib: u64) -> Option<Self> {
        fs::create_dir_all(at).expect("a folder");
        let options = format!("size={mib}m,mode=700");
        let mut command = Command::new("mount");
        command.args(["-t", "tmpfs", "-o", &options, "none"]);
        if cli::run(command.arg(at)).code == Some(0) {
            return Some(Self(at.to_owned()));
        }
        let because = "this user may not mount a small disk";
        skip::skip(name, because, "run the tests as root");
        None
    }

    /// Writes until nothing more fits.
    ///
    /// # Panics
    /// When not even an empty file fits.
    pub fn fill(&self) {
        let mut file = File::options();
        let file = file.create(true).append(true).open(self.filler());
        let mut file = file.expect("a file fits");
        let mut block = BLOCK_BYTES;
        while block > 0 {
            if file.write_all(&vec![1; block]).is_err() {
                block /= 2;
            }
        }
    }

    /// Writes until only so many pages are free.
    ///
    /// # Panics
    /// As [`Self::fill`], or when it has fewer.
    pub fn fill_but(&self, pages: u64) {
        self.fill();
        let file = File::options().write(true).open(self.filler());
        let file = file.expect("it is ours");
        let filled = file.metadata().expect("it is open").len();
        file.set_len((filled - pages * PAGE_BYTES) / PAGE_BYTES * PAGE_BYTES)
            .expect("a file can be cut");
    }

    /// Takes away what [`Self::fill`] wrote.
    ///
    /// # Panics
    /// When it was never filled.
    pub fn make_room(&self) {
        fs::remove_file(self.filler()).expect("it is ours");
    }

    fn filler(&self) -> PathBuf {
        self.0.join("filler")
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Lazily: a program may still be ending.
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}
