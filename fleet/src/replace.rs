//! `muster controller`: another controller takes over, with new online keys, a new CA, or both, by
//! the word of the offline keys. A stolen one is replaced this way, and so is one whose keys are
//! merely old.
//!
//! Keeps no offline key. Nothing of what serves now is changed before devices will believe what
//! comes after it.

mod next;
#[cfg(test)]
mod tests;
mod wish;

use std::path::{Path, PathBuf};

use clap::{Subcommand, ValueEnum};
use serde::Serialize;

use crate::agree;
use crate::cli::Context;
use crate::clock;
use crate::controller::Controller;
use crate::endpoint::{HttpsUrl, MqttUrl};
use crate::error::{Exit, OperatorError};
use crate::home::Home;
use crate::output::note;
use crate::own_metadata::{self, VersionFloor};
use crate::publish::Publication;
use crate::signing::{self, Base, KeyFolder, Proposal};

use muster_protocol::tuf::{Role, Root};
use next::Next;
pub(crate) use next::settle;

const WHAT: &str = "replace the keys of the controller";

/// What the operator is told where others must sign before it is.
const PENDING: &str = "\
- Stolen: have the proposal signed by those who sign for root and targets (`muster controller sign`),
  then `muster controller publish` it here. Until then this home does not serve: its old keys are
  those that the thief has.";

/// What the operator is told after a stolen controller was replaced.
const STOLEN: &str = "\
- Stolen: this home has new keys for snapshot, timestamp, assignments, acknowledgements and time, a
  new CA, a new API token, and a new offline/ca-root.key. Copy offline/ away again. Devices follow
  once they reach this controller: let its address lead here, or carry fleet.json to them. Whatever
  the thief signs is of an older epoch from then on.
- External brokers: run `muster broker mosquitto` again, and take the new files there.";

const AFTERWARDS: &str = "\
start `muster serve` again: devices follow as they connect. Run `muster broker mosquitto` again where
there is an external broker, and copy offline/ away if the CA is new.";

/// What to do with the keys of the controller.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Make new keys and a new CA: at once with the offline keys, or into a file for its signers.
    Replace(Args),
    /// Show what `replace --out` wrote, and sign it; needs neither controller nor network.
    Sign(signing::SignArgs),
    /// Publish what enough people have signed, and put the new keys into place; `muster serve` of
    /// this home must not run.
    Publish {
        /// The proposal.
        proposal: PathBuf,
    },
    /// Forget new keys that were not published.
    GiveUp,
}

/// What becomes new, and how it is signed.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// What becomes new.
    #[arg(long, value_enum, default_value_t)]
    only: Only,
    #[command(flatten)]
    with: With,
    /// Sign without asking.
    #[arg(long, conflicts_with = "out")]
    yes: bool,
    /// The controller was restored from a backup: let its versions jump.
    #[arg(long)]
    after_restore: bool,
}

/// What a replacement is given.
#[derive(Debug, Clone, Default, clap::Args)]
pub(crate) struct With {
    /// The folder with ca-root.key, and with the keys that sign for root and targets [default:
    /// offline/ of the home].
    #[arg(long, value_name = "FOLDER")]
    offline: Option<PathBuf>,
    /// The broker that devices connect to from now on.
    #[arg(long, value_name = "mqtts://HOST:PORT")]
    mqtt: Option<MqttUrl>,
    /// Where devices renew their certificates from now on.
    #[arg(long, value_name = "https://HOST:PORT")]
    enroll: Option<HttpsUrl>,
    /// Write a proposal for its signers, instead of signing with the offline keys at once.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// What becomes new.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Only {
    /// Everything that a controller holds.
    #[default]
    All,
    /// The keys for snapshot, timestamp, assignments, acknowledgements and time.
    Keys,
    /// The CA and the server's certificate.
    Ca,
}

/// Why it is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Why {
    /// Somebody else has what this home held.
    Stolen,
    /// It is time.
    Planned,
}

