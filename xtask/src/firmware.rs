//! The device on a microcontroller: builds its images, runs their cases in QEMU, makes their
//! fixtures. It judges by what the images say and how they end, and links none of their code.

mod cases;
mod fixtures;
mod image;
mod judge;
mod size;

use std::{fs, path::Path};

use anyhow::Context as _;
use muster_protocol::digest::Digest;

use crate::run::{Outcome, Report, command};
use cases::{Case, Image};
use judge::Figures;

/// What can be done with the firmware.
#[derive(Clone, Copy, clap::Subcommand)]
pub(crate) enum Task {
    /// Build the images.
    Build,
    /// Build them and run every case in QEMU.
    Test {
        /// Count what cannot run here as an error.
        #[arg(long)]
        no_skip: bool,
    },
    /// Build them and say how much flash and memory they take.
    Size,
    /// Make the fixtures again.
    Fixtures {
        /// Only compare them with what is committed.
        #[arg(long)]
        check: bool,
    },
}

/// Does it, each part a step of the report.
///
/// # Errors
/// A fixture cannot be written.
pub(crate) fn run(task: Task, root: &Path, report: &mut Report) -> anyhow::Result<()> {
    match task {
        Task::Fixtures { check: false } => return fixtures::write(root),
        Task::Fixtures { check: true } => report.step("fixtures", || check_fixtures(root)),
        Task::Build => report.step("firmware", || build(root)),
        Task::Size => {
            report.step("firmware", || build(root));
            report.step("size", || or_failed(print_size(root)));
        }
        Task::Test { no_skip } => test(no_skip, root, report),
    }
    Ok(())
}

/// Format and lints of the firmware, which is outside of the workspace.
pub(crate) fn check(root: &Path, report: &mut Report) {
    report.step("format of the firmware", || {
        command(image::cargo_here(root).args(["fmt", "--check"]))
    });
    report.step("lints of the firmware", || {
        let arguments = [
            "clippy",
            "--release",
            "--locked",
            "--",
            "--deny",
            "warnings",
        ];
        image::missing_target().unwrap_or_else(|| command(image::cargo_here(root).args(arguments)))
    });
}

fn test(no_skip: bool, root: &Path, report: &mut Report) {
    let needed = |outcome| match outcome {
        Outcome::Skipped { because, hint } if no_skip => {
            Outcome::Failed(format!("{because}: {hint}"))
        }
        outcome => outcome,
    };
    report.step("fixtures", || check_fixtures(root));
    report.step("firmware on the host", || test_on_host(root));
    report.step("firmware", || needed(build(root)));
    report.step("size", || {
        needed(image::missing_target().unwrap_or_else(|| or_failed(print_size(root))))
    });
    report.step("firmware in QEMU", || {
        let missing = image::missing_target().or_else(image::missing_qemu);
        needed(missing.unwrap_or_else(|| or_failed(run_cases(root))))
    });
}

fn build(root: &Path) -> Outcome {
    image::missing_target().unwrap_or_else(|| image::build(root))
}

fn test_on_host(root: &Path) -> Outcome {
    let Some(host) = host() else {
        return Outcome::Failed("rustc does not say what it runs on".into());
    };
    let arguments = ["test", "--lib", "--locked", "--target", &host];
    command(image::cargo_here(root).args(arguments))
}

/// The target that the compiler itself runs on: the firmware's own is another.
fn host() -> Option<String> {
    let version = std::process::Command::new("rustc")
        .arg("-vV")
        .output()
        .ok()?;
    let version = String::from_utf8(version.stdout).ok()?;
    version
        .lines()
        .find_map(|line| line.strip_prefix("host: "))
        .map(str::to_owned)
}

fn check_fixtures(root: &Path) -> Outcome {
    or_failed(fixtures::check(root))
}

fn or_failed(done: anyhow::Result<()>) -> Outcome {
    match done {
        Ok(()) => Outcome::Passed,
        Err(error) => Outcome::Failed(format!("{error:#}")),
    }
}

fn print_size(root: &Path) -> anyhow::Result<()> {
    let path = image::path(root, Image::Node);
    let what = || format!("failed to read {}", path.display());
    let size = size::read(&fs::read(&path).with_context(what)?).with_context(what)?;
    println!(
        "  {:>7} bytes of flash, at most {}",
        size.flash,
        size::FLASH_BYTES_MAX
    );
    println!(
        "  {:>7} bytes of memory, at most {}",
        size.memory,
        size::MEMORY_BYTES_MAX
    );
    size::judge(size)
}

/// Runs every case, whatever failed before, and prints the table.
fn run_cases(root: &Path) -> anyhow::Result<()> {
    let window = fixtures::folder(root).join(fixtures::WINDOW);
    let window = fs::read(&window).with_context(|| format!("failed to read {}", window.display()));
    let (window, mut failed) = (Digest::of(&window?), 0);
    let (mut good, mut deepest) = (Vec::new(), 0);
    println!(
        "  {:<38}{:<21}{:<21}{:>13}",
        "case", "expected", "verdict", "instructions"
    );
    let cases = cases::read(cases::TABLE)?;
    for case in &cases {
        let figures = run_case(root, case, &window);
        println!("  {}", line(case, &figures));
        match figures {
            Err(_) => failed += 1,
            Ok(figures) => {
                deepest = deepest.max(figures.stack_bytes);
                good.extend(figures.took.into_iter().filter(|_| case.expect == "Done"));
            }
        }
    }
    print_budgets(&good, deepest);
    println!("  {} cases, {failed} failed", cases.len());
    anyhow::ensure!(failed == 0, "{failed} of {} cases failed", cases.len());
    Ok(())
}

fn run_case(root: &Path, case: &Case, window: &Digest) -> anyhow::Result<Figures> {
    let ended = image::run(root, case.image, &case.words)?;
    judge::judge(case, &ended, window)
}

fn line(case: &Case, figures: &anyhow::Result<Figures>) -> String {
    let Case { name, expect, .. } = case;
    match figures {
        Err(error) => format!("{name:<38}{expect:<21}FAILED: {error:#}"),
        Ok(figures) => {
            let sum: u64 = figures.took.iter().map(|(_, took)| took).sum();
            format!("{name:<38}{expect:<21}{:<21}{sum:>13}", figures.verdict)
        }
    }
}

/// The dearest good run of each task beside its budget.
fn print_budgets(good: &[(String, u64)], stack_bytes: u64) {
    println!(
        "\n  {:<38}{:>21}{:>21}",
        "instructions of", "at most", "took"
    );
    for (task, most) in judge::BUDGETS {
        let took = good
            .iter()
            .filter(|(name, _)| name == task)
            .map(|(_, took)| took)
            .max();
        let took = took.map_or("-".to_owned(), u64::to_string);
        println!("  {task:<38}{most:>21}{took:>21}");
    }
    let most = judge::STACK_BYTES_MAX;
    println!("  {:<38}{most:>21}{stack_bytes:>21}", "bytes of stack");
}
