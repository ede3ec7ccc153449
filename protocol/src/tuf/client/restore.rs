//! Rebuilds what was trusted from the stored bytes of each role. Signatures are verified again,
//! expiry is not. A stored document that does not verify under the stored root is dropped with its
//! reason: that is what a power cut between a new root and the forgetting of 5.3.11 leaves behind.

use alloc::vec::Vec;

use super::super::metadata::{Document, Signed, Targets};
use super::super::refused::Refused;
use super::super::role::Role;
use super::{Trusted, delegated_authority};

/// The stored bytes of each role, as they were accepted.
#[derive(Debug, Clone, Copy, Default)]
pub struct Stored<'a> {
    /// The newest accepted root.
    pub root: &'a [u8],
    /// The newest accepted timestamp.
    pub timestamp: Option<&'a [u8]>,
    /// The newest accepted snapshot.
    pub snapshot: Option<&'a [u8]>,
    /// The newest accepted top-level targets.
    pub targets: Option<&'a [u8]>,
    /// Name and bytes of delegated roles, delegators before those they delegate to.
    pub delegated: &'a [(&'a str, &'a [u8])],
}

/// What could be rebuilt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restored {
    /// What is trusted again.
    pub trusted: Trusted,
    /// What no longer is.
    pub dropped: Vec<Dropped>,
}

/// A stored document that no longer verifies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dropped {
    /// Whose document.
    pub role: Role,
    /// Why.
    pub because: Refused,
}

impl Trusted {
    /// Rebuilds the state of an earlier run.
    ///
    /// # Errors
    /// A refusal of the root; without it nothing is trusted.
    pub fn restore(stored: Stored<'_>) -> Result<Restored, Refused> {
        let mut trusted = Self::from_root(stored.root)?;
        let mut dropped = Vec::new();
        trusted.timestamp = trusted.restored(&Role::Timestamp, stored.timestamp, &mut dropped);
        trusted.snapshot = trusted.restored(&Role::Snapshot, stored.snapshot, &mut dropped);
        trusted.targets = trusted.restored(&Role::Targets, stored.targets, &mut dropped);
        for (name, bytes) in stored.delegated {
            let role = Role::Delegated((*name).into());
            let result = trusted.restore_delegated(&role, bytes);
            let signed = kept(&role, result, &mut dropped);
            trusted
                .delegated
                .extend(signed.map(|signed| ((*name).into(), signed)));
        }
        Ok(Restored { trusted, dropped })
    }

    fn restored<T: Document>(
        &self,
        role: &Role,
        bytes: Option<&[u8]>,
        dropped: &mut Vec<Dropped>,
    ) -> Option<Signed<T>> {
        let result = Signed::verify(role, self.authority(role), bytes?);
        kept(role, result, dropped)
    }

    /// By whichever restored document delegates to it with keys that fit.
    fn restore_delegated(&self, role: &Role, bytes: &[u8]) -> Result<Signed<Targets>, Refused> {
        let mut result = Err(Refused::MissingRole { role: role.clone() });
        for parent in self.targets.iter().chain(self.delegated.values()) {
            if let Ok(by) = delegated_authority(parent.document(), role) {
                result = Signed::verify(role, by, bytes);
            }
            if result.is_ok() {
                break;
            }
        }
        result
    }
}

fn kept<T>(
    role: &Role,
    result: Result<Signed<T>, Refused>,
    dropped: &mut Vec<Dropped>,
) -> Option<Signed<T>> {
    result
        .map_err(|because| {
            dropped.push(Dropped {
                role: role.clone(),
                because,
            })
        })
        .ok()
}