impl With {
    /// Whether nothing is named.
    pub(crate) fn is_empty(&self) -> bool {
        let folders = [&self.offline, &self.out];
        let named = folders.iter().any(|folder| folder.is_some());
        !named && self.mqtt.is_none() && self.enroll.is_none()
    }

    /// What to do after a stolen controller was restored.
    pub(crate) fn advice(&self) -> &'static str {
        match self.out {
            Some(_) => PENDING,
            None => STOLEN,
        }
    }
}

/// What was published.
#[derive(Debug, Serialize)]
struct Published {
    director_epoch: u64,
}

/// Runs it.
///
/// # Errors
/// The sentence for the operator.
pub(crate) async fn run(command: Command, context: &Context) -> Result<(), OperatorError> {
    match command {
        Command::Replace(args) => match args.with.out.clone() {
            Some(path) => propose(&path, &args, context).await,
            None => at_once(&args, context).await,
        },
        Command::Sign(args) => signing::sign("controller", &args, context),
        Command::Publish { proposal } => publish(&proposal, context).await,
        Command::GiveUp => Next::of(&context.home()?).give_up(),
    }
}

/// Replaces every key of a home that was restored beside its place, or makes that ready for those
/// who must sign.
///
/// # Errors
/// An offline key is missing or not enough, or a device would refuse what came out.
pub(crate) async fn stolen(home: &Home, with: &With) -> Result<(), OperatorError> {
    let (base, floor) = held(home).await?;
    let made = made(home, base, floor, Only::All, with, Why::Stolen)?;
    match &with.out {
        Some(path) => {
            note(signing::shown(&made.proposal, WHAT)?);
            made.proposal.write_new(path)?;
            note(format_args!("wrote {}", path.display()));
            made.write(Why::Stolen)
        }
        None => sign_and_apply(home, made, with, Why::Stolen).await,
    }
}

async fn propose(path: &Path, args: &Args, context: &Context) -> Result<(), OperatorError> {
    let (home, client) = (context.home()?, context.client()?);
    let base = signing::gather(&client, WHAT, None).await?;
    let floor = client.version_floor().await?;
    let made = made(&home, base, floor, args.only, &args.with, Why::Planned)?;
    made.agree_to_jump(args)?;
    signing::propose(&made.proposal, path, WHAT, context)?;
    made.write(Why::Planned)
}

async fn at_once(args: &Args, context: &Context) -> Result<(), OperatorError> {
    let home = context.home()?;
    let _alone = home.lock()?;
    let (base, floor) = held(&home).await?;
    let made = made(&home, base, floor, args.only, &args.with, Why::Planned)?;
    made.agree_to_jump(args)?;
    note(signing::shown(&made.proposal, WHAT)?);
    if !args.yes {
        agree::to_sign(WHAT)?;
    }
    sign_and_apply(&home, made, &args.with, Why::Planned).await?;
    say_published(&home, context).await
}

async fn publish(path: &Path, context: &Context) -> Result<(), OperatorError> {
    let home = context.home()?;
    let _alone = home.lock()?;
    let ready = signing::ready("controller", path)?;
    let next = Next::of(&home);
    next.check_is_for(&ready.publication)?;
    if held(&home).await?.0 != ready.proposal.base {
        let because = "something was published since it was proposed";
        let hint = "`muster controller give-up`, and propose it anew";
        return Err(OperatorError::new(Exit::Missing, WHAT, because, hint));
    }
    apply(&home, &next, ready.publication).await?;
    say_published(&home, context).await
}

/// A replacement that nobody has signed.
struct Made {
    proposal: Proposal,
    next: Next,
    files: next::Files,
    jumps: bool,
}

impl Made {
    fn write(&self, why: Why) -> Result<(), OperatorError> {
        let fleet = self.proposal.wanted.fleet().unwrap_or_default();
        self.next.write(&self.files, fleet, why)
    }

    fn agree_to_jump(&self, args: &Args) -> Result<(), OperatorError> {
        match self.jumps {
            true => own_metadata::agree_to_jump(WHAT, args.after_restore.into()),
            false => Ok(()),
        }
    }
}

