//! A repository for the tests: one key for each role, 2-of-3 for root, made by the authoring side
//! of the protocol. Keys are fixed by a seed; nothing here is for production.

use std::collections::BTreeMap;

use ed25519_dalek::SigningKey;
use muster_protocol::tuf::{
    Delegation, Document, Envelope, FileMeta, Hex32, Hex64, Key, Role, Root, Snapshot, TargetFile,
    Targets, Timestamp, author::key_of,
};
use serde_json::{Value, json};

pub(super) const NOW_S: u64 = 1_900_000_000;
const EXPIRES_S: u64 = NOW_S + 1000;

/// Documents as their authors hold them, who signs them, and the files that come out.
pub(super) struct Repository {
    pub(super) root: Root,
    pub(super) timestamp: Timestamp,
    pub(super) snapshot: Snapshot,
    pub(super) targets: Targets,
    pub(super) delegated: BTreeMap<String, Targets>,
    /// Seeds of the signing keys by role name.
    pub(super) signers: BTreeMap<String, Vec<u8>>,
    /// Whether listings carry length and hashes.
    pub(super) hashes: bool,
    /// Metadata by file name.
    pub(super) files: BTreeMap<String, Vec<u8>>,
    /// Files of targets by their whole path.
    pub(super) contents: BTreeMap<String, Vec<u8>>,
}

pub(super) fn key(seed: u8) -> SigningKey {
    SigningKey::from_bytes(&[seed; 32])
}

pub(super) fn keys(seeds: &[u8]) -> Vec<Key> {
    seeds.iter().map(|&seed| key_of(&key(seed))).collect()
}

impl Repository {
    /// Version 1 of root, and version 2 of all else, so that there is something to go back to.
    pub(super) fn new() -> Self {
        let mut root = Root::new(1, EXPIRES_S);
        root.authorize(&Role::Root, &keys(&[1, 2, 3]), 2);
        root.authorize(&Role::Timestamp, &keys(&[11]), 1);
        root.authorize(&Role::Snapshot, &keys(&[12]), 1);
        root.authorize(&Role::Targets, &keys(&[13]), 1);
        let signers = [
            ("root", vec![1, 2]),
            ("timestamp", vec![11]),
            ("snapshot", vec![12]),
            ("targets", vec![13]),
        ];
        let mut repository = Self {
            root,
            timestamp: Timestamp::new(2, EXPIRES_S, NOW_S, version_only(2)),
            snapshot: Snapshot::new(2, EXPIRES_S),
            targets: Targets::new(2, EXPIRES_S),
            delegated: BTreeMap::new(),
            signers: signers.map(|(role, seeds)| (role.into(), seeds)).into(),
            hashes: true,
            files: BTreeMap::new(),
            contents: BTreeMap::new(),
        };
        repository.write_root();
        repository.write();
        repository
    }

    /// The next version of the three below root, not yet written.
    pub(super) fn bump(&mut self) {
        self.timestamp.header.version += 1;
        self.snapshot.header.version += 1;
        self.targets.header.version += 1;
    }

    /// The next root, signed by the signers of now.
    pub(super) fn next_root(&mut self) {
        self.root.header.version += 1;
        self.write_root();
    }

    pub(super) fn write_root(&mut self) {
        let bytes = self.sign("root", &self.root);
        self.put("root", self.root.header.version, bytes);
    }

    /// Writes all but root, each listing what it lists as it now is.
    pub(super) fn write(&mut self) {
        let delegated = self.delegated.iter();
        let delegated: Vec<_> = delegated
            .map(|(name, document)| (Role::Delegated(name.clone()), document.clone()))
            .collect();
        for (role, document) in delegated {
            self.write_targets(&role, &document);
        }
        let targets = self.targets.clone();
        self.write_targets(&Role::Targets, &targets);
        self.write_online();
    }

