//! `muster-agent`: a device's side of Muster. Parses the command line and hands over.
//!
//! Never starts a thread or a runtime before it knows that it is not a worker: each thread
//! reserves address space, which a worker is limited in.

pub mod clock;
pub mod command;
pub mod config;
pub mod enroll;
pub mod error;
#[cfg(test)]
#[path = "../../tests/src/free_port.rs"]
mod free_port;
pub mod health;
#[cfg(test)]
#[path = "../../protocol/tests/fixtures/hostile.rs"]
mod hostile;
pub mod infer;
pub mod link;
pub mod local;
#[cfg(test)]
mod power_cuts;
pub mod print;
pub mod run;
pub mod seat;
pub mod serve;
pub mod serving;
#[cfg(test)]
mod skip;
pub mod stick;
pub mod store;
pub mod supervisor;
pub mod tensor;
pub mod tls;
pub mod trial;
pub mod worker;

use clap::{Parser, Subcommand};
use command::StateArgs;
use command::check::{self, CheckArgs};
use command::export::ExportArgs;
use command::feedback::FeedbackArgs;
use command::import::ImportArgs;
use command::predict::PredictArgs;
use enroll::EnrollArgs;
use error::Failure;
use run::RunArgs;
use std::process::ExitCode;
use worker::child::{self, WorkerArgs};

#[derive(Parser)]
#[command(
    version,
    about = "The device's side of Muster: serves models that passed inspection"
)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Makes keys on this device and gets its certificate, with a token from `muster`.
    Enroll(EnrollArgs),
    /// Serves models, takes up assignments, reports.
    Run(RunArgs),
    /// Says how the running agent does.
    Status(StateArgs),
    /// Lists the models of the running agent.
    Models(StateArgs),
    /// Sends rows of a file through a serving model; needs no network.
    Predict(PredictArgs),
    /// Sends labels that came for predictions to the running agent, which counts them.
    Feedback(FeedbackArgs),
    /// Takes what a stick brings from the fleet; needs no network.
    Import(ImportArgs),
    /// Writes what waits for the fleet to a stick.
    Export(ExportArgs),
    /// Verifies everything that the slots on disk need; needs no running agent.
    Verify(StateArgs),
    /// Says what a model is, whether it runs here, and what it answers.
    Check(CheckArgs),
    /// The compute child; started by the agent itself.
    #[command(hide = true)]
    Worker(WorkerArgs),
}

fn main() -> ExitCode {
    match Arguments::parse().command {
        Command::Worker(args) => child::main(args),
        other => with_runtime(other),
    }
}

fn with_runtime(command: Command) -> ExitCode {
    log_to_stderr();
    // One thread: a worker dies with the thread that started it.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    match runtime {
        Ok(runtime) => runtime.block_on(dispatch(command)),
        Err(error) => Failure::Runtime(error).report(),
    }
}

async fn dispatch(command: Command) -> ExitCode {
    let done = match command {
        Command::Worker(args) => return child::main(args),
        Command::Enroll(args) => return enroll::main(&args).await,
        Command::Check(args) => return check_command(&args).await,
        Command::Run(args) => run::run(&args).await,
        Command::Status(args) => command::status::run(&args).await,
        Command::Models(args) => command::models::run(&args).await,
        Command::Predict(args) => command::predict::run(&args).await,
        Command::Feedback(args) => command::feedback::run(&args).await,
        Command::Import(args) => command::import::run(&args).await,
        Command::Export(args) => command::export::run(&args).await,
        Command::Verify(args) => command::verify::run(&args),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}

async fn check_command(args: &CheckArgs) -> ExitCode {
    match std::env::current_exe() {
        Ok(program) => check::run(&program, args).await,
        Err(error) => Failure::Runtime(error).report(),
    }
}

fn log_to_stderr() {
    let filter = tracing_subscriber::EnvFilter::try_from_env("MUSTER_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("warn,muster_agent=info"));
    let colour = std::io::IsTerminal::is_terminal(&std::io::stderr());
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(colour)
        .with_writer(std::io::stderr)
        .init();
}
