//! Metadata that a controller hands out, for those who sign over it: it is believed only where
//! our own key has signed it. Otherwise a stolen controller could have its own wishes signed.
//!
//! Signs nothing itself.

use ed25519_dalek::{Signature, SigningKey};
use muster_protocol::digest::decode_hex;
use muster_protocol::time::UnixSeconds;
use muster_protocol::tuf::{Envelope, Refused, Role, Targets, author};

use crate::error::{Exit, OperatorError};
use crate::output::note;

/// Days that a root is valid: the ceremony that replaces it is rare.
pub(crate) const ROOT_DAYS: u64 = 5 * 365;
/// Days that targets are valid: they are renewed with every key or floor that changes, and at
/// least once a year.
pub(crate) const TARGETS_DAYS: u64 = 365;

/// Furthest that a controller may make versions jump: what restores ask for in some decades, and
/// far from where a stolen one would have used them up.
const VERSION_JUMP_MAX: u64 = 1 << 48;

/// Says so before versions jump, and lets them only where the operator knows of a restore.
///
/// # Errors
/// Nobody said that the controller was restored.
pub(crate) fn agree_to_jump(what: &str, restored: Restored) -> Result<(), OperatorError> {
    note(JUMP);
    match restored {
        Restored::Known => Ok(()),
        Restored::NotSaid => Err(OperatorError::new(
            Exit::Refused,
            what,
            "the controller makes versions jump",
            "add --after-restore if it was restored from a backup; otherwise find out who asks for it",
        )),
    }
}

/// Whether the operator says that the controller was restored from a backup.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Restored {
    /// It was.
    Known,
    /// Nobody said so.
    NotSaid,
}

impl From<bool> for Restored {
    fn from(after_restore: bool) -> Self {
        if after_restore {
            Self::Known
        } else {
            Self::NotSaid
        }
    }
}

/// What a person hears before versions jump. A stolen controller could say that it was restored,
/// and hand out what our own key signed long ago.
const JUMP: &str = "\
warning: the controller says that it was restored from a backup, so that versions jump. What it
handed out may be old: whatever was signed after the backup (revocations, floors, CAs, keys,
releases) is not in it, and is gone for devices once this is signed. If nobody restored it, do not
sign.";

/// Why nothing is signed over a document.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotOurs {
    /// Somebody else signed it.
    #[error("the controller's metadata of {0} is not signed by our key")]
    Foreign(Role),
    /// It is no such document.
    #[error("the controller's metadata cannot be read: {0}")]
    Unreadable(#[from] Refused),
    /// It would use up the versions.
    #[error("the controller asks for version {0} of {1}, far above the one before")]
    FarVersion(u64, Role),
}

/// The lowest version that new metadata may have: a controller that was restored from a backup
/// names one, since devices may have seen what it lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct VersionFloor(u64);

impl VersionFloor {
    /// Of a controller that was never restored.
    pub(crate) const NONE: Self = Self(1);

    /// What the controller asks for, where the newest version of `role` is `before`.
    ///
    /// # Errors
    /// [`NotOurs::FarVersion`].
    pub(crate) fn of(asked: u64, role: &Role, before: u64) -> Result<Self, NotOurs> {
        if asked <= before.saturating_add(VERSION_JUMP_MAX) {
            return Ok(Self(asked.max(Self::NONE.0)));
        }
        Err(NotOurs::FarVersion(asked, role.clone()))
    }

    /// As the controller asks for it.
    pub(crate) fn asked(self) -> u64 {
        self.0
    }

    /// The version that follows `before`.
    pub(crate) fn after(self, before: u64) -> u64 {
        before.saturating_add(1).max(self.0)
    }

    /// Whether that is more than one further: the controller asks for it.
    pub(crate) fn jumps(self, before: u64) -> bool {
        self.after(before) > before.saturating_add(1)
    }
}

/// A document that `key` has signed.
///
/// # Errors
/// [`NotOurs`].
pub(crate) fn own(role: &Role, bytes: &[u8], key: &SigningKey) -> Result<Targets, NotOurs> {
    if !has_signed(key, &Envelope::parse(role, bytes)?) {
        return Err(NotOurs::Foreign(role.clone()));
    }
    Ok(author::read_unverified(role, bytes)?)
}

/// The next version of a targets document, nowhere below the floor, valid from now.
pub(crate) fn next(before: Option<Targets>, floor: VersionFloor, now: UnixSeconds) -> Targets {
    let expires_s = now.plus_days(TARGETS_DAYS).0;
    let Some(mut targets) = before else {
        return Targets::new(floor.after(0), expires_s);
    };
    targets.header.version = floor.after(targets.header.version);
    targets.header.expires_s = expires_s;
    targets
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_resume_where_a_restored_controller_asks_for() {
        let check = |asked: u64, before: u64, expect: Option<u64>| {
            let floor = VersionFloor::of(asked, &Role::Targets, before);
            assert_eq!(
                floor.ok().map(|floor| floor.after(before)),
                expect,
                "{asked}"
            );
        };
        check(0, 4, Some(5));
        check(1, 0, Some(1));
        check(1 << 32, 4, Some(1 << 32));
        check(7, 7, Some(8));
        check(u64::MAX, 4, None);
    }

    #[test]
    fn versions_jump_only_when_the_controller_asks_for_it() {
        let check = |asked: u64, before: u64, expect: bool| {
            let floor = VersionFloor::of(asked, &Role::Targets, before).expect("near");
            assert_eq!(floor.jumps(before), expect, "{asked} after {before}");
        };
        check(1, 0, false);
        check(1, 4, false);
        check(5, 4, false);
        check(6, 4, true);
        check(1 << 32, 4, true);
        check(1 << 32, 1 << 32, false);
    }
}
