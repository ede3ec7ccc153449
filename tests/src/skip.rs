//! A test that cannot run here says so, in the list of skips and on the terminal.
//!
//! Never a silent pass: `cargo xtask test --no-skip` counts each line as an error.

use std::fs::OpenOptions;
use std::io::Write as _;

/// Notes that the test `name` was left out, because of what, and how to have it run.
pub fn skip(name: &str, because: &str, hint: &str) {
    let line = format!("SKIPPED {name}: {because}: {hint}");
    eprintln!("{line}");
    let Some(list) = std::env::var_os("MUSTER_SKIPS") else {
        return;
    };
    let file = OpenOptions::new().create(true).append(true).open(list);
    // One write, since tests of other threads add their own lines.
    let whole = format!("{line}\n");
    file.and_then(|mut file| file.write_all(whole.as_bytes()))
        .expect("the list of skips is writable");
}

/// Whether a program is installed; otherwise the test is noted as left out.
pub fn has_program(name: &str, program: &str, hint: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(["/usr/sbin".into(), "/sbin".into()]);
    let found = folders
        .map(|folder| folder.join(program))
        .any(|path| path.is_file());
    if !found {
        skip(name, &format!("{program} is not installed"), hint);
    }
    found
}

/// Whether the long form of tests was asked for.
pub fn full() -> bool {
    std::env::var("MUSTER_FULL").is_ok_and(|value| value == "1")
}
