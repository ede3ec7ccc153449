//! `muster fleet`: what `fleet.json` tells every device, and the ceremony that changes it.
//!
//! The targets key is offline: it is read here, and never sent. Nothing is signed over what this
//! key has not signed before, and nothing before a person, or `--yes`, has agreed to the
//! difference.

use std::path::PathBuf;

use clap::Subcommand;
use muster_protocol::digest::Digest;
use muster_protocol::tuf::Role;
use muster_protocol::tuf::fleet_document::PATH;

use crate::agree;
use crate::cli::Context;
use crate::clock;
use crate::endpoint::{HttpsUrl, MqttUrl};
use crate::error::{Exit, OperatorError};
use crate::home;
use crate::key_file;
use crate::output::note;
use crate::own_metadata;
use crate::signing;

mod certificate;
mod change;
mod confirm;
mod propose;
mod show;
mod sign;

pub(crate) use show::difference;

use certificate::Certificate;
use change::Change;
use sign::Held;

const WHAT: &str = "change fleet.json";

const LOST_CA: &str = "\
warning: devices turn away from a broker whose certificate the removed CA has issued, and nothing
brings them back but a visit. Name the new CA first, then change the certificate, then remove the old.";

/// What to do with `fleet.json`.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Show the newest.
    Show,
    /// Sign and publish the next one, with what is named here changed.
    Set(Set),
    /// Show what `set --propose` wrote, and sign it; needs neither controller nor network.
    Sign(signing::SignArgs),
    /// Publish what enough people have signed.
    Publish {
        /// The proposal.
        proposal: PathBuf,
    },
}

/// What changes. What is not named stays.
#[derive(Debug, clap::Args)]
pub(crate) struct Set {
    #[command(flatten)]
    changes: Changes,
    /// The offline key of the targets role [default: offline/targets.key of the home].
    #[arg(long, value_name = "FILE")]
    targets_key: Option<PathBuf>,
    /// Write a proposal for its signers, instead of signing at once.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["targets_key", "yes"])]
    propose: Option<PathBuf>,
    /// Sign without asking.
    #[arg(long)]
    yes: bool,
    /// The controller was restored from a backup: let its versions jump.
    #[arg(long)]
    after_restore: bool,
}

#[derive(Debug, clap::Args)]
#[group(required = true, multiple = true)]
struct Changes {
    /// The broker that devices connect to.
    #[arg(long, value_name = "mqtts://HOST:PORT")]
    mqtt: Option<MqttUrl>,
    /// Where devices renew their certificates.
    #[arg(long, value_name = "https://HOST:PORT")]
    enroll: Option<HttpsUrl>,
    /// A CA certificate in PEM that devices accept as well.
    #[arg(long = "add-ca", value_name = "FILE")]
    add_ca: Vec<PathBuf>,
    /// The sha256 of a CA certificate that devices accept no longer, as `muster fleet show` has it.
    #[arg(long = "remove-ca", value_name = "FINGERPRINT", value_parser = fingerprint)]
    remove_ca: Vec<Digest>,
}

/// Runs it.
///
/// # Errors
/// The sentence for the operator.
pub(crate) async fn run(command: Command, context: &Context) -> Result<(), OperatorError> {
    match command {
        Command::Show => show(context).await,
        Command::Set(set) => match &set.propose {
            Some(path) => propose::run(path.clone(), set, context).await,
            None => change(set, context).await,
        },
        Command::Sign(args) => signing::sign("fleet", &args, context),
        Command::Publish { proposal } => propose::publish(&proposal, context).await,
    }
}

async fn show(context: &Context) -> Result<(), OperatorError> {
    let client = context.client()?;
    let bytes = client
        .present_metadata("show fleet.json", PATH, None)
        .await?;
    let document = show::document(&bytes).map_err(|because| {
        let hint = "ask who changed what the controller hands out";
        OperatorError::new(Exit::Refused, "show fleet.json", because, hint)
    })?;
    context.output.print(&document, show::text);
    Ok(())
}

async fn change(set: Set, context: &Context) -> Result<(), OperatorError> {
    let (home, client) = (context.home()?, context.client()?);
    let path = set.targets_key.unwrap_or_else(|| home.targets_key());
    if !path.exists() {
        let because = format!("the targets key {} is not here", path.display());
        let hint = "bring the offline folder for this once, or name the key with --targets-key";
        return Err(OperatorError::new(Exit::Missing, WHAT, because, hint));
    }
    let (key, changes) = (key_file::read(&path)?, set.changes.read()?);
    let held = Held {
        targets: client
            .present_metadata(WHAT, Role::Targets.name(), None)
            .await?,
        fleet: client.present_metadata(WHAT, PATH, None).await?,
        version_floor: client.version_floor().await?,
    };
    let now = clock::now();
    let before = sign::before(&held, &key).map_err(|error| error.told())?;
    let after = change::changed(&before.fleet, &changes, before.version_floor, now)
        .map_err(|error| error.told())?;
    let Some(after) = after else {
        note("nothing to change: fleet.json says so already");
        return Ok(());
    };
    note(difference(&before.fleet, &after));
    if !changes.remove_ca.is_empty() {
        note(LOST_CA);
    }
    if before.jumps() {
        own_metadata::agree_to_jump(WHAT, set.after_restore.into())?;
    }
    if !set.yes {
        agree::to_sign(WHAT)?;
    }
    let version = after.version;
    let (publication, bytes) = sign::publication(before, &after, &key, now)?;
    client.publish(&publication).await?;
    confirm::as_a_device(&client, &bytes, now).await?;
    let published = show::Published { version };
    context.output.print(&published, show::published);
    Ok(())
}

impl Changes {
    fn read(self) -> Result<Change, OperatorError> {
        let mut add_ca = Vec::new();
        for path in &self.add_ca {
            let pem = home::read_text(path)?;
            let certificate = Certificate::of_ca(&pem).map_err(|because| {
                let what = format!("accept the CA in {}", path.display());
                let hint = "the file holds one CA certificate in PEM, and nothing else";
                OperatorError::new(Exit::BadInput, what, because, hint)
            })?;
            add_ca.push(certificate);
        }
        Ok(Change {
            mqtt: self.mqtt,
            enroll: self.enroll,
            add_ca,
            remove_ca: self.remove_ca,
        })
    }
}

fn fingerprint(text: &str) -> Result<Digest, String> {
    Digest::parse_hex(text.strip_prefix("sha256:").unwrap_or(text))
        .map_err(|_| "it is not the 64 hexadecimal digits of a sha256".to_owned())
}
