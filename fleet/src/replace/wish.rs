//! The root and the `fleet.json` under which new keys count.
//!
//! Pure. Floors, revocations and whatever else is not named stay as they are.

use ed25519_dalek::SigningKey;
use muster_protocol::time::UnixSeconds;
use muster_protocol::tuf::author::key_of;
use muster_protocol::tuf::{self, FleetDocument, Role};

use super::With;
use super::next::Files;
use crate::controller::Keys;
use crate::own_metadata::{ROOT_DAYS, VersionFloor};
use crate::signing::{Ground, NewController, NewFleet, NewRoot, Wanted};

pub(super) use muster_protocol::tuf::fleet_document::PATH as FLEET;

/// What is proposed.
///
/// # Errors
/// A document that cannot be written.
pub(super) fn of(
    ground: &Ground,
    files: &Files,
    with: &With,
    floor: VersionFloor,
    now: UnixSeconds,
) -> Result<Wanted, String> {
    let fleet = next_fleet(&ground.fleet, files, with, floor, now);
    let bytes = fleet.encode().map_err(|error| error.to_string())?;
    let root = files.keys.as_ref().map(|keys| next_root(ground, keys, now));
    Ok(Wanted::Controller(NewController {
        root: root.transpose()?,
        fleet: NewFleet {
            fleet: String::from_utf8(bytes).map_err(|error| error.to_string())?,
            proposed_at_s: now.0,
            version_floor: floor.asked(),
        },
    }))
}

/// New keys of the director begin a new epoch: what the old ones sign is below it for ever.
fn next_fleet(
    before: &FleetDocument,
    files: &Files,
    with: &With,
    floor: VersionFloor,
    now: UnixSeconds,
) -> FleetDocument {
    let public = |key: &SigningKey| vec![tuf::Hex(key.verifying_key().to_bytes())];
    let mut next = before.clone();
    next.version = floor.after(before.version);
    next.issued_at_s = now.0.max(before.issued_at_s);
    if let Some(keys) = &files.keys {
        next.director_epoch = before.director_epoch.saturating_add(1);
        next.director.keys = public(&keys.director);
        next.ack_keys = public(&keys.ack);
        next.time_keys = public(&keys.time);
    }
    if let Some(founded) = &files.founded {
        next.ca_certificates = vec![founded.root_pem.clone()];
    }
    if let Some(url) = &with.mqtt {
        next.endpoints.mqtt = url.to_string();
    }
    if let Some(url) = &with.enroll {
        next.endpoints.enroll = url.to_string();
    }
    next
}

fn next_root(ground: &Ground, keys: &Keys, now: UnixSeconds) -> Result<NewRoot, String> {
    let mut root = ground.root.clone();
    root.header.version = root.header.version.saturating_add(1);
    root.header.expires_s = now.plus_days(ROOT_DAYS).0;
    root.authorize(&Role::Snapshot, &[key_of(&keys.snapshot)], 1);
    root.authorize(&Role::Timestamp, &[key_of(&keys.timestamp)], 1);
    Ok(NewRoot {
        root: serde_json::to_value(&root).map_err(|error| error.to_string())?,
        proposed_at_s: now.0,
    })
}
