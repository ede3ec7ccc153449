//! `muster drift`: how far what devices count lies from the reference, and what watches it.
//!
//! The numbers are measures, never a verdict: charts judge, in `muster serve`.

use std::cmp::Ordering;

use clap::{Args as ClapArgs, Subcommand};
use muster_fleet::quality::ESTIMATE_ASSUMES;
use muster_protocol::id::{DeviceId, ModelId, Version};
use serde_json::Value;

use super::span::{Span, span};
use super::{quality, show};
use crate::cli::Context;
use crate::error::OperatorError;
use crate::output::{Output, Table, note, print_line};

mod kpis;
mod rules;
mod watch;

/// What is measured, or what is asked of the watch over windows.
#[derive(Debug, ClapArgs)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    measure: Option<Measure>,
}

/// What is asked of the watch over windows, and of what judges it.
#[derive(Debug, Subcommand)]
enum Command {
    /// What is known of each feature: whether its normal is still learnt, or charts run.
    Charts(watch::Charts),
    /// How well a classifier does in each cohort, beside what its days there usually give.
    Quality(watch::Quality),
    /// What alarmed.
    Alarms(watch::Alarms),
    /// Compute every alarm again from the windows that are stored, and compare.
    Recompute,
    /// Learn anew what is normal, after a change that was meant.
    Rebaseline(watch::Rebaseline),
    /// The rules by which incidents are opened, told and closed, in versions.
    #[command(subcommand)]
    Rules(rules::Command),
    /// How well alerts and rollouts did: alerts a week, their precision, canary success.
    Kpis(kpis::Args),
}

/// What is looked at.
#[derive(Debug, ClapArgs)]
struct Measure {
    /// The model.
    #[arg(long)]
    model: ModelId,
    /// Only this version of it.
    #[arg(long)]
    version: Option<Version>,
    /// Only this device; without it, all devices together and each.
    #[arg(long)]
    device: Option<DeviceId>,
    /// Only the devices of this cohort, together: all, or LABEL=VALUE of a label in cohort_labels, as
    /// they had it when their windows came.
    #[arg(long, conflicts_with = "device", value_name = "COHORT")]
    cohort: Option<String>,
    /// Windows of the last while: 90m, 24h, 7d. It begins with a full hour.
    #[arg(long, default_value = "24h", value_parser = span)]
    since: Span,
}

/// Runs it.
pub(crate) async fn run(args: Args, context: &Context) -> Result<(), OperatorError> {
    match (args.command, args.measure) {
        (Some(Command::Charts(args)), _) => watch::charts(args, context).await,
        (Some(Command::Quality(args)), _) => watch::quality(args, context).await,
        (Some(Command::Alarms(args)), _) => watch::alarms(args, context).await,
        (Some(Command::Recompute), _) => watch::recompute(context).await,
        (Some(Command::Rebaseline(args)), _) => watch::rebaseline(args, context).await,
        (Some(Command::Rules(command)), _) => rules::run(command, context).await,
        (Some(Command::Kpis(args)), _) => kpis::run(&args, context).await,
        (None, Some(measure)) => measured(measure, context).await,
        // The parser asks for the model.
        (None, None) => Ok(()),
    }
}

async fn measured(args: Measure, context: &Context) -> Result<(), OperatorError> {
    let filters = [
        ("model", Some(args.model.to_string())),
        ("version", args.version.map(|version| version.to_string())),
        ("device", args.device.map(|device| device.to_string())),
        ("cohort", args.cohort),
        ("since_s", Some(args.since.seconds.to_string())),
    ];
    let path = show::filtered("/api/v1/drift", &filters);
    let what = format!("compare {} with its reference", args.model);
    let rows = context.client()?.all(&what, &path).await?;
    let lines = lines(&rows);
    context.output.print(&rows, |_| table(&lines));
    if context.output == Output::Text {
        let scored: Vec<_> = rows.iter().filter_map(quality::quality_of).collect();
        if !scored.is_empty() {
            print_line(&quality::table(&scored));
            note(ESTIMATE_ASSUMES);
        }
        let span = &args.since.said;
        notes(&rows, &lines, &args.model, span)
            .iter()
            .for_each(note);
    }
    Ok(())
}

/// One feature of one row of the API.
#[derive(Debug, Clone, Copy)]
struct Line<'a> {
    row: &'a Value,
    feature: &'a Value,
}

/// Every feature, the least likely first; those without numbers last.
fn lines(rows: &[Value]) -> Vec<Line<'_>> {
    let mut lines: Vec<_> = rows
        .iter()
        .flat_map(|row| {
            let features = row["features"].as_array().into_iter().flatten();
            features.map(move |feature| Line { row, feature })
        })
        .collect();
    lines.sort_by(Line::order);
    lines
}

impl Line<'_> {
    fn number(&self, name: &str) -> Option<f64> {
        self.feature[name].as_f64()
    }

    /// X² for each degree of freedom: it still tells apart what p no longer does.
    fn x2_share(&self) -> Option<f64> {
        Some(self.number("x2")? / self.number("df").filter(|df| *df > 0.0)?)
    }

    fn order(&self, other: &Self) -> Ordering {
        let p = |line: &Self| line.number("p").unwrap_or(f64::INFINITY);
        let share = |line: &Self| line.x2_share().unwrap_or(-1.0);
        let by_p = p(self).total_cmp(&p(other));
        by_p.then(share(other).total_cmp(&share(self)))
    }

    fn cells(&self) -> [String; 10] {
        let version = match &self.row["version"] {
            Value::String(version) => version.clone(),
            // A bundle that was not released here.
            _ => show::cell(self.row.get("bundle"))
                .chars()
                .take(19)
                .collect(),
        };
        let text = |name: &str| show::cell(self.feature.get(name));
        let decimals = |name: &str, places: usize| {
            let number = self.number(name);
            number.map_or("-".to_owned(), |number| format!("{number:.places$}"))
        };
        [
            named(self.row),
            version,
            text("feature"),
            text("n"),
            decimals("x2", 1),
            text("df"),
            self.number("p").map_or("-".to_owned(), p_text),
            decimals("psi", 3),
            text("missing"),
            text("out_of_range"),
        ]
    }
}

