//! The releases of the simulated world: what was signed, what it consists of, how it will do.
//!
//! Statements and key sets are signed for real. Instead of an OCI manifest with its hash list, a
//! bundle has a plain list of the digests of its pieces: the machines see neither.

use crate::random::Random;
use ed25519_dalek::SigningKey;
use muster_protocol::cbor::{self, List};
use muster_protocol::cose;
use muster_protocol::digest::Digest;
use muster_protocol::id::{Epoch, KeySetVersion, ModelId, Rank, TargetClass, Version};
use muster_protocol::key::PublicKey;
use muster_protocol::message::key_set::{
    FleetKeySet, ModelKeySet, Place, Revocation, RevokedBundle, RoleKeys,
};
use muster_protocol::message::{Requirements, Statement};
use muster_protocol::time::UnixSeconds;
use std::collections::BTreeMap;

/// When the story begins.
pub(super) const BEGINNING: UnixSeconds = UnixSeconds(1_800_000_000);
/// Releases of each model.
const RELEASES: u32 = 6;
/// Memory that a device has for a candidate.
pub(super) const MEMORY_BYTES: u64 = 1000;
const MODELS: [&str; 2] = ["bearing", "pump"];

/// How a release does on a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// Well.
    Good,
    /// Its golden vectors give other outputs.
    WrongOutput,
    /// Its trial ends in a crash.
    CrashesInTrial,
    /// Its trial does not end.
    Hangs,
    /// Its trial takes the machine down.
    TakesMachineDown,
    /// It passes its trial and crashes on probation.
    FailsOnProbation,
    /// It needs more memory than there is.
    TooBig,
    /// Nobody who may sign has signed it.
    Forged,
}

/// One release.
#[derive(Debug)]
pub(super) struct Release {
    pub(super) model: ModelId,
    pub(super) version: Version,
    pub(super) rank: Rank,
    pub(super) fate: Fate,
    pub(super) statement: Vec<u8>,
    pub(super) statement_digest: Digest,
    pub(super) bundle: Digest,
    /// The list of the digests of all pieces, layer by layer.
    pub(super) plan: Vec<u8>,
    pub(super) layers: Vec<Layer>,
}

/// One layer in pieces.
#[derive(Debug)]
pub(super) struct Layer {
    pub(super) digest: Digest,
    pub(super) pieces: Vec<Vec<u8>>,
}

/// All releases, and who signs what.
#[derive(Debug)]
pub(super) struct Catalogue {
    pub(super) releases: Vec<Release>,
    pub(super) targets: SigningKey,
    pub(super) director: SigningKey,
    pub(super) acks: SigningKey,
    pub(super) time: SigningKey,
    release: SigningKey,
    stranger: SigningKey,
    /// Signed key sets by role; the first has version 1.
    key_sets: BTreeMap<String, Vec<Vec<u8>>>,
    /// Which bundles may stop serving, and why.
    pub(super) stopped: Vec<Digest>,
}

/// The name of the fleet's own chain of key sets.
pub(super) const FLEET_ROLE: &str = "fleet";

impl Catalogue {
    pub(super) fn new(random: &mut Random) -> Self {
        let mut key = || {
            let mut seed = [0; 32];
            seed[..8].copy_from_slice(&random.draw().to_le_bytes());
            SigningKey::from(seed)
        };
        let mut catalogue = Self {
            targets: key(),
            director: key(),
            acks: key(),
            time: key(),
            release: key(),
            stranger: key(),
            releases: Vec::new(),
            key_sets: BTreeMap::new(),
            stopped: Vec::new(),
        };
        for model in models() {
            for rank in 1..=RELEASES {
                let made = catalogue.make(&model, rank, random);
                catalogue.releases.push(made);
            }
            catalogue.publish(&model, Rank(0), &[]);
        }
        catalogue.publish_fleet();
        catalogue
    }

    pub(super) fn by_bundle(&self, digest: Digest) -> Option<&Release> {
        self.releases.iter().find(|r| r.bundle == digest)
    }

    /// The release that has this layer.
    pub(super) fn by_layer(&self, digest: Digest) -> Option<(&Release, &Layer)> {
        let layers = self
            .releases
            .iter()
            .flat_map(|r| r.layers.iter().map(move |l| (r, l)));
        layers.into_iter().find(|(_, layer)| layer.digest == digest)
    }

    /// The key set of a role with this version.
    pub(super) fn key_set(&self, role: &str, version: u64) -> Option<&[u8]> {
        let chain = self.key_sets.get(role)?;
        let index = usize::try_from(version.checked_sub(1)?).ok()?;
        chain.get(index).map(Vec::as_slice)
    }

    /// Who signs key sets.
    pub(super) fn targets_keys(&self) -> [PublicKey; 1] {
        [self.targets.verifying_key().into()]
    }

    /// Signs the next key set of a model.
    pub(super) fn publish(&mut self, model: &ModelId, floor: Rank, revoked: &[RevokedBundle]) {
        for one in revoked.iter().filter(|one| one.action == Revocation::Stop) {
            self.stopped.push(one.bundle);
        }
        let keys: [PublicKey; 1] = [self.release.verifying_key().into()];
        let document = ModelKeySet {
            place: self.next_place(model.as_str()),
            issued_at: BEGINNING,
            model: model.clone(),
            release: RoleKeys {
                keys: List::of(&keys),
                threshold: 1,
            },
            floor,
            revoked: List::of(revoked),
        };
        let signed = sign(&document, &self.targets);
        self.key_sets
            .entry(model.as_str().to_owned())
            .or_default()
            .push(signed);
    }