fn made(
    home: &Home,
    base: Base,
    floor: u64,
    only: Only,
    with: &With,
    why: Why,
) -> Result<Made, OperatorError> {
    let next = Next::of(home);
    next.check_vacant()?;
    let offline = with.offline.clone().unwrap_or_else(|| home.offline());
    let now = clock::now();
    let files = next::Files::make(home, &offline, only, why, now)?;
    let ground = base
        .verified(None)
        .map_err(|error| signing::told(WHAT, &error.into()))?;
    let newest = ground.targets.header.version.max(ground.fleet.version);
    let version_floor = VersionFloor::of(floor, &Role::Targets, newest)
        .map_err(|error| signing::told(WHAT, &error.into()))?;
    let wanted = wish::of(&ground, &files, with, version_floor, now);
    let wanted = wanted.map_err(|error| refused(&error, "report it"))?;
    Ok(Made {
        proposal: Proposal::new(wanted, base),
        next,
        files,
        jumps: version_floor.jumps(newest),
    })
}

async fn sign_and_apply(
    home: &Home,
    mut made: Made,
    with: &With,
    why: Why,
) -> Result<(), OperatorError> {
    let folder = with.offline.clone().unwrap_or_else(|| home.offline());
    let state = signing::sign_own(&mut made.proposal, &KeyFolder::at(&folder), WHAT)?;
    let Some(publication) = state.publication(&made.proposal) else {
        let hint = "bring root.key and targets.key; where several people sign, add --out FILE and \
                    carry that to them";
        return Err(refused(&"the offline keys here are not enough", hint));
    };
    made.write(why)?;
    apply(home, &made.next, publication).await
}

/// From the commit of the metadata on, the new keys are those of the controller: a start after a
/// crash between the two puts them into place.
async fn apply(home: &Home, next: &Next, publication: Publication) -> Result<(), OperatorError> {
    let controller = Controller::open_with(home, &next.home())?;
    let published = controller.publish(publication).await;
    published.map_err(|error| refused(&error, "`muster controller give-up`, and begin anew"))?;
    drop(controller);
    next.take_over()
}

/// What a home that nobody serves holds, and the lowest version that it asks for.
async fn held(home: &Home) -> Result<(Base, u64), OperatorError> {
    let controller = Controller::open(home)?;
    let newest = present(&controller, Role::Root.name(), None).await?;
    let root: Root = muster_protocol::tuf::author::read_unverified(&Role::Root, newest.as_bytes())
        .map_err(|error| refused(&error, "take another backup"))?;
    let mut roots = Vec::new();
    for version in 1..root.header.version {
        roots.push(present(&controller, Role::Root.name(), Some(version)).await?);
    }
    roots.push(newest);
    let base = Base {
        roots,
        targets: present(&controller, Role::Targets.name(), None).await?,
        fleet: present(&controller, wish::FLEET, None).await?,
        model: None,
    };
    let floor = controller.store().read(|tx| tx.version_floor()).await;
    Ok((base, floor.map_err(crate::controller::Error::Store)?))
}

async fn present(
    controller: &Controller,
    name: &str,
    version: Option<u64>,
) -> Result<String, OperatorError> {
    let found = controller.metadata(name, version).await?;
    let text = found.and_then(|bytes| String::from_utf8(bytes).ok());
    text.ok_or_else(|| refused(&format!("it holds no {name}"), "take another backup"))
}

async fn say_published(home: &Home, context: &Context) -> Result<(), OperatorError> {
    let fleet = held(home).await?.0.fleet;
    let fleet = muster_protocol::tuf::FleetDocument::parse(fleet.as_bytes());
    let published = Published {
        director_epoch: fleet.map_or(0, |fleet| fleet.director_epoch),
    };
    context.output.print(&published, |published| {
        format!(
            "the new keys are in place, director epoch {}",
            published.director_epoch
        )
    });
    note(AFTERWARDS);
    Ok(())
}

fn refused(because: &dyn std::fmt::Display, hint: &str) -> OperatorError {
    OperatorError::new(Exit::Refused, WHAT, because, hint)
}
