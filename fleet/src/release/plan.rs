//! What a release would be: its rank, the next metadata, and how it differs from the last one.
//!
//! Pure. Metadata of the controller is believed only where our own keys have signed it: otherwise
//! a stolen controller could have its own releases signed.

use std::path::PathBuf;

use ed25519_dalek::SigningKey;
use muster_protocol::digest::Digest;
use muster_protocol::id::Rank;
use muster_protocol::message::statement_name;
use muster_protocol::tuf::{Refused, Role, TargetFile, Targets, author};
use serde_json::Value;

use super::sign::Keys;
use crate::bundle::Verified;
use crate::error::{Exit, OperatorError};
use crate::own_metadata::{self, NotOurs, VersionFloor};

/// What the controller holds, as it handed it out.
#[derive(Debug, Default)]
pub(super) struct Held {
    /// The top-level targets.
    pub(super) targets: Option<Vec<u8>>,
    /// The targets of the model.
    pub(super) role: Option<Vec<u8>>,
    /// The lowest version that it asks for.
    pub(super) version_floor: u64,
}

/// What will be signed.
#[derive(Debug)]
pub(super) struct Plan {
    /// Order among the releases of the model.
    pub(super) rank: Rank,
    /// The model's targets so far; none before its first release.
    pub(super) role: Option<Targets>,
    /// The top-level targets, if they do not delegate to the model yet.
    pub(super) delegate_in: Option<Targets>,
    /// The last release.
    pub(super) last: Option<Last>,
    /// The lowest version of what is signed.
    pub(super) version_floor: VersionFloor,
}

impl Plan {
    /// Whether more than the next version is signed.
    pub(super) fn jumps(&self) -> bool {
        let both = [&self.role, &self.delegate_in].into_iter().flatten();
        both.map(|targets| targets.header.version)
            .any(|version| self.version_floor.jumps(version))
    }
}

/// The last release of a model, as its signed metadata has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Last {
    /// Its name as a target.
    pub(crate) name: String,
    /// Its rank.
    pub(crate) rank: u32,
    /// Digest of its bundle, as text.
    pub(crate) bundle: String,
    /// Bytes on disk that it needs.
    pub(crate) disk_bytes: u64,
}

/// Why nothing is signed.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unplanned {
    #[error("the controller has no targets metadata")]
    NoTargets,
    #[error(transparent)]
    NotOurs(#[from] NotOurs),
    #[error("the controller's metadata cannot be read: {0}")]
    Unreadable(#[from] Refused),
    #[error("its release key is not in {}", .0.display())]
    KeyElsewhere(PathBuf),
    #[error("its releases need {0} signatures")]
    NeedsMore(u32),
    #[error("the model is new and offline/targets.key is not here")]
    OfflineKeyAway,
    #[error("the controller has no metadata of {0}, which had releases")]
    Withheld(Role),
    #[error("this version was released already")]
    Released,
}

/// Plans.
pub(super) fn plan(bundle: &Verified, held: &Held, keys: &Keys) -> Result<Plan, Unplanned> {
    let (model, version) = (&bundle.card.model, &bundle.card.version);
    let role_name = Role::of_model(model.as_str());
    let targets = held.targets.as_deref().ok_or(Unplanned::NoTargets)?;
    let all = own(&Role::Targets, targets, keys.targets.as_ref())?;
    let role = match delegates(&all, &role_name, keys)? {
        true => {
            // Delegation and first release are published together: there is no one without the other.
            let role = held
                .role
                .as_deref()
                .ok_or_else(|| Unplanned::Withheld(role_name.clone()))?;
            Some(own(&role_name, role, keys.release.as_ref())?)
        }
        false => None,
    };
    let before = role.as_ref().unwrap_or(&all).header.version;
    let version_floor = VersionFloor::of(held.version_floor, &role_name, before)?;
    let name = statement_name(model, version);
    if role
        .as_ref()
        .is_some_and(|role| role.targets.contains_key(name.as_str()))
    {
        return Err(Unplanned::Released);
    }
    let last = role.as_ref().and_then(last);
    let rank = Rank(last.as_ref().map_or(0, |last| last.rank).saturating_add(1));
    let delegate_in = Some(all).filter(|_| role.is_none());
    Ok(Plan {
        rank,
        role,
        delegate_in,
        last,
        version_floor,
    })
}

/// Whether targets delegate the model to our release key; if not at all, the key of targets must
/// be here to begin.
fn delegates(all: &Targets, role: &Role, keys: &Keys) -> Result<bool, Unplanned> {
    let ours = keys.release.as_ref().map(|key| author::key_of(key).id());
    match all
        .delegated()
        .iter()
        .find(|delegation| delegation.name == role.name())
    {
        Some(found) if found.threshold > 1 => Err(Unplanned::NeedsMore(found.threshold)),
        Some(found) if ours.is_some_and(|id| found.keyids.contains(&id)) => Ok(true),
        Some(_) => Err(Unplanned::KeyElsewhere(keys.release_path.clone())),
        None if keys.targets.is_none() => Err(Unplanned::OfflineKeyAway),
        None => Ok(false),
    }
}

/// A document that `key` has signed. Without the key it is read only, and nothing is signed
/// over it.
fn own(role: &Role, bytes: &[u8], key: Option<&SigningKey>) -> Result<Targets, Unplanned> {
    match key {
        Some(key) => Ok(own_metadata::own(role, bytes, key)?),
        None => Ok(author::read_unverified(role, bytes)?),
    }
}

impl Unplanned {
    /// The sentence for the operator.
    pub(super) fn told(&self, bundle: &Verified) -> OperatorError {
        let what = format!("release {} {}", bundle.card.model, bundle.card.version);
        let (exit, hint) = match self {
            Self::NoTargets => (
                Exit::Missing,
                "name the home and API that `muster init` made",
            ),
            Self::NotOurs(_) | Self::Withheld(_) | Self::Unreadable(_) => (
                Exit::Refused,
                "sign nothing until it is known who changed what it hands out",
            ),
            Self::KeyElsewhere(_) => (Exit::Missing, "bring the key that signed its releases"),
            Self::NeedsMore(_) => (
                Exit::Refused,
                "`muster release propose` makes the file that its signers carry around",
            ),
            Self::OfflineKeyAway => (Exit::Missing, "bring the offline folder for this once"),
            Self::Released => (
                Exit::Missing,
                "raise --version and build again: a version is released once",
            ),
        };
        OperatorError::new(exit, what, self, hint)
    }
}

/// The release of the highest rank.
pub(crate) fn last(role: &Targets) -> Option<Last> {
    let releases = role
        .targets
        .iter()
        .filter_map(|(name, file)| release(name, file));
    releases.max_by_key(|release| release.rank)
}

fn release(name: &str, file: &TargetFile) -> Option<Last> {
    let custom = file.custom.as_ref()?;
    Some(Last {
        name: name.to_owned(),
        rank: custom
            .get("rank")?
            .as_u64()
            .and_then(|rank| u32::try_from(rank).ok())?,
        bundle: custom.get("bundle")?.as_str()?.to_owned(),
        disk_bytes: custom.get("disk_bytes")?.as_u64()?,
    })
}

/// What the metadata says of a release beside its statement: enough to plan the next one.
pub(crate) fn custom(rank: Rank, bundle: &Digest, disk_bytes: u64) -> Value {
    serde_json::json!({
        "rank": rank.0, "bundle": bundle.to_string(), "disk_bytes": disk_bytes
    })
}

#[cfg(test)]
mod tests;
