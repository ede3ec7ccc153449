//! `cargo xtask tuf-client`: the client workflow of `muster_protocol::tuf` as the command that the
//! suite `tuf-conformance` drives: `init`, `refresh`, `download`. It decides nothing about metadata
//! itself, and time is told to it.

mod client;
mod download;
mod fetch;
mod folder;
mod name;

#[cfg(test)]
mod tests;

use std::{fs, path::PathBuf};

use anyhow::{Context as _, ensure};
use muster_protocol::tuf::{Expiry, Trusted};

use client::Client;
use download::Downloads;
use fetch::{Patience, Source};
use folder::Folder;

/// What `cargo xtask tuf-client` may be told: the interface that the suite prescribes.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Where trusted metadata is kept, one file for each role.
    #[arg(long)]
    metadata_dir: PathBuf,
    /// Where the repository has its metadata.
    #[arg(long)]
    metadata_url: Option<String>,
    /// A target to download; may be given several times.
    #[arg(long = "target-name")]
    target_names: Vec<String>,
    /// Where the repository has its targets.
    #[arg(long)]
    target_base_url: Option<String>,
    /// Where downloaded targets are kept.
    #[arg(long)]
    target_dir: Option<PathBuf>,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(clap::Subcommand)]
enum Verb {
    /// Trust a root document that came by a trusted way.
    Init {
        /// The file.
        trusted_root: PathBuf,
    },
    /// Bring the metadata of the top-level roles up to date.
    Refresh,
    /// Bring metadata up to date, and fetch targets that are not there yet.
    Download,
}

/// Does what it is told at `now_s`, unix seconds: the fixed start of the update (5.1).
///
/// # Errors
/// What was refused, or what could not be had. Accepted documents stay, everything else is as it
/// was before.
pub(crate) fn run(args: &Args, now_s: u64) -> anyhow::Result<()> {
    run_within(args, now_s, Patience::default())
}

fn run_within(args: &Args, now_s: u64, patience: Patience) -> anyhow::Result<()> {
    let folder = Folder::new(&args.metadata_dir);
    match &args.verb {
        Verb::Init { trusted_root } => {
            let what = || format!("failed to trust {}", trusted_root.display());
            let root = fs::read(trusted_root).with_context(what)?;
            Trusted::from_root(&root).with_context(what)?;
            folder.write_root(&root)
        }
        Verb::Refresh => refresh(args, folder, now_s, patience).map(drop),
        Verb::Download => {
            let base = given("--target-base-url", args.target_base_url.as_ref())?;
            let source = Source::new(base, patience)?;
            let into = given("--target-dir", args.target_dir.as_ref())?;
            ensure!(!args.target_names.is_empty(), "--target-name is needed");
            let mut client = refresh(args, folder, now_s, patience)?;
            let downloads = Downloads::new(source, into);
            let mut names = args.target_names.iter();
            names.try_for_each(|name| downloads.take(&mut client, name))
        }
    }
}

fn refresh(args: &Args, folder: Folder, now_s: u64, patience: Patience) -> anyhow::Result<Client> {
    let base = given("--metadata-url", args.metadata_url.as_ref())?;
    let source = Source::new(base, patience)?;
    let mut client = Client::open(folder, source, Expiry::Enforced { now_s })?;
    client.refresh().context("failed to refresh the metadata")?;
    Ok(client)
}

fn given<'a, T>(option: &str, value: Option<&'a T>) -> anyhow::Result<&'a T> {
    value.with_context(|| format!("{option} is needed"))
}
