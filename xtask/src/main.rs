//! All automation of this project: `cargo xtask TASK`.
//! It starts the programs and never links them.

mod check;
mod clock;
mod run;
mod test;
mod tidy;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use run::Report;

#[derive(Parser)]
#[command(name = "cargo xtask", about = "All automation of this project")]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Format, lints, invariants, supply chain, documentation.
    Check(tidy::Args),
    /// Build the programs and run every test.
    Test(test::Args),
    /// The invariants of the house, and the builds without a heap.
    Tidy(tidy::Args),
}

fn main() -> anyhow::Result<ExitCode> {
    let (root, mut report) = (run::root(), Report::default());
    match Cli::parse().task {
        Task::Check(args) => check::run(&args, &root, &mut report)?,
        Task::Test(args) => return test::run(&args, &root),
        Task::Tidy(args) => tidy::run(&args, &root, &mut report)?,
    }
    Ok(report.close())
}
