//! `muster rollout`: a release goes out to devices, after the plan has been shown.
//!
//! Nothing moves before a person, or `--yes`, has agreed to the plan.

use std::io::{self, IsTerminal as _};

use clap::Subcommand;
use muster_protocol::id::{ModelId, Version};
use serde_json::{Value, json};

use super::show;
use crate::cli::Context;
use crate::client::Client;
use crate::error::{Exit, OperatorError};
use crate::output::note;

mod plan;

/// What to do with rollouts.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Show the plan of a rollout, and begin it.
    Create(Create),
    /// List them.
    List,
    /// Show one with its counts by step.
    Show {
        /// Its number.
        rollout: u64,
    },
}

/// A rollout as asked for.
#[derive(Debug, clap::Args)]
pub(crate) struct Create {
    /// The model.
    #[arg(long)]
    model: ModelId,
    /// The version, which must have been released.
    #[arg(long)]
    version: Version,
    /// Which devices: terms over labels such as `site=berlin,line=2|3`, or `all`.
    #[arg(long, default_value = "all", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    selector: String,
    /// How many of them, in percent.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u8).range(1..=100))]
    percent: u8,
    /// Let devices that refused or reverted this version try it again.
    #[arg(long)]
    retry: bool,
    /// Seconds of probation, to tighten what devices do by themselves.
    #[arg(long)]
    probation_s: Option<u32>,
    /// Seconds of a telemetry window, to tighten what devices do by themselves.
    #[arg(long)]
    window_s: Option<u32>,
    /// Show the plan only.
    #[arg(long)]
    dry_run: bool,
    /// Begin without asking.
    #[arg(long)]
    yes: bool,
}

/// Runs it.
pub(crate) async fn run(command: Command, context: &Context) -> Result<(), OperatorError> {
    let client = context.client()?;
    match command {
        Command::Create(wanted) => return create(&wanted, &client, context).await,
        Command::List => {
            const COLUMNS: [&str; 6] = [
                "rollout", "model", "version", "selector", "percent", "steps",
            ];
            let rollouts = client.all("list rollouts", "/api/v1/rollouts").await?;
            context.output.print(&rollouts, |rollouts| {
                let rollouts: Vec<_> = rollouts.iter().map(for_people).collect();
                show::table(&rollouts, &COLUMNS)
            });
        }
        Command::Show { rollout } => {
            let what = format!("show the rollout {rollout}");
            let rollout = client
                .get(&what, &format!("/api/v1/rollouts/{rollout}"))
                .await?;
            context
                .output
                .print(&rollout, |rollout| show::record(&for_people(rollout)));
        }
    }
    Ok(())
}

async fn create(wanted: &Create, client: &Client, context: &Context) -> Result<(), OperatorError> {
    let what = format!("roll {} {} out", wanted.model, wanted.version);
    let mut body = wanted.body();
    let plan = client
        .post(&what, "/api/v1/rollouts", &with_dry_run(&mut body, true))
        .await?;
    let plan = plan::complete(client, &what, plan).await?;
    if wanted.dry_run {
        context.output.print(&plan, plan::text);
        return Ok(());
    }
    note(plan::text(&plan));
    if !wanted.yes {
        agree(&what)?;
    }
    let rollout = client
        .post(&what, "/api/v1/rollouts", &with_dry_run(&mut body, false))
        .await?;
    context.output.print(&rollout, |rollout| {
        format!("rollout {} began", show::cell(rollout.get("rollout")))
    });
    Ok(())
}

/// A rollout with the word that selects all, as it is typed.
fn for_people(rollout: &Value) -> Value {
    let mut rollout = rollout.clone();
    if rollout.get("selector").and_then(Value::as_str) == Some("") {
        rollout["selector"] = "all".into();
    }
    rollout
}

impl Create {
    fn body(&self) -> Value {
        // `all` is a word of the command line: to a selector it would be the name of a label.
        let selector = if self.selector == "all" {
            ""
        } else {
            &self.selector
        };
        json!({
            "model": self.model.as_str(),
            "version": self.version.as_str(),
            "selector": selector,
            "percent": self.percent,
            "retry": if self.retry { "again" } else { "never" },
            "settings": { "probation_s": self.probation_s, "window_s": self.window_s },
        })
    }
}

fn with_dry_run(body: &mut Value, dry_run: bool) -> Value {
    body["dry_run"] = dry_run.into();
    body.clone()
}

fn agree(what: &str) -> Result<(), OperatorError> {
    if !io::stdin().is_terminal() {
        let because = "nobody is there to agree to the plan";
        let hint = "add --yes to begin without asking, or --dry-run to see the plan only";
        return Err(OperatorError::new(Exit::Usage, what, because, hint));
    }
    note("Begin? [y/N]");
    let mut answer = String::new();
    let read = io::stdin().read_line(&mut answer);
    if read.is_ok() && matches!(answer.trim(), "y" | "Y" | "yes") {
        return Ok(());
    }
    let hint = "nothing has moved; answer y to begin";
    Err(OperatorError::new(
        Exit::Refused,
        what,
        "the plan was not agreed to",
        hint,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_selects_all() {
        let wanted = |selector: &str| Create {
            model: ModelId::parse("m").expect("valid"),
            version: Version::parse("1.0.0").expect("valid"),
            selector: selector.to_owned(),
            percent: 100,
            retry: false,
            probation_s: None,
            window_s: None,
            dry_run: false,
            yes: false,
        };
        for (selector, expect) in [("all", ""), ("", ""), ("site=all", "site=all")] {
            assert_eq!(wanted(selector).body()["selector"], expect);
        }
        let body = with_dry_run(&mut wanted("all").body(), true);
        assert_eq!(body["dry_run"], true);
    }
}
