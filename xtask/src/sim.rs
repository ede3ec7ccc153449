//! The simulated world, many seeds or one: builds the program that runs it, and starts it.
//! It knows nothing of what happens there.

use std::path::Path;
use std::process::ExitCode;

use crate::run;

/// What `cargo xtask sim` may be told.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// How many worlds.
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u64).range(1..))]
    seeds: u64,
    /// Devices in each.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..))]
    devices: u16,
    /// Only this seed, with its story.
    #[arg(long)]
    seed: Option<u64>,
    /// The first seed of many.
    #[arg(long, default_value_t = 1)]
    from: u64,
    /// Begin with a seed that nobody chose.
    #[arg(long, conflicts_with_all = ["from", "seed"])]
    fresh: bool,
    /// Plant a classic mistake, and see after how many seeds it is caught.
    #[arg(long)]
    planted: Option<String>,
    /// Plant every classic mistake in turn, and print the table of what caught it.
    #[arg(long, conflicts_with_all = ["seed", "planted", "fresh", "from"])]
    mistakes: bool,
}

/// Builds and runs it; its exit code is ours.
pub(crate) fn run(args: &Args, root: &Path) -> ExitCode {
    run::program(root, "sim", &[], &words(args))
}

fn words(args: &Args) -> Vec<String> {
    let mut words = vec![
        format!("--seeds={}", args.seeds),
        format!("--devices={}", args.devices),
    ];
    // The program refuses what contradicts: only what was said is handed on.
    match (args.fresh, args.mistakes) {
        (true, _) => words.push("--fresh".to_owned()),
        (false, true) => words.push("--mistakes".to_owned()),
        (false, false) => words.push(format!("--from={}", args.from)),
    }
    words.extend(args.seed.map(|seed| format!("--seed={seed}")));
    words.extend(
        args.planted
            .as_ref()
            .map(|planted| format!("--planted={planted}")),
    );
    words
}
