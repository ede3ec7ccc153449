//! The state after a publication, verified in the order in which a device verifies it: what a
//! device would refuse is not published.
//!
//! Pure. The controller's own snapshot and timestamp go through the same verification, so that a
//! wrong online key shows here and not on the devices.

use std::collections::BTreeMap;

use muster_protocol::id::ModelId;
use muster_protocol::time::UnixSeconds;
use muster_protocol::tuf::{Expiry, Role, Stored, Targets, Trusted, author};

use super::apart;
use super::online::{self, refused};
use super::{Current, Publication};
use crate::controller::{Error, Keys};

/// A document with its version.
pub(super) type Versioned = (u64, Vec<u8>);

/// Everything as it will be stored.
pub(super) struct Staged {
    pub(super) root: Versioned,
    pub(super) targets: Versioned,
    pub(super) delegated: BTreeMap<String, Versioned>,
    pub(super) snapshot: Versioned,
    pub(super) timestamp: Versioned,
    /// What a device would trust.
    pub(super) trusted: Trusted,
    /// How expiry is judged.
    pub(super) expiry: Expiry,
}

/// Verifies a publication over what is current.
///
/// # Errors
/// [`Error::Refused`], with the reason that a device would have; [`Error::Conflict`] for a
/// version that is taken.
pub(super) fn stage(
    current: &Current,
    publication: &Publication,
    keys: &Keys,
    now: UnixSeconds,
) -> Result<Staged, Error> {
    let expiry = Expiry::Enforced { now_s: now.0 };
    let (mut trusted, root) = roots(current, publication)?;
    trusted.finish_root(expiry).map_err(refused)?;
    let none = || Error::Refused {
        why: "there is no targets metadata yet: bring it".to_owned(),
    };
    let targets = publication
        .targets
        .as_ref()
        .or(current.targets.as_ref())
        .ok_or_else(none)?;
    let targets = next(&Role::Targets, current.targets.as_deref(), targets)?;
    let delegated = delegated(current, publication)?;

    let mut listed = BTreeMap::from([(Role::Targets, targets.clone())]);
    for (name, document) in &delegated {
        listed.insert(Role::Delegated(name.clone()), document.clone());
    }
    let floor = current.version_floor;
    let snapshot = online::snapshot(current.snapshot.as_deref(), &listed, floor, keys, now)?;
    let timestamp = online::timestamp(current.timestamp.as_deref(), &snapshot, floor, keys, now)?;

    trusted
        .update_timestamp(&timestamp.1, expiry)
        .map_err(refused)?;
    trusted
        .update_snapshot(&snapshot.1, expiry)
        .map_err(refused)?;
    trusted
        .update_targets(&targets.1, expiry)
        .map_err(refused)?;
    for (name, (_, bytes)) in &delegated {
        // A role that targets no longer delegates to stays listed, and is no one's any more.
        if publication.delegated.iter().any(|(new, _)| new == name) || delegates(&trusted, name) {
            trusted
                .update_delegated(&Role::Targets, name, bytes, expiry)
                .map_err(refused)?;
        }
    }
    apart::no_release_key_here(&trusted, keys)?;
    Ok(Staged {
        root,
        targets,
        delegated,
        snapshot,
        timestamp,
        trusted,
        expiry,
    })
}

/// What is trusted so far, with the new root.
fn roots(current: &Current, publication: &Publication) -> Result<(Trusted, Versioned), Error> {
    let (mut trusted, bytes) = match (&current.root, &publication.root) {
        (Some(root), _) => {
            let delegated: Vec<(&str, &[u8])> = current
                .delegated
                .iter()
                .map(|(name, b)| (name.as_str(), b.as_slice()))
                .collect();
            let stored = Stored {
                root,
                timestamp: current.timestamp.as_deref(),
                snapshot: current.snapshot.as_deref(),
                targets: current.targets.as_deref(),
                delegated: &delegated,
            };
            (Trusted::restore(stored).map_err(refused)?.trusted, root)
        }
        (None, Some(first)) => (Trusted::from_root(first).map_err(refused)?, first),
        (None, None) => {
            return Err(Error::Refused {
                why: "there is no root metadata yet: bring it".into(),
            });
        }
    };
    let mut bytes = bytes.clone();
    if let (Some(_), Some(next)) = (&current.root, &publication.root) {
        trusted.update_root(next).map_err(refused)?;
        bytes.clone_from(next);
    }
    let version = trusted.root().version();
    Ok((trusted, (version, bytes)))
}

fn delegated(
    current: &Current,
    publication: &Publication,
) -> Result<BTreeMap<String, Versioned>, Error> {
    let mut all = BTreeMap::new();
    for (name, bytes) in &current.delegated {
        let role = Role::Delegated(name.clone());
        all.insert(name.clone(), (version(&role, bytes)?, bytes.clone()));
    }
    for (name, bytes) in &publication.delegated {
        let model = name.strip_prefix("models/").map(ModelId::parse);
        if !matches!(model, Some(Ok(_))) {
            return Err(Error::Refused {
                why: format!("{name:?} is not models/MODEL"),
            });
        }
        let role = Role::Delegated(name.clone());
        let before = current.delegated.get(name).map(Vec::as_slice);
        all.insert(name.clone(), next(&role, before, bytes)?);
    }
    Ok(all)
}

/// A document of a targets role that is the one before or of a later version.
fn next(role: &Role, before: Option<&[u8]>, bytes: &[u8]) -> Result<Versioned, Error> {
    let offered = version(role, bytes)?;
    let Some(before) = before.filter(|before| *before != bytes) else {
        return Ok((offered, bytes.to_vec()));
    };
    let newest = version(role, before)?;
    if offered <= newest {
        let why = format!(
            "version {offered} of {role} does not follow version {newest}, which is published: \
             make it anew on top of that"
        );
        return Err(Error::Conflict { why });
    }
    Ok((offered, bytes.to_vec()))
}

fn version(role: &Role, bytes: &[u8]) -> Result<u64, Error> {
    author::read_unverified::<Targets>(role, bytes)
        .map(|read| read.header.version)
        .map_err(refused)
}

fn delegates(trusted: &Trusted, name: &str) -> bool {
    let targets = trusted.targets(&Role::Targets);
    targets.is_some_and(|t| {
        t.document()
            .delegated()
            .iter()
            .any(|role| role.name == name)
    })
}
