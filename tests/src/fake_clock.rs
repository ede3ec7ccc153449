//! A wall clock that is wrong, for one program: `libfaketime` answers in its stead.
//!
//! Leaves the time since boot alone, as on a machine whose battery is empty: there only the date
//! is wrong.

use crate::skip;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// How to get it.
pub const INSTALL: &str = "apt-get install faketime";

/// A clock, read anew by the program each time it looks.
#[derive(Debug)]
pub struct FakeClock {
    file: PathBuf,
    library: String,
}

impl FakeClock {
    /// A clock that says `when`: a date of UTC at which it stands whenever a program starts, as
    /// `@2040-01-01 00:00:00`, or how far it is ahead, as `+200d`. It is kept in `file`. None where there is no `faketime`, and the test `name` is noted as left
    /// out.
    ///
    /// # Panics
    /// When the disk refuses.
    pub fn at(name: &str, file: &Path, when: &str) -> Option<Self> {
        let library = library(name)?;
        let file = file.to_owned();
        let clock = Self { file, library };
        clock.set(when);
        Some(clock)
    }

    /// Sets it, also under a program that runs.
    ///
    /// # Panics
    /// When the disk refuses.
    pub fn set(&self, when: &str) {
        // Replaced whole: half a date would be another one.
        let next = self.file.with_extension("next");
        fs::write(&next, format!("{when}\n")).expect("the disk takes it");
        fs::rename(next, &self.file).expect("the disk takes it");
    }

    /// Shows it to a program that is to be started, and to all that it starts.
    pub fn show_to(&self, command: &mut Command) {
        command
            .env("LD_PRELOAD", &self.library)
            .env("FAKETIME_TIMESTAMP_FILE", &self.file)
            .env("FAKETIME_NO_CACHE", "1")
            .env("FAKETIME_DONT_FAKE_MONOTONIC", "1")
            .env("DONT_FAKE_MONOTONIC", "1")
            .env("TZ", "UTC");
    }
}

/// Where the library lies that also deceives programs of several threads. `faketime` could tell it,
/// but trips over what an earlier run with its process id has left in shared memory.
fn library(name: &str) -> Option<String> {
    if !skip::has_program(name, "faketime", INSTALL) {
        return None;
    }
    let roots = ["/usr/lib", "/usr/local/lib"].map(Path::new);
    let triplets = fs::read_dir("/usr/lib").expect("every system has it");
    let triplets = triplets.filter_map(|entry| entry.ok().map(|entry| entry.path()));
    let folders = triplets.chain(roots.map(Path::to_owned));
    let mut files = folders.map(|folder| folder.join("faketime/libfaketimeMT.so.1"));
    let found = files.find(|file| file.is_file());
    let found = found.expect("faketime brings its library").into_os_string();
    Some(found.into_string().expect("a path of the system is text"))
}
