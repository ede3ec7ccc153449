//! What a hello means for a device that is held: which of them counts, and what the device must
//! show before anything is composed for it.
//!
//! Never believes a hello that answers no challenge: it may be an old one, said again by a broker.

use muster_protocol::id::{EpochGeneration, Generation, Nonce};
use muster_protocol::message::{Hello, Show};
use muster_protocol::time::UnixSeconds;

use crate::dispatch::Director;
use crate::store::{Claim, HeldRow, HoldReason, IncidentKind, StoreError, Tx};
use muster_fleet::compose::higher_floor;

/// Far above what a lost controller can have composed in the meantime.
const BEHIND_STEP: u64 = 1 << 32;

/// What the answer asks of the device, beside telling the time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Question {
    /// The next hello must repeat it.
    pub(super) challenge: Option<Nonce>,
    /// What to show.
    pub(super) show: Option<Show>,
}

/// How far a hello counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// Wholly: the device is not held.
    Free,
    /// Wholly: the device was held until now.
    Released,
    /// It says what is there, but the device stays held.
    Held(Question),
    /// Not at all.
    Challenged(Question),
}

/// Judges a hello whose signature holds. `fresh` is a challenge that was never used.
///
/// # Errors
/// The store failed.
pub(super) fn judge(
    tx: &Tx<'_>,
    director: &Director,
    hello: &Hello<'_>,
    fresh: Nonce,
    now: UnixSeconds,
) -> Result<Standing, StoreError> {
    if tx.held(&hello.device)?.is_none() && is_behind(tx, director, hello)? {
        hold_behind(tx, hello, now)?;
    }
    let Some(held) = tx.held(&hello.device)? else {
        return Ok(Standing::Free);
    };
    if held.challenge.is_none() || hello.challenge != held.challenge {
        return challenge(tx, hello, &held, fresh);
    }
    // Used up: the same hello said again is an old one.
    tx.set_challenge(&hello.device, None)?;
    answered(tx, director, hello, now)
}

/// Whether the device has accepted what this controller has never composed, without having been
/// restored by the book: somebody put an old state in place. A director of a new epoch begins
/// anew by right.
fn is_behind(tx: &Tx<'_>, director: &Director, hello: &Hello<'_>) -> Result<bool, StoreError> {
    let Some(accepted) = hello.accepted else {
        return Ok(false);
    };
    let newest = tx.newest_at(&hello.device)?.unwrap_or_default();
    if accepted.epoch != director.epoch || hello.assignment.is_none() {
        return Ok(accepted > newest && accepted.epoch == director.epoch);
    }
    // Also another one with the same number: the device would take up neither ours nor its like.
    Ok(!is_known(tx, hello, accepted)?)
}

fn hold_behind(tx: &Tx<'_>, hello: &Hello<'_>, now: UnixSeconds) -> Result<(), StoreError> {
    let device = &hello.device;
    let accepted = hello.accepted.unwrap_or_default();
    let newest = tx.newest_at(device)?.unwrap_or_default();
    let detail = format!("it accepted assignment {accepted}, the newest here is {newest}");
    tx.raise_incident(device, IncidentKind::ControllerBehind, &detail, now)?;
    let highest = higher_floor(accepted, tx.generation_floor(device)?);
    let generation = highest.generation.0.saturating_add(BEHIND_STEP);
    let floor = EpochGeneration {
        generation: Generation(generation),
        ..highest
    };
    tx.raise_generation_floor(device, floor)?;
    tx.hold(device, HoldReason::Behind, now)
}

/// One question at a time: a broker that repeats old hellos does not make the answer late.
fn challenge(
    tx: &Tx<'_>,
    hello: &Hello<'_>,
    held: &HeldRow,
    fresh: Nonce,
) -> Result<Standing, StoreError> {
    let challenge = held.challenge.unwrap_or(fresh);
    tx.set_challenge(&hello.device, Some(challenge))?;
    Ok(Standing::Challenged(Question {
        challenge: Some(challenge),
        show: None,
    }))
}

/// A hello that counts: either the store knows what the device has accepted, or it must show it.
fn answered(
    tx: &Tx<'_>,
    director: &Director,
    hello: &Hello<'_>,
    now: UnixSeconds,
) -> Result<Standing, StoreError> {
    let device = &hello.device;
    let accepted = hello.accepted.unwrap_or_default();
    if accepted.epoch > director.epoch {
        let epoch = accepted.epoch;
        let because = format!(
            "it follows director epoch {epoch}, and this controller is of {}: publish the \
             fleet.json of that epoch",
            director.epoch
        );
        tx.raise_incident(device, IncidentKind::UnknownEpoch, &because, now)?;
        tx.set_refused(device, &because)?;
        return Ok(Standing::Held(Question::default()));
    }
    if is_known(tx, hello, accepted)? {
        tx.end_hold(device)?;
        return Ok(Standing::Released);
    }
    let Some(digest) = hello.assignment else {
        let because = format!("it does not say which bytes its assignment {accepted} has");
        tx.raise_incident(device, IncidentKind::NotAdopted, &because, now)?;
        tx.set_refused(device, &because)?;
        return Ok(Standing::Held(Question::default()));
    };
    tx.set_claim(
        device,
        Claim {
            at: accepted,
            digest,
        },
    )?;
    Ok(Standing::Held(Question {
        challenge: None,
        show: Some(Show::Assignment),
    }))
}

/// Whether nothing was accepted that this store does not have: generations only grow, so an
/// older one than the newest here was composed before the backup.
fn is_known(tx: &Tx<'_>, hello: &Hello<'_>, accepted: EpochGeneration) -> Result<bool, StoreError> {
    let newest = tx.newest_at(&hello.device)?.unwrap_or_default();
    if accepted != newest || hello.accepted.is_none() {
        return Ok(accepted <= newest);
    }
    let stored = tx.newest_assignment(&hello.device)?;
    let digest = stored.map(|stored| muster_protocol::digest::Digest::of(&stored.document));
    Ok(digest.is_some() && digest == hello.assignment)
}
