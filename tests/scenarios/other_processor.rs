//! The agent on another processor: emulated, it enrols, serves and verifies as here.
//!
//! Everything happens in `cargo xtask cross run`; here it is only started.

use muster_tests::program;
use muster_tests::skip::skip;
use std::process::Command;

const TARGET: &str = "aarch64-unknown-linux-gnu";

#[test]
#[ignore = "builds the runtime once more, for minutes"]
fn an_agent_for_another_processor_serves_and_verifies() {
    let mut xtask = Command::new(program::path("xtask"));
    let ran = xtask.args(["cross", "run", "--target", TARGET]).output();
    let ran = ran.expect("xtask starts");
    let said = String::from_utf8_lossy(&ran.stdout);
    let why = String::from_utf8_lossy(&ran.stderr);
    let skipped = said.lines().find(|line| line.starts_with("SKIPPED "));
    if let Some((because, hint)) = skipped.and_then(|line| line.rsplit_once(": ")) {
        return skip("other_processor", because, hint);
    }
    assert!(ran.status.success(), "{said}\n{why}");
}
