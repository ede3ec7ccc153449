//! `muster quality`: how well classifiers do, estimated without labels and measured with them,
//! always named apart. Figures, never a verdict.

use clap::Args as ClapArgs;
use muster_fleet::quality::{ESTIMATE_ASSUMES, ESTIMATED_MIN};
use muster_protocol::id::{DeviceId, ModelId, Version};
use serde_json::Value;

use super::show;
use super::span::{Span, span};
use crate::cli::Context;
use crate::error::OperatorError;
use crate::output::{Output, Table, note};

/// What is looked at.
#[derive(Debug, ClapArgs)]
pub(crate) struct Args {
    /// The model.
    model: ModelId,
    /// Only this version of it.
    #[arg(long)]
    version: Option<Version>,
    /// Only this device; without it, all devices together and each.
    #[arg(long)]
    device: Option<DeviceId>,
    /// Windows of the last while: 90m, 24h, 7d. It begins with a full hour.
    #[arg(long, default_value = "24h", value_parser = span)]
    since: Span,
}

/// Runs it.
pub(crate) async fn run(args: Args, context: &Context) -> Result<(), OperatorError> {
    let filters = [
        ("model", Some(args.model.to_string())),
        ("version", args.version.map(|version| version.to_string())),
        ("device", args.device.map(|device| device.to_string())),
        ("since_s", Some(args.since.seconds.to_string())),
    ];
    let path = show::filtered("/api/v1/drift", &filters);
    let what = format!("say how well {} does", args.model);
    let rows = context.client()?.all(&what, &path).await?;
    let rows: Vec<Value> = rows.iter().filter_map(quality_of).collect();
    context.output.print(&rows, |rows| table(rows));
    if context.output == Output::Text {
        notes(&rows, &args.model, &args.since.said)
            .iter()
            .for_each(note);
    }
    Ok(())
}

/// The quality of a row of drift, with the names of the row; none where it has none.
pub(super) fn quality_of(row: &Value) -> Option<Value> {
    let mut quality = row["quality"].as_object()?.clone();
    for name in ["model", "version", "bundle", "device", "devices"] {
        quality.insert(name.to_owned(), row[name].clone());
    }
    Some(Value::Object(quality))
}

/// Rows of quality, with a line for each kind of figure; the lines of `muster drift`, too.
pub(super) fn table(rows: &[Value]) -> String {
    let mut table = Table::new(&[
        "device", "version", "figure", "n", "accuracy", "95 %", "drop", "auc", "95 %", "drop",
    ]);
    for row in rows {
        for kind in ["estimated", "measured"] {
            if row[kind].is_object() {
                table.row(cells(row, kind));
            }
        }
    }
    table.to_string()
}

fn cells(row: &Value, kind: &str) -> [String; 10] {
    let figures = &row[kind];
    let version = match &row["version"] {
        Value::String(version) => version.clone(),
        // A bundle that was not released here.
        _ => show::cell(row.get("bundle")).chars().take(19).collect(),
    };
    let [accuracy, auc] = ["accuracy", "auc"].map(|name| figure(&figures[name]));
    let ([a, a_interval, a_drop], [c, c_interval, c_drop]) = (accuracy, auc);
    [
        row["device"].as_str().unwrap_or("all").to_owned(),
        version,
        kind.to_owned(),
        show::cell(figures.get("n")),
        a,
        a_interval,
        a_drop,
        c,
        c_interval,
        c_drop,
    ]
}

/// A figure, its interval, and how far it fell with the interval of that.
fn figure(figure: &Value) -> [String; 3] {
    let number = |value: &Value| value.as_f64().map(|value| format!("{value:.3}"));
    let interval = |of: &Value| {
        let ends = number(&of["low"]).zip(number(&of["high"]));
        ends.map(|(low, high)| format!("{low}..{high}"))
    };
    let none = || "-".to_owned();
    let drop = &figure["drop"];
    let fell = drop["value"].as_f64().zip(interval(drop));
    [
        number(&figure["value"]).unwrap_or_else(none),
        interval(figure).unwrap_or_else(none),
        fell.map_or_else(none, |(value, interval)| {
            format!("{value:+.3} ({interval})")
        }),
    ]
}

