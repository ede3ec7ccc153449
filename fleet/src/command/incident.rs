//! `muster incident`: what a person must look at.

use clap::Subcommand;
use muster_protocol::id::DeviceId;

use super::show;
use crate::cli::Context;
use crate::error::OperatorError;

/// What to do with incidents.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// List them, the newest last.
    List {
        /// Only those of this device.
        #[arg(long)]
        device: Option<DeviceId>,
    },
}

/// Runs it.
pub(crate) async fn run(command: Command, context: &Context) -> Result<(), OperatorError> {
    const COLUMNS: [&str; 4] = ["raised_at", "device", "kind", "detail"];
    let Command::List { device } = command;
    let filters = [("device", device.map(|device| device.to_string()))];
    let (what, path) = ("list incidents", "/api/v1/incidents");
    show::list(context, what, path, &filters, &COLUMNS).await
}