    fn publish_fleet(&mut self) {
        let public = |key: &SigningKey| [PublicKey::from(key.verifying_key())];
        let (director, acks, time) = (
            public(&self.director),
            public(&self.acks),
            public(&self.time),
        );
        let document = FleetKeySet {
            place: self.next_place(FLEET_ROLE),
            issued_at: BEGINNING,
            epoch: Epoch(1),
            director: RoleKeys {
                keys: List::of(&director),
                threshold: 1,
            },
            ack: List::of(&acks),
            time: List::of(&time),
        };
        let signed = sign(&document, &self.targets);
        self.key_sets
            .entry(FLEET_ROLE.to_owned())
            .or_default()
            .push(signed);
    }

    fn next_place(&self, role: &str) -> Place {
        let chain = self.key_sets.get(role).map_or(&[][..], Vec::as_slice);
        Place {
            version: KeySetVersion(u32::try_from(chain.len()).unwrap_or(u32::MAX) + 1),
            predecessor: chain.last().map(|newest| Digest::of(newest)),
        }
    }

    fn make(&self, model: &ModelId, rank: u32, random: &mut Random) -> Release {
        let fate = fate(rank, random);
        let layers: Vec<_> = (0..=random.below(2)).map(|_| layer(random)).collect();
        let plan: Vec<u8> = layers.iter().flat_map(plan_of).collect();
        let version = Version::parse(&format!("{rank}.0.0")).expect("invariant: a semver");
        let statement = Statement {
            model: model.clone(),
            version: version.clone(),
            rank: Rank(rank),
            bundle: Digest::of(&plan),
            manifest_size: u32::try_from(plan.len()).unwrap_or(u32::MAX),
            class: TargetClass::parse("any").expect("invariant: a class"),
            requirements: Requirements {
                peak_memory_bytes: MEMORY_BYTES + u64::from(fate == Fate::TooBig),
                disk_bytes: 100,
                agent_level: 1,
            },
            issued_at: BEGINNING,
        };
        let key = if fate == Fate::Forged {
            &self.stranger
        } else {
            &self.release
        };
        let statement = sign(&statement, key);
        Release {
            model: model.clone(),
            version,
            rank: Rank(rank),
            fate,
            statement_digest: Digest::of(&statement),
            statement,
            bundle: Digest::of(&plan),
            plan,
            layers,
        }
    }
}

/// A document that several may sign, signed by one.
fn sign<'b, T: cose::Document<'b>>(document: &T, key: &SigningKey) -> Vec<u8> {
    let payload = cbor::to_vec(document);
    let mut scratch = vec![0; cose::scratch_len(payload.len())];
    let signature = cose::sign::<T>(&payload, key, &mut scratch)
        .expect("invariant: the scratch space is large enough");
    cose::assemble_vec(&payload, &[signature])
}

/// The models of the world.
pub(super) fn models() -> impl Iterator<Item = ModelId> {
    MODELS
        .into_iter()
        .map(|name| ModelId::parse(name).expect("invariant: a model id"))
}

/// The first release is good, so that a device has something to fall back to.
fn fate(rank: u32, random: &mut Random) -> Fate {
    let fates = [
        Fate::Good,
        Fate::Good,
        Fate::Good,
        Fate::FailsOnProbation,
        Fate::FailsOnProbation,
        Fate::WrongOutput,
        Fate::CrashesInTrial,
        Fate::Hangs,
        Fate::TakesMachineDown,
        Fate::TooBig,
        Fate::Forged,
    ];
    let drawn = usize::try_from(random.below(fates.len() as u64)).unwrap_or_default();
    if rank == 1 { Fate::Good } else { fates[drawn] }
}

fn layer(random: &mut Random) -> Layer {
    let pieces: Vec<Vec<u8>> = (0..=random.below(24))
        .map(|_| random.draw().to_le_bytes().to_vec())
        .collect();
    Layer {
        digest: Digest::of(&pieces.concat()),
        pieces,
    }
}

/// One layer in a plan: its digest, how many pieces, their digests.
fn plan_of(layer: &Layer) -> Vec<u8> {
    let mut bytes = layer.digest.0.to_vec();
    bytes.push(u8::try_from(layer.pieces.len()).expect("invariant: few pieces"));
    layer
        .pieces
        .iter()
        .for_each(|piece| bytes.extend(Digest::of(piece).0));
    bytes
}

/// The layers that a plan names, each with the digests of its pieces; `None` for what is no plan.
pub(super) fn read_plan(mut plan: &[u8]) -> Option<Vec<(Digest, Vec<Digest>)>> {
    let mut layers = Vec::new();
    while !plan.is_empty() {
        let (digest, rest) = plan.split_first_chunk::<32>()?;
        let (count, mut rest) = rest.split_first()?;
        let mut pieces = Vec::new();
        for _ in 0..*count {
            let (piece, after) = rest.split_first_chunk::<32>()?;
            pieces.push(Digest(*piece));
            rest = after;
        }
        layers.push((Digest(*digest), pieces));
        plan = rest;
    }
    Some(layers)
}
