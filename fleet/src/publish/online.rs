//! The two documents that the controller signs itself: which versions are current, and that they
//! still are. Never a document of another role.

use std::collections::BTreeMap;

use muster_protocol::time::UnixSeconds;
use muster_protocol::tuf::{Envelope, FileMeta, Role, Snapshot, Timestamp, author};

use super::stage::Versioned;
use crate::controller::{Error, Keys};

/// Days that a snapshot is valid.
const SNAPSHOT_DAYS: u64 = 7;
/// Days that a timestamp is valid.
const TIMESTAMP_DAYS: u64 = 1;
/// Seconds left of a timestamp below which it is signed anew.
const TIMESTAMP_LEFT_S: u64 = TIMESTAMP_DAYS * 86_400 / 2;
/// Seconds left of a snapshot below which it is signed anew.
const SNAPSHOT_LEFT_S: u64 = SNAPSHOT_DAYS * 86_400 / 2;

/// Whether a timestamp of ours has more than half of its life before it, and a version that may
/// still be given.
pub(super) fn is_fresh(timestamp: &[u8], version_floor: u64, now: UnixSeconds) -> bool {
    let read = author::read_unverified::<Timestamp>(&Role::Timestamp, timestamp);
    read.is_ok_and(|read| {
        let lives = read.header.expires_s > now.0.saturating_add(TIMESTAMP_LEFT_S);
        lives && read.header.version >= version_floor
    })
}

/// A snapshot that lists these documents: the one before while it says the same and lives.
pub(super) fn snapshot(
    before: Option<&[u8]>,
    listed: &BTreeMap<Role, Versioned>,
    version_floor: u64,
    keys: &Keys,
    now: UnixSeconds,
) -> Result<Versioned, Error> {
    let role = Role::Snapshot;
    let before = before.map(|bytes| {
        author::read_unverified::<Snapshot>(&role, bytes)
            .map(|read| (read, bytes))
            .map_err(refused)
    });
    let before = before.transpose()?;
    let version = before
        .as_ref()
        .map_or(1, |(read, _)| read.header.version.saturating_add(1))
        .max(version_floor);
    let mut next = Snapshot::new(version, now.plus_days(SNAPSHOT_DAYS).0);
    if let Some((before, _)) = &before {
        // A role once listed stays listed.
        next.meta.clone_from(&before.meta);
    }
    for (role, (version, bytes)) in listed {
        next.list(role, FileMeta::of(*version, bytes));
    }
    if let Some((before, bytes)) = &before {
        let lives = before.header.expires_s > now.0.saturating_add(SNAPSHOT_LEFT_S);
        let current = before.header.version >= version_floor;
        if lives && current && before.meta == next.meta {
            return Ok((before.header.version, bytes.to_vec()));
        }
    }
    let bytes = Envelope::signed_bytes(&next, &[&keys.snapshot]).map_err(refused)?;
    Ok((version, bytes))
}

/// The next timestamp over a snapshot.
pub(super) fn timestamp(
    before: Option<&[u8]>,
    snapshot: &Versioned,
    version_floor: u64,
    keys: &Keys,
    now: UnixSeconds,
) -> Result<Versioned, Error> {
    let role = Role::Timestamp;
    let before = before.map(|bytes| author::read_unverified::<Timestamp>(&role, bytes));
    let before = before.transpose().map_err(refused)?;
    let version = before
        .map_or(1, |read| read.header.version.saturating_add(1))
        .max(version_floor);
    let listed = FileMeta::of(snapshot.0, &snapshot.1);
    let next = Timestamp::new(version, now.plus_days(TIMESTAMP_DAYS).0, now.0, listed);
    let bytes = Envelope::signed_bytes(&next, &[&keys.timestamp]).map_err(refused)?;
    Ok((version, bytes))
}

/// A refusal of metadata, for the operator.
pub(super) fn refused(error: impl std::fmt::Display) -> Error {
    Error::Refused {
        why: error.to_string(),
    }
}
