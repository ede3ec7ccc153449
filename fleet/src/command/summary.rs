//! `muster summary`: each device with its models, predictions and windows.

use serde_json::Value;

use super::show;
use crate::cli::Context;
use crate::error::OperatorError;
use crate::output::Table;

const COLUMNS: [&str; 8] = [
    "model",
    "desired_version",
    "active_version",
    "step",
    "predictions",
    "closed_windows",
    "errors",
    "latency_p95_us",
];

/// Runs it.
pub(crate) async fn run(context: &Context) -> Result<(), OperatorError> {
    let summary = context
        .client()?
        .all("summarise the fleet", "/api/v1/summary")
        .await?;
    context.output.print(&summary, |summary| text(summary));
    Ok(())
}

/// One line per device and model; a device without models has one line.
fn text(summary: &[Value]) -> String {
    let headings: Vec<_> = COLUMNS
        .iter()
        .map(|column| column.replace('_', " "))
        .collect();
    let headings = std::iter::once("device").chain(headings.iter().map(String::as_str));
    let mut table = Table::new(&headings.collect::<Vec<_>>());
    for device in summary {
        let name = show::cell(device.get("device"));
        let models = device.get("models").and_then(Value::as_array);
        let nothing = [Value::Null];
        let models = models.map_or(&nothing[..], |models| {
            if models.is_empty() { &nothing } else { models }
        });
        for model in models {
            let cells = COLUMNS.iter().map(|column| show::cell(model.get(column)));
            table.row(std::iter::once(name.clone()).chain(cells));
        }
    }
    table.to_string()
}
