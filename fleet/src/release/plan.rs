//! What a release would be: its rank, the next metadata, and how it differs from the last one.
//!
//! Pure. Metadata of the controller is believed only where our own keys have signed it: otherwise
//! a stolen controller could have its own releases signed.

use std::path::PathBuf;

use ed25519_dalek::{Signature, SigningKey};
use muster_protocol::digest::{Digest, decode_hex};
use muster_protocol::id::Rank;
use muster_protocol::message::statement_name;
use muster_protocol::tuf::{Envelope, Refused, Role, TargetFile, Targets, author};
use serde_json::Value;

use super::sign::Keys;
use crate::bundle::Verified;
use crate::error::{Exit, OperatorError};

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
    pub(super) version_floor: u64,
}

/// The last release of a model, as its signed metadata has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Last {
    /// Its name as a target.
    pub(super) name: String,
    /// Its rank.
    pub(super) rank: u32,
    /// Digest of its bundle, as text.
    pub(super) bundle: String,
    /// Bytes on disk that it needs.
    pub(super) disk_bytes: u64,
}

/// Why nothing is signed.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unplanned {
    #[error("the controller has no targets metadata")]
    NoTargets,
    #[error("the controller's metadata of {0} is not signed by our key")]
    Foreign(Role),
    #[error("the controller's metadata cannot be read: {0}")]
    Unreadable(#[from] Refused),
    #[error("its release key is not in {}", .0.display())]
    KeyElsewhere(PathBuf),
    #[error("the model is new and offline/targets.key is not here")]
    OfflineKeyAway,
    #[error("the controller has no metadata of {0}, which had releases")]
    Withheld(Role),
    #[error("this version was released already")]
    Released,
    #[error("the controller asks for version {0} of {1}, far above the one before")]
    FarVersion(u64, Role),
}

/// Furthest that a controller may make versions jump: what restores ask for in some decades, and
/// far from where a stolen one would have used them up.
const VERSION_JUMP_MAX: u64 = 1 << 48;

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
    check_floor(held.version_floor, role.as_ref(), &all, &role_name)?;
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
        version_floor: held.version_floor,
    })
}

fn check_floor(
    floor: u64,
    role: Option<&Targets>,
    all: &Targets,
    name: &Role,
) -> Result<(), Unplanned> {
    let before = role.unwrap_or(all).header.version;
    if floor <= before.saturating_add(VERSION_JUMP_MAX) {
        return Ok(());
    }
    Err(Unplanned::FarVersion(floor, name.clone()))
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
        Some(found) if ours.is_some_and(|id| found.keyids.contains(&id)) => Ok(true),
        Some(_) => Err(Unplanned::KeyElsewhere(keys.release_path.clone())),
        None if keys.targets.is_none() => Err(Unplanned::OfflineKeyAway),
        None => Ok(false),
    }
}

/// A document that `key` has signed. Without the key it is read only, and nothing is signed
/// over it.
fn own(role: &Role, bytes: &[u8], key: Option<&SigningKey>) -> Result<Targets, Unplanned> {
    let envelope = Envelope::parse(role, bytes)?;
    if key.is_some_and(|key| !has_signed(key, &envelope)) {
        return Err(Unplanned::Foreign(role.clone()));
    }
    Ok(author::read_unverified(role, bytes)?)
}

fn has_signed(key: &SigningKey, envelope: &Envelope) -> bool {
    let (id, Ok(message)) = (author::key_of(key).id(), envelope.message()) else {
        return false;
    };
    let ours = envelope
        .signatures
        .iter()
        .filter(|signature| signature.keyid == id);
    ours.into_iter().any(|signature| {
        let mut bytes = [0; 64];
        let read = decode_hex(&signature.sig, &mut bytes).is_ok();
        let signature = Signature::from_bytes(&bytes);
        read && key
            .verifying_key()
            .verify_strict(&message, &signature)
            .is_ok()
    })
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
            Self::Foreign(_) | Self::Withheld(_) | Self::Unreadable(_) | Self::FarVersion(..) => (
                Exit::Refused,
                "sign nothing until it is known who changed what it hands out",
            ),
            Self::KeyElsewhere(_) => (Exit::Missing, "bring the key that signed its releases"),
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
fn last(role: &Targets) -> Option<Last> {
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
pub(super) fn custom(rank: Rank, bundle: &Digest, disk_bytes: u64) -> Value {
    serde_json::json!({
        "rank": rank.0, "bundle": bundle.to_string(), "disk_bytes": disk_bytes
    })
}

#[cfg(test)]
mod tests;
