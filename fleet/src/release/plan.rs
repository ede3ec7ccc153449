//! What a release would be: its rank, the next metadata, and how it differs from the last one.
//!
//! Pure. Metadata of the controller is believed only where our own keys have signed it: otherwise
//! a stolen controller could have its own releases signed.

use ed25519_dalek::{Signature, SigningKey};
use muster_protocol::digest::{Digest, decode_hex};
use muster_protocol::id::Rank;
use muster_protocol::message::statement_name;
use muster_protocol::tuf::{Envelope, Role, TargetFile, Targets, author};
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

/// Plans.
pub(super) fn plan(bundle: &Verified, held: &Held, keys: &Keys) -> Result<Plan, OperatorError> {
    let (model, version) = (&bundle.card.model, &bundle.card.version);
    let what = format!("release {model} {version}");
    let refused =
        |exit, because: String, hint: &str| OperatorError::new(exit, &what, because, hint);
    let no_targets = || {
        let hint = "run `muster serve` in a home that `muster init` has made";
        refused(
            Exit::Missing,
            "the controller has no targets metadata".into(),
            hint,
        )
    };
    let targets = held.targets.as_deref().ok_or_else(no_targets)?;
    let role_name = Role::of_model(model.as_str());
    let read = |role: &Role, bytes: &[u8], key: Option<&SigningKey>| {
        own(role, bytes, key).map_err(|why| refused(Exit::Refused, why, HINT_FOREIGN))
    };
    let all = read(&Role::Targets, targets, keys.targets.as_ref())?;
    let delegation = all
        .delegated()
        .iter()
        .find(|one| one.name == role_name.name());
    let delegates = delegation.is_some_and(|one| {
        keys.release
            .as_ref()
            .is_some_and(|key| one.keyids.contains(&author::key_of(key).id()))
    });
    if delegation.is_some() && !delegates {
        let because = format!("its release key is not in {}", keys.release_path.display());
        return Err(refused(
            Exit::Missing,
            because,
            "bring the key that signed its releases",
        ));
    }
    if !delegates && keys.targets.is_none() {
        let because = "the model is new and offline/targets.key is not here".to_owned();
        return Err(refused(
            Exit::Missing,
            because,
            "bring the offline folder for this once",
        ));
    }
    if delegates && held.role.is_none() {
        // Delegation and first release are published together: one without the other is no start.
        let because = format!("the controller has no metadata of {role_name}, which had releases");
        return Err(refused(Exit::Refused, because, HINT_FOREIGN));
    }
    let role = held.role.as_deref().filter(|_| delegates);
    let role = role
        .map(|bytes| read(&role_name, bytes, keys.release.as_ref()))
        .transpose()?;
    let name = statement_name(model, version);
    if role
        .as_ref()
        .is_some_and(|role| role.targets.contains_key(name.as_str()))
    {
        let hint = "raise --version and build again: a version is released once";
        return Err(refused(
            Exit::Missing,
            "this version was released already".into(),
            hint,
        ));
    }
    let last = role.as_ref().and_then(last);
    let rank = Rank(last.as_ref().map_or(0, |last| last.rank).saturating_add(1));
    Ok(Plan {
        rank,
        role,
        delegate_in: Some(all).filter(|_| !delegates),
        last,
    })
}

const HINT_FOREIGN: &str = "sign nothing until it is known who changed the controller's metadata";

/// A document that `key` has signed. Without the key it is read only, and nothing is signed
/// over it.
fn own(role: &Role, bytes: &[u8], key: Option<&SigningKey>) -> Result<Targets, String> {
    let envelope = Envelope::parse(role, bytes).map_err(|error| error.to_string())?;
    if key.is_some_and(|key| !has_signed(key, &envelope)) {
        return Err(format!(
            "the controller's metadata of {role} is not signed by our key"
        ));
    }
    author::read_unverified(role, bytes).map_err(|error| error.to_string())
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
