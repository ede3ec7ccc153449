//! A hello: what the device has is recorded, and what it lacks is answered.
//!
//! Never believes it about another device, nor an older one after a newer one of the same boot.

use muster_protocol::cose::{self, KeySet};
use muster_protocol::digest::Digest;
use muster_protocol::id::{DeviceId, Nonce};
use muster_protocol::message::Hello;
use muster_protocol::time::UnixSeconds;
use serde_json::{Value, json};

use super::acknowledge::Stored;
use super::stream;
use crate::dispatch::{self, Director, DispatchError, When};
use crate::store::{HelloRecord, IncidentKind, StoreError, Tx};

/// Days before its end in which an assignment that was not taken up is dated anew.
const RENEW_DAYS: u64 = 1;

/// What became of a hello.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Taken {
    /// Answer it.
    Heard(Heard),
    /// It does not count.
    Dropped(String),
}

/// What to answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Heard {
    /// Signed time repeats it.
    pub(super) nonce: Nonce,
    /// The newest assignment, when the device has another.
    pub(super) assignment: Option<Vec<u8>>,
    /// What to acknowledge of its streams.
    pub(super) stored: Vec<Stored>,
}

/// Takes a hello.
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
    let key = tx.document_key(device)?;
    let mut scratch = vec![0; cose::scratch_len(bytes.len())];
    let keys = KeySet {
        keys: key.as_slice(),
        threshold: 1,
    };
    let hello = match cose::open::<Hello<'_>>(bytes, keys, &mut scratch) {
        Ok(hello) if hello.device == *device => hello.into_inner(),
        Ok(_) => return Ok(Taken::Dropped("it names another device".to_owned())),
        Err(refused) => return Ok(Taken::Dropped(refused.to_string())),
    };
    let last = tx.last_hello(device)?;
    if last.is_some_and(|(boot, at)| boot == hello.boot && hello.at < at) {
        return Ok(Taken::Dropped("it is older than the last one".to_owned()));
    }
    tx.record_hello(device, &record(&hello), now)?;
    if let Err(error) = catch_up(tx, director, &hello, now) {
        match error {
            DispatchError::Store(error) => return Err(error),
            // The device keeps what it has; a person finds the reason in the log.
            DispatchError::Compose(error) => {
                tracing::error!(%device, "failed to compose an assignment: because {error}");
            }
        }
    }
    let mut stored = Vec::new();
    for state in hello.streams.iter() {
        stored.extend(stream::heard(tx, device, &state, now)?);
    }
    stored.retain(|stored| stored.through.0 > 0 || !stored.rejected.is_empty());
    let assignment = missing_assignment(tx, &hello)?;
    Ok(Taken::Heard(Heard {
        nonce: hello.nonce,
        assignment,
        stored,
    }))
}

/// Makes a new assignment where the stored one cannot serve: after a restore of the controller,
/// for a new epoch of the director, or when it is about to end before it was taken up.
fn catch_up(
    tx: &Tx<'_>,
    director: &Director,
    hello: &Hello<'_>,
    now: UnixSeconds,
) -> Result<(), DispatchError> {
    let device = &hello.device;
    let newest = tx.newest_at(device)?.unwrap_or_default();
    let accepted = hello.accepted.unwrap_or_default();
    if accepted.epoch > director.epoch {
        let detail = format!("it accepted assignment {accepted}");
        tx.raise_incident(device, IncidentKind::UnknownEpoch, &detail, now)?;
        return Ok(());
    }
    if accepted > newest {
        let detail = format!("it accepted assignment {accepted}, the newest here is {newest}");
        tx.raise_incident(device, IncidentKind::ControllerBehind, &detail, now)?;
    }
    let Some(assignment) = tx.newest_assignment(device)? else {
        // Nothing was ever composed here: whatever the device runs is taken back only by a
        // rollout, whose generation lies above what the device has accepted.
        return Ok(());
    };
    let untaken = hello.accepted != Some(assignment.at);
    let ending = assignment.accept_by <= now.plus_days(RENEW_DAYS);
    if accepted > newest || newest.epoch < director.epoch || untaken && ending {
        dispatch::dispatch(tx, director, device, When::Always, now)?;
    }
    Ok(())
}

fn missing_assignment(tx: &Tx<'_>, hello: &Hello<'_>) -> Result<Option<Vec<u8>>, StoreError> {
    let newest = tx.newest_assignment(&hello.device)?;
    let other = newest.filter(|newest| {
        let digest = Digest::of(&newest.document);
        hello.accepted != Some(newest.at) || hello.assignment != Some(digest)
    });
    Ok(other.map(|newest| newest.document))
}

fn record(hello: &Hello<'_>) -> HelloRecord {
    HelloRecord {
        accepted: hello.accepted,
        digest: hello.assignment,
        agent: hello.agent.clone(),
        boot: hello.boot,
        at: hello.at,
        health: health(hello),
        metadata: metadata(hello),
    }
}

fn health(hello: &Hello<'_>) -> Value {
    let health = hello.health;
    json!({
        "memory_bytes": health.memory_bytes,
        "memory_available_bytes": health.memory_available_bytes,
        "disk_free_bytes": health.disk_free_bytes,
        "load_milli": health.load_milli,
        "temperature_milli_celsius": health.temperature_milli_celsius,
        "uptime_s": health.uptime_s,
    })
}

fn metadata(hello: &Hello<'_>) -> Value {
    let versions = hello.metadata;
    json!({
        "root": versions.root,
        "timestamp": versions.timestamp,
        "snapshot": versions.snapshot,
        "targets": versions.targets,
        "fleet": versions.fleet,
    })
}
