//! Whether an assignment is taken up.
//!
//! Pure judgement of signed bytes; never starts anything and never stores anything.

use crate::facts::Facts;
use core::fmt;
use muster_protocol::cose::{self, Refused, Verified};
use muster_protocol::digest::Digest;
use muster_protocol::id::{DeviceId, EpochGeneration};
use muster_protocol::message::Assignment;
use muster_protocol::time::UnixSeconds;

/// What a device accepted last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Accepted {
    /// Its place.
    pub at: EpochGeneration,
    /// Digest of its signed bytes.
    pub digest: Digest,
}

/// Why an assignment is not taken up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotAccepted {
    /// It does not open with the director's keys.
    Signature(Refused),
    /// It is for another device.
    OtherDevice,
    /// It comes from another director than the one that `fleet.json` names.
    OtherEpoch,
    /// A newer one was accepted.
    Old {
        /// What was accepted.
        accepted: EpochGeneration,
    },
    /// The very same one was accepted.
    Repeated,
    /// Another one with the same place was accepted: the director signed two.
    Forked,
    /// There is no trusted time to judge `accept_by` with: ask for time first.
    TimeUnknown,
    /// `accept_by` has passed.
    Expired {
        /// Until when it could be taken up.
        accept_by: UnixSeconds,
    },
    /// Two entries name one model, or an entry is newer than its assignment.
    Inconsistent,
}

impl fmt::Display for NotAccepted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Signature(refused) => write!(f, "{refused}"),
            Self::OtherDevice => f.write_str("it is for another device"),
            Self::OtherEpoch => f.write_str("it comes from another director than fleet.json names"),
            Self::Old { accepted } => write!(f, "{accepted} was accepted already"),
            Self::Repeated => f.write_str("it was accepted already"),
            Self::Forked => f.write_str("another assignment with the same number was accepted"),
            Self::TimeUnknown => f.write_str("no trusted time yet to judge its expiry"),
            Self::Expired { accept_by } => write!(f, "it could be accepted until {}", accept_by.0),
            Self::Inconsistent => f.write_str("its entries contradict each other"),
        }
    }
}

/// Opens and judges an assignment.
///
/// `scratch` must hold [`cose::scratch_len`] bytes.
///
/// # Errors
/// [`NotAccepted`], by the first check that fails.
pub fn accept<'b, const MODELS: usize>(
    bytes: &'b [u8],
    me: &DeviceId,
    facts: &Facts<MODELS>,
    last: Option<Accepted>,
    unix: Option<UnixSeconds>,
    scratch: &mut [u8],
) -> Result<Verified<Assignment<'b>>, NotAccepted> {
    let opened = cose::open::<Assignment<'b>>(bytes, facts.director.as_set(), scratch)
        .map_err(NotAccepted::Signature)?;
    if opened.device != *me {
        return Err(NotAccepted::OtherDevice);
    }
    if opened.at.epoch != facts.epoch {
        return Err(NotAccepted::OtherEpoch);
    }
    newer(opened.at, bytes, last)?;
    let unix = unix.ok_or(NotAccepted::TimeUnknown)?;
    if unix > opened.accept_by {
        return Err(NotAccepted::Expired { accept_by: opened.accept_by });
    }
    if !consistent(&opened) {
        return Err(NotAccepted::Inconsistent);
    }
    Ok(opened)
}

fn newer(at: EpochGeneration, bytes: &[u8], last: Option<Accepted>) -> Result<(), NotAccepted> {
    let Some(last) = last else { return Ok(()) };
    if at > last.at {
        Ok(())
    } else if at < last.at {
        Err(NotAccepted::Old { accepted: last.at })
    } else if Digest::of(bytes) == last.digest {
        Err(NotAccepted::Repeated)
    } else {
        Err(NotAccepted::Forked)
    }
}

fn consistent(assignment: &Assignment<'_>) -> bool {
    let entries = || assignment.entries.iter();
    entries().all(|entry| {
        entry.since <= assignment.at
            && entries().filter(|other| other.model == entry.model).count() == 1
    })
}
