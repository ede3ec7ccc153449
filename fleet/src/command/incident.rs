//! `muster incident`: what a person must look at, what they make of it, and what is silenced.
//!
//! Decides nothing: the table of states and commands does, in the controller.

use clap::Subcommand;
use muster_fleet::incident::{Command as Told, Kind};
use muster_protocol::id::{DeviceId, ModelId};
use serde_json::{Value, json};

use super::by::By;
use super::show;
use super::span::{Span, span};
use crate::cli::Context;
use crate::error::OperatorError;

/// What to do with incidents.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// List them, the newest last.
    List(List),
    /// Show one, with what was found and what was said.
    Show {
        /// Its number.
        incident: u64,
    },
    /// Say that you look at one.
    Ack(Order),
    /// Say that it was one; what counts for the precision of alerts. One that a device raised closes.
    Confirm(Order),
    /// Say that it was none. One that a device raised closes.
    Dismiss(Order),
    /// Record incidents that fit, and tell nobody of them for a while.
    Silence(Box<Silence>),
    /// List silences.
    Silences,
    /// End a silence before its time.
    Unsilence {
        /// Its number.
        silence: u64,
        #[command(flatten)]
        by: By,
    },
}

/// Which are listed.
#[derive(Debug, clap::Args)]
pub(crate) struct List {
    /// Only those of this device.
    #[arg(long)]
    device: Option<DeviceId>,
    /// Only those of this model.
    #[arg(long)]
    model: Option<ModelId>,
    /// Only those for this cause.
    #[arg(long)]
    cause: Option<Kind>,
    /// Only those that stand like this.
    #[arg(long, value_parser = ["opened", "acknowledged", "confirmed", "dismissed"])]
    state: Option<String>,
    /// Only those that have not closed.
    #[arg(long)]
    open: bool,
}

/// What one is told.
#[derive(Debug, clap::Args)]
pub(crate) struct Order {
    /// Its number.
    incident: u64,
    #[command(flatten)]
    by: By,
}

/// What is silenced.
#[derive(Debug, clap::Args)]
pub(crate) struct Silence {
    /// Of this model.
    #[arg(long)]
    model: Option<ModelId>,
    /// Of this device alone.
    #[arg(long)]
    device: Option<DeviceId>,
    /// Of this cohort and each of its devices, as site=hall-4.
    #[arg(long, value_name = "LABEL=VALUE")]
    cohort: Option<String>,
    /// Of this feature.
    #[arg(long)]
    feature: Option<String>,
    /// For this cause.
    #[arg(long)]
    cause: Option<Kind>,
    /// How long: 90m, 12h, 7d.
    #[arg(long = "for", value_name = "SPAN", value_parser = span)]
    span: Span,
    #[command(flatten)]
    by: By,
}

/// Runs it.
pub(crate) async fn run(command: Command, context: &Context) -> Result<(), OperatorError> {
    match command {
        Command::List(wanted) => list(wanted, context).await,
        Command::Show { incident } => show_one(incident, context).await,
        Command::Ack(order) => tell(Told::Ack, &order, context).await,
        Command::Confirm(order) => tell(Told::Confirm, &order, context).await,
        Command::Dismiss(order) => tell(Told::Dismiss, &order, context).await,
        Command::Silence(wanted) => silence(&wanted, context).await,
        Command::Silences => silences(context).await,
        Command::Unsilence { silence, by } => unsilence(silence, &by, context).await,
    }
}

async fn list(wanted: List, context: &Context) -> Result<(), OperatorError> {
    const COLUMNS: [&str; 9] = [
        "incident",
        "raised_at",
        "state",
        "closed_at",
        "kind",
        "model",
        "place",
        "feature",
        "detail",
    ];
    let filters = [
        ("device", wanted.device.map(|device| device.to_string())),
        ("model", wanted.model.map(|model| model.to_string())),
        ("cause", wanted.cause.map(|cause| cause.to_string())),
        ("state", wanted.state),
        ("open", wanted.open.then(|| true.to_string())),
    ];
    let path = show::filtered("/api/v1/incidents", &filters);
    let rows = context.client()?.all("list incidents", &path).await?;
    context.output.print(&rows, |rows| {
        let rows: Vec<_> = rows.iter().map(with_place).collect();
        show::table(&rows, &COLUMNS)
    });
    Ok(())
}

/// Incidents of devices have no place of their own.
fn with_place(row: &Value) -> Value {
    let mut row = row.clone();
    if row["place"].is_null() {
        row["place"] = json!(format!("device:{}", show::cell(row.get("device"))));
    }
    row
}

