//! The releases of the simulated world: what was signed, what it consists of, how it will do.
//!
//! Statements and key sets are signed for real. Instead of an OCI manifest with its hash list, a
//! bundle has a plain list of the digests of its pieces: the machines see neither.

mod authority;

use crate::random::Random;
pub(super) use authority::{Authority, FLEET_ROLE, Outgoing};
use ed25519_dalek::SigningKey;
use muster_protocol::cbor;
use muster_protocol::cose;
use muster_protocol::digest::Digest;
use muster_protocol::id::{ModelId, Rank, TargetClass, Version};
use muster_protocol::message::key_set::Revocation;
use muster_protocol::message::{Requirements, Statement};
use muster_protocol::time::{Millis, UnixSeconds};

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
    /// The statement as keys of before signed it: assignments still name it.
    signed_before: Vec<(Digest, Vec<u8>)>,
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
    pub(super) authority: Authority,
    /// Which bundles may stop serving, and why.
    pub(super) stopped: Vec<Digest>,
}

impl Catalogue {
    pub(super) fn new(random: &mut Random) -> Self {
        let mut catalogue = Self {
            authority: Authority::new(models(), Random(random.draw())),
            releases: Vec::new(),
            stopped: Vec::new(),
        };
        for model in models() {
            for rank in 1..=RELEASES {
                let made = catalogue.make(&model, rank, random);
                catalogue.releases.push(made);
            }
        }
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

    /// A small document of a release: its statement, one that was signed before, or its plan.
    pub(super) fn document(&self, digest: Digest) -> Option<(&Release, &[u8])> {
        self.releases.iter().find_map(|release| {
            let document = release.document(digest)?;
            Some((release, document))
        })
    }

    /// Revokes a release.
    pub(super) fn revoke(&mut self, nth: usize, action: Revocation, now: Millis) {
        let release = &self.releases[nth];
        if action == Revocation::Stop {
            self.stopped.push(release.bundle);
        }
        self.authority
            .revoke(&release.model, release.bundle, action, now);
    }

    /// Another key releases a model from now on, and signs its releases again.
    pub(super) fn rotate_release_key(&mut self, model: &ModelId, outgoing: Outgoing, now: Millis) {
        self.authority.rotate_release(model, outgoing, now);
        let key = self.authority.release_key(model);
        for release in &mut self.releases {
            if release.model == *model && release.fate != Fate::Forged {
                release.sign_again(key);
            }
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
        let key = match fate {
            Fate::Forged => &self.authority.stranger,
            _ => self.authority.release_key(model),
        };
        let statement = sign(&statement, key);
        Release {
            model: model.clone(),
            version,
            rank: Rank(rank),
            fate,
            statement_digest: Digest::of(&statement),
            statement,
            signed_before: Vec::new(),
            bundle: Digest::of(&plan),
            plan,
            layers,
        }
    }
}

impl Release {
    /// Whether this digest names its statement, as it is signed now or was before.
    pub(super) fn is_stated_by(&self, digest: Digest) -> bool {
        let mut before = self.signed_before.iter();
        self.statement_digest == digest || before.any(|(its, _)| *its == digest)
    }

    fn document(&self, digest: Digest) -> Option<&[u8]> {
        if self.bundle == digest {
            return Some(&self.plan);
        }
        if self.statement_digest == digest {
            return Some(&self.statement);
        }
        let before = self.signed_before.iter().find(|(its, _)| *its == digest);
        before.map(|(_, bytes)| bytes.as_slice())
    }

    fn sign_again(&mut self, key: &SigningKey) {
        let words = cose::peek::<Statement>(&self.statement);
        let again = sign(&words.expect("invariant: it was signed here"), key);
        let digest = std::mem::replace(&mut self.statement_digest, Digest::of(&again));
        let before = std::mem::replace(&mut self.statement, again);
        self.signed_before.push((digest, before));
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
