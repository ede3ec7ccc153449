//! `muster root`: who signs for root, targets, snapshot and timestamp, and the ceremony that
//! changes it.
//!
//! Both the keys of the root before and those of the new one sign. The keys never leave the
//! machine that has them.

mod rotate;

use std::path::PathBuf;

use clap::Subcommand;
use muster_protocol::tuf::{Root, date_time};
use serde::Serialize;

use crate::cli::Context;
use crate::error::OperatorError;
use crate::output::Table;
use crate::signing;

/// What to do with root.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Show who signs for what, and the sha256 of the first root.
    Show,
    /// Change who signs: at once with the keys of the home, or into a file for its signers.
    Rotate(rotate::Args),
    /// Show what is proposed, and sign it; needs neither controller nor network.
    Sign(signing::SignArgs),
    /// Publish a root that enough people have signed.
    Publish {
        /// The proposal.
        proposal: PathBuf,
    },
}

/// Root for people and scripts.
#[derive(Debug, Serialize)]
struct Shown {
    version: u64,
    expires: String,
    /// The sha256 of the first root, with which signers and devices begin.
    first_root: String,
    roles: Vec<ShownRole>,
}

#[derive(Debug, Serialize)]
struct ShownRole {
    role: String,
    threshold: u32,
    keys: Vec<String>,
}

/// What was published.
#[derive(Debug, Serialize)]
pub(super) struct Published {
    pub(super) version: u64,
}

/// Runs it.
///
/// # Errors
/// The sentence for the operator.
pub(crate) async fn run(command: Command, context: &Context) -> Result<(), OperatorError> {
    match command {
        Command::Show => show(context).await,
        Command::Rotate(args) => rotate::run(args, context).await,
        Command::Sign(args) => signing::sign("root", &args, context),
        Command::Publish { proposal } => {
            let ready = signing::ready("root", &proposal)?;
            publish(&ready, context).await
        }
    }
}

pub(super) async fn publish(
    ready: &signing::Ready,
    context: &Context,
) -> Result<(), OperatorError> {
    context.client()?.publish(&ready.publication).await?;
    let version = ready.root_version();
    let published = Published { version };
    context.output.print(&published, |published| {
        format!("published version {} of root", published.version)
    });
    Ok(())
}

async fn show(context: &Context) -> Result<(), OperatorError> {
    let what = "show root";
    let base = signing::gather(&context.client()?, what, None).await?;
    let ground = base
        .verified(None)
        .map_err(|error| signing::told(what, &error.into()))?;
    let shown = shown(&ground.root, ground.first_root.to_string());
    context.output.print(&shown, text);
    Ok(())
}

fn shown(root: &Root, first_root: String) -> Shown {
    let roles = root.roles.iter().map(|(role, keys)| ShownRole {
        role: role.clone(),
        threshold: keys.threshold,
        keys: keys.keyids.clone(),
    });
    Shown {
        version: root.header.version,
        expires: date_time(root.header.expires_s),
        first_root,
        roles: roles.collect(),
    }
}

fn text(shown: &Shown) -> String {
    let mut table = Table::new(&["role", "threshold", "keys"]);
    for role in &shown.roles {
        let keys = role.keys.join(" ");
        table.row([role.role.clone(), role.threshold.to_string(), keys]);
    }
    let (version, expires, first) = (shown.version, &shown.expires, &shown.first_root);
    format!("{table}version {version}, expires {expires}\nfirst root {first}")
}
