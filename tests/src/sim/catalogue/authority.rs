//! Who may sign what, and the signed key sets that say so: one chain for the fleet, one for each
//! model.
//!
//! A key set is written whole each time: nothing that was revoked comes back, no floor falls.
//! Never signs a release or an assignment itself.

use super::{BEGINNING, sign};
use crate::random::Random;
use ed25519_dalek::SigningKey;
use muster_protocol::cbor::List;
use muster_protocol::digest::Digest;
use muster_protocol::id::{Epoch, KeySetVersion, ModelId, Rank};
use muster_protocol::key::PublicKey;
use muster_protocol::message::key_set::{
    FleetKeySet, ModelKeySet, Place, Revocation, RevokedBundle, RoleKeys,
};
use muster_protocol::time::{Millis, UnixSeconds};
use std::collections::BTreeMap;

/// The name of the fleet's own chain of key sets.
pub(in crate::sim) const FLEET_ROLE: &str = "fleet";

/// All keys, and what was signed about them.
#[derive(Debug)]
pub(in crate::sim) struct Authority {
    pub(in crate::sim) director: SigningKey,
    pub(in crate::sim) acks: SigningKey,
    pub(in crate::sim) time: SigningKey,
    /// Which director.
    pub(in crate::sim) epoch: Epoch,
    /// Directors of earlier epochs: what they signed may be shown to a later one.
    retired: Vec<SigningKey>,
    targets: SigningKey,
    pub(super) stranger: SigningKey,
    standings: BTreeMap<ModelId, Standing>,
    /// Signed key sets by role; the first has version 1.
    chains: BTreeMap<String, Vec<Vec<u8>>>,
    random: Random,
}

/// What holds for one model.
#[derive(Debug, Clone)]
struct Standing {
    /// Who releases it; the first signs.
    release: Vec<SigningKey>,
    floor: Rank,
    revoked: Vec<RevokedBundle>,
}

/// What becomes of the key that a release key takes the place of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::sim) enum Outgoing {
    /// It goes on for a while.
    Overlaps,
    /// It was stolen: it counts no more.
    Stolen,
}

impl Authority {
    pub(super) fn new(models: impl Iterator<Item = ModelId>, mut random: Random) -> Self {
        let mut authority = Self {
            director: key(&mut random),
            acks: key(&mut random),
            time: key(&mut random),
            epoch: Epoch(1),
            retired: Vec::new(),
            targets: key(&mut random),
            stranger: key(&mut random),
            standings: BTreeMap::new(),
            chains: BTreeMap::new(),
            random,
        };
        for model in models {
            let standing = Standing {
                release: vec![key(&mut authority.random)],
                floor: Rank(0),
                revoked: Vec::new(),
            };
            authority.standings.insert(model.clone(), standing);
            authority.publish(&model, Millis(0));
        }
        authority.publish_fleet(Millis(0));
        authority
    }

    /// The key set of a role with this version.
    pub(in crate::sim) fn key_set(&self, role: &str, version: u64) -> Option<&[u8]> {
        let chain = self.chains.get(role)?;
        let index = usize::try_from(version.checked_sub(1)?).ok()?;
        chain.get(index).map(Vec::as_slice)
    }

    /// How many key sets there are.
    pub(in crate::sim) fn key_sets(&self) -> usize {
        self.chains.values().map(Vec::len).sum()
    }

    /// Who signs key sets.
    pub(in crate::sim) fn targets_keys(&self) -> [PublicKey; 1] {
        [self.targets.verifying_key().into()]
    }

    /// Every director that there was.
    pub(in crate::sim) fn directors(&self) -> Vec<PublicKey> {
        let all = self.retired.iter().chain([&self.director]);
        all.map(|key| key.verifying_key().into()).collect()
    }

    /// Raises the floor of a model by one release, at most to `rank`.
    pub(in crate::sim) fn raise_floor(&mut self, model: &ModelId, rank: Rank, now: Millis) {
        let standing = self.standing(model);
        let next = Rank(standing.floor.0 + 1);
        standing.floor = standing.floor.max(next.min(rank));
        self.publish(model, now);
    }

