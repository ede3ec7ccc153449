//! `muster receipt`: the signed reports of what devices did.

use clap::Subcommand;
use muster_protocol::id::{DeviceId, ModelId};

use super::show;
use crate::cli::Context;
use crate::error::OperatorError;

mod export;
mod verify;

/// What to do with receipts.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// List them.
    List {
        /// Only those of this device.
        #[arg(long)]
        device: Option<DeviceId>,
        /// Only those of this model.
        #[arg(long)]
        model: Option<ModelId>,
    },
    /// Write them to a file, exactly as devices signed them.
    Export(export::Args),
    /// Say of each receipt in a file whether it holds: without a controller, home or network.
    Verify(verify::Args),
}

/// Runs it.
pub(crate) async fn run(command: Command, context: &Context) -> Result<(), OperatorError> {
    match command {
        Command::List { device, model } => list(device, model, context).await,
        Command::Export(args) => export::run(args, context).await,
        Command::Verify(args) => verify::run(&args, context.output),
    }
}

async fn list(
    device: Option<DeviceId>,
    model: Option<ModelId>,
    context: &Context,
) -> Result<(), OperatorError> {
    const COLUMNS: [&str; 8] = [
        "device", "model", "version", "role", "since", "step", "reason", "detail",
    ];
    let filters = [
        ("device", device.map(|device| device.to_string())),
        ("model", model.map(|model| model.to_string())),
    ];
    let (what, path) = ("list receipts", "/api/v1/receipts");
    show::list(context, what, path, &filters, &COLUMNS).await
}
