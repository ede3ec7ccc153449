//! How often charts alarm for nothing, and how long a drift stays unseen: builds the program that simulates
//! that, and starts it. It knows nothing of statistics.

use std::path::Path;
use std::process::ExitCode;

use crate::run::program;

/// What `cargo xtask drift-curves` may be told.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Per cent of the published device-years; at least one year a line.
    #[arg(long, default_value_t = 100)]
    years_percent: u64,
    /// Drifts of each kind.
    #[arg(long, default_value_t = 200)]
    drifts: u64,
    /// From where all chance comes.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Only lines whose name has this in it.
    #[arg(long, default_value = "")]
    only: String,
    /// Sensors that follow the hour of the week, in place of all others.
    #[arg(long)]
    season: bool,
}

/// Builds and runs it; its exit code is ours.
pub(crate) fn run(args: &Args, root: &Path) -> ExitCode {
    let mut words = vec![
        format!("--years-percent={}", args.years_percent),
        format!("--drifts={}", args.drifts),
        format!("--seed={}", args.seed),
        format!("--only={}", args.only),
    ];
    if args.season {
        words.push("--season".to_owned());
    }
    program(root, "drift_curves", &[], &words)
}
