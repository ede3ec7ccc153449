//! How often the gates stop good rollouts, and bad ones: builds the program that simulates them, and
//! starts it. It knows nothing of statistics.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use crate::run::{OPTIMISED, cargo};

/// What `cargo xtask power` may be told.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Rollouts of each kind.
    #[arg(long, default_value_t = 2000, value_parser = clap::value_parser!(u64).range(1..))]
    rollouts: u64,
    /// From where all chance comes.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Only lines whose name has this in it.
    #[arg(long, default_value = "")]
    only: String,
    /// How the tables are printed.
    #[arg(long, value_enum, default_value_t = Output::Text)]
    output: Output,
}

/// How tables are printed.
#[derive(Clone, Copy, clap::ValueEnum)]
enum Output {
    /// Markdown.
    Text,
    /// One object.
    Json,
}

/// Builds and runs it; its exit code is ours, and nothing else is on standard output.
pub(crate) fn run(args: &Args, root: &Path) -> ExitCode {
    // The whole workspace has one set of features: another selection would build it anew.
    let mut build = cargo(root);
    build.args(["build", "--quiet", "--workspace", "--bin", "power"]);
    build.args(OPTIMISED);
    if !ended_well(&mut build, "build the simulated rollouts") {
        return ExitCode::FAILURE;
    }
    let mut simulate = Command::new(program(root));
    if ended_well(simulate.args(words(args)), "simulate the rollouts") {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn ended_well(command: &mut Command, what: &str) -> bool {
    let because = match command.status() {
        Ok(status) if status.success() => return true,
        Ok(status) => format!("it ended with {status}: see above"),
        Err(error) => format!("{error}: is it installed?"),
    };
    eprintln!("failed to {what}: because {because}");
    false
}

fn program(root: &Path) -> PathBuf {
    let told = std::env::var_os("CARGO_TARGET_DIR");
    root.join(told.unwrap_or_else(|| "target".into()))
        .join("debug/power")
}

fn words(args: &Args) -> [String; 4] {
    let output = match args.output {
        Output::Text => "text",
        Output::Json => "json",
    };
    [
        format!("--rollouts={}", args.rollouts),
        format!("--seed={}", args.seed),
        format!("--only={}", args.only),
        format!("--output={output}"),
    ]
}
