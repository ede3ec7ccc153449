//! Until a rollout has ended, for scripts and CI systems: the exit code says how.
//!
//! Only looks. A rollout that needs a person is not waited for: nobody may come.

use std::time::Duration;

use serde_json::Value;

use super::super::show;
use super::explain;
use crate::cli::Context;
use crate::client::Client;
use crate::error::{Exit, OperatorError};
use crate::output::note;

const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Waits, with a line for each change; so many seconds, or for ever.
///
/// # Errors
/// It ended otherwise than completed, needs a person, or time is over.
pub(crate) async fn for_end(
    rollout: u64,
    timeout_s: Option<u64>,
    client: &Client,
    context: &Context,
) -> Result<(), OperatorError> {
    let waits = follow(rollout, client, context);
    let Some(timeout_s) = timeout_s else {
        return waits.await;
    };
    let in_time = tokio::time::timeout(Duration::from_secs(timeout_s), waits).await;
    in_time.unwrap_or_else(|_| {
        let because = format!("it goes on after {timeout_s} s");
        let hint = "wait longer with --timeout-s, or look at it with `muster rollout explain`";
        Err(OperatorError::new(
            Exit::Pending,
            what(rollout),
            because,
            hint,
        ))
    })
}

async fn follow(rollout: u64, client: &Client, context: &Context) -> Result<(), OperatorError> {
    let mut told = String::new();
    loop {
        let explained = explain::of_rollout(client, rollout).await?;
        let line = line(&explained);
        if line != told {
            note(&line);
            told = line;
        }
        let stands = explained.get("stands").and_then(Value::as_str);
        match stands.unwrap_or_default() {
            "completed" => {
                context.output.print(&explained, explain::rollout);
                return Ok(());
            }
            "dispatching" | "soaking" | "rolling back" => {}
            "halted" | "rolled back" | "aborted" | "superseded" => {
                let hint = format!("`muster rollout explain {rollout}` says which devices");
                return Err(OperatorError::new(Exit::Refused, what(rollout), told, hint));
            }
            _ => {
                let hint = "`muster rollout approve` or `resume`, then wait again";
                return Err(OperatorError::new(Exit::Pending, what(rollout), told, hint));
            }
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

fn what(rollout: u64) -> String {
    format!("wait for the rollout {rollout}")
}

/// Shows a rollout again whenever something of it has changed.
///
/// # Errors
/// The controller does not answer.
pub(crate) async fn watch(rollout: u64, client: &Client) -> Result<(), OperatorError> {
    let mut shown = String::new();
    loop {
        let explained = explain::of_rollout(client, rollout).await?;
        let text = explain::rollout(&explained);
        if text != shown {
            crate::output::print_line(&format!("{text}\n"));
            shown = text;
        }
        if explained.get("ended") == Some(&Value::Bool(true)) {
            return Ok(());
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

fn line(explained: &Value) -> String {
    format!(
        "{}: {}",
        show::cell(explained.get("stands")),
        show::cell(explained.pointer("/because/sentence"))
    )
}
