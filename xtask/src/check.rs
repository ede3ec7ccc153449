//! Everything that can be judged without running our programs: what CI says, in the same words.
//! It changes no file.

use std::{
    path::Path,
    process::{Command, Stdio},
};

use crate::{
    firmware, fuzz,
    run::{Outcome, Report, cargo, command},
    tidy,
};

/// Format, lints, invariants, supply chain, documentation; every step runs, whatever failed.
///
/// # Errors
/// The tree cannot be read.
pub(crate) fn run(tidy: &tidy::Args, root: &Path, report: &mut Report) -> anyhow::Result<()> {
    report.step("format", || {
        command(cargo(root).args(["fmt", "--all", "--check"]))
    });
    tidy::run(tidy, root, report)?;
    report.step("lints", || command(&mut clippy(root)));
    firmware::check(root, report);
    fuzz::check(root, report);
    report.step("documentation", || command(&mut documentation(root)));
    report.step("supply chain", || supply_chain(root, "Cargo.toml"));
    report.step("supply chain of the firmware", || {
        supply_chain(root, "firmware/Cargo.toml")
    });
    Ok(())
}

fn clippy(root: &Path) -> Command {
    let mut clippy = cargo(root);
    clippy.args([
        "clippy",
        "--workspace",
        "--all-targets",
        "--",
        "--deny",
        "warnings",
    ]);
    clippy
}

fn documentation(root: &Path) -> Command {
    let mut documentation = cargo(root);
    documentation.args([
        "doc",
        "--workspace",
        "--no-deps",
        "--document-private-items",
    ]);
    documentation.env("RUSTDOCFLAGS", "--deny warnings");
    documentation
}

fn supply_chain(root: &Path, manifest: &str) -> Outcome {
    if !is_installed(cargo(root).args(["deny", "--version"])) {
        return Outcome::Skipped {
            because: "cargo-deny is not installed".into(),
            hint: "cargo install --locked cargo-deny".into(),
        };
    }
    let arguments = [
        "deny",
        "--manifest-path",
        manifest,
        "--workspace",
        "check",
        "--config",
        ".cargo/deny.toml",
    ];
    command(cargo(root).args(arguments))
}

fn is_installed(question: &mut Command) -> bool {
    let asked = question
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    asked.is_ok_and(|status| status.success())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn presence_is_asked_of_the_program_itself() {
        assert!(is_installed(&mut Command::new("true")));
        assert!(!is_installed(&mut Command::new("false")));
        assert!(!is_installed(&mut Command::new("no-such-program")));
    }
}
