//! `muster rollout`: a release goes out to devices, after the plan has been shown.
//!
//! Nothing moves before a person, or `--yes`, has agreed to the plan.

use clap::Subcommand;
use muster_protocol::id::{ModelId, Version};
use serde_json::{Value, json};

use super::show;
use crate::agree;
use crate::cli::Context;
use crate::client::Client;
use crate::error::{Exit, OperatorError};
use crate::output::note;

pub(crate) mod explain;
mod order;
mod plan;
pub(crate) mod wait;

use muster_fleet::planner::Command as Told;

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
    /// Where one by policy stands, why, and what comes next.
    #[command(visible_alias = "status")]
    Explain {
        /// Its number.
        rollout: u64,
        /// Show it again whenever it changes, until it has ended.
        #[arg(long)]
        watch: bool,
    },
    /// Wait until one by policy has ended; the exit code says how.
    Wait {
        /// Its number.
        rollout: u64,
        /// Longest to wait, seconds.
        #[arg(long)]
        timeout_s: Option<u64>,
    },
    /// What was decided about one by policy, and why.
    Log {
        /// Its number.
        rollout: u64,
    },
    /// Decide everything about one once more from what was written down, and compare.
    Replay {
        /// Its number.
        rollout: u64,
    },
    /// Agree to the plan of one, or to its next ring.
    Approve(order::Args),
    /// Let nothing move by itself.
    Pause(order::Args),
    /// Go on after a pause or a halt.
    Resume(order::Args),
    /// Open the next ring in spite of budgets, soak and gates.
    Promote(order::Args),
    /// End one; devices stay as they are.
    Abort(order::Args),
    /// Bring every device of one back to the version before.
    Rollback(order::Args),
    /// Tell devices that failed or fell silent once more.
    Retry(order::Args),
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
    match command {
        Command::Create(wanted) => create(&wanted, &context.client()?, context).await,
        Command::List => list(context).await,
        Command::Show { rollout } => show_one(rollout, context).await,
        Command::Explain { rollout, watch } => explain_one(rollout, watch, context).await,
        Command::Wait { rollout, timeout_s } => {
            wait::for_end(rollout, timeout_s, &context.client()?, context).await
        }
        Command::Log { rollout } => log(rollout, context).await,
        Command::Replay { rollout } => replay(rollout, context).await,
        Command::Approve(args) => order::give(Told::Approve, &args, context).await,
        Command::Pause(args) => order::give(Told::Pause, &args, context).await,
        Command::Resume(args) => order::give(Told::Resume, &args, context).await,
        Command::Promote(args) => order::give(Told::Promote, &args, context).await,
        Command::Abort(args) => order::give(Told::Abort, &args, context).await,
        Command::Rollback(args) => order::give(Told::Rollback, &args, context).await,
        Command::Retry(args) => order::give(Told::Retry, &args, context).await,
    }
}

async fn list(context: &Context) -> Result<(), OperatorError> {
    const COLUMNS: [&str; 8] = [
        "rollout", "model", "version", "role", "selector", "percent", "stands", "steps",
    ];
    let rollouts = context
        .client()?
        .all("list rollouts", "/api/v1/rollouts")
        .await?;
    context.output.print(&rollouts, |rollouts| {
        let rollouts: Vec<_> = rollouts.iter().map(for_people).collect();
        show::table(&rollouts, &COLUMNS)
    });
    Ok(())
}

async fn show_one(rollout: u64, context: &Context) -> Result<(), OperatorError> {
    let what = format!("show the rollout {rollout}");
    let path = format!("/api/v1/rollouts/{rollout}");
    let rollout = context.client()?.get(&what, &path).await?;
    context
        .output
        .print(&rollout, |rollout| show::record(&for_people(rollout)));
    Ok(())
}

async fn explain_one(rollout: u64, watch: bool, context: &Context) -> Result<(), OperatorError> {
    let client = context.client()?;
    if watch {
        return wait::watch(rollout, &client).await;
    }
    let explained = explain::of_rollout(&client, rollout).await?;
    context.output.print(&explained, explain::rollout);
    Ok(())
}

async fn log(rollout: u64, context: &Context) -> Result<(), OperatorError> {
    const COLUMNS: [&str; 5] = ["decision", "decided_at", "plan", "kind", "because"];
    let what = format!("show what was decided about the rollout {rollout}");
    let path = format!("/api/v1/rollouts/{rollout}/decisions");
    show::list(context, &what, &path, &[], &COLUMNS).await
}

async fn replay(rollout: u64, context: &Context) -> Result<(), OperatorError> {
    let what = format!("decide about the rollout {rollout} once more");
    let path = format!("/api/v1/rollouts/{rollout}/replay");
    let replayed = context.client()?.get(&what, &path).await?;
    let differ = replayed.get("differ").and_then(Value::as_array);
    if differ.is_none_or(|differ| !differ.is_empty()) {
        let because = format!(
            "decisions come out differently: {}",
            show::cell(replayed.get("differ"))
        );
        let hint =
            "was it decided by another version of this program, or was the database changed?";
        return Err(OperatorError::new(Exit::Refused, what, because, hint));
    }
    context.output.print(&replayed, |replayed| {
        let n = show::cell(replayed.get("decisions"));
        format!("{n} decisions come out as they were written down")
    });
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
        agree::to_begin(&what)?;
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
