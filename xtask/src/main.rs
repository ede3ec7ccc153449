//! All automation of this project: `cargo xtask TASK`.
//! It starts the programs and never links them.

mod check;
mod clock;
mod conformance;
mod cross;
mod demo;
mod drift_cases;
mod drift_curves;
mod firmware;
mod fuzz;
mod power;
mod progress;
mod run;
mod sim;
mod story;
mod test;
mod tidy;
mod tuf_client;

use std::{path::PathBuf, process::ExitCode};

use anyhow::Context as _;
use clap::{Parser, Subcommand};

use run::Report;

#[derive(Parser)]
#[command(name = "cargo xtask", about = "All automation of this project")]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

/// What can be measured.
#[derive(Clone, Copy, clap::ValueEnum)]
enum Bench {
    /// The local server against the bare call of the runtime, and while versions change.
    Serve,
    /// Plans and ticks of rollouts over 100,000 devices, against their limits.
    Planner,
    /// Windows that one core decodes, merges and compares in a second, against the limit.
    WindowSpeed,
    /// Signed documents a second from the broker to the durable store, beside the broker alone.
    Ingest,
    /// Bytes of a feature in a window on the wire, against their limits.
    WindowSize,
}

#[derive(Subcommand)]
enum Task {
    /// Measure: ratios against a peer or a limit, in one run.
    Bench {
        /// What.
        #[arg(value_enum)]
        name: Bench,
        /// Of `serve`: swaps between two versions under load; 0 leaves that part out.
        #[arg(long, default_value_t = 20)]
        swaps: u32,
    },
    /// Format, lints, invariants, supply chain, documentation.
    Check(tidy::Args),
    /// The agent for other processors.
    Cross {
        #[command(subcommand)]
        task: cross::Task,
    },
    /// Real and hostile models through the agent's own loading and trial, with a verdict each.
    Conformance(conformance::Args),
    /// Show it all: a controller, four devices, two versions, live predictions.
    Demo(Box<demo::Args>),
    /// Faults put into simulated fleets: how often they are placed where they are.
    DriftCases(drift_cases::Args),
    /// Simulated sensors: how often charts alarm for nothing, and how long a drift stays unseen.
    DriftCurves(drift_curves::Args),
    /// Real recordings through real agents: whether what is found is what should be.
    DriftReal(demo::drift_real::Args),
    /// The device on a microcontroller, in QEMU.
    Firmware {
        #[command(subcommand)]
        task: firmware::Task,
    },
    /// Hostile bytes: the fuzz targets for a while, with what they reached.
    Fuzz(fuzz::Args),
    /// Simulated rollouts: how often the gates stop good ones, and bad ones.
    Power(power::Args),
    /// The simulated world: many devices under everything that goes wrong, seed by seed.
    Sim(sim::Args),
    /// Build the programs and run every test.
    Test(test::Args),
    /// The invariants of the house, and the builds without a heap.
    Tidy(tidy::Args),
    /// The TUF client workflow as the command that the suite tuf-conformance drives.
    TufClient(tuf_client::Args),
    /// Write the rows that `xtask/story/train.py` learns from.
    #[command(hide = true)]
    ExportTrainingData { folder: PathBuf },
}

fn main() -> anyhow::Result<ExitCode> {
    let (root, mut report) = (run::root(), Report::default());
    match Cli::parse().task {
        Task::Bench {
            name: Bench::Serve,
            swaps,
        } => return demo::overhead::run(&root, swaps),
        Task::Bench {
            name: Bench::Planner,
            ..
        } => return Ok(run::program(&root, "planner", &[], &[])),
        Task::Bench {
            name: Bench::WindowSpeed,
            ..
        } => return Ok(run::bench(&root, "muster-protocol", "windows")),
        Task::Bench {
            name: Bench::Ingest,
            ..
        } => {
            return Ok(run::program(
                &root,
                "ingest",
                &["muster", "muster-agent"],
                &[],
            ));
        }
        Task::Bench {
            name: Bench::WindowSize,
            ..
        } => return Ok(run::program(&root, "window_size", &[], &[])),
        Task::Check(args) => check::run(&args, &root, &mut report)?,
        Task::Cross { task } => cross::run(task, &root, &mut report),
        Task::Conformance(args) => return conformance::run(&args, &root),
        Task::Demo(args) => return demo::run(&args, &root),
        Task::DriftCases(args) => return Ok(drift_cases::run(&args, &root)),
        Task::DriftCurves(args) => return Ok(drift_curves::run(&args, &root)),
        Task::DriftReal(args) => return demo::drift_real::run(&args, &root),
        Task::Firmware { task } => firmware::run(task, &root, &mut report)?,
        Task::Fuzz(args) => return fuzz::run(&args, &root),
        Task::Power(args) => return Ok(power::run(&args, &root)),
        Task::Sim(args) => return Ok(sim::run(&args, &root)),
        Task::Test(args) => return test::run(&args, &root),
        Task::Tidy(args) => tidy::run(&args, &root, &mut report)?,
        Task::TufClient(args) => {
            tuf_client::run(&args, clock::unix_s())?;
            return Ok(ExitCode::SUCCESS);
        }
        Task::ExportTrainingData { folder } => {
            let what = format!("failed to write into {}", folder.display());
            story::export_training_data(&folder).context(what)?;
            return Ok(ExitCode::SUCCESS);
        }
    }
    Ok(report.close())
}
