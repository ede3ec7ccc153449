//! The next `fleet.json` as a proposal, where several people sign for targets.
//!
//! Signs nothing, and needs no key.

use std::path::{Path, PathBuf};

use super::{LOST_CA, Set, WHAT, change, confirm, show};
use crate::cli::Context;
use crate::clock;
use crate::error::{Exit, OperatorError};
use crate::output::note;
use crate::own_metadata::{self, VersionFloor};
use crate::signing::{self, NewFleet, Proposal, Wanted};
use muster_protocol::tuf::Role;
use muster_protocol::tuf::fleet_document::PATH;

/// Writes the proposal.
///
/// # Errors
/// The sentence for the operator.
pub(super) async fn run(path: PathBuf, set: Set, context: &Context) -> Result<(), OperatorError> {
    let client = context.client()?;
    let changes = set.changes.read()?;
    let base = signing::gather(&client, WHAT, None).await?;
    let ground = base
        .verified(None)
        .map_err(|error| signing::told(WHAT, &error.into()))?;
    let version_floor = client.version_floor().await?;
    let newest = ground.targets.header.version.max(ground.fleet.version);
    let floor = VersionFloor::of(version_floor, &Role::Targets, newest)
        .map_err(|error| signing::told(WHAT, &error.into()))?;
    let now = clock::now();
    let after =
        change::changed(&ground.fleet, &changes, floor, now).map_err(|error| error.told())?;
    let Some(after) = after else {
        note("nothing to change: fleet.json says so already");
        return Ok(());
    };
    if !changes.remove_ca.is_empty() {
        note(LOST_CA);
    }
    if floor.jumps(newest) {
        own_metadata::agree_to_jump(WHAT, set.after_restore.into())?;
    }
    let fleet = after
        .encode()
        .ok()
        .and_then(|bytes| String::from_utf8(bytes).ok());
    let fleet = fleet
        .ok_or_else(|| OperatorError::new(Exit::Bug, WHAT, "it cannot be written", "report it"))?;
    let wanted = NewFleet {
        fleet,
        proposed_at_s: now.0,
        version_floor,
    };
    let proposal = Proposal::new(Wanted::Fleet(wanted), base);
    signing::propose(&proposal, &path, WHAT, context)
}

/// Publishes it, and looks at it as a device does.
///
/// # Errors
/// The sentence for the operator.
pub(super) async fn publish(path: &Path, context: &Context) -> Result<(), OperatorError> {
    let ready = signing::ready("fleet", path)?;
    let client = context.client()?;
    client.publish(&ready.publication).await?;
    let files = &ready.publication.target_files;
    let bytes = files.iter().find(|(name, _)| name == PATH);
    let bytes = bytes.map(|(_, bytes)| bytes.as_slice()).unwrap_or_default();
    confirm::as_a_device(&client, bytes, clock::now()).await?;
    let version =
        muster_protocol::tuf::FleetDocument::parse(bytes).map_or(0, |fleet| fleet.version);
    let published = show::Published { version };
    context.output.print(&published, show::published);
    Ok(())
}
