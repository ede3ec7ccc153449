//! `muster drift charts | quality | alarms | recompute | rebaseline`: what watches windows, what alarmed, the
//! same once more, and learning anew.

use clap::Args as ClapArgs;
use muster_protocol::id::{DeviceId, ModelId};
use serde_json::{Value, json};

use super::super::show;
use crate::cli::Context;
use crate::client::Client;
use crate::error::{Exit, OperatorError};
use crate::output::note;

/// Which charts.
#[derive(Debug, ClapArgs)]
pub(crate) struct Charts {
    /// The model.
    #[arg(long)]
    model: ModelId,
    /// Only those of this device.
    #[arg(long)]
    device: Option<DeviceId>,
}

/// Of which classifier.
#[derive(Debug, ClapArgs)]
pub(crate) struct Quality {
    /// The model.
    #[arg(long)]
    model: ModelId,
}

/// Which alarms.
#[derive(Debug, ClapArgs)]
pub(crate) struct Alarms {
    /// Only those of this model.
    #[arg(long)]
    model: Option<ModelId>,
}

/// What is learnt anew.
#[derive(Debug, ClapArgs)]
pub(crate) struct Rebaseline {
    /// The model.
    #[arg(long)]
    model: ModelId,
    /// Only this device; without it, all devices and their cohorts.
    #[arg(long)]
    device: Option<DeviceId>,
    /// Why: kept with the order.
    #[arg(long)]
    reason: String,
    /// By whom.
    #[arg(long, env = "USER", default_value = "operator", value_name = "NAME")]
    by: String,
}

/// Shows what is known of each feature.
pub(super) async fn charts(args: Charts, context: &Context) -> Result<(), OperatorError> {
    const COLUMNS: [&str; 8] = [
        "device",
        "version",
        "feature",
        "state",
        "looks",
        "looks_min",
        "week_hours",
        "week_state",
    ];
    let filters = [
        ("model", Some(args.model.to_string())),
        ("device", args.device.map(|device| device.to_string())),
    ];
    let (what, path) = ("list charts", "/api/v1/drift/charts");
    show::list(context, what, path, &filters, &COLUMNS).await
}

/// Shows how quality stands in each cohort, and what is usual there.
pub(super) async fn quality(args: Quality, context: &Context) -> Result<(), OperatorError> {
    const COLUMNS: [&str; 7] = [
        "cohort", "version", "stands", "days", "days_min", "accuracy", "auc",
    ];
    let what = format!("show the quality of {}", args.model);
    let path = format!("/api/v1/drift/quality?model={}", args.model);
    let shown = context.client()?.get(&what, &path).await?;
    let rows = shown["items"].as_array().cloned().unwrap_or_default();
    context.output.print(&rows, |rows| {
        let rows: Vec<Value> = rows.iter().map(usual).collect();
        match rows.is_empty() {
            true => "nothing is known yet: it takes scores and six hours".to_owned(),
            false => show::table(&rows, &COLUMNS),
        }
    });
    Ok(())
}

/// A row for people: figures in a word, what is learnt of them.
fn usual(row: &Value) -> Value {
    let mut row = row.clone();
    for name in ["accuracy", "auc"] {
        let (mean, deviation) = (&row[name]["mean"], &row[name]["deviation"]);
        let known = mean.as_f64().zip(deviation.as_f64());
        row[name] = known.map_or(Value::Null, |(mean, deviation)| {
            json!(format!("{mean:.4} ± {deviation:.4}"))
        });
    }
    row
}

/// Shows what alarmed, and what it was found to be.
pub(super) async fn alarms(args: Alarms, context: &Context) -> Result<(), OperatorError> {
    const COLUMNS: [&str; 6] = [
        "happened_at",
        "model",
        "device",
        "feature",
        "signal",
        "because",
    ];
    let filters = [("model", args.model.map(|model| model.to_string()))];
    let (what, path) = ("list alarms", "/api/v1/drift/alarms");
    show::list(context, what, path, &filters, &COLUMNS).await
}

/// Computes every alarm again.
pub(super) async fn recompute(context: &Context) -> Result<(), OperatorError> {
    let what = "compute all alarms again";
    note("reading all windows that are stored: this may take minutes");
    let client = context.client()?;
    let path = "/api/v1/drift/recomputations";
    let begun = client.post(what, path, &json!({})).await?;
    let again = ended(&client, what, &begun).await?;
    context.output.print(&again, said);
    let differences = again["differences"].as_array().map_or(0, Vec::len);
    if differences == 0 {
        return Ok(());
    }
    let because = format!("{differences} came out differently than they were written down");
    let hint = "the store was changed by something else than `muster serve`, or this is another \
                version of it: keep a copy, and compare with a backup";
    Err(OperatorError::new(Exit::Refused, what, because, hint))
}

/// Waits for the end of a recomputation, however long it takes: `muster serve` goes on with it also
/// when nobody waits.
async fn ended(client: &Client, what: &str, begun: &Value) -> Result<Value, OperatorError> {
    let number = show::cell(begun.get("recomputation"));
    let path = format!("/api/v1/drift/recomputations/{number}");
    loop {
        let stands = client.get(what, &path).await?;
        if stands["state"] != "running" {
            return Ok(stands);
        }
        note("it goes on: it is asked for again until it has ended; Ctrl-C does not end it");
    }
}

/// Learns anew what is normal.
pub(super) async fn rebaseline(args: Rebaseline, context: &Context) -> Result<(), OperatorError> {
    let what = format!("learn anew what is normal for {}", args.model);
    let order = json!({
        "model": args.model.as_str(),
        "device": args.device.as_ref().map(DeviceId::as_str),
        "operator": args.by,
        "reason": args.reason,
    });
    let path = "/api/v1/drift/rebaselines";
    context.client()?.post(&what, path, &order).await?;
    note(
        "what is normal is learnt from the windows that come from now on: a day at least, a month \
          where it follows the hour of the week",
    );
    Ok(())
}

fn said(again: &Value) -> String {
    let number = |name: &str| again[name].as_u64().unwrap_or(0);
    let mut lines = vec![format!(
        "{} windows: {} alarms, {} findings and {} states came out as they were",
        number("windows"),
        number("alarms"),
        number("findings"),
        number("states"),
    )];
    if number("after_window") > 0 {
        lines.push(format!(
            "windows up to number {} are gone (see windows_days in muster.toml): what they showed \
             was not looked at",
            number("after_window")
        ));
    }
    let differences = again["differences"].as_array().into_iter().flatten();
    lines.extend(differences.map(|difference| {
        format!(
            "window {}: written {}, computed {}",
            show::cell(difference.get("window")),
            show::cell(difference.get("written")),
            show::cell(difference.get("computed")),
        )
    }));
    lines.join("\n")
}
