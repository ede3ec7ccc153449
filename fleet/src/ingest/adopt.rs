//! The assignment that a held device shows: checked against the director's own signature, and made
//! the base of the next one, so that nothing on the device goes back.
//!
//! Never takes what was not asked for: the digest is that of a hello that answered a challenge.

use muster_protocol::cose::{self, KeySet};
use muster_protocol::digest::Digest;
use muster_protocol::id::DeviceId;
use muster_protocol::key::PublicKey;
use muster_protocol::message::{Assignment, Entry, Role};
use muster_protocol::time::UnixSeconds;

use crate::dispatch::{Director, DispatchError, When, dispatch};
use crate::store::{
    Claim, DesiredRow, IncidentKind, StoreError, StoredAssignment, StoredEntry, Tx,
};

/// What became of a shown assignment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Taken {
    /// The device is held no longer; its next assignment, when it shall run something else.
    Adopted(Option<StoredAssignment>),
    /// It changes nothing.
    Dropped(String),
}

/// Takes an assignment that a device shows.
///
/// # Errors
/// The store failed; nothing is kept.
pub(super) fn take(
    tx: &Tx<'_>,
    director: &Director,
    device: &DeviceId,
    bytes: &[u8],
    now: UnixSeconds,
) -> Result<Taken, StoreError> {
    let held = tx.held(device)?;
    let Some((held, claim)) = held.and_then(|held| held.claim.map(|claim| (held, claim))) else {
        return Ok(Taken::Dropped("nobody asked for it".to_owned()));
    };
    if Digest::of(bytes) != claim.digest {
        let because = "it is not the one that its hello names";
        return Ok(Taken::Dropped(because.to_owned()));
    }
    let assignment = match open(director, device, claim, bytes) {
        Ok(assignment) => assignment,
        Err(why) => {
            let because = format!("its assignment {} cannot be adopted: {why}", claim.at);
            tx.raise_incident(device, IncidentKind::NotAdopted, &because, now)?;
            tx.set_refused(device, &because)?;
            return Ok(Taken::Dropped(because));
        }
    };
    adopt(tx, &assignment, bytes, held.rollouts_before)?;
    tell_missing(tx, &assignment, now)?;
    tx.end_hold(device)?;
    let when = if claim.at.epoch < director.epoch {
        When::Always
    } else {
        When::Changed
    };
    match dispatch(tx, director, device, when, now) {
        Ok(next) => Ok(Taken::Adopted(next)),
        Err(DispatchError::Store(error)) => Err(error),
        Err(DispatchError::Compose(why)) => {
            tx.raise_incident(device, IncidentKind::NotComposed, &why.to_string(), now)?;
            Ok(Taken::Adopted(None))
        }
    }
}

/// Opens it with the director's own key; the reason when it is not what it should be.
fn open<'b>(
    director: &Director,
    device: &DeviceId,
    claim: Claim,
    bytes: &'b [u8],
) -> Result<Assignment<'b>, String> {
    let keys: [PublicKey; 1] = [director.key.verifying_key().into()];
    let mut scratch = vec![0; cose::scratch_len(bytes.len())];
    let keys = KeySet {
        keys: &keys,
        threshold: 1,
    };
    let opened = cose::open::<Assignment<'b>>(bytes, keys, &mut scratch);
    let assignment = opened
        .map_err(|refused| format!("this director did not sign it ({refused})"))?
        .into_inner();
    let entries = || assignment.entries.iter();
    let same = |one: &Entry, other: &Entry| one.model == other.model && one.role == other.role;
    let twice = |entry: &Entry| entries().filter(|other| same(other, entry)).count() > 1;
    if assignment.device != *device {
        return Err("it is for another device".to_owned());
    }
    if assignment.at != claim.at {
        return Err(format!("it is assignment {}", assignment.at));
    }
    if entries().any(|entry| twice(&entry)) {
        return Err("two of its entries name one model in one role".to_owned());
    }
    Ok(assignment)
}

/// What the device runs becomes what it shall run, but for what was asked of it since it is held.
fn adopt(
    tx: &Tx<'_>,
    assignment: &Assignment<'_>,
    bytes: &[u8],
    rollouts_before: i64,
) -> Result<(), StoreError> {
    let device = &assignment.device;
    let (standing, desired) = (tx.newest_entries(device)?, tx.desired(device)?);
    let newer = |row: &DesiredRow| row.rollout > rollouts_before;
    for row in desired.iter().filter(|row| !newer(row)) {
        if !assignment.entries.iter().any(|entry| is_of(&entry, row)) {
            tx.remove_desired(device, &row.model, row.role)?;
        }
    }
    let mut entries = Vec::new();
    for entry in assignment.entries.iter() {
        let row = desired.iter().find(|row| is_of(&entry, row));
        let attempt = match row {
            Some(row) if newer(row) => attempt_before(&standing, &entry),
            Some(row) if wants(row, &entry) => row.attempt,
            Some(_) | None => {
                tx.set_adopted(device, &entry, 0)?;
                0
            }
        };
        entries.push(StoredEntry { entry, attempt });
    }
    let serves = |stored: &StoredEntry| stored.entry.role == Role::Serve;
    entries.sort_by(|a, b| {
        let models = a.entry.model.cmp(&b.entry.model);
        models.then(serves(b).cmp(&serves(a)))
    });
    let stored = StoredAssignment {
        at: assignment.at,
        issued_at: assignment.issued_at,
        accept_by: assignment.accept_by,
        document: bytes.to_vec(),
    };
    tx.adopt_assignment(device, &stored, &entries)
}

/// Whether both are about one model in one role.
fn is_of(entry: &Entry, row: &DesiredRow) -> bool {
    entry.model == row.model && entry.role == row.role
}

/// Whether the store wants of a model just what the device has.
fn wants(row: &DesiredRow, entry: &Entry) -> bool {
    (&row.version, row.statement, row.settings) == (&entry.version, entry.statement, entry.settings)
}

/// Which attempt the entry was, as far as the store knows: a newer wish may be a deliberate retry.
fn attempt_before(standing: &[StoredEntry], entry: &Entry) -> u32 {
    let same = |stored: &&StoredEntry| {
        let stored = &stored.entry;
        (&stored.model, stored.role, &stored.version) == (&entry.model, entry.role, &entry.version)
    };
    standing
        .iter()
        .find(same)
        .map_or(0, |stored| stored.attempt)
}

/// Releases that the device runs and this store lacks. One that was published again since is there:
/// its statement was signed anew, and so differs.
fn tell_missing(
    tx: &Tx<'_>,
    assignment: &Assignment<'_>,
    now: UnixSeconds,
) -> Result<(), StoreError> {
    for entry in assignment.entries.iter() {
        if tx.statement(&entry.model, &entry.version)?.is_some() {
            continue;
        }
        let detail = format!(
            "it shall run {} {}, whose release is not in this store: publish it again with \
             `muster release --after-restore`",
            entry.model, entry.version
        );
        tx.raise_incident(
            &assignment.device,
            IncidentKind::ReleaseMissing,
            &detail,
            now,
        )?;
    }
    Ok(())
}