    pub(super) fn write_online(&mut self) {
        let snapshot = self.sign("snapshot", &self.snapshot);
        let version = self.snapshot.header.version;
        let listed = self.listing(version, &snapshot);
        self.timestamp.meta.insert("snapshot.json".into(), listed);
        self.put("snapshot", version, snapshot);
        let timestamp = self.sign("timestamp", &self.timestamp);
        self.files.insert("timestamp.json".into(), timestamp);
    }

    /// Lists a file in a document, and has it.
    pub(super) fn add_target(&mut self, role: &str, path: &str, content: &[u8]) {
        let file = TargetFile::of(content, None);
        let digest = Hex32::sha256(content);
        let (folder, last) = path.rsplit_once('/').map_or(("", path), |(a, b)| (a, b));
        let slash = if folder.is_empty() { "" } else { "/" };
        let whole = format!("{folder}{slash}{digest}.{last}");
        self.contents.insert(whole, content.into());
        self.contents.insert(path.into(), content.into());
        self.document(role).add_target(path, file);
    }

    /// Lists a file that it has by its sha512 alone.
    pub(super) fn list_sha512(&mut self, role: &str, path: &str) {
        let content = self.contents[path].clone();
        let sha512 = Hex64::sha512(&content).to_string();
        let hashes = json!({ "sha512": sha512 });
        let file = TargetFile {
            length: content.len() as u64,
            hashes: serde_json::from_value(hashes).unwrap(),
            custom: None,
        };
        self.contents.insert(format!("{sha512}.{path}"), content);
        self.document(role).add_target(path, file);
    }

    /// Delegates from one document to another, which is made if it is not there.
    pub(super) fn delegate(&mut self, from: &str, to: &str, paths: &[&str], terminating: bool) {
        let seed = 100 + u8::try_from(self.signers.len()).unwrap();
        let seed = *self
            .signers
            .entry(to.into())
            .or_insert_with(|| vec![seed])
            .first()
            .unwrap();
        let delegation = Delegation {
            name: to.into(),
            keyids: Vec::new(),
            threshold: 1,
            terminating,
            paths: Some(paths.iter().map(|&path| path.into()).collect()),
            path_hash_prefixes: None,
        };
        self.document(from).delegate(delegation, &keys(&[seed]));
        let made = self.delegated.entry(to.into());
        made.or_insert_with(|| Targets::new(1, EXPIRES_S));
    }

    /// Changes a file without signing it again.
    pub(super) fn edit(&mut self, name: &str, change: impl FnOnce(&mut Value)) {
        let mut value = serde_json::from_slice(&self.files[name]).unwrap();
        change(&mut value);
        let bytes = serde_json::to_vec(&value).unwrap();
        self.files.insert(name.into(), bytes);
    }

    pub(super) fn sign<T: Document>(&self, by: &str, document: &T) -> Vec<u8> {
        let keys: Vec<SigningKey> = self.signers[by].iter().map(|&seed| key(seed)).collect();
        Envelope::signed_bytes(document, &keys.iter().collect::<Vec<_>>()).unwrap()
    }

    /// Under both names: with its version, and without.
    pub(super) fn put(&mut self, role: &str, version: u64, bytes: Vec<u8>) {
        let name = format!("{version}.{role}.json");
        if role != "root" {
            self.files.insert(format!("{role}.json"), bytes.clone());
        }
        self.files.insert(name, bytes);
    }

    fn document(&mut self, role: &str) -> &mut Targets {
        match role {
            "targets" => &mut self.targets,
            name => self.delegated.get_mut(name).unwrap(),
        }
    }

    fn write_targets(&mut self, role: &Role, document: &Targets) {
        let bytes = self.sign(role.name(), document);
        let listed = self.listing(document.header.version, &bytes);
        self.snapshot.list(role, listed);
        self.put(role.name(), document.header.version, bytes);
    }

    fn listing(&self, version: u64, bytes: &[u8]) -> FileMeta {
        match self.hashes {
            true => FileMeta::of(version, bytes),
            false => version_only(version),
        }
    }
}

fn version_only(version: u64) -> FileMeta {
    FileMeta {
        version,
        length: None,
        hashes: None,
    }
}
