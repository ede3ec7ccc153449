//! `muster retrain`: what a pipeline picks up. Trains, releases and rolls out nothing.

use std::path::{Path, PathBuf};

use clap::Subcommand;
use muster_fleet::incident::RetrainCommand;
use muster_protocol::id::ModelId;
use serde_json::{Value, json};

use super::by::By;
use super::{quality, show};
use crate::cli::Context;
use crate::error::{Exit, OperatorError};
use crate::home;
use crate::output::print_line;
use crate::retraining;

mod trusted;

/// What to do with requests for a retrain.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// List them, the newest last.
    List {
        /// Only those of this model.
        #[arg(long)]
        model: Option<ModelId>,
        /// Only those that stand like this.
        #[arg(long, value_parser = ["requested", "picked_up", "done", "declined"])]
        state: Option<String>,
    },
    /// Show one, with what it rests on.
    Show {
        /// Its number.
        request: u64,
    },
    /// Write one with its signature, for a pipeline that checks it.
    Export {
        /// Its number.
        request: u64,
        /// The file; printed when absent.
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// Say whether an exported request, or a kept alert of one, is of the fleet's controller.
    Verify {
        /// The file.
        file: PathBuf,
        /// What you trust: the home of the controller, a fleet.json, or what `muster fleet show
        /// --output json` printed; fleet.json is asked of the API when absent.
        #[arg(long, value_name = "PATH")]
        fleet: Option<PathBuf>,
    },
    /// Ask for one because of an incident, without waiting for what the rules wait for.
    Request {
        /// The number of the incident.
        incident: u64,
        #[command(flatten)]
        by: By,
    },
    /// Say that you work on one.
    PickUp(Order),
    /// Say that one is done.
    Done(Order),
    /// Say that nothing is trained for one.
    Decline(Order),
}

/// What one is told.
#[derive(Debug, clap::Args)]
pub(crate) struct Order {
    /// Its number.
    request: u64,
    #[command(flatten)]
    by: By,
}

/// Runs it.
pub(crate) async fn run(command: Command, context: &Context) -> Result<(), OperatorError> {
    match command {
        Command::List { model, state } => list(model, state, context).await,
        Command::Show { request } => show_one(request, context).await,
        Command::Export { request, out } => export(request, out.as_deref(), context).await,
        Command::Verify { file, fleet } => verify(&file, fleet.as_deref(), context).await,
        Command::Request { incident, by } => ask(incident, &by, context).await,
        Command::PickUp(order) => tell(RetrainCommand::PickUp, &order, context).await,
        Command::Done(order) => tell(RetrainCommand::Done, &order, context).await,
        Command::Decline(order) => tell(RetrainCommand::Decline, &order, context).await,
    }
}

async fn list(
    model: Option<ModelId>,
    state: Option<String>,
    context: &Context,
) -> Result<(), OperatorError> {
    const COLUMNS: [&str; 6] = [
        "request",
        "requested_at",
        "state",
        "model",
        "place",
        "because",
    ];
    let filters = [
        ("model", model.map(|model| model.to_string())),
        ("state", state),
    ];
    let (what, path) = ("list retrain requests", "/api/v1/retrain-requests");
    show::list(context, what, path, &filters, &COLUMNS).await
}

async fn fetch(request: u64, context: &Context) -> Result<Value, OperatorError> {
    let what = format!("show the retrain request {request}");
    let path = format!("/api/v1/retrain-requests/{request}");
    context.client()?.get(&what, &path).await
}

async fn show_one(request: u64, context: &Context) -> Result<(), OperatorError> {
    let shown = fetch(request, context).await?;
    context.output.print(&shown, text);
    Ok(())
}

/// A request for people: itself, then what was decided.
fn text(shown: &Value) -> String {
    let mut own = shown.clone();
    let record = own["record"].take();
    let orders = own["orders"].take();
    own["state"] = json!(state(&own));
    if let Some(fields) = own.as_object_mut() {
        fields.retain(|name, _| !["record", "orders", "signed"].contains(&name.as_str()));
        for name in ["version", "features", "incidents", "cohort", "reference"] {
            fields.insert(name.to_owned(), record[name].clone());
        }
        for kind in ["estimated", "measured"] {
            if let Some(said) = quality::said(&record["quality"][kind]) {
                fields.insert(format!("{kind} quality"), json!(said));
            }
        }
    }
    let orders = orders.as_array().cloned().unwrap_or_default();
    let columns = ["said_at", "operator", "command", "reason"];
    let said = match orders.is_empty() {
        true => String::new(),
        false => format!("\n{}", show::table(&orders, &columns)),
    };
    format!("{}\n{said}", show::record(&own))
}

/// How a request stands, in words.
fn state(row: &Value) -> String {
    show::cell(row.get("state")).replace('_', " ")
}

