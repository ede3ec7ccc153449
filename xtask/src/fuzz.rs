//! Fuzzes the targets of `protocol/fuzz` for a while, and says what they reached and what fell.
//! It knows nothing of what a target demands, and never changes the committed corpus.

mod log;
mod table;
mod target;

use std::{
    num::NonZero,
    path::{Path, PathBuf},
    process::{ExitCode, Stdio},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use anyhow::{Context as _, bail, ensure};

use crate::progress::Progress;
use crate::run::{Report, cargo, command};
use log::Reached;

/// What `cargo xtask fuzz` may be told.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Which targets; every one without it.
    targets: Vec<String>,
    /// Minutes of fuzzing, shared out among the targets.
    #[arg(long, default_value_t = 10)]
    minutes: u32,
    /// Targets at a time.
    #[arg(long, default_value = "1")]
    jobs: NonZero<usize>,
    /// How the figures are printed.
    #[arg(long, value_enum, default_value = "text")]
    output: Output,
}

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Output {
    /// For people.
    Text,
    /// For scripts.
    Json,
}

/// A target that was run.
struct Fuzzed {
    name: String,
    reached: Reached,
}

/// Builds and runs them. The exit code says whether any input fell.
///
/// # Errors
/// A target is not known, cargo-fuzz is not there, or a target cannot be built or started.
pub(crate) fn run(args: &Args, root: &Path) -> anyhow::Result<ExitCode> {
    let names = chosen(&args.targets, target::names(root)?)?;
    require_cargo_fuzz(root)?;
    build(root)?;
    let share_s = share_s(args.minutes, names.len());
    eprintln!("{} targets, {share_s} s each", names.len());
    let fuzzed = fuzz_all(names, args.jobs.get(), |name| {
        target::run(root, name, share_s)
    })?;
    match args.output {
        Output::Text => print!("{}", table::text(&fuzzed)),
        Output::Json => println!("{:#}", table::json(&fuzzed)),
    }
    let clean = fuzzed.iter().all(|one| one.reached.crashes.is_empty());
    Ok(match clean {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}

/// Format of the targets, which are outside of the workspace.
pub(crate) fn check(root: &Path, report: &mut Report) {
    report.step("format of the fuzz targets", || {
        command(cargo(&folder(root)).args(["fmt", "--check"]))
    });
}

/// Where targets, corpus and their own workspace are.
fn folder(root: &Path) -> PathBuf {
    root.join("protocol/fuzz")
}

/// Where they are built, and where what fuzzing finds is kept.
fn target_folder(root: &Path) -> PathBuf {
    let told = std::env::var_os("CARGO_TARGET_DIR");
    root.join(told.unwrap_or_else(|| "target".into()))
        .join("fuzz")
}

fn chosen(wanted: &[String], known: Vec<String>) -> anyhow::Result<Vec<String>> {
    if let Some(other) = wanted.iter().find(|name| !known.contains(name)) {
        bail!(
            "failed to fuzz {other}: because there is no such target: there are {}",
            known.join(", ")
        );
    }
    let of_interest = |name: &String| wanted.is_empty() || wanted.contains(name);
    Ok(known.into_iter().filter(of_interest).collect())
}

fn require_cargo_fuzz(root: &Path) -> anyhow::Result<()> {
    let mut version = cargo(root);
    let version = version
        .args(["fuzz", "--version"])
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let found = version.status().is_ok_and(|status| status.success());
    ensure!(
        found,
        "failed to fuzz: because cargo-fuzz is not installed: run `cargo install --locked cargo-fuzz`"
    );
    Ok(())
}

fn build(root: &Path) -> anyhow::Result<()> {
    let mut build = target::cargo_fuzz(root, "build");
    // What cargo says of the build must not mix with the figures.
    let built = build
        .stdout(Stdio::null())
        .status()
        .context("failed to start cargo")?;
    ensure!(
        built.success(),
        "failed to build the fuzz targets: because of what cargo says above"
    );
    Ok(())
}

/// Seconds for each target, at least one: zero would be for ever.
fn share_s(minutes: u32, targets: usize) -> u64 {
    let targets = targets.max(1) as u64;
    (u64::from(minutes) * 60 / targets).max(1)
}

/// In the order of the names, whichever ends first.
fn fuzz_all(
    names: Vec<String>,
    jobs: usize,
    run: impl Fn(&str) -> anyhow::Result<Reached> + Sync,
) -> anyhow::Result<Vec<Fuzzed>> {
    let progress = Progress::start(names.len(), "targets", 1);
    let (next, results) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    let work = || {
        loop {
            let place = next.fetch_add(1, Ordering::Relaxed);
            let Some(name) = names.get(place) else { return };
            let reached = run(name);
            progress.advance(name);
            let mut results = results.lock().unwrap_or_else(PoisonError::into_inner);
            results.push((place, reached));
        }
    };
    thread::scope(|scope| {
        for _ in 0..jobs {
            scope.spawn(work);
        }
    });
    let mut results = results.into_inner().unwrap_or_else(PoisonError::into_inner);
    results.sort_by_key(|(place, _)| *place);
    let pairs = names.iter().zip(results);
    pairs
        .map(|(name, (_, reached))| {
            Ok(Fuzzed {
                name: name.clone(),
                reached: reached.with_context(|| format!("failed to fuzz {name}"))?,
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn all_targets_or_those_that_are_named() {
        let check = |wanted: &[&str], expect: &[&str]| {
            let chosen = chosen(&names(wanted), names(&["a", "b"])).expect("known");
            assert_eq!(chosen, names(expect));
        };
        check(&[], &["a", "b"]);
        check(&["b"], &["b"]);
        let error = chosen(&names(&["c"]), names(&["a", "b"])).expect_err("unknown");
        assert!(error.to_string().ends_with("there are a, b"), "{error}");
    }

    #[test]
    fn the_minutes_are_shared_out() {
        assert_eq!(share_s(10, 10), 60);
        assert_eq!(share_s(0, 10), 1);
        assert_eq!(share_s(1, 0), 60);
    }

    #[test]
    fn figures_come_in_the_order_of_the_names_and_an_error_names_its_target() {
        let reached = |executions| Reached {
            executions,
            ..Reached::default()
        };
        let run = |name: &str| Ok(reached(name.len() as u64));
        let fuzzed = fuzz_all(names(&["aaa", "b", "cc"]), 2, run).expect("no error");
        let seen: Vec<_> = fuzzed.iter().map(|one| one.reached.executions).collect();
        assert_eq!(seen, [3, 1, 2]);
        let fails = |name: &str| -> anyhow::Result<Reached> {
            ensure!(name != "b", "it cannot be started");
            Ok(reached(1))
        };
        let error = fuzz_all(names(&["aaa", "b"]), 1, fails).err();
        let error = error.expect("a target that cannot be started is an error");
        assert_eq!(error.to_string(), "failed to fuzz b");
    }
}
