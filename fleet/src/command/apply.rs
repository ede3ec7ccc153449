//! `muster apply`: a rollout by the policy of a file, after its plan has been shown.
//!
//! Nothing moves before a person, or `--yes`, has agreed to the plan.

use std::path::PathBuf;

use muster_fleet::planner::{Plan, Policy, Role};
use serde_json::{Value, json};

use super::rollout::wait;
use super::show;
use crate::agree;
use crate::cli::Context;
use crate::error::{Exit, OperatorError};
use crate::home;
use crate::output::{Table, note};

/// Devices of a ring that a plan for people names; JSON has them all.
const NAMED_MAX: usize = 8;

/// What to apply.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The policy, TOML; docs/rollouts.md shows one.
    #[arg(short, long, value_name = "FILE")]
    file: PathBuf,
    /// Show the plan only.
    #[arg(long)]
    dry_run: bool,
    /// Begin without asking.
    #[arg(long)]
    yes: bool,
    /// Go on until the rollout has ended or needs a person; the exit code says how.
    #[arg(long)]
    wait: bool,
    /// Longest to wait, seconds.
    #[arg(long, requires = "wait", value_name = "SECONDS")]
    timeout_s: Option<u64>,
}

/// Runs it.
pub(crate) async fn run(args: Args, context: &Context) -> Result<(), OperatorError> {
    let what = format!("apply {}", args.file.display());
    let text = home::read_text(&args.file)?;
    let policy = Policy::read(&text).map_err(|error| {
        let place = format!("{what}: {}", error.place);
        OperatorError::new(Exit::BadInput, place, &error.because, &error.hint)
    })?;
    let client = context.client()?;
    let body = |dry_run: bool| json!({ "policy": text, "dry_run": dry_run });
    let planned = client.post(&what, "/api/v1/policies", &body(true)).await?;
    let plan: Plan = serde_json::from_value(planned).map_err(|error| {
        let hint = "is the controller of another version than this program?";
        OperatorError::new(Exit::Refused, &what, error, hint)
    })?;
    if args.dry_run {
        context.output.print(&plan, plan_text);
        return Ok(());
    }
    note(plan_text(&plan));
    if !args.yes {
        agree::to_begin(&what)?;
    }
    let begun = client.post(&what, "/api/v1/policies", &body(false)).await?;
    let rollout = begun.get("rollout").and_then(Value::as_u64);
    if args.wait {
        note(format_args!(
            "rollout {} follows this policy",
            rollout.unwrap_or_default()
        ));
        return wait::for_end(
            rollout.unwrap_or_default(),
            args.timeout_s,
            &client,
            context,
        )
        .await;
    }
    context.output.print(&begun, |begun| {
        format!(
            "rollout {} of {} follows this policy: `muster rollout explain` says where it stands",
            show::cell(begun.get("rollout")),
            policy.model
        )
    });
    Ok(())
}

/// A plan for people.
pub(super) fn plan_text(plan: &Plan) -> String {
    let policy = &plan.policy;
    let mut table = Table::new(&["ring", "devices", "which"]);
    for ring in &plan.rings {
        let named: Vec<&str> = ring
            .devices
            .iter()
            .take(NAMED_MAX)
            .map(|device| device.as_str())
            .collect();
        let more = ring.devices.len().saturating_sub(NAMED_MAX);
        let more = match more {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let which = format!("{}{more}", named.join(" "));
        table.row([ring.name.clone(), ring.devices.len().to_string(), which]);
    }
    if !plan.not_reached.is_empty() {
        let n = plan.not_reached.len().to_string();
        table.row(["not reached".to_owned(), n, "-".to_owned()]);
    }
    let mut text = format!(
        "plan {} of {} {}{}: {}\n{table}{}\n",
        plan.number.0,
        policy.model,
        policy.version,
        match policy.role {
            Role::Serve => "",
            Role::Shadow => " as a shadow",
        },
        plan.because.sentence,
        plan.next_because.sentence
    );
    for held in plan.held_back.iter().take(NAMED_MAX) {
        let why = held.standing.why(plan, plan.made_at);
        text.push_str(&format!("{} waits: {why}\n", held.device));
    }
    text.trim_end().to_owned()
}
