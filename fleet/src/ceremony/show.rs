//! `fleet.json` for people, and how the next one differs.
//!
//! Never decides.

use muster_protocol::tuf::FleetDocument;
use serde::Serialize;
use serde_json::{Value, json};

use super::certificate::Certificate;
use crate::output::Table;

/// What was published.
#[derive(Debug, Serialize)]
pub(super) struct Published {
    pub(super) version: u64,
}

/// The same, for people.
pub(super) fn published(published: &Published) -> String {
    format!("published version {} of fleet.json", published.version)
}

/// The document with certificates in words.
///
/// # Errors
/// It is none.
pub(super) fn document(bytes: &[u8]) -> Result<Value, String> {
    FleetDocument::parse(bytes).map_err(|error| error.to_string())?;
    let mut value: Value = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
    let certificates = value["ca_certificates"].take();
    let shown = certificates
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str);
    value["ca_certificates"] = shown.map(certificate).collect();
    Ok(value)
}

/// A document of [`document`], as a table.
pub(super) fn text(document: &Value) -> String {
    let mut table = Table::new(&["fleet.json", "value"]);
    for (name, value) in lines(document) {
        table.row([name, value]);
    }
    table.to_string()
}

/// What changes.
pub(crate) fn difference(before: &FleetDocument, after: &FleetDocument) -> String {
    let of = |fleet: &FleetDocument| {
        let bytes = fleet.encode().unwrap_or_default();
        lines(&document(&bytes).unwrap_or_default())
    };
    let (before, after) = (of(before), of(after));
    let mut table = Table::new(&["fleet.json", "now", "next"]);
    let absent = || "-".to_owned();
    for (name, value) in &before {
        let next = after.iter().find(|(other, _)| other == name);
        if next.is_none_or(|(_, next)| next != value) {
            let next = next.map_or_else(absent, |(_, next)| next.clone());
            table.row([name.clone(), value.clone(), next]);
        }
    }
    for (name, value) in &after {
        if !before.iter().any(|(other, _)| other == name) {
            table.row([name.clone(), absent(), value.clone()]);
        }
    }
    table.to_string()
}

fn certificate(pem: &str) -> Value {
    match Certificate::read(pem) {
        Ok(certificate) => json!({
            "fingerprint": certificate.fingerprint.to_string(),
            "subject": certificate.subject,
            "ends": certificate.ends,
        }),
        Err(because) => json!({ "unreadable": because }),
    }
}

/// One line for each single value: lists and tables are opened.
fn lines(document: &Value) -> Vec<(String, String)> {
    let mut lines = Vec::new();
    for name in ["version", "issued_at", "director_epoch"] {
        lines.push((name.to_owned(), plain(&document[name])));
    }
    for name in [
        "endpoints",
        "director",
        "ack_keys",
        "time_keys",
        "floor",
        "revoked",
    ] {
        open(name, &document[name], &mut lines);
    }
    for ca in document["ca_certificates"].as_array().into_iter().flatten() {
        let words = format!("{}, until {}", plain(&ca["subject"]), plain(&ca["ends"]));
        lines.push((format!("CA {}", plain(&ca["fingerprint"])), words));
    }
    lines
}

fn open(name: &str, value: &Value, lines: &mut Vec<(String, String)>) {
    match value {
        Value::Object(fields) => {
            for (field, value) in fields {
                open(&format!("{name} {field}"), value, lines);
            }
        }
        Value::Array(values) => {
            let values: Vec<_> = values.iter().map(plain).collect();
            lines.push((name.to_owned(), values.join(" ")));
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
            lines.push((name.to_owned(), plain(value)));
        }
    }
}

fn plain(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}
