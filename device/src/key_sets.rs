//! From signed key sets to facts, on a node that verifies no metadata.
//!
//! A chain holds when each document has one version more than the one before and names its
//! digest: nobody goes back, nobody leaves one out, and two histories never look alike. What is
//! refused changes nothing. Never stores anything.

use crate::facts::{Facts, Keys, ModelFacts, REVOKED_MAX, Revoked, RevokedAction};
use core::fmt;
use minicbor::{Decode, Encode};
use muster_protocol::cose::{self, KeySet, Refused};
use muster_protocol::digest::Digest;
use muster_protocol::id::{KeySetVersion, ModelId};
use muster_protocol::message::key_set::{
    FleetKeySet, ModelKeySet, Place, Revocation, RevokedBundle, RoleKeys,
};
use muster_protocol::time::UnixSeconds;

/// The newest document of a chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Link {
    /// Its version.
    #[n(0)]
    pub version: KeySetVersion,
    /// Digest of its signed bytes.
    #[n(1)]
    pub digest: Digest,
}

/// Why a key set is not taken up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotTakenUp {
    /// It does not open with the targets keys.
    Signature(Refused),
    /// A newer one was taken up.
    Old {
        /// Its version.
        held: KeySetVersion,
    },
    /// The very same one was taken up.
    Repeated,
    /// Another one of the same version was taken up: the targets keys signed two.
    Forked,
    /// One or more before it are missing.
    Skipped {
        /// The version that would come next.
        wanted: KeySetVersion,
    },
    /// It continues another history than the one that was taken up.
    OtherPredecessor,
    /// A role has no key, one key twice, or a threshold out of reach.
    Unsound,
    /// It is for a model beyond those that there is room for.
    NoRoom,
}

impl fmt::Display for NotTakenUp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Signature(refused) => write!(f, "{refused}"),
            Self::Old { held } => write!(f, "version {held} was taken up already"),
            Self::Repeated => f.write_str("it was taken up already"),
            Self::Forked => f.write_str("another key set of the same version was taken up"),
            Self::Skipped { wanted } => write!(f, "version {wanted} must come first"),
            Self::OtherPredecessor => f.write_str("it continues another chain"),
            Self::Unsound => f.write_str("a role in it can never sign, or has one key twice"),
            Self::NoRoom => f.write_str("there is no room for another model"),
        }
    }
}

/// Whether a document at `place` with these signed bytes continues the chain that ends in `held`.
///
/// # Errors
/// [`NotTakenUp`], about its place only.
pub fn follow(held: Option<&Link>, place: &Place, bytes: &[u8]) -> Result<Link, NotTakenUp> {
    let link = Link {
        version: place.version,
        digest: Digest::of(bytes),
    };
    let newest = held.map_or(KeySetVersion(0), |held| held.version);
    let wanted = KeySetVersion(newest.0.saturating_add(1));
    match held {
        Some(held) if *held == link => Err(NotTakenUp::Repeated),
        Some(held) if held.version == link.version => Err(NotTakenUp::Forked),
        Some(held) if held.version > link.version => Err(NotTakenUp::Old { held: newest }),
        _ if link.version != wanted => Err(NotTakenUp::Skipped { wanted }),
        _ if place.predecessor == held.map(|held| held.digest) => Ok(link),
        _ => Err(NotTakenUp::OtherPredecessor),
    }
}

/// The chains of a node with at most `MODELS` models, and the facts that they state.
#[derive(Debug, Default)]
pub struct KeySets<const MODELS: usize> {
    fleet: Option<Link>,
    /// In the order of the models in the facts.
    models: heapless::Vec<ModelChain, MODELS>,
    facts: Facts<MODELS>,
}

#[derive(Debug)]
struct ModelChain {
    link: Link,
    /// How many of the revocations in the facts are this model's, in the order of the models.
    revoked: usize,
}

impl<const MODELS: usize> KeySets<MODELS> {
    /// What the key sets that were taken up state.
    pub const fn facts(&self) -> &Facts<MODELS> {
        &self.facts
    }

