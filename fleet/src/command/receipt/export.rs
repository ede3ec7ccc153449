//! `muster receipt export`: receipts exactly as devices signed them, in a file.
//!
//! Never writes anything beside the signed bytes, and never overwrites a file.

use std::path::PathBuf;

use muster_protocol::id::{DeviceId, ModelId};
use serde_json::{Value, json};

use super::super::show;
use super::super::span::{Span, span};
use crate::cli::Context;
use crate::error::OperatorError;
use crate::evidence;
use crate::home;
use crate::output::note;

/// Which receipts, and where to.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The file to write, for example receipts.jsonl; it must not exist.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Only those of this device.
    #[arg(long)]
    device: Option<DeviceId>,
    /// Only those of this model; their streams then show missing numbers.
    #[arg(long)]
    model: Option<ModelId>,
    /// Only those that the controller got in the last while: 90m, 24h, 7d.
    #[arg(long, value_parser = span)]
    since: Option<Span>,
}

/// Runs it.
pub(super) async fn run(args: Args, context: &Context) -> Result<(), OperatorError> {
    let filters = [
        ("device", args.device.map(|device| device.to_string())),
        ("model", args.model.map(|model| model.to_string())),
        ("since_s", args.since.map(|span| span.seconds.to_string())),
    ];
    let path = show::filtered("/api/v1/receipts/signed", &filters);
    let rows = context.client()?.all("fetch receipts", &path).await?;
    let signed = rows.iter().filter_map(|row| row["receipt"].as_str());
    let lines: String = signed.map(evidence::line_of).collect();
    home::write_private(&args.out, lines.as_bytes())?;
    let file = args.out.display().to_string();
    let data = json!({ "file": file, "receipts": rows.len() });
    context.output.print(&data, text);
    note("`muster receipt verify FILE --log LOG` judges them by an exported enrolment log.");
    Ok(())
}

fn text(data: &Value) -> String {
    let file = data["file"].as_str().unwrap_or_default();
    format!("wrote {file}: {} receipts", data["receipts"])
}
