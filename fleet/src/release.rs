//! `muster release`: a bundle becomes a release, signed here and published through the API; or
//! proposed here, signed by several people elsewhere, and published when they have.
//!
//! The keys never leave this machine, and nothing is signed that this machine has not checked:
//! metadata that the controller hands out must carry our own signature.

pub(crate) mod plan;
mod propose;
mod show;
pub(crate) mod sign;
mod upload;

use std::path::{Path, PathBuf};

use muster_protocol::id::ModelId;
use muster_protocol::tuf::Role;

use crate::agree;
use crate::bundle::{Layout, Verified, verify};
use crate::cli::Context;
use crate::clock;
use crate::error::{Exit, OperatorError};
use crate::home::Home;
use crate::output::note;
use crate::own_metadata;
use crate::publish::Publication;
use crate::signing;
use plan::{Held, Plan};
use sign::Keys;

/// Sign a bundle and publish it as a release: at once with one key, or step by step with several.
#[derive(Debug, Clone, clap::Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(crate) struct Command {
    #[command(subcommand)]
    step: Option<Step>,
    /// Folder of the bundle.
    #[arg(required = true)]
    folder: Option<PathBuf>,
    /// Release without asking.
    #[arg(long)]
    yes: bool,
    /// The controller was restored from a backup: let its versions jump.
    #[arg(long)]
    after_restore: bool,
}

/// A step of a release that several people sign.
#[derive(Debug, Clone, clap::Subcommand)]
enum Step {
    /// Write what will be signed into a file that can be carried to the signers.
    Propose(propose::Args),
    /// Show what is proposed, and sign it; needs neither controller nor network.
    Sign(signing::SignArgs),
    /// Publish a release that enough people have signed.
    Publish(PublishArgs),
}

/// What is published.
#[derive(Debug, Clone, clap::Args)]
struct PublishArgs {
    /// The proposal.
    proposal: PathBuf,
    /// Folder of the bundle.
    bundle: PathBuf,
}

/// Runs it.
///
/// # Errors
/// The sentence for the operator.
pub(crate) async fn run(command: Command, context: &Context) -> Result<(), OperatorError> {
    match (command.step, command.folder) {
        (Some(Step::Propose(args)), _) => propose::run(args, context).await,
        (Some(Step::Sign(args)), _) => signing::sign("release", &args, context),
        (Some(Step::Publish(args)), _) => publish(args, context).await,
        (None, folder) => {
            let folder = folder.unwrap_or_default();
            at_once(&folder, command.yes, command.after_restore.into(), context).await
        }
    }
}

async fn publish(args: PublishArgs, context: &Context) -> Result<(), OperatorError> {
    let ready = signing::ready("release", &args.proposal)?;
    let (layout, verified) = bundle_at(&args.bundle)?;
    if !propose::is_of(&ready.proposal, &verified) {
        let what = format!("publish {}", args.proposal.display());
        let because = format!("it does not release the bundle {}", args.bundle.display());
        let hint = "name the folder of the bundle that was proposed";
        return Err(OperatorError::new(Exit::BadInput, what, because, hint));
    }
    let client = context.client()?;
    upload::blobs(&layout, &verified, &client).await?;
    client.publish(&ready.publication).await?;
    context.output.print(&show::released(&verified), show::text);
    Ok(())
}

fn bundle_at(folder: &Path) -> Result<(Layout, Verified), OperatorError> {
    let found = std::fs::metadata(folder);
    found.map_err(|error| OperatorError::file("read the bundle", folder, &error))?;
    let layout = Layout::at(folder);
    let verified = verify(&layout).map_err(|broken| {
        let what = format!("release the bundle {}", folder.display());
        let hint = "build it again with `muster bundle build`";
        OperatorError::new(Exit::BadInput, what, broken, hint)
    })?;
    Ok((layout, verified))
}

/// One person with one key.
async fn at_once(
    folder: &Path,
    yes: bool,
    restored: own_metadata::Restored,
    context: &Context,
) -> Result<(), OperatorError> {
    let (home, client) = (context.home()?, context.client()?);
    let (layout, verified) = bundle_at(folder)?;
    let model = &verified.card.model;
    let held = Held {
        targets: client.metadata(Role::Targets.name(), None).await?,
        role: client
            .metadata(Role::of_model(model.as_str()).name(), None)
            .await?,
        version_floor: client.version_floor().await?,
    };
    let keys = Keys::find(&home, model)?;
    let plan = plan::plan(&verified, &held, &keys).map_err(|why| why.told(&verified))?;
    note(show::plan(&verified, &plan));
    if plan.jumps() {
        let what = format!("release {model} {}", verified.card.version);
        own_metadata::agree_to_jump(&what, restored)?;
    }
    if !yes {
        agree::to_sign(&format!("release {model} {}", verified.card.version))?;
    }
    let publication = signed(&home, &verified, plan, keys)?;
    upload::blobs(&layout, &verified, &client).await?;
    client.publish(&publication).await?;
    context.output.print(&show::released(&verified), show::text);
    Ok(())
}

/// Makes what is missing of the keys, and signs.
fn signed(
    home: &Home,
    verified: &Verified,
    plan: Plan,
    keys: Keys,
) -> Result<Publication, OperatorError> {
    let model: &ModelId = &verified.card.model;
    let made = keys.release.is_none();
    let release = keys.release_or_new(home, model)?;
    if made {
        let path = home.release_key(model);
        note(format_args!(
            "made the release key {}: keep it off the controller",
            path.display()
        ));
    }
    sign::publication(
        verified,
        plan,
        &release,
        keys.targets.as_ref(),
        clock::now(),
    )
}