    /// Takes up the next key set of the fleet; gives when it was signed.
    ///
    /// `targets` are the keys that must sign; `scratch` must hold [`cose::scratch_len`] bytes.
    ///
    /// # Errors
    /// [`NotTakenUp`], by the first check that fails.
    pub fn take_up_fleet(
        &mut self,
        bytes: &[u8],
        targets: KeySet<'_>,
        scratch: &mut [u8],
    ) -> Result<UnixSeconds, NotTakenUp> {
        let opened = cose::open::<FleetKeySet<'_>>(bytes, targets, scratch)
            .map_err(NotTakenUp::Signature)?;
        let link = follow(self.fleet.as_ref(), &opened.place, bytes)?;
        let any_of = |keys| keys_of(&RoleKeys { keys, threshold: 1 });
        let (ack, time) = (any_of(opened.ack)?, any_of(opened.time)?);
        self.facts.director = keys_of(&opened.director)?;
        (self.facts.ack, self.facts.time) = (ack, time);
        self.facts.epoch = opened.epoch;
        self.fleet = Some(link);
        Ok(opened.issued_at)
    }

    /// Takes up the next key set of a model; gives which.
    ///
    /// # Errors
    /// [`NotTakenUp`], by the first check that fails.
    pub fn take_up_model(
        &mut self,
        bytes: &[u8],
        targets: KeySet<'_>,
        scratch: &mut [u8],
    ) -> Result<ModelId, NotTakenUp> {
        let opened = cose::open::<ModelKeySet<'_>>(bytes, targets, scratch)
            .map_err(NotTakenUp::Signature)?;
        let index = self.index_of(&opened.model);
        let held = self.models.get(index).map(|chain| &chain.link);
        let link = follow(held, &opened.place, bytes)?;
        let facts = ModelFacts {
            model: opened.model.clone(),
            release: keys_of(&opened.release)?,
            floor: opened.floor,
        };
        self.revoke(index, opened.revoked.iter().map(revoked))?;
        self.put(index, link, opened.revoked.len(), facts)?;
        Ok(opened.into_inner().model)
    }

    /// Where a model stands, or would be added.
    fn index_of(&self, model: &ModelId) -> usize {
        let mut known = self.facts.models.iter();
        known
            .position(|facts| facts.model == *model)
            .unwrap_or(self.models.len())
    }

    /// Puts the revocations of the model at `index` in place of those that it had.
    fn revoke(
        &mut self,
        index: usize,
        its: impl Iterator<Item = Revoked>,
    ) -> Result<(), NotTakenUp> {
        if index >= MODELS {
            return Err(NotTakenUp::NoRoom);
        }
        let chains = self.models.iter();
        let before: usize = chains.take(index).map(|chain| chain.revoked).sum();
        let had = self.models.get(index).map_or(0, |chain| chain.revoked);
        let all = self.facts.revoked.iter().copied();
        let all = all
            .clone()
            .take(before)
            .chain(its)
            .chain(all.skip(before + had));
        let mut revoked = heapless::Vec::<_, REVOKED_MAX>::new();
        for one in all {
            revoked.push(one).map_err(|_| NotTakenUp::NoRoom)?;
        }
        self.facts.revoked = revoked;
        Ok(())
    }

    fn put(
        &mut self,
        index: usize,
        link: Link,
        revoked: usize,
        facts: ModelFacts,
    ) -> Result<(), NotTakenUp> {
        let chain = ModelChain { link, revoked };
        if let (Some(old), Some(known)) =
            (self.models.get_mut(index), self.facts.models.get_mut(index))
        {
            (*old, *known) = (chain, facts);
            return Ok(());
        }
        self.models.push(chain).map_err(|_| NotTakenUp::NoRoom)?;
        self.facts
            .models
            .push(facts)
            .map_err(|_| NotTakenUp::NoRoom)
    }
}

fn keys_of(role: &RoleKeys<'_>) -> Result<Keys, NotTakenUp> {
    if !role.is_sound() {
        return Err(NotTakenUp::Unsound);
    }
    Ok(Keys {
        keys: role.keys.iter().collect(),
        threshold: role.threshold,
    })
}

const fn revoked(listed: RevokedBundle) -> Revoked {
    Revoked {
        bundle: listed.bundle,
        action: match listed.action {
            Revocation::Stop => RevokedAction::Stop,
            Revocation::Fallback => RevokedAction::Fallback,
        },
    }
}

#[cfg(test)]
mod tests;
