//! Builds `protocol` and `device` for a Cortex-M0: the compiler's word that they need no heap.
//! Nothing that is built here is run or kept.

use std::{path::Path, process::Command};

use crate::run::{Outcome, Report, cargo, command};

/// Cortex-M0: no std, and the fewest instructions of all our targets.
const TARGET: &str = "thumbv6m-none-eabi";

/// Adds the target when it is missing, then builds each package alone, without features.
pub(super) fn run(root: &Path, report: &mut Report) {
    if !is_installed() {
        report.step("target", || install(root));
    }
    for package in ["muster-protocol", "muster-device"] {
        report.step(&format!("{package} on a Cortex-M0"), || {
            build(root, package)
        });
    }
}

/// Together they would share features, and one could lend the other a heap.
fn build(root: &Path, package: &str) -> Outcome {
    let arguments = [
        "build",
        "--package",
        package,
        "--no-default-features",
        "--target",
        TARGET,
    ];
    command(cargo(root).args(arguments))
}

/// Asks the compiler where its libraries are; a toolchain need not come from rustup.
fn is_installed() -> bool {
    let output = Command::new("rustc").args(["--print", "sysroot"]).output();
    let Ok(output) = output else { return false };
    let sysroot = String::from_utf8_lossy(&output.stdout);
    Path::new(sysroot.trim())
        .join("lib/rustlib")
        .join(TARGET)
        .is_dir()
}

fn install(root: &Path) -> Outcome {
    let mut rustup = Command::new("rustup");
    match command(rustup.current_dir(root).args(["target", "add", TARGET])) {
        Outcome::Passed => Outcome::Passed,
        Outcome::Failed(_) | Outcome::Skipped { .. } => Outcome::Failed(format!(
            "failed to add the target: because rustup is missing or offline: \
             run `rustup target add {TARGET}` with a network, or install that target's std \
             from where your toolchain came"
        )),
    }
}
