//! The client workflow (5.3 to 5.6) over what is trusted so far, in the order of the specification.
//! Each verb takes bytes and either replaces one trusted document or changes nothing. It never
//! fetches and never writes: `Wanted` says what to fetch, `Update` says when to persist.

mod checks;
mod restore;
mod search;
mod wanted;

use alloc::collections::BTreeMap;
use alloc::string::String;

use super::envelope::Envelope;
use super::key::Authority;
use super::limits;
use super::metadata::{Root, Signed, Snapshot, Targets, Timestamp};
use super::refused::Refused;
use super::role::Role;
use checks::{keep, not_older, same_content, still_listed};

pub use checks::{Expiry, Unjudged};
pub use restore::{Dropped, Restored, Stored};
pub use search::Search;
pub use wanted::Wanted;

/// What an accepted document changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Update {
    /// It replaces the trusted one: persist it.
    Accepted,
    /// A root that takes a key from timestamp or snapshot: persist it, and forget the stored
    /// timestamp and snapshot, as was done here (5.3.11).
    AcceptedAndOnlineForgotten,
    /// It brings nothing: it has the trusted version, and was discarded as the specification says
    /// (5.3.5, 5.4.3.1), or it is the trusted one.
    Unchanged,
}

/// What a client trusts: the newest verified document of each role.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trusted {
    root: Signed<Root>,
    timestamp: Option<Signed<Timestamp>>,
    snapshot: Option<Signed<Snapshot>>,
    targets: Option<Signed<Targets>>,
    delegated: BTreeMap<String, Signed<Targets>>,
    rotations: u32,
}

impl Trusted {
    /// Starts from a root document that came by a trusted way (5.2); its expiry does not matter.
    ///
    /// # Errors
    /// A refusal of the document; it must be signed by its own root keys.
    pub fn from_root(bytes: &[u8]) -> Result<Self, Refused> {
        Ok(Self {
            root: Signed::verify_self_signed(bytes)?,
            timestamp: None,
            snapshot: None,
            targets: None,
            delegated: BTreeMap::new(),
            rotations: 0,
        })
    }

    /// Follows the root chain by one document (5.3.3 to 5.3.9 and 5.3.11). One that changes nothing
    /// ends the chain.
    ///
    /// # Errors
    /// A refusal; the trusted root stays.
    pub fn update_root(&mut self, bytes: &[u8]) -> Result<Update, Refused> {
        let role = Role::Root;
        if self.chain_is_full() {
            return Err(Refused::TooManyRotations);
        }
        // 5.3.4: the keys of version N, then those of the new version.
        Envelope::parse(&role, bytes)?.require(&role, &self.authority(&role))?;
        let next = Signed::verify_self_signed(bytes)?;
        // 5.3.5
        not_older(&role, self.root.version(), next.version())?;
        if next.version() == self.root.version() {
            return Ok(Update::Unchanged);
        }
        let (expected, offered) = (self.root.version().saturating_add(1), next.version());
        if offered != expected {
            return Err(Refused::WrongVersion {
                role,
                expected,
                offered,
            });
        }
        // 5.3.7
        let before = core::mem::replace(&mut self.root, next);
        self.rotations += 1;
        Ok(self.forget_online_after(&before))
    }

    /// Ends the root chain (5.3.10).
    ///
    /// # Errors
    /// [`Refused::Expired`]; the expired root stays trusted, nothing below it can be updated.
    pub fn finish_root(&mut self, expiry: Expiry) -> Result<(), Refused> {
        self.rotations = 0;
        expiry.check(&Role::Root, &self.root)
    }

    /// Takes a timestamp document (5.4).
    ///
    /// # Errors
    /// A refusal; the trusted timestamp stays.
    pub fn update_timestamp(&mut self, bytes: &[u8], expiry: Expiry) -> Result<Update, Refused> {
        let role = Role::Timestamp;
        expiry.check(&Role::Root, &self.root)?;
        // 5.4.2
        let next = Signed::<Timestamp>::verify(&role, self.authority(&role), bytes)?;
        // 5.4.3
        if let Some(trusted) = &self.timestamp {
            not_older(&role, trusted.version(), next.version())?;
            if next.version() == trusted.version() && self.current_timestamp().is_some() {
                return Ok(Update::Unchanged);
            }
            same_content(&role, trusted, &next)?;
            let (before, after) = (trusted.document().snapshot()?, next.document().snapshot()?);
            not_older(&Role::Snapshot, before.version, after.version)?;
        }
        // 5.4.4
        expiry.check(&role, &next)?;
        Ok(keep(&mut self.timestamp, next))
    }

    /// Takes the snapshot document that the timestamp lists (5.5).
    ///
    /// # Errors
    /// A refusal; the trusted snapshot stays.
    pub fn update_snapshot(&mut self, bytes: &[u8], expiry: Expiry) -> Result<Update, Refused> {
        let role = Role::Snapshot;
        let timestamp = self
            .current_timestamp()
            .ok_or(out_of_order(&role, &Role::Timestamp))?;
        expiry.check(&Role::Timestamp, timestamp)?;
        let listed = timestamp.document().snapshot()?;
        // 5.5.2
        listed.check_bytes(&role, bytes)?;
        // 5.5.3
        let next = Signed::<Snapshot>::verify(&role, self.authority(&role), bytes)?;
        // 5.5.4
        listed.check_version(&role, next.version())?;
        // 5.5.5
        if let Some(trusted) = &self.snapshot {
            same_content(&role, trusted, &next)?;
            still_listed(&trusted.document().meta, &next.document().meta)?;
        }
        // 5.5.6
        expiry.check(&role, &next)?;
        Ok(keep(&mut self.snapshot, next))
    }

