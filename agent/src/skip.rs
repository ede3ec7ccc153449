//! A test that cannot run here says so, in the list of skips and on the terminal.
//!
//! Never a silent pass: `cargo xtask test --no-skip` counts each line as an error.

use std::fs::OpenOptions;
use std::io::Write as _;

/// Notes that the test `name` was left out, because of what, and how to have it run.
pub fn skip(name: &str, because: &str, hint: &str) {
    let line = format!("SKIPPED {name}: because {because}: {hint}");
    println!("{line}");
    let Some(list) = std::env::var_os("MUSTER_SKIPS") else {
        return;
    };
    let file = OpenOptions::new().append(true).create(true).open(list);
    // One write, since tests of other threads add their own lines.
    let whole = format!("{line}\n");
    file.and_then(|mut file| file.write_all(whole.as_bytes()))
        .expect("the list of skips is writable");
}
