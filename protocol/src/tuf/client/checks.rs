//! The checks that several steps of the workflow share: expiry, rollback, equal content, listings
//! that must not shrink. They compare documents already verified and verify none themselves.

use alloc::collections::BTreeMap;
use alloc::string::String;

use super::super::metadata::{Document, FileMeta, Signed};
use super::super::refused::Refused;
use super::super::role::Role;
use super::Update;

/// How expiry is judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expiry {
    /// Against the fixed start of the update (5.1).
    Enforced {
        /// Unix seconds.
        now_s: u64,
    },
    /// Not at all.
    Ignored(Unjudged),
}

/// Why expiry is not judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unjudged {
    /// The device has no time it trusts.
    UntrustedTime,
    /// It was judged when the document was accepted.
    AlreadyAccepted,
}

impl Expiry {
    pub(super) fn check<T: Document>(self, role: &Role, signed: &Signed<T>) -> Result<(), Refused> {
        let at_s = signed.document().header().expires_s;
        match self {
            Self::Enforced { now_s } if at_s <= now_s => Err(Refused::Expired {
                role: role.clone(),
                at_s,
            }),
            Self::Enforced { .. } | Self::Ignored(_) => Ok(()),
        }
    }
}

/// Compares the bytes: a document signed anew must replace the old one even if its content is the
/// same, because the one above it lists the digest of the new bytes.
pub(super) fn keep<T: Document>(place: &mut Option<Signed<T>>, next: Signed<T>) -> Update {
    let unchanged = place
        .as_ref()
        .is_some_and(|trusted| trusted.sha256() == next.sha256() && trusted.by() == next.by());
    if unchanged {
        return Update::Unchanged;
    }
    *place = Some(next);
    Update::Accepted
}

pub(super) fn not_older(role: &Role, trusted: u64, offered: u64) -> Result<(), Refused> {
    if offered < trusted {
        return Err(Refused::Rollback {
            role: role.clone(),
            trusted,
            offered,
        });
    }
    Ok(())
}

pub(super) fn same_content<T: Document>(
    role: &Role,
    trusted: &Signed<T>,
    next: &Signed<T>,
) -> Result<(), Refused> {
    let version = next.version();
    if trusted.version() == version && !trusted.same_content(next) {
        return Err(Refused::SameVersionDifferentBytes {
            role: role.clone(),
            version,
        });
    }
    Ok(())
}

pub(super) fn still_listed(
    before: &BTreeMap<String, FileMeta>,
    after: &BTreeMap<String, FileMeta>,
) -> Result<(), Refused> {
    for (name, trusted) in before {
        let role = Role::of_listed_name(name);
        match after.get(name) {
            None => return Err(Refused::MissingRole { role }),
            Some(offered) => not_older(&role, trusted.version, offered.version)?,
        }
    }
    Ok(())
}
