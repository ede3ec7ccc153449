//! `muster window`: the telemetry windows that the fleet has stored.

use clap::Subcommand;
use muster_protocol::id::{DeviceId, ModelId};

use super::show;
use crate::cli::Context;
use crate::error::OperatorError;

/// What to do with windows.
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
}

/// Runs it.
pub(crate) async fn run(command: Command, context: &Context) -> Result<(), OperatorError> {
    const COLUMNS: [&str; 7] = [
        "device",
        "model",
        "sequence",
        "closed_windows",
        "calls",
        "errors",
        "shadow",
    ];
    let Command::List { device, model } = command;
    let filters = [
        ("device", device.map(|device| device.to_string())),
        ("model", model.map(|model| model.to_string())),
    ];
    let (what, path) = ("list windows", "/api/v1/windows");
    show::list(context, what, path, &filters, &COLUMNS).await
}
