//! How a command shows what the API answered: rows of JSON as columns of text.
//!
//! A column is a field by its name; a field that is absent shows as `-`, a number whose name is `at`
//! or ends in `_at` as a date.

use muster_protocol::tuf;
use serde_json::{Number, Value};

use crate::cli::Context;
use crate::client::percent_encoded;
use crate::error::OperatorError;
use crate::output::Table;

/// A table of these fields of each row.
pub(super) fn table(rows: &[Value], columns: &[&str]) -> String {
    let headings: Vec<_> = columns
        .iter()
        .map(|column| column.replace('_', " "))
        .collect();
    let headings: Vec<_> = headings.iter().map(String::as_str).collect();
    let mut table = Table::new(&headings);
    for row in rows {
        let cells = columns.iter().map(|column| field(column, row.get(column)));
        table.row(cells);
    }
    table.to_string()
}

/// Lists what devices said: all pages of `path`, of the filters that are given.
pub(super) async fn list(
    context: &Context,
    what: &str,
    path: &str,
    filters: &[(&str, Option<String>)],
    columns: &[&str],
) -> Result<(), OperatorError> {
    let rows = context
        .client()?
        .all(what, &filtered(path, filters))
        .await?;
    context.output.print(&rows, |rows| table(rows, columns));
    Ok(())
}

/// One row as lines of `name  value`.
pub(super) fn record(row: &Value) -> String {
    let fields: Vec<_> = row.as_object().into_iter().flatten().collect();
    let width = fields.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    let line =
        |(name, value): &(&String, &Value)| format!("{name:width$}  {}", field(name, Some(value)));
    fields.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// One field in one cell.
fn field(name: &str, value: Option<&Value>) -> String {
    match value {
        Some(Value::Number(at)) if name == "at" || name.ends_with("_at") => date_time(at),
        value => cell(value),
    }
}

/// One value in one cell.
pub(super) fn cell(value: Option<&Value>) -> String {
    let pair = |(name, value)| format!("{name}={}", cell(Some(value)));
    match value {
        None | Some(Value::Null) => "-".to_owned(),
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(values)) => joined(values.iter().map(|value| cell(Some(value)))),
        Some(Value::Object(fields)) => joined(fields.iter().map(pair)),
        Some(Value::Bool(_) | Value::Number(_)) => {
            value.map(ToString::to_string).unwrap_or_default()
        }
    }
}

/// Unix seconds for people.
fn date_time(at: &Number) -> String {
    at.as_u64().map_or_else(|| at.to_string(), tuf::date_time)
}

fn joined(cells: impl Iterator<Item = String>) -> String {
    let cells: Vec<_> = cells.collect();
    if cells.is_empty() {
        return "-".to_owned();
    }
    cells.join(" ")
}

/// `path?name=value&…` of the filters that are given.
pub(super) fn filtered(path: &str, filters: &[(&str, Option<String>)]) -> String {
    let given = filters
        .iter()
        .filter_map(|(name, value)| Some((name, value.as_ref()?)));
    let query: Vec<_> = given
        .map(|(name, value)| format!("{name}={}", percent_encoded(value)))
        .collect();
    if query.is_empty() {
        return path.to_owned();
    }
    format!("{path}?{}", query.join("&"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn rows_become_columns() {
        let rows =
            [json!({"device": "a", "labels": {"site": "x", "line": "2"}, "last_seen": null})];
        let expect = "DEVICE  LABELS         LAST SEEN\na       line=2 site=x  -\n";
        assert_eq!(table(&rows, &["device", "labels", "last_seen"]), expect);
    }

    #[test]
    fn what_ends_in_at_is_a_date() {
        let rows = [json!({"raised_at": 1_800_000_000, "n": 5})];
        let expect = "RAISED AT             N\n2027-01-15T08:00:00Z  5\n";
        assert_eq!(table(&rows, &["raised_at", "n"]), expect);
    }

    #[test]
    fn also_in_a_record_and_by_itself() {
        let row = json!({"at": 1_800_000_000, "raised_at": null, "format": 5});
        let expect = "at         2027-01-15T08:00:00Z\nformat     5\nraised_at  -";
        assert_eq!(record(&row), expect);
    }

    #[test]
    fn filters_are_encoded() {
        let filters = [("device", Some("a b".to_owned())), ("model", None)];
        assert_eq!(filtered("/w", &filters), "/w?device=a%20b");
        assert_eq!(filtered("/w", &[("model", None)]), "/w");
    }
}
