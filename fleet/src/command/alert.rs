//! `muster alert`: what was sent to whom, once more, and as a trial.

use std::time::Duration;

use clap::Subcommand;
use serde_json::{Value, json};

use super::by::By;
use super::show;
use super::span::{Span, span};
use crate::cli::Context;
use crate::client::Client;
use crate::error::{Exit, OperatorError};
use crate::output::note;

/// How often it is looked whether a trial has arrived.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// Longer than one try may take.
const LOOKS_MAX: u32 = 30;

/// What to do with alerts.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// List them, the newest last.
    List {
        /// Only those that stand like this.
        #[arg(long, value_parser = ["pending", "delivered", "given_up"])]
        state: Option<String>,
        /// Only those to this webhook.
        #[arg(long)]
        webhook: Option<String>,
    },
    /// Send one once more, or all of a while, with the same ids.
    Replay(Replay),
    /// Send a webhook something, and say whether it arrived.
    Test {
        /// Its name in muster.toml.
        webhook: String,
        /// By whom.
        #[arg(long, env = "USER", default_value = "operator", value_name = "NAME")]
        by: String,
    },
}

/// What is sent once more.
#[derive(Debug, clap::Args)]
pub(crate) struct Replay {
    /// Number of the alert.
    #[arg(required_unless_present = "since", conflicts_with = "since")]
    alert: Option<u64>,
    /// All that were made in this while: 90m, 12h, 7d.
    #[arg(long, value_parser = span)]
    since: Option<Span>,
    #[command(flatten)]
    by: By,
}

/// Runs it.
pub(crate) async fn run(command: Command, context: &Context) -> Result<(), OperatorError> {
    match command {
        Command::List { state, webhook } => list(state, webhook, context).await,
        Command::Replay(wanted) => replay(&wanted, context).await,
        Command::Test { webhook, by } => test(&webhook, &by, context).await,
    }
}

async fn list(
    state: Option<String>,
    webhook: Option<String>,
    context: &Context,
) -> Result<(), OperatorError> {
    const COLUMNS: [&str; 9] = [
        "alert", "made_at", "webhook", "type", "incident", "state", "failed", "next_at", "problem",
    ];
    let filters = [("state", state), ("webhook", webhook)];
    show::list(context, "list alerts", "/api/v1/alerts", &filters, &COLUMNS).await
}

async fn replay(wanted: &Replay, context: &Context) -> Result<(), OperatorError> {
    let mut body = wanted.by.body();
    if let Some(alert) = wanted.alert {
        body["alert"] = alert.into();
    }
    if let Some(since) = &wanted.since {
        body["since_s"] = since.seconds.into();
    }
    let (what, path) = ("replay alerts", "/api/v1/alerts/replay");
    let done = context.client()?.post(what, path, &body).await?;
    context.output.print(&done, |done| {
        let count = show::cell(done.get("replayed"));
        format!("{count} alerts go out once more: `muster alert list` shows them")
    });
    if let Some(left_out) = done["left_out"].as_u64().filter(|left_out| *left_out > 0) {
        note(format_args!(
            "{left_out} alerts go to webhooks that muster.toml does not have: they stay as they are"
        ));
    }
    Ok(())
}

async fn test(webhook: &str, by: &str, context: &Context) -> Result<(), OperatorError> {
    let what = format!("reach the webhook {webhook}");
    let client = context.client()?;
    let body = json!({ "webhook": webhook, "operator": by, "reason": "a trial" });
    let made = client.post(&what, "/api/v1/alerts/test", &body).await?;
    let tried = first_try(&client, &what, made).await?;
    if tried["state"] == "delivered" {
        let text = format!("{webhook} took alert {}", show::cell(tried.get("alert")));
        context.output.print(&tried, |_| text);
        return Ok(());
    }
    let because = match tried["problem"].as_str() {
        Some(problem) => problem.to_owned(),
        None => "it was not tried yet".to_owned(),
    };
    let hint = "check url and secret_file in muster.toml, which `muster serve` reads when it \
                starts; it tries again by itself";
    Err(OperatorError::new(Exit::Unreachable, what, because, hint))
}

/// Waits until an alert was tried.
async fn first_try(client: &Client, what: &str, made: Value) -> Result<Value, OperatorError> {
    let path = format!("/api/v1/alerts/{}", show::cell(made.get("alert")));
    let mut alert = made;
    for _ in 0..LOOKS_MAX {
        if !alert["tried_at"].is_null() {
            break;
        }
        tokio::time::sleep(LOOK_EVERY).await;
        alert = client.get(what, &path).await?;
    }
    Ok(alert)
}
