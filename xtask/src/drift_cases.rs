//! How often what moved is placed where it is: builds the program that puts faults into simulated
//! fleets, and starts it. It knows nothing of statistics.

use std::path::Path;
use std::process::ExitCode;

use crate::run::program;

/// What `cargo xtask drift-cases` may be told.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Cases of each kind and correlation.
    #[arg(long, default_value_t = 24)]
    cases: u64,
    /// From where all chance comes.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Only kinds whose name has this in it.
    #[arg(long, default_value = "")]
    only: String,
    /// Device-years of each correlation in which nothing happens, instead of cases.
    #[arg(long, default_value_t = 0)]
    quiet_years: u64,
    /// Tell every case that was not placed right.
    #[arg(long)]
    tell: bool,
}

/// Builds and runs it; its exit code is ours.
pub(crate) fn run(args: &Args, root: &Path) -> ExitCode {
    let mut words = vec![
        format!("--cases={}", args.cases),
        format!("--seed={}", args.seed),
        format!("--only={}", args.only),
        format!("--quiet-years={}", args.quiet_years),
    ];
    words.extend(args.tell.then(|| "--tell".to_owned()));
    program(root, "drift_cases", &[], &words)
}
