//! What to fetch next, and what is current: a document counts as current only while the one above
//! it lists exactly these bytes and gives the same keys the say.

use alloc::string::String;

use super::super::metadata::{FileMeta, Signed, Snapshot, Targets, Timestamp};
use super::super::refused::Refused;
use super::super::role::Role;
use super::{Expiry, Trusted, Update};

/// A document that the client needs next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// Whose document.
    pub role: Role,
    /// Who delegates to that role, if it is a delegated one.
    pub delegator: Option<Role>,
    /// Which version; none means the newest.
    pub version: Option<u64>,
    /// Bytes to read at most; a longer answer is refused.
    pub bytes_max: u64,
    /// The name in the repository (6.2). A delegated role's name may hold slashes and worse:
    /// escape it before it becomes a path or a URL.
    pub file_name: String,
}

impl Trusted {
    /// The next root of the chain (5.3.3). None at the source means that the chain has ended; none
    /// here, that one update follows no more: [`Trusted::finish_root`] comes next either way.
    #[must_use]
    pub fn wanted_root(&self) -> Option<Wanted> {
        let version = self.root.version().checked_add(1)?;
        let wanted = || self.wanted(Role::Root, None, Some(version), None);
        (!self.chain_is_full()).then(wanted)
    }

    /// The timestamp (5.4.1), wanted once in every update.
    #[must_use]
    pub fn wanted_timestamp(&self) -> Wanted {
        self.wanted(Role::Timestamp, None, None, None)
    }

    /// The first of timestamp, snapshot and targets that is missing or not current.
    #[must_use]
    pub fn wanted_top_level(&self) -> Option<Wanted> {
        let Some(timestamp) = self.current_timestamp() else {
            return Some(self.wanted_timestamp());
        };
        let Some(snapshot) = self.current_snapshot() else {
            let listed = timestamp.document().snapshot().ok()?;
            return Some(self.wanted_listed(Role::Snapshot, None, listed));
        };
        if self.current_targets(&Role::Targets).is_some() {
            return None;
        }
        let listed = snapshot.document().listed(&Role::Targets).ok()?;
        Some(self.wanted_listed(Role::Targets, None, listed))
    }

    /// Takes the bytes that were fetched for `wanted`.
    ///
    /// # Errors
    /// The refusal of the verb for that role.
    pub fn update(
        &mut self,
        wanted: &Wanted,
        bytes: &[u8],
        expiry: Expiry,
    ) -> Result<Update, Refused> {
        match &wanted.role {
            Role::Root => self.update_root(bytes),
            Role::Timestamp => self.update_timestamp(bytes, expiry),
            Role::Snapshot => self.update_snapshot(bytes, expiry),
            Role::Targets => self.update_targets(bytes, expiry),
            Role::Delegated(name) => {
                let delegator = wanted.delegator.as_ref().unwrap_or(&Role::Targets);
                self.update_delegated(delegator, name, bytes, expiry)
            }
        }
    }

    pub(super) fn current_timestamp(&self) -> Option<&Signed<Timestamp>> {
        let authority = self.authority(&Role::Timestamp);
        self.timestamp
            .as_ref()
            .filter(|timestamp| *timestamp.by() == authority)
    }

    pub(super) fn current_snapshot(&self) -> Option<&Signed<Snapshot>> {
        let listed = self.current_timestamp()?.document().snapshot().ok()?;
        let authority = self.authority(&Role::Snapshot);
        let snapshot = self.snapshot.as_ref()?;
        (*snapshot.by() == authority && listed.is(snapshot)).then_some(snapshot)
    }

    /// For a delegated role the caller compares the keys: they depend on who delegates.
    pub(super) fn current_targets(&self, role: &Role) -> Option<&Signed<Targets>> {
        let listed = self.current_snapshot()?.document().listed(role).ok()?;
        let targets = self.targets(role).filter(|targets| listed.is(targets))?;
        let outdated = *role == Role::Targets && *targets.by() != self.authority(role);
        (!outdated).then_some(targets)
    }

    pub(super) fn wanted_listed(
        &self,
        role: Role,
        delegator: Option<Role>,
        listed: &FileMeta,
    ) -> Wanted {
        self.wanted(role, delegator, Some(listed.version), listed.length)
    }

    fn wanted(
        &self,
        role: Role,
        delegator: Option<Role>,
        version: Option<u64>,
        length: Option<u64>,
    ) -> Wanted {
        let bytes_max = length.unwrap_or(u64::MAX).min(role.bytes_max());
        let prefixed = role == Role::Root || self.root.document().consistent_snapshot;
        let file_name = match version {
            Some(version) if prefixed => alloc::format!("{version}.{}", role.listed_name()),
            Some(_) | None => role.listed_name(),
        };
        Wanted {
            role,
            delegator,
            version,
            bytes_max,
            file_name,
        }
    }
}