    /// Takes the top-level targets document that the snapshot lists (5.6).
    ///
    /// # Errors
    /// A refusal; the trusted targets stay.
    pub fn update_targets(&mut self, bytes: &[u8], expiry: Expiry) -> Result<Update, Refused> {
        let role = Role::Targets;
        let next = self.verify_listed(&role, self.authority(&role), bytes, expiry)?;
        Ok(keep(&mut self.targets, next))
    }

    /// Takes the document of a role that `delegator` delegates to (5.6.7).
    ///
    /// # Errors
    /// A refusal; what was trusted stays.
    pub fn update_delegated(
        &mut self,
        delegator: &Role,
        name: &str,
        bytes: &[u8],
        expiry: Expiry,
    ) -> Result<Update, Refused> {
        let role = Role::Delegated(name.into());
        let parent = self
            .current_targets(delegator)
            .ok_or(out_of_order(&role, delegator))?;
        expiry.check(delegator, parent)?;
        let by = delegated_authority(parent.document(), &role)?;
        let next = self.verify_listed(&role, by, bytes, expiry)?;
        let mut place = self.delegated.remove(name);
        let update = keep(&mut place, next);
        self.delegated
            .extend(place.map(|signed| (name.into(), signed)));
        Ok(update)
    }

    /// Ends the update of the top-level roles: each is current, and none has expired (5.3.10, 5.4.4,
    /// 5.5.6 and 5.6.5, which also hold for what was accepted earlier).
    ///
    /// # Errors
    /// [`Refused::OutOfOrder`] or [`Refused::Expired`].
    pub fn finish_top_level(&self, expiry: Expiry) -> Result<(), Refused> {
        match self.wanted_top_level() {
            Some(wanted) => Err(out_of_order(&Role::Targets, &wanted.role)),
            None => self.check_top_level(expiry),
        }
    }

    /// The trusted root.
    #[must_use]
    pub fn root(&self) -> &Signed<Root> {
        &self.root
    }

    /// The trusted timestamp, if any.
    #[must_use]
    pub fn timestamp(&self) -> Option<&Signed<Timestamp>> {
        self.timestamp.as_ref()
    }

    /// The trusted snapshot, if any; it may be older than the timestamp says.
    #[must_use]
    pub fn snapshot(&self) -> Option<&Signed<Snapshot>> {
        self.snapshot.as_ref()
    }

    /// The trusted document of a targets role, if any; it may be older than the snapshot says.
    #[must_use]
    pub fn targets(&self, role: &Role) -> Option<&Signed<Targets>> {
        match role {
            Role::Targets => self.targets.as_ref(),
            Role::Delegated(name) => self.delegated.get(name),
            Role::Root | Role::Timestamp | Role::Snapshot => None,
        }
    }

    /// Who may sign for a role that the trusted top-level targets delegate to, if they do.
    #[must_use]
    pub fn delegated_to(&self, role: &Role) -> Option<Authority> {
        delegated_authority(self.targets.as_ref()?.document(), role).ok()
    }

    /// Whether as many roots were followed as one update may (5.3.3).
    fn chain_is_full(&self) -> bool {
        self.rotations >= limits::ROTATIONS_MAX
    }

    fn authority(&self, role: &Role) -> Authority {
        self.root.document().authority(role)
    }

    /// 5.3.11
    fn forget_online_after(&mut self, before: &Signed<Root>) -> Update {
        let rotated = [Role::Timestamp, Role::Snapshot].iter().any(|role| {
            before
                .document()
                .authority(role)
                .lost_a_key(&self.authority(role))
        });
        if !rotated {
            return Update::Accepted;
        }
        self.timestamp = None;
        self.snapshot = None;
        Update::AcceptedAndOnlineForgotten
    }

    /// 5.6.2 to 5.6.5
    fn verify_listed(
        &self,
        role: &Role,
        by: Authority,
        bytes: &[u8],
        expiry: Expiry,
    ) -> Result<Signed<Targets>, Refused> {
        let snapshot = self
            .current_snapshot()
            .ok_or(out_of_order(role, &Role::Snapshot))?;
        expiry.check(&Role::Snapshot, snapshot)?;
        let listed = snapshot.document().listed(role)?;
        listed.check_bytes(role, bytes)?;
        let next = Signed::<Targets>::verify(role, by, bytes)?;
        listed.check_version(role, next.version())?;
        expiry.check(role, &next)?;
        Ok(next)
    }
}

fn delegated_authority(parent: &Targets, role: &Role) -> Result<Authority, Refused> {
    let mut delegations = parent.delegated().iter();
    let delegation = delegations.find(|delegation| delegation.name == role.name());
    delegation
        .map(|delegation| parent.authority(delegation))
        .ok_or_else(|| Refused::MissingRole { role: role.clone() })
}

fn out_of_order(role: &Role, needs: &Role) -> Refused {
    Refused::OutOfOrder {
        role: role.clone(),
        needs: needs.clone(),
    }
}
