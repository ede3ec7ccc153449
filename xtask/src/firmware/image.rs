//! Builds the images and runs them in QEMU, with an end to every run.
//! It reports what an image said and how it ended, never whether that is right.

use std::{
    io::Read as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

use anyhow::{Context as _, bail};

use super::{cases::Image, fixtures};
use crate::{
    clock,
    run::{Outcome, cargo, command},
};

/// Cortex-M4 with a floating-point unit.
pub(super) const TARGET: &str = "thumbv7em-none-eabihf";
const QEMU: &str = "qemu-system-arm";
/// Longest run; a good one takes less than a second.
const RUN_MAX: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(5);

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Ended {
    /// Exit code; none when it was ended by a signal.
    pub(super) code: Option<i32>,
    /// Everything that the image said.
    pub(super) said: String,
}

/// What is missing here to build an image.
pub(super) fn missing_target() -> Option<Outcome> {
    (!has_target()).then(|| Outcome::Skipped {
        because: format!("the target {TARGET} is not installed"),
        hint: format!("rustup target add {TARGET}"),
    })
}

/// What is missing here to run one.
pub(super) fn missing_qemu() -> Option<Outcome> {
    let asked = Command::new(QEMU)
        .arg("--version")
        .stdout(Stdio::null())
        .status();
    let found = asked.is_ok_and(|status| status.success());
    (!found).then(|| Outcome::Skipped {
        because: format!("{QEMU} is not installed"),
        hint: "apt-get install qemu-system-arm".into(),
    })
}

/// Asks the compiler where its libraries are; a toolchain need not come from rustup.
fn has_target() -> bool {
    let output = Command::new("rustc").args(["--print", "sysroot"]).output();
    let Ok(output) = output else { return false };
    let sysroot = String::from_utf8_lossy(&output.stdout);
    Path::new(sysroot.trim())
        .join("lib/rustlib")
        .join(TARGET)
        .is_dir()
}

/// Cargo in the folder of the firmware, which has settings and a lock of its own.
pub(super) fn cargo_here(root: &Path) -> Command {
    let mut cargo = cargo(root);
    cargo
        .current_dir(root.join("firmware"))
        .env_remove("RUSTFLAGS");
    cargo.env("CARGO_TARGET_DIR", root.join("firmware/target"));
    cargo
}

/// Builds both images.
pub(super) fn build(root: &Path) -> Outcome {
    command(cargo_here(root).args(["build", "--release", "--locked"]))
}

/// Where a built image lies.
pub(super) fn path(root: &Path, image: Image) -> PathBuf {
    let name = match image {
        Image::Node => "muster-firmware",
        Image::Broken => "muster-firmware-broken",
    };
    root.join("firmware/target")
        .join(TARGET)
        .join("release")
        .join(name)
}

/// Runs an image with these words.
///
/// # Errors
/// QEMU cannot be started, or the run does not end.
pub(super) fn run(root: &Path, image: Image, words: &[String]) -> anyhow::Result<Ended> {
    let mut semihosting = "enable=on,target=native".to_owned();
    for word in words {
        semihosting += &format!(",arg={word}");
    }
    let mut qemu = Command::new(QEMU);
    qemu.args([
        "-machine",
        "mps2-an386",
        "-nographic",
        "-monitor",
        "none",
        "-serial",
        "none",
    ])
    // One nanosecond of virtual time for each instruction.
    .args([
        "-icount",
        "shift=0",
        "-semihosting-config",
        &semihosting,
        "-kernel",
    ])
    .arg(path(root, image))
    .current_dir(fixtures::folder(root));
    end(&mut qemu, RUN_MAX)
}

/// Runs a program to its end; what it says goes to where QEMU puts the words of an image.
fn end(program: &mut Command, longest: Duration) -> anyhow::Result<Ended> {
    let mut child = program
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("failed to start {QEMU}"))?;
    let status = wait(&mut child, longest);
    let mut said = String::new();
    if let Some(mut output) = child.stderr.take() {
        output
            .read_to_string(&mut said)
            .context("failed to read what the image said")?;
    }
    Ok(Ended {
        code: status?,
        said,
    })
}

/// An image says far less than a pipe holds, so nothing is read before the end.
fn wait(child: &mut Child, longest: Duration) -> anyhow::Result<Option<i32>> {
    let deadline = clock::now() + longest;
    while clock::now() < deadline {
        if let Some(status) = child.try_wait().context("failed to wait for the image")? {
            return Ok(status.code());
        }
        thread::sleep(POLL);
    }
    child.kill().context("failed to end the image")?;
    child.wait().context("failed to wait for the image")?;
    bail!("it did not end within {} s", longest.as_secs_f32())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_heard_and_its_code_kept() {
        let mut program = Command::new("sh");
        program.args(["-c", "echo verdict Done 0 >&2; exit 3"]);
        let ended = end(&mut program, RUN_MAX).expect("a shell");
        assert_eq!(
            (ended.code, ended.said.as_str()),
            (Some(3), "verdict Done 0\n")
        );
    }

    #[test]
    fn a_run_that_never_ends_is_ended() {
        let mut program = Command::new("sh");
        program.args(["-c", "exec sleep 600"]);
        let error = end(&mut program, Duration::from_millis(50)).expect_err("too long");
        assert_eq!(error.to_string(), "it did not end within 0.05 s");
    }
}
