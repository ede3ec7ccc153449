//! Composing one device's next assignment inside a transaction: its generation, its entries and
//! its signed bytes are stored together, before anything is sent.
//!
//! Never sends: whoever committed does.

use ed25519_dalek::SigningKey;
use muster_fleet::compose::{self, CannotCompose};
use muster_protocol::cbor::List;
use muster_protocol::cose::{self, Document as _};
use muster_protocol::id::{DeviceId, Epoch};
use muster_protocol::message::{Assignment, Entry};
use muster_protocol::time::UnixSeconds;

use crate::store::{IncidentKind, StoreError, StoredAssignment, Tx};

/// Days in which a device may take an assignment up.
const ACCEPT_DAYS: u64 = 30;

/// Who signs assignments.
#[derive(Clone)]
pub(crate) struct Director {
    /// Its key, which `fleet.json` names.
    pub(crate) key: SigningKey,
    /// Its epoch, from `fleet.json`.
    pub(crate) epoch: Epoch,
}

/// When to make a new assignment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum When {
    /// Only when an entry differs.
    Changed,
    /// Also when none differs: its place in the order or its dates must move.
    Always,
}

/// Why there is no new assignment.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DispatchError {
    /// It cannot be composed.
    #[error(transparent)]
    Compose(#[from] CannotCompose),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// As [`dispatch`], for one of many devices: what a device says about its own place in the order
/// must not stop the others. It keeps what it has, and an incident tells people.
///
/// # Errors
/// [`DispatchError`], for what does not come from the device.
pub(crate) fn dispatch_one_of_many(
    tx: &Tx<'_>,
    director: &Director,
    device: &DeviceId,
    when: When,
    now: UnixSeconds,
) -> Result<Option<StoredAssignment>, DispatchError> {
    match dispatch(tx, director, device, when, now) {
        Err(DispatchError::Compose(
            why @ (CannotCompose::GenerationsExhausted | CannotCompose::LaterEpoch(_)),
        )) => {
            tx.raise_incident(device, IncidentKind::NotComposed, &why.to_string(), now)?;
            Ok(None)
        }
        made => made,
    }
}

/// Composes, signs and stores the next assignment of a device; none when nothing changed, while
/// the device is held, or when there is no such device.
///
/// # Errors
/// [`DispatchError`].
pub(crate) fn dispatch(
    tx: &Tx<'_>,
    director: &Director,
    device: &DeviceId,
    when: When,
    now: UnixSeconds,
) -> Result<Option<StoredAssignment>, DispatchError> {
    let Some(newest) = tx.newest_at(device)? else {
        return Ok(None);
    };
    if tx.held(device)?.is_some() {
        return Ok(None);
    }
    let (accepted, floor) = (tx.accepted_at(device)?, tx.generation_floor(device)?);
    let at = compose::next_at(director.epoch, newest, accepted, floor)?;
    let standing = tx.newest_entries(device)?;
    let entries = compose::entries(&standing, &tx.desired(device)?, at)?;
    if when == When::Changed && entries == standing {
        return Ok(None);
    }
    let listed: Vec<Entry> = entries.iter().map(|stored| stored.entry.clone()).collect();
    let accept_by = now.plus_days(ACCEPT_DAYS);
    let assignment = Assignment {
        device: device.clone(),
        at,
        issued_at: now,
        accept_by,
        entries: List::of(&listed),
    };
    let document = cose::seal_vec(&assignment, &director.key);
    if document.len() > Assignment::BYTES_MAX {
        return Err(CannotCompose::TooLarge.into());
    }
    let stored = StoredAssignment {
        at,
        issued_at: now,
        accept_by,
        document,
    };
    tx.add_assignment(device, &stored, &entries)?;
    Ok(Some(stored))
}