async fn export(request: u64, out: Option<&Path>, context: &Context) -> Result<(), OperatorError> {
    let shown = fetch(request, context).await?;
    let file = json!({ "record": shown["record"], "signed": shown["signed"] });
    let text = serde_json::to_string_pretty(&file).expect("invariant: it was JSON");
    let Some(out) = out else {
        print_line(&text);
        return Ok(());
    };
    home::write_private(out, text.as_bytes())?;
    let done = json!({ "request": request, "file": out.display().to_string() });
    context.output.print(&done, |_| {
        format!("wrote the retrain request {request} to {}", out.display())
    });
    Ok(())
}

async fn verify(file: &Path, fleet: Option<&Path>, context: &Context) -> Result<(), OperatorError> {
    let what = format!("verify the retrain request in {}", file.display());
    let text = home::read_text(file)?;
    let keys = match fleet {
        Some(fleet) => trusted::keys(fleet)?,
        None => {
            let client = context.client()?;
            let document = client.present_metadata(&what, "fleet.json", None).await?;
            trusted::named(&document).map_err(|because| {
                let hint = "ask who changed what the controller hands out";
                OperatorError::new(Exit::Refused, &what, because, hint)
            })?
        }
    };
    let record = retraining::verify(&text, &keys).map_err(|not| {
        let hint = "fetch it anew with `muster retrain export`; after the keys of the controller \
                    were replaced, name the fleet.json of then with --fleet";
        OperatorError::new(Exit::Refused, &what, not, hint)
    })?;
    context.output.print(&record, |record| {
        let version = record
            .version
            .as_deref()
            .unwrap_or("of a bundle not released here");
        format!(
            "it holds: the controller asked to retrain {} {version}: {}",
            record.model, record.because
        )
    });
    Ok(())
}

async fn ask(incident: u64, by: &By, context: &Context) -> Result<(), OperatorError> {
    let what = format!("ask for a retrain because of incident {incident}");
    let mut body = by.body();
    body["incident"] = json!(incident);
    let client = context.client()?;
    let row = client
        .post(&what, "/api/v1/retrain-requests", &body)
        .await?;
    context.output.print(&row, |row| {
        let request = show::cell(row.get("request"));
        format!("retrain request {request} is made: a pipeline picks it up, nothing is deployed")
    });
    Ok(())
}

async fn tell(
    command: RetrainCommand,
    order: &Order,
    context: &Context,
) -> Result<(), OperatorError> {
    let verb = match command {
        RetrainCommand::PickUp => "pick up",
        RetrainCommand::Done => "end",
        RetrainCommand::Decline => "decline",
    };
    let what = format!("{verb} the retrain request {}", order.request);
    let path = format!("/api/v1/retrain-requests/{}/orders", order.request);
    let mut body = order.by.body();
    body["command"] = json!(command);
    let row = context.client()?.post(&what, &path, &body).await?;
    context.output.print(&row, |row| {
        format!("retrain request {} is {}", order.request, state(row))
    });
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_shown_with_dates_and_in_words() {
        let shown = json!({ "request": 7, "requested_at": 1_800_000_000, "state": "picked_up",
            "record": { "version": "1.0.0" }, "signed": "…", "orders": [{ "said_at": 5,
            "operator": "airflow", "command": "pick_up", "reason": "a run" }] });
        let text = text(&shown);
        for part in [
            "2027-01-15T08:00:00Z",
            "picked up",
            "1.0.0",
            "1970-01-01T00:00:05Z",
        ] {
            assert!(text.contains(part), "{text}");
        }
        assert!(!text.contains("1800000000"), "{text}");
        assert!(!text.contains("quality"), "{text}");
    }

    #[test]
    fn what_is_estimated_and_what_is_measured_are_shown_apart() {
        let figure = |value: f64, drop: f64| {
            let drop = json!({ "value": drop, "low": drop - 0.01, "high": drop + 0.01 });
            json!({ "value": value, "low": value - 0.01, "high": value + 0.01, "drop": drop })
        };
        let shown = json!({ "request": 7, "state": "requested", "orders": [], "record": {
            "quality": { "estimated": { "n": 900, "accuracy": figure(0.85, 0.1), "auc": null },
                "measured": { "n": 40, "accuracy": figure(0.95, 0.0), "auc": figure(0.9, 0.05) } } } });
        let text = text(&shown);
        for part in [
            "estimated quality",
            "accuracy 0.850 (0.840..0.860), fell by +0.100 (0.090..0.110), n 900",
            "measured quality",
            "accuracy 0.950 (0.940..0.960), fell by +0.000 (-0.010..0.010), \
             AUC 0.900 (0.890..0.910), fell by +0.050 (0.040..0.060), n 40",
        ] {
            assert!(text.contains(part), "{part:?} is not in {text}");
        }
    }
}
