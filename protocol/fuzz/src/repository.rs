//! A small repository of TUF metadata in two states, of which the second has other keys.
//!
//! Keys are fixed by a seed; nothing here is for production.

use super::cose::key;
use muster_protocol::tuf::author::key_of;
use muster_protocol::tuf::{
    Delegation, Document, Envelope, FileMeta, Key, Role, Root, Snapshot, TargetFile, Targets,
    Timestamp,
};

/// Unix seconds at which nothing has expired.
pub const NOW_S: u64 = 1_900_000_000;
/// A target that the role of its model lists.
pub const TARGET: &str = "models/bearing/1.0.0.cbor";

const EXPIRES_S: u64 = NOW_S + 1000;

/// A document and the role that signed it.
pub struct File {
    pub role: Role,
    pub bytes: Vec<u8>,
}

/// All documents: the first root, what it vouches for, the second root, what that vouches for.
pub fn files() -> Vec<File> {
    let mut files = state(1, 11);
    files.extend(state(2, 14));
    files
}

/// Seeds of the keys that sign for a role.
pub fn signers(role: &Role) -> &'static [u8] {
    match role {
        Role::Root => &[1, 2],
        Role::Timestamp => &[11, 14],
        Role::Snapshot => &[12],
        Role::Targets => &[13],
        Role::Delegated(_) => &[21, 22],
    }
}

/// The document, signed by these keys.
pub fn signed(mut envelope: Envelope, seeds: &[u8]) -> Option<Vec<u8>> {
    for seed in seeds {
        envelope.sign(&key(*seed)).ok()?;
    }
    envelope.to_bytes().ok()
}

fn state(version: u64, timestamp_seed: u8) -> Vec<File> {
    let model_role = Role::of_model("bearing");
    let mut model = Targets::new(version, EXPIRES_S);
    model.add_target(TARGET, TargetFile::of(b"a statement", None));
    let model = file(&model_role, &model);
    let mut targets = Targets::new(version, EXPIRES_S);
    targets.delegate(Delegation::of_model("bearing", 2), &keys(&[21, 22]));
    targets.add_target("fleet.json", TargetFile::of(b"{}", None));
    let targets = file(&Role::Targets, &targets);
    let mut snapshot = Snapshot::new(version, EXPIRES_S);
    snapshot.list(&model_role, FileMeta::of(version, &model.bytes));
    snapshot.list(&Role::Targets, FileMeta::of(version, &targets.bytes));
    let snapshot = file(&Role::Snapshot, &snapshot);
    let listed = FileMeta::of(version, &snapshot.bytes);
    let timestamp = Timestamp::new(version, EXPIRES_S, NOW_S - 10, listed);
    let root = root(version, timestamp_seed);
    vec![
        file(&Role::Root, &root),
        file(&Role::Timestamp, &timestamp),
        snapshot,
        targets,
        model,
    ]
}

fn root(version: u64, timestamp_seed: u8) -> Root {
    let mut root = Root::new(version, EXPIRES_S);
    root.authorize(&Role::Root, &keys(&[1, 2, 3]), 2);
    root.authorize(&Role::Timestamp, &keys(&[timestamp_seed]), 1);
    root.authorize(&Role::Snapshot, &keys(&[12]), 1);
    root.authorize(&Role::Targets, &keys(&[13]), 1);
    root
}

fn keys(seeds: &[u8]) -> Vec<Key> {
    seeds.iter().map(|seed| key_of(&key(*seed))).collect()
}

fn file<T: Document>(role: &Role, document: &T) -> File {
    let envelope = Envelope::unsigned(document).expect("it is canonical");
    File {
        role: role.clone(),
        bytes: signed(envelope, signers(role)).expect("it is canonical"),
    }
}
