//! Releases for the stories: `v3` is a good one of rank 3, `v3-forged` and others have a defect.
//!
//! Keys are fixed by a seed; nothing here is for production.

extern crate std;
use muster_protocol::cbor;
use muster_protocol::cose;
use muster_protocol::digest::Digest;
use muster_protocol::id::{ModelId, Rank, TargetClass, Version};
use muster_protocol::key::PublicKey;
use muster_protocol::message::{Requirements, Statement};
use muster_protocol::time::UnixSeconds;
use std::format;
use std::string::String;
use std::vec::Vec;

const RELEASE_SEED: u8 = 1;

/// A signed statement and what an entry says of it.
pub(super) struct Made {
    pub(super) bytes: Vec<u8>,
    pub(super) version: Version,
}

/// The bundle of a release by its name.
pub(super) fn bundle(name: &str) -> Digest {
    Digest([digit(name); 32])
}

/// The name of a release by its bundle.
pub(super) fn number(bundle: Digest) -> String {
    format!("v{}", bundle.0[0])
}

/// The key that releases.
pub(super) fn key() -> PublicKey {
    signed(&[], RELEASE_SEED).0
}

/// Its rank.
pub(super) fn rank(name: &str) -> Rank {
    Rank(digit(name).into())
}

pub(super) fn make(name: &str) -> Made {
    let defect = name.split_once('-').map_or("", |(_, defect)| defect);
    let version = Version::parse(&format!("{}.0.0", digit(name))).expect("valid");
    let other = if defect == "other" { "pump" } else { "bearing" };
    let statement = Statement {
        model: ModelId::parse(other).expect("valid"),
        version: version.clone(),
        rank: rank(name),
        bundle: bundle(name),
        manifest_size: 500,
        class: TargetClass::parse(if defect == "m4" { "cortex-m4f" } else { "any" })
            .expect("valid"),
        requirements: Requirements {
            peak_memory_bytes: if defect == "memory" { 1001 } else { 1000 },
            disk_bytes: if defect == "disk" { 1001 } else { 1000 },
            agent_level: if defect == "agent" { 2 } else { 1 },
        },
        issued_at: UnixSeconds(1_900_000_000),
    };
    let mut payload = [0; 512];
    let len = cbor::encode(&statement, &mut payload).expect("a statement is small");
    let seed = if defect == "forged" { 9 } else { RELEASE_SEED };
    let bytes = signed(&payload[..len], seed).1;
    Made { bytes, version }
}

fn signed(payload: &[u8], seed: u8) -> (PublicKey, Vec<u8>) {
    let (mut scratch, mut out) = ([0; 1024], [0; 1024]);
    let key = [seed; 32].into();
    let signature = cose::sign::<Statement>(payload, &key, &mut scratch).expect("fits");
    let len = cose::assemble(payload, &[signature], &mut out).expect("fits");
    (PublicKey::from(key.verifying_key()), out[..len].to_vec())
}

fn digit(name: &str) -> u8 {
    name.as_bytes()[1] - b'0'
}
