//! `muster backup`: everything that makes the controller of a home, in one file.
//!
//! Asks no API: it reads the home, whether or not a controller serves it.

use std::path::PathBuf;

use serde_json::json;

use crate::backup::{self, Manifest, OfflineKeys};
use crate::cli::Context;
use crate::clock;
use crate::error::{Exit, OperatorError};
use crate::output::{self, note};

/// Where to.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The file to write, for example muster.backup; it must not exist.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Take the keys of root, targets, CA root and releases too, if they lie in the home.
    #[arg(long)]
    with_offline_keys: bool,
}

/// Runs it.
pub(crate) async fn run(args: Args, context: &Context) -> Result<(), OperatorError> {
    let home = context.home()?;
    let offline = if args.with_offline_keys {
        OfflineKeys::Take
    } else {
        OfflineKeys::Leave
    };
    let (file, now) = (args.file.clone(), clock::now());
    let packed = tokio::task::spawn_blocking(move || backup::pack(&home, &file, offline, now));
    let manifest = packed.await.map_err(|error| {
        OperatorError::new(Exit::Bug, "write the backup", error, "report this")
    })??;
    let bytes = std::fs::metadata(&args.file).map_or(0, |meta| meta.len());
    let data = json!({
        "file": args.file.display().to_string(), "bytes": bytes,
        "created_at": manifest.created_at, "schema": manifest.schema,
        "offline_keys": manifest.offline_keys, "members": manifest.members.len(),
        "counts": manifest.counts,
    });
    context
        .output
        .print(&data, |_| text(&args, &manifest, bytes));
    note(advice(&manifest));
    Ok(())
}

fn text(args: &Args, manifest: &Manifest, bytes: u64) -> String {
    let counts = manifest.counts;
    format!(
        "wrote {} ({}): {} devices, {} releases, {} rollouts, {} receipts, {} windows",
        args.file.display(),
        output::bytes(bytes),
        counts.devices,
        counts.releases,
        counts.rollouts,
        counts.receipts,
        counts.windows,
    )
}

fn advice(manifest: &Manifest) -> &'static str {
    if manifest.offline_keys {
        "\
The file holds EVERY key of the fleet, offline and release keys too: whoever has it can put any
model on any device. Keep it where those keys may lie, and never with the controller."
    } else {
        "\
The file holds secrets: the controller's keys, its CA and its API token. Keep it as safe as the
home. The keys in offline/ and release/ are NOT in it: keep copies of them elsewhere, or take them
with --with-offline-keys."
    }
}
