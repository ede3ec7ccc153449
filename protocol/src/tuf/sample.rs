//! A small repository for the tests: root 2-of-3, one key for each online role and for targets, and
//! the role of one model, 2-of-2. Keys are fixed by a seed; nothing here is for production.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

use ed25519_dalek::SigningKey;

use super::author::key_of;
use super::*;

pub(super) const NOW_S: u64 = 1_900_000_000;
pub(super) const TARGET: &str = "models/bearing/1.0.0.cbor";
pub(super) const STATEMENT: &[u8] = b"a statement";

const EXPIRES_S: u64 = NOW_S + 1000;

/// Documents as their authors hold them, who signs them, and the files that come out.
pub(super) struct Repository {
    pub(super) root: Root,
    pub(super) timestamp: Timestamp,
    pub(super) snapshot: Snapshot,
    pub(super) targets: Targets,
    pub(super) model: Targets,
    /// Seeds of the signing keys by role name.
    pub(super) signers: BTreeMap<&'static str, Vec<u8>>,
    /// Whether listings carry length and hashes.
    pub(super) hashes: bool,
    pub(super) files: BTreeMap<String, Vec<u8>>,
}

pub(super) fn key(seed: u8) -> SigningKey {
    SigningKey::from_bytes(&[seed; 32])
}

pub(super) fn keys(seeds: &[u8]) -> Vec<Key> {
    seeds.iter().map(|&seed| key_of(&key(seed))).collect()
}

pub(super) fn model_role() -> Role {
    Role::of_model("bearing")
}

impl Repository {
    pub(super) fn new() -> Self {
        let mut root = Root::new(1, EXPIRES_S);
        root.authorize(&Role::Root, &keys(&[1, 2, 3]), 2);
        root.authorize(&Role::Timestamp, &keys(&[11]), 1);
        root.authorize(&Role::Snapshot, &keys(&[12]), 1);
        root.authorize(&Role::Targets, &keys(&[13]), 1);
        let mut targets = Targets::new(2, EXPIRES_S);
        targets.delegate(Delegation::of_model("bearing", 2), &keys(&[21, 22]));
        targets.add_target("fleet.json", TargetFile::of(b"{}", None));
        let mut model = Targets::new(2, EXPIRES_S);
        model.add_target(TARGET, TargetFile::of(STATEMENT, None));
        let listed = FileMeta {
            version: 2,
            length: None,
            hashes: None,
        };
        let mut repository = Self {
            root,
            timestamp: Timestamp::new(2, EXPIRES_S, NOW_S - 10, listed),
            snapshot: Snapshot::new(2, EXPIRES_S),
            targets,
            model,
            signers: BTreeMap::from([
                ("root", Vec::from([1, 2])),
                ("timestamp", Vec::from([11])),
                ("snapshot", Vec::from([12])),
                ("targets", Vec::from([13])),
                ("model", Vec::from([21, 22])),
            ]),
            hashes: true,
            files: BTreeMap::new(),
        };
        repository.write_root();
        repository.write();
        repository
    }

    /// The next version of everything but root, not yet written.
    pub(super) fn bump(&mut self) {
        self.timestamp.header.version += 1;
        self.snapshot.header.version += 1;
        self.targets.header.version += 1;
        self.model.header.version += 1;
    }

    pub(super) fn write_root(&mut self) {
        let bytes = self.sign("root", &self.root);
        let name = alloc::format!("{}.root.json", self.root.header.version);
        self.files.insert(name, bytes);
    }

    /// Writes all but root, each listing what it lists as it now is.
    pub(super) fn write(&mut self) {
        let model = self.sign("model", &self.model);
        let targets = self.sign("targets", &self.targets);
        let listed_model = self.listing(self.model.header.version, &model);
        let listed_targets = self.listing(self.targets.header.version, &targets);
        self.snapshot.list(&model_role(), listed_model);
        self.snapshot.list(&Role::Targets, listed_targets);
        self.put(&model_role(), self.model.header.version, model);
        self.put(&Role::Targets, self.targets.header.version, targets);
        self.write_online();
    }

    pub(super) fn write_online(&mut self) {
        let snapshot = self.sign("snapshot", &self.snapshot);
        let version = self.snapshot.header.version;
        let listed = self.listing(version, &snapshot);
        self.timestamp.meta.insert("snapshot.json".into(), listed);
        self.put(&Role::Snapshot, version, snapshot);
        let timestamp = self.sign("timestamp", &self.timestamp);
        self.files.insert("timestamp.json".into(), timestamp);
    }

    pub(super) fn sign<T: Document>(&self, by: &str, document: &T) -> Vec<u8> {
        let keys: Vec<SigningKey> = self.signers[by].iter().map(|&seed| key(seed)).collect();
        Envelope::signed_bytes(document, &keys.iter().collect::<Vec<_>>()).unwrap()
    }

    pub(super) fn put(&mut self, role: &Role, version: u64, bytes: Vec<u8>) {
        self.files
            .insert(alloc::format!("{version}.{}", role.listed_name()), bytes);
    }

    /// What a client that starts with the first root has after one update.
    pub(super) fn client(&self) -> Trusted {
        let mut trusted = Trusted::from_root(&self.files["1.root.json"]).unwrap();
        self.refresh(&mut trusted, Expiry::Enforced { now_s: NOW_S })
            .unwrap();
        trusted
    }

    /// One whole update in the order of the specification; a file that is not there ends it.
    pub(super) fn refresh(&self, trusted: &mut Trusted, expiry: Expiry) -> Result<(), Refused> {
        while let Some(wanted) = trusted.wanted_root() {
            let Some(bytes) = self.files.get(&wanted.file_name) else {
                break;
            };
            if offer(trusted, &wanted, bytes, expiry)? == Update::Unchanged {
                break;
            }
        }
        trusted.finish_root(expiry)?;
        offer(
            trusted,
            &trusted.wanted_timestamp(),
            &self.files["timestamp.json"],
            expiry,
        )?;
        while let Search::Needs(wanted) = trusted.search(TARGET, expiry)? {
            let Some(bytes) = self.files.get(&wanted.file_name) else {
                break;
            };
            offer(trusted, &wanted, bytes, expiry)?;
        }
        Ok(())
    }

    fn listing(&self, version: u64, bytes: &[u8]) -> FileMeta {
        let full = FileMeta::of(version, bytes);
        if self.hashes {
            full
        } else {
            FileMeta {
                version,
                length: None,
                hashes: None,
            }
        }
    }
}

/// Takes the bytes; what is refused must change nothing.
pub(super) fn offer(
    trusted: &mut Trusted,
    wanted: &Wanted,
    bytes: &[u8],
    expiry: Expiry,
) -> Result<Update, Refused> {
    let before = trusted.clone();
    let result = trusted.update(wanted, bytes, expiry);
    assert!(
        result.is_ok() || *trusted == before,
        "a refusal changed something: {result:?}"
    );
    result
}
