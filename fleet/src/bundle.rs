//! Bundles: a model packed with its card, reference, golden vectors and hash list.
//!
//! `docs/bundle-format.md` is the specification. Here are the commands `muster bundle build`,
//! `inspect` and `verify`. Nothing here signs, uploads or runs a model: the agent's program does
//! the running.

mod agent;
mod build;
mod golden;
mod inspect;
mod layout;
mod npy;
mod npz;
mod pack;
mod probabilities;
pub(crate) mod progress;
mod protobuf;
mod quantile;
mod reference;
mod table;
mod tensor;
mod test_data_set;
mod variation;
mod vectors;
mod verify;

#[cfg(test)]
pub(crate) mod sample;

pub(crate) use build::BuildArgs;
pub(crate) use inspect::InspectArgs;
pub(crate) use layout::Layout;
pub(crate) use verify::{Verified, VerifyArgs, unpacked, verify};

use crate::cli::Context;
use crate::error::OperatorError;

/// What to do with bundles.
#[derive(Debug, Clone, clap::Subcommand)]
pub(crate) enum Command {
    /// Pack a model with its reference and golden vectors.
    Build(Box<BuildArgs>),
    /// Show what a bundle holds.
    Inspect(InspectArgs),
    /// Check every byte of a bundle.
    Verify(VerifyArgs),
}

/// Runs it.
///
/// # Errors
/// The sentence for the operator.
pub(crate) async fn run(command: Command, context: &Context) -> Result<(), OperatorError> {
    let output = context.output;
    let work = tokio::task::spawn_blocking(move || match command {
        Command::Build(args) => build::run(&args),
        Command::Inspect(args) => inspect::run(&args, output),
        Command::Verify(args) => verify::run(&args, output),
    });
    work.await
        .unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))
}
