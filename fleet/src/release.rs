//! `muster release`: a bundle becomes a release, signed here and published through the API.
//!
//! The keys never leave this machine, and nothing is signed that this machine has not checked:
//! metadata that the controller hands out must carry our own signature.

mod plan;
mod show;
mod sign;
mod upload;

use std::path::PathBuf;

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
use plan::{Held, Plan};
use sign::Keys;

/// Sign a bundle and publish it as a release.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Command {
    /// Folder of the bundle.
    folder: PathBuf,
    /// Release without asking.
    #[arg(long)]
    yes: bool,
    /// The controller was restored from a backup: let its versions jump.
    #[arg(long)]
    after_restore: bool,
}

/// Runs it.
///
/// # Errors
/// The sentence for the operator.
pub(crate) async fn run(command: Command, context: &Context) -> Result<(), OperatorError> {
    let (home, client) = (context.home()?, context.client()?);
    let found = std::fs::metadata(&command.folder);
    found.map_err(|error| OperatorError::file("read the bundle", &command.folder, &error))?;
    let layout = Layout::at(&command.folder);
    let verified = verify(&layout).map_err(|broken| {
        let what = format!("release the bundle {}", command.folder.display());
        OperatorError::new(
            Exit::BadInput,
            what,
            broken,
            "build it again with `muster bundle build`",
        )
    })?;
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
        own_metadata::agree_to_jump(&what, command.after_restore.into())?;
    }
    if !command.yes {
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