    /// Revokes a release of a model; the last word about it counts.
    pub(in crate::sim) fn revoke(
        &mut self,
        model: &ModelId,
        bundle: Digest,
        action: Revocation,
        now: Millis,
    ) {
        let revoked = &mut self.standing(model).revoked;
        revoked.retain(|one| one.bundle != bundle);
        revoked.push(RevokedBundle { bundle, action });
        self.publish(model, now);
    }

    /// A new key releases this model from now on.
    pub(super) fn rotate_release(&mut self, model: &ModelId, outgoing: Outgoing, now: Millis) {
        let fresh = key(&mut self.random);
        let keys = &mut self.standing(model).release;
        keys.truncate(usize::from(outgoing == Outgoing::Overlaps));
        keys.insert(0, fresh);
        self.publish(model, now);
    }

    /// The controller was stolen: another one with other keys takes its place, in an epoch of its
    /// own.
    pub(in crate::sim) fn replace_director(&mut self, now: Millis) {
        let fresh = key(&mut self.random);
        self.retired
            .push(std::mem::replace(&mut self.director, fresh));
        self.acks = key(&mut self.random);
        self.time = key(&mut self.random);
        self.epoch = Epoch(self.epoch.0 + 1);
        self.publish_fleet(now);
    }

    pub(super) fn release_key(&self, model: &ModelId) -> &SigningKey {
        let standing = self.standings.get(model);
        let key = standing.and_then(|standing| standing.release.first());
        key.expect("invariant: every model has a key that releases it")
    }

    fn standing(&mut self, model: &ModelId) -> &mut Standing {
        let standing = self.standings.get_mut(model);
        standing.expect("invariant: the models of the world are there from the beginning")
    }

    fn publish(&mut self, model: &ModelId, now: Millis) {
        let standing = self.standing(model).clone();
        let keys: Vec<_> = standing.release.iter().map(public).collect();
        let document = ModelKeySet {
            place: self.next_place(model.as_str()),
            issued_at: at(now),
            model: model.clone(),
            release: any_of(&keys),
            floor: standing.floor,
            revoked: List::of(&standing.revoked),
        };
        let signed = sign(&document, &self.targets);
        self.append(model.as_str(), signed);
    }

    fn publish_fleet(&mut self, now: Millis) {
        let [director, acks, time] = [&self.director, &self.acks, &self.time].map(|k| [public(k)]);
        let document = FleetKeySet {
            place: self.next_place(FLEET_ROLE),
            issued_at: at(now),
            epoch: self.epoch,
            director: any_of(&director),
            ack: List::of(&acks),
            time: List::of(&time),
        };
        let signed = sign(&document, &self.targets);
        self.append(FLEET_ROLE, signed);
    }

    fn next_place(&self, role: &str) -> Place {
        let chain = self.chains.get(role).map_or(&[][..], Vec::as_slice);
        Place {
            version: KeySetVersion(u32::try_from(chain.len()).unwrap_or(u32::MAX) + 1),
            predecessor: chain.last().map(|newest| Digest::of(newest)),
        }
    }

    fn append(&mut self, role: &str, signed: Vec<u8>) {
        self.chains.entry(role.to_owned()).or_default().push(signed);
    }
}

fn key(random: &mut Random) -> SigningKey {
    let mut seed = [0; 32];
    seed[..8].copy_from_slice(&random.draw().to_le_bytes());
    SigningKey::from(seed)
}

fn public(key: &SigningKey) -> PublicKey {
    key.verifying_key().into()
}

fn any_of(keys: &[PublicKey]) -> RoleKeys<'_> {
    RoleKeys {
        keys: List::of(keys),
        threshold: 1,
    }
}

fn at(now: Millis) -> UnixSeconds {
    UnixSeconds(BEGINNING.0 + now.0 / 1000)
}
