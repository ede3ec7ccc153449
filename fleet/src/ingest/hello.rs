//! A hello: what the device has is recorded, and what it lacks is answered.
//!
//! Never believes it about another device, nor an older one after a newer one of the same boot, nor
//! one of a held device that answers no challenge.

use muster_protocol::cose::{self, KeySet};
use muster_protocol::digest::Digest;
use muster_protocol::id::{DeviceId, Nonce};
use muster_protocol::message::Hello;
use muster_protocol::time::UnixSeconds;
use serde_json::{Value, json};

use super::acknowledge::Stored;
use super::held::{self, Question, Standing};
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
    /// What the device must answer or show before more is composed for it.
    pub(super) question: Question,
}

/// Takes a hello. `fresh` is a challenge that was never used.
///
/// # Errors
/// The store failed; nothing is kept.
pub(super) fn take(
    tx: &Tx<'_>,
    director: &Director,
    device: &DeviceId,
    bytes: &[u8],
    fresh: Nonce,
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
    let standing = held::judge(tx, director, &hello, fresh, now)?;
    let mut heard = Heard {
        nonce: hello.nonce,
        assignment: None,
        stored: Vec::new(),
        question: Question::default(),
    };
    match standing {
        Standing::Challenged(question) => {
            heard.question = question;
            return Ok(Taken::Heard(heard));
        }
        Standing::Held(question) => heard.question = question,
        Standing::Free | Standing::Released => {}
    }
    tx.record_hello(device, &record(&hello), now)?;
    tx.note_contact(device, now)?;
    tell_behind(tx, &hello, now)?;
    heard.stored = streams(tx, &hello, now)?;
    if let Standing::Free | Standing::Released = standing {
        bring_forward(tx, director, &hello, standing, now)?;
        heard.assignment = missing_assignment(tx, &hello)?;
    }
    Ok(Taken::Heard(heard))
}

fn streams(tx: &Tx<'_>, hello: &Hello<'_>, now: UnixSeconds) -> Result<Vec<Stored>, StoreError> {
    let mut stored = Vec::new();
    for state in hello.streams.iter() {
        stored.extend(stream::heard(tx, &hello.device, &state, now)?);
    }
    stored.retain(|stored| stored.through.0 > 0 || !stored.rejected.is_empty());
    Ok(stored)
}

/// Metadata that only offline keys can sign and that this controller has lost.
fn tell_behind(tx: &Tx<'_>, hello: &Hello<'_>, now: UnixSeconds) -> Result<(), StoreError> {
    let trusted = hello.metadata;
    let known = [
        ("root", trusted.root),
        ("targets", trusted.targets),
        ("fleet.json", trusted.fleet),
    ];
    for (role, version) in known {
        let newest = tx.newest_version(role)?;
        if version > newest {
            let detail = format!(
                "it trusts version {version} of {role}, the newest here is {newest}: publish what \
                 was signed since then again"
            );
            tx.raise_incident(&hello.device, IncidentKind::MetadataBehind, &detail, now)?;
        }
    }
    Ok(())
}

fn bring_forward(
    tx: &Tx<'_>,
    director: &Director,
    hello: &Hello<'_>,
    standing: Standing,
    now: UnixSeconds,
) -> Result<(), StoreError> {
    match catch_up(tx, director, hello, standing, now) {
        Ok(()) => Ok(()),
        Err(DispatchError::Store(error)) => Err(error),
        // The device keeps what it has; a person finds the reason in the log.
        Err(DispatchError::Compose(error)) => {
            tracing::error!(device = %hello.device, "failed to compose an assignment: because {error}");
            Ok(())
        }
    }
}

/// Makes a new assignment where the stored one cannot serve: for a new epoch of the director, when
/// it is about to end before it was taken up, or for what was asked while the device was held.
fn catch_up(
    tx: &Tx<'_>,
    director: &Director,
    hello: &Hello<'_>,
    standing: Standing,
    now: UnixSeconds,
) -> Result<(), DispatchError> {
    let device = &hello.device;
    let accepted = hello.accepted.unwrap_or_default();
    if accepted.epoch > director.epoch {
        let detail = format!("it accepted assignment {accepted}");
        tx.raise_incident(device, IncidentKind::UnknownEpoch, &detail, now)?;
        return Ok(());
    }
    if standing == Standing::Released {
        dispatch::dispatch(tx, director, device, When::Changed, now)?;
    }
    let Some(assignment) = tx.newest_assignment(device)? else {
        // Nothing was ever composed here: whatever the device runs is taken back only by a
        // rollout, whose generation lies above what the device has accepted.
        return Ok(());
    };
    let untaken = hello.accepted != Some(assignment.at);
    let ending = assignment.accept_by <= now.plus_days(RENEW_DAYS);
    if assignment.at.epoch < director.epoch || untaken && ending {
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
