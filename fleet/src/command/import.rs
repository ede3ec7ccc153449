//! `muster import`: takes in what devices have put on a stick.
//!
//! Documents go the way of those from the broker: late or twice makes no difference.

use std::path::PathBuf;

use muster_protocol::id::DeviceId;
use serde_json::{Value, json};

use super::show;
use crate::api::{CarriedBody, Octets};
use crate::cli::Context;
use crate::client::Client;
use crate::error::{Exit, OperatorError};
use crate::output::note;
use crate::stick::Stick;

/// From where.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The folder that `muster-agent export` has written.
    #[arg(value_name = "FOLDER")]
    stick: PathBuf,
}

/// Runs it.
pub(crate) async fn run(args: Args, context: &Context) -> Result<(), OperatorError> {
    const COLUMNS: [&str; 4] = ["device", "documents", "taken", "acknowledged"];
    let stick = Stick::open(&args.stick)?;
    let client = context.client()?;
    let (mut rows, mut failed, mut dropped) = (Vec::new(), None, Vec::new());
    for device in stick.devices() {
        match import(&client, &stick, &device).await {
            Ok(Some(row)) => {
                dropped.extend(reasons(&row));
                rows.push(row);
            }
            Ok(None) => {}
            // Those of one device do not stop those of another.
            Err(error) => {
                note(&error);
                failed = Some(error);
            }
        }
    }
    context
        .output
        .print(&rows, |rows| show::table(rows, &COLUMNS));
    let out = args.stick.display();
    note(format_args!(
        "`muster export --device DEVICE --out {out}` takes the acknowledgements back"
    ));
    match (failed, dropped.first()) {
        (Some(error), _) => Err(error),
        (None, Some(because)) => {
            let what = format!("take {} of the documents", dropped.len());
            let hint = "the others are stored; write the stick again with `muster-agent export`";
            Err(OperatorError::new(Exit::Refused, what, because, hint))
        }
        (None, None) => Ok(()),
    }
}

/// What became of the documents of a device; none when there are none.
async fn import(
    client: &Client,
    stick: &Stick,
    device: &DeviceId,
) -> Result<Option<Value>, OperatorError> {
    let (hello, documents) = (stick.hello(device)?, stick.documents(device)?);
    if hello.is_none() && documents.is_empty() {
        return Ok(None);
    }
    let count = documents.len();
    let body = CarriedBody {
        hello: hello.map(Octets),
        documents: documents.into_iter().map(Octets).collect(),
    };
    let body = serde_json::to_value(body).expect("invariant: it is plain JSON");
    let (what, path) = (
        format!("import what {device} has put there"),
        format!("/api/v1/devices/{device}/carried"),
    );
    let mut row = client.post(&what, &path, &body).await?;
    row["device"] = json!(device.as_str());
    row["documents"] = json!(count);
    Ok(Some(row))
}

fn reasons(row: &Value) -> Vec<String> {
    let dropped = row["dropped"].as_array().into_iter().flatten();
    let device = row["device"].as_str().unwrap_or_default();
    let reason = |because: &Value| format!("{device}: {}", show::cell(Some(because)));
    dropped.map(reason).collect()
}