/// Figures of one kind in a line, for records; none where there are none.
pub(super) fn said(figures: &Value) -> Option<String> {
    let named = [("accuracy", "accuracy"), ("AUC", "auc")];
    let known = named
        .into_iter()
        .filter(|(_, field)| figures[field].is_object());
    let words = known.map(|(name, field)| {
        let [value, interval, fell] = figure(&figures[field]);
        format!("{name} {value} ({interval}), fell by {fell}")
    });
    let words: Vec<String> = words.collect();
    let n = figures["n"].as_u64()?;
    Some(format!("{}, n {n}", words.join(", ")))
}

/// What the table does not say.
pub(super) fn notes(rows: &[Value], model: &ModelId, span: &str) -> Vec<String> {
    let mut notes = Vec::new();
    if rows.is_empty() {
        notes.push(format!(
            "no scores of {model} in the last {span}: its bundle must say which output holds \
             probabilities (`muster bundle build --probabilities`), and windows must have come"
        ));
        return notes;
    }
    let any = |kind: &str| rows.iter().any(|row| row[kind].is_object());
    let sum = |name: &str| rows.iter().filter_map(|row| row[name].as_u64()).max();
    if any("estimated") {
        notes.push(format!(
            "{ESTIMATE_ASSUMES}; its interval is where a measurement of as many labels would lie"
        ));
    } else {
        notes.push(format!(
            "nothing is estimated below {ESTIMATED_MIN} predictions"
        ));
    }
    if !any("measured") {
        notes.push(
            "nothing is measured: labels come by the feedback of a device \
             (`muster-agent feedback`), which holds them until there are 20"
                .to_owned(),
        );
    }
    if sum("improper") > Some(0) {
        notes.push("some rows hold no probabilities and are left out: see improper".to_owned());
    }
    if sum("labels_unknown").max(sum("labels_stale")) > Some(0) {
        notes.push(
            "some labels came too late or for another version: see labels_unknown and \
             labels_stale with --output json"
                .to_owned(),
        );
    }
    notes
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn row() -> Value {
        let figure = json!({ "value": 0.8125, "low": 0.8, "high": 0.825, "reference": 0.9,
                             "drop": { "value": 0.0875, "low": 0.07, "high": 0.1 } });
        let bare = json!({ "value": 0.5, "low": 0.3, "high": 0.7, "reference": null,
                           "drop": null });
        json!({
            "model": "m", "version": "1.0.0", "bundle": "sha256:00", "device": null, "devices": 2,
            "quality": {
                "classes": 2, "predictions": 1000, "improper": 1, "labels": 30,
                "labels_unknown": 0, "labels_stale": 2,
                "estimated": { "n": 1000, "accuracy": figure, "auc": figure, "f1": 0.5 },
                "measured": { "n": 30, "accuracy": bare, "auc": null, "f1": null },
            },
        })
    }

    #[test]
    fn estimated_and_measured_are_named_apart() {
        let rows: Vec<_> = [row(), json!({ "model": "m", "quality": null })]
            .iter()
            .filter_map(quality_of)
            .collect();
        let expect = "\
DEVICE  VERSION  FIGURE     N     ACCURACY  95 %          DROP                   AUC    95 %          DROP
all     1.0.0    estimated  1000  0.812     0.800..0.825  +0.087 (0.070..0.100)  0.812  0.800..0.825  +0.087 (0.070..0.100)
all     1.0.0    measured   30    0.500     0.300..0.700  -                      -      -             -
";
        assert_eq!(table(&rows), expect);
        let model = ModelId::parse("m").expect("valid");
        let notes = notes(&rows, &model, "24h");
        let expect = ["assumes calibrated scores", "no probabilities", "too late"];
        assert_eq!(notes.len(), expect.len(), "{notes:?}");
        for (note, expect) in notes.iter().zip(expect) {
            assert!(note.contains(expect), "{note}");
        }
    }

    #[test]
    fn without_scores_it_is_said_how_there_are_some() {
        let model = ModelId::parse("m").expect("valid");
        let notes = notes(&[], &model, "24h");
        assert!(notes[0].contains("--probabilities"), "{notes:?}");
    }
}