/// Whose a row is.
fn named(row: &Value) -> String {
    let name = row["device"].as_str().or_else(|| row["cohort"].as_str());
    name.unwrap_or("all").to_owned()
}

fn p_text(p: f64) -> String {
    match p {
        p if p < 1e-300 => "<1e-300".to_owned(),
        p if p < 1e-3 => format!("{p:.1e}"),
        p => format!("{p:.3}"),
    }
}

fn table(lines: &[Line<'_>]) -> String {
    let mut table = Table::new(&[
        "device",
        "version",
        "feature",
        "n",
        "x²",
        "df",
        "p",
        "psi",
        "missing",
        "out of range",
    ]);
    lines.iter().for_each(|line| table.row(line.cells()));
    table.to_string()
}

/// What the table does not say.
fn notes(rows: &[Value], lines: &[Line<'_>], model: &ModelId, span: &str) -> Vec<String> {
    let mut notes = Vec::new();
    let count = |name: &str| rows.iter().map(|row| row[name].as_u64().unwrap_or(0)).max();
    if rows.is_empty() {
        notes.push(format!(
            "no windows of {model} in the last {span}: a device sends one after its window_s, once \
             it has predicted (`muster-agent predict`); `muster window list --model {model}` shows \
             all that came, --since looks further back"
        ));
        return notes;
    }
    if rows.iter().any(|row| row["reference_rows"].is_null()) {
        notes.push(
            "a bundle has no reference that the controller can read: its rows are left out, and \
             the log of `muster serve` says why"
                .to_owned(),
        );
    } else if lines.is_empty() {
        notes.push(
            "no window carries features yet: one of fewer than 20 predictions is sent without \
             them, and a bundle built without --reference has none"
                .to_owned(),
        );
    }
    let few = |line: &&Line<'_>| line.feature["state"] == "too_few";
    let too_few = lines.iter().filter(few).count();
    if let Some(line) = lines.iter().find(few) {
        let all = lines.len();
        let n_min = &line.feature["n_min"];
        notes.push(format!(
            "{too_few} of {all} rows have fewer than {n_min} samples, too few for numbers"
        ));
    }
    if count("windows_left_out") > Some(0) {
        notes.push(
            "some windows were counted against another reference and are left out: see \
             windows_left_out with --output json"
                .to_owned(),
        );
    }
    if !lines.is_empty() {
        notes.push(
            "these are measures, not verdicts: p holds for independent samples, which those of a \
             sensor seldom are, and PSI is a size of effect that few samples inflate"
                .to_owned(),
        );
    }
    notes
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn feature(name: &str, p: f64, x2: f64) -> Value {
        json!({ "feature": name, "n": 300, "missing": 1, "out_of_range": 2,
                "state": "measured", "x2": x2, "df": 17, "p": p, "psi": 0.0625 })
    }

    fn row(device: Option<&str>, features: &[Value]) -> Value {
        json!({ "device": device, "version": "1.0.0", "reference_rows": 5, "features": features,
                "windows_left_out": 0 })
    }

    #[test]
    fn the_least_likely_come_first_and_what_has_no_numbers_last() {
        let few = json!({ "feature": "few", "n": 20, "missing": 0, "out_of_range": 0,
                          "state": "too_few", "n_min": 200 });
        let rows = [
            row(
                None,
                &[few, feature("b", 0.5, 16.0), feature("c", 0.0, 3e3)],
            ),
            row(
                Some("press-1"),
                &[feature("d", 0.0, 4e3), feature("e", 1.5e-9, 99.0)],
            ),
        ];
        let expect = "\
DEVICE   VERSION  FEATURE  N    X²      DF  P        PSI    MISSING  OUT OF RANGE
press-1  1.0.0    d        300  4000.0  17  <1e-300  0.062  1        2
all      1.0.0    c        300  3000.0  17  <1e-300  0.062  1        2
press-1  1.0.0    e        300  99.0    17  1.5e-9   0.062  1        2
all      1.0.0    b        300  16.0    17  0.500    0.062  1        2
all      1.0.0    few      20   -       -   -        -      0        0
";
        let lines = lines(&rows);
        assert_eq!(table(&lines), expect);
        check_notes(&rows, &["1 of 5 rows have fewer than 200", "not verdicts"]);
    }

    fn check_notes(rows: &[Value], expect: &[&str]) {
        let model = ModelId::parse("bearing").expect("valid");
        let notes = notes(rows, &lines(rows), &model, "24h");
        assert_eq!(notes.len(), expect.len(), "{notes:?}");
        for (note, expect) in notes.iter().zip(expect) {
            assert!(note.contains(expect), "{note}");
        }
    }

    #[test]
    fn what_is_not_in_the_table_is_said() {
        check_notes(&[], &["no windows of bearing in the last 24h"]);
        check_notes(&[row(None, &[])], &["no window carries features"]);
        let mut unread = row(None, &[]);
        unread["reference_rows"] = Value::Null;
        check_notes(&[unread], &["no reference that the controller can read"]);
        let mut other = row(None, &[feature("a", 0.5, 1.0)]);
        other["windows_left_out"] = json!(3);
        check_notes(&[other], &["another reference", "not verdicts"]);
    }
}