async fn show_one(incident: u64, context: &Context) -> Result<(), OperatorError> {
    let what = format!("show the incident {incident}");
    let path = format!("/api/v1/incidents/{incident}");
    let story = context.client()?.get(&what, &path).await?;
    context.output.print(&story, text);
    Ok(())
}

/// An incident for people: itself, then what was found, then what was said.
fn text(story: &Value) -> String {
    let mut own = with_place(story);
    own["told"] = json!(told(own["told"].as_str().unwrap_or_default()));
    let mut tables = Vec::new();
    for (name, columns) in [
        ("newest_findings", &["at", "recorded_at", "because"][..]),
        ("orders", &["said_at", "operator", "command", "reason"]),
    ] {
        let rows = own[name].take();
        if let Some(fields) = own.as_object_mut() {
            fields.remove(name);
        }
        let rows = rows.as_array().cloned().unwrap_or_default();
        if !rows.is_empty() {
            tables.push(format!("\n{}", show::table(&rows, columns)));
        }
    }
    format!("{}\n{}", show::record(&own), tables.concat())
}

/// Whether anybody was told, for people.
fn told(told: &str) -> &str {
    match told {
        "unsaid" => "not yet",
        "told" => "yes",
        "nobody" => "nobody: no webhook listens to it",
        "silenced" => "nobody: it was silenced",
        "storm" => "nobody: the incident of the storm stands for it",
        other => other,
    }
}

async fn tell(command: Told, order: &Order, context: &Context) -> Result<(), OperatorError> {
    let verb = match command {
        Told::Ack => "acknowledge",
        Told::Confirm => "confirm",
        Told::Dismiss => "dismiss",
    };
    let what = format!("{verb} the incident {}", order.incident);
    let path = format!("/api/v1/incidents/{}/orders", order.incident);
    let mut body = order.by.body();
    body["command"] = json!(command);
    let story = context.client()?.post(&what, &path, &body).await?;
    context.output.print(&story, |story| {
        let state = show::cell(story.get("state"));
        let closed = match story["closed_at"].is_null() {
            true => "",
            false => " and has closed",
        };
        format!("incident {} is {state}{closed}", order.incident)
    });
    Ok(())
}

async fn silence(wanted: &Silence, context: &Context) -> Result<(), OperatorError> {
    let mut selector = serde_json::Map::new();
    let fields = [
        ("model", wanted.model.as_ref().map(ToString::to_string)),
        ("device", wanted.device.as_ref().map(ToString::to_string)),
        ("cohort", wanted.cohort.clone()),
        ("feature", wanted.feature.clone()),
        ("cause", wanted.cause.map(|cause| cause.to_string())),
    ];
    for (name, value) in fields {
        selector.extend(value.map(|value| (name.to_owned(), Value::from(value))));
    }
    let mut body = wanted.by.body();
    body["selector"] = selector.into();
    body["expires_in_s"] = wanted.span.seconds.into();
    let path = "/api/v1/silences";
    let made = context
        .client()?
        .post("silence incidents", path, &body)
        .await?;
    context.output.print(&made, |made| {
        let number = show::cell(made.get("silence"));
        format!("silence {number} holds for {}", wanted.span.said)
    });
    Ok(())
}

async fn silences(context: &Context) -> Result<(), OperatorError> {
    const COLUMNS: [&str; 5] = ["silence", "selector", "made_at", "expires_at", "ended_at"];
    let (what, path) = ("list silences", "/api/v1/silences");
    show::list(context, what, path, &[], &COLUMNS).await
}

async fn unsilence(silence: u64, by: &By, context: &Context) -> Result<(), OperatorError> {
    let what = format!("end the silence {silence}");
    let path = format!("/api/v1/silences/{silence}/end");
    let ended = context.client()?.post(&what, &path, &by.body()).await?;
    context
        .output
        .print(&ended, |_| format!("silence {silence} has ended"));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_incident_is_shown_with_what_was_found_and_said() {
        let story = json!({ "incident": 7, "device": "press-07", "place": null, "newest_findings":
            [{ "at": 5, "recorded_at": 6, "because": "PSI 0.3" }], "orders": [],
            "raised_at": 7, "told": "nobody" });
        let text = text(&story);
        for part in [
            "device:press-07",
            "PSI 0.3",
            "1970-01-01T00:00:05Z",
            "1970-01-01T00:00:06Z",
            "1970-01-01T00:00:07Z",
            "nobody: no webhook listens",
        ] {
            assert!(text.contains(part), "{text}");
        }
        assert!(!text.contains("orders"), "{text}");
    }
}
