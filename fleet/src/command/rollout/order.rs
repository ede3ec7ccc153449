//! What a person tells a rollout: approve, pause, resume, promote, abort, rollback, retry.
//!
//! Decides nothing: the table of states and commands does, in the controller.

use muster_fleet::planner::Command;
use serde_json::json;

use super::explain;
use crate::cli::Context;
use crate::error::OperatorError;

/// An order.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Number of the rollout.
    rollout: u64,
    /// Why: it is kept with the decision.
    #[arg(long)]
    reason: String,
    /// By whom.
    #[arg(long, env = "USER", default_value = "operator", value_name = "NAME")]
    by: String,
}

/// Gives it.
pub(crate) async fn give(
    command: Command,
    args: &Args,
    context: &Context,
) -> Result<(), OperatorError> {
    let what = format!("{} the rollout {}", command.name(), args.rollout);
    let path = format!("/api/v1/rollouts/{}/orders", args.rollout);
    let body = json!({ "command": command, "operator": args.by, "reason": args.reason });
    let explained = context.client()?.post(&what, &path, &body).await?;
    context.output.print(&explained, explain::rollout);
    Ok(())
}
