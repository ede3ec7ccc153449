//! `muster export`: writes to a stick what devices without a network need.
//!
//! What the API gives is written as it is: everything is signed, and each device verifies it.

use std::path::PathBuf;

use muster_protocol::digest::Digest;
use muster_protocol::id::DeviceId;
use muster_protocol::stick as names;
use serde::Serialize;

use crate::api::{CarriedBody, Octets, ParcelBody};
use crate::cli::Context;
use crate::client::Client;
use crate::error::{Exit, OperatorError};
use crate::output::{self, note};
use crate::stick::Stick;

/// For whom, and where to.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// A device; may be given more than once.
    #[arg(long = "device", value_name = "DEVICE", required = true)]
    devices: Vec<DeviceId>,
    /// The folder to write to, for example where a stick is mounted. What lies there already is
    /// not written again.
    #[arg(long, value_name = "FOLDER")]
    out: PathBuf,
}

/// What was written for one device.
#[derive(Debug, Serialize)]
struct Written {
    device: String,
    assignment: bool,
    time: bool,
    acknowledgements: usize,
    blobs: usize,
    new_blobs: usize,
    new_bytes: u64,
}

/// Runs it.
pub(crate) async fn run(args: Args, context: &Context) -> Result<(), OperatorError> {
    let client = context.client()?;
    let stick = Stick::begin(&args.out)?;
    let mut written = Vec::new();
    for device in &args.devices {
        written.push(export(&client, &stick, device).await?);
    }
    context.output.print(&written, |written| {
        let lines = written.iter().map(line);
        lines.collect::<Vec<_>>().join("\n")
    });
    note(format_args!(
        "`muster-agent import {}` on a device takes it",
        args.out.display()
    ));
    Ok(())
}

async fn export(
    client: &Client,
    stick: &Stick,
    device: &DeviceId,
) -> Result<Written, OperatorError> {
    let hello = stick.hello(device)?;
    let parcel = ask(client, device, hello).await?;
    let (mut new_blobs, mut new_bytes) = (0, 0);
    for digest in &parcel.blobs {
        if let Some(bytes) = put_blob(client, stick, digest).await? {
            (new_blobs, new_bytes) = (new_blobs + 1, new_bytes + bytes);
        }
    }
    put_documents(stick, device, &parcel)?;
    advise(device, &parcel);
    Ok(Written {
        device: device.to_string(),
        assignment: parcel.assignment.is_some(),
        time: parcel.time.is_some(),
        acknowledgements: parcel.acks.len(),
        blobs: parcel.blobs.len(),
        new_blobs,
        new_bytes,
    })
}

async fn ask(
    client: &Client,
    device: &DeviceId,
    hello: Option<Vec<u8>>,
) -> Result<ParcelBody, OperatorError> {
    let body = CarriedBody {
        hello: hello.map(Octets),
        documents: Vec::new(),
    };
    let body = serde_json::to_value(body).expect("invariant: it is plain JSON");
    let (what, path) = (
        format!("export for {device}"),
        format!("/api/v1/devices/{device}/parcel"),
    );
    let parcel = client.post(&what, &path, &body).await?;
    serde_json::from_value(parcel).map_err(|error| {
        let hint = "use the `muster` that serves this home";
        OperatorError::new(Exit::Bug, what, error, hint)
    })
}

/// Bytes that were written; none when it lay there.
async fn put_blob(
    client: &Client,
    stick: &Stick,
    digest: &str,
) -> Result<Option<u64>, OperatorError> {
    let what = format!("export the blob {digest}");
    let bug = |because: String| OperatorError::new(Exit::Bug, &what, because, "report this");
    let parsed = Digest::parse(digest).map_err(|_| bug("its name is no digest".to_owned()))?;
    if stick.has_blob(&parsed) {
        return Ok(None);
    }
    let bytes = client.blob(&parsed).await?;
    let bytes = bytes.ok_or_else(|| {
        let hint = "restore the controller from a backup";
        OperatorError::new(Exit::Missing, &what, "the controller has none", hint)
    })?;
    stick.put(&names::blob(&parsed), &bytes)?;
    Ok(Some(bytes.len() as u64))
}

/// Metadata before what needs it, the assignment last.
fn put_documents(
    stick: &Stick,
    device: &DeviceId,
    parcel: &ParcelBody,
) -> Result<(), OperatorError> {
    for one in &parcel.metadata {
        if let Some(name) = names::metadata(&one.role, Some(one.version)) {
            stick.put(&name, &one.document.0)?;
        }
    }
    for one in &parcel.acks {
        let name = format!("{}/{}{}", names::down(device), names::ACK, one.stream);
        stick.put(&name, &one.ack.0)?;
    }
    let (time, assignment) = (names::time(device), names::assignment(device));
    for (name, document) in [(time, &parcel.time), (assignment, &parcel.assignment)] {
        match document {
            Some(document) => stick.put(&name, &document.0)?,
            // One of an earlier export would only be refused.
            None => stick.remove(&name)?,
        }
    }
    Ok(())
}

fn advise(device: &DeviceId, parcel: &ParcelBody) {
    if parcel.assignment.is_none() {
        note(format_args!(
            "there is no assignment for {device}: nothing was rolled out to it, or it is held"
        ));
    }
    if let Some(because) = &parcel.time_refused {
        note(format_args!(
            "the hello of {device} on the stick is not answered: because {because}"
        ));
    }
}

fn line(written: &Written) -> String {
    let yes = |there: bool, what: &'static str| if there { what } else { "" };
    format!(
        "{}: {} blobs ({} new, {}), {} acknowledgements{}{}",
        written.device,
        written.blobs,
        written.new_blobs,
        output::bytes(written.new_bytes),
        written.acknowledgements,
        yes(written.assignment, ", its assignment"),
        yes(written.time, ", the time"),
    )
}
