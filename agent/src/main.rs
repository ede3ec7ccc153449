//! `muster-agent`: a device's side of Muster. Parses the command line and hands over.
//!
//! Never starts a thread or a runtime before it knows that it is not a worker: each thread
//! reserves address space, which a worker is limited in.

pub mod command;
pub mod infer;
pub mod tensor;
pub mod trial;
pub mod worker;

use clap::{Parser, Subcommand};
use command::check::{self, CheckArgs};
use std::process::ExitCode;
use worker::child::{self, WorkerArgs};

#[derive(Parser)]
#[command(version, about = "The device's side of Muster")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Says what a model is, whether it runs here, and what it answers.
    Check(CheckArgs),
    /// The compute child; started by the agent itself.
    #[command(hide = true)]
    Worker(WorkerArgs),
}

fn main() -> ExitCode {
    match Arguments::parse().command {
        Command::Worker(args) => child::main(args),
        Command::Check(args) => check_command(&args),
    }
}

fn check_command(args: &CheckArgs) -> ExitCode {
    let program = std::env::current_exe();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    match (program, runtime) {
        (Ok(program), Ok(runtime)) => runtime.block_on(check::run(&program, args)),
        (Err(error), _) | (_, Err(error)) => {
            eprintln!("failed to check: because {error}: hint: is /proc mounted?");
            ExitCode::from(check::EXIT_FAILED)
        }
    }
}
