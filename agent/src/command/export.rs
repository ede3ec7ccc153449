//! `muster-agent export`: writes what waits for the fleet to a stick, exactly as it was signed.
//!
//! Nothing is deleted on the device by that: only an acknowledgement of the fleet does so.

use super::{Output, StateArgs};
use crate::error::Failure;
use crate::stick::{Carried, EXPORT_PATH, Numbered, file};
use muster_protocol::id::DeviceId;
use muster_protocol::stick;
use serde_json::json;
use std::path::{Path, PathBuf};

/// Arguments of `muster-agent export`.
#[derive(Debug, clap::Args)]
pub struct ExportArgs {
    /// Folder to write to, for example where a stick is mounted; one for many devices.
    #[arg(long, value_name = "FOLDER")]
    pub out: PathBuf,
    /// Which agent.
    #[command(flatten)]
    pub state: StateArgs,
}

/// Writes a hello and every document that is not acknowledged.
///
/// # Errors
/// No running agent, or a folder that cannot be written.
pub async fn run(args: &ExportArgs) -> Result<(), Failure> {
    let mut local = args.state.connect().await?;
    let carried: Carried = local.tell(EXPORT_PATH, Vec::new()).await?;
    let device = DeviceId::parse(&carried.device)
        .map_err(|bad| Failure::Unavailable(format!("the agent has no name: {bad}")))?;
    write(&args.out, &device, &carried)?;
    let (count, folder) = (carried.documents.len(), args.out.display());
    match args.state.output {
        Output::Json => {
            let data = json!({ "device": device.as_str(), "documents": count });
            crate::print::data(&format!("{data:#}\n"));
        }
        Output::Text => {
            crate::print::data(&format!("device      {device}\ndocuments   {count}\n"));
            eprintln!(
                "`muster import {folder}` brings them to the fleet; here they stay until it acknowledges them"
            );
        }
    }
    Ok(())
}

/// What lay there of the device before and waits no more is removed.
fn write(out: &Path, device: &DeviceId, carried: &Carried) -> Result<(), Failure> {
    file::begin(out)?;
    file::put(out, &stick::hello(device), &carried.hello)?;
    let up = stick::up(device);
    let mut kept = vec!["hello".to_owned()];
    for Numbered { name, bytes } in &carried.documents {
        file::put(out, &format!("{up}/{name}"), bytes)?;
        kept.push(name.clone());
    }
    file::keep_only(out, &up, &kept)
}
