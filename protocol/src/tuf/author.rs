//! The other side: making metadata, for the controller and for key ceremonies. The same content
//! gives the same bytes. It holds no keys and checks no signatures: what it makes is believed only
//! by going through the client.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use ed25519_dalek::{Signer as _, SigningKey};
use serde_json::Value;

use super::canonical::NotCanonical;
use super::envelope::{Envelope, Signature};
use super::hex;
use super::key::{Authority, Key};
use super::metadata::{
    self, Delegation, Delegations, Document, FileMeta, Hashes, RoleKeys, Root, Signed, Snapshot,
    TargetFile, Targets, Timestamp,
};
use super::refused::Refused;
use super::role::Role;

/// The entry and the id of a signing key's public half.
#[must_use]
pub fn key_of(signing: &SigningKey) -> Key {
    Key::ed25519(signing.verifying_key().to_bytes())
}

/// Reads a document of one's own to make the next version of it; signatures are not looked at.
///
/// # Errors
/// [`Refused::TooLarge`] or [`Refused::Malformed`].
pub fn read_unverified<T: Document>(role: &Role, bytes: &[u8]) -> Result<T, Refused> {
    metadata::read(role, &Envelope::parse(role, bytes)?)
}

/// Reads a document that enough keys of `by` have signed, to make the next version of it. Whether
/// it is current, and whether it has expired, is not asked.
///
/// # Errors
/// A refusal.
pub fn read_signed<T: Document>(
    role: &Role,
    by: Authority,
    bytes: &[u8],
) -> Result<Signed<T>, Refused> {
    Signed::verify(role, by, bytes)
}

impl Envelope {
    /// An envelope without signatures.
    ///
    /// # Errors
    /// [`NotCanonical`] if a `custom` field holds a fraction.
    pub fn unsigned<T: Document>(document: &T) -> Result<Self, NotCanonical> {
        let signed = serde_json::to_value(document).map_err(|_| NotCanonical)?;
        let envelope = Self {
            signatures: Vec::new(),
            signed,
        };
        envelope.message().map(|_| envelope)
    }

    /// An envelope signed by all of `keys`, as bytes.
    ///
    /// # Errors
    /// [`NotCanonical`] if a `custom` field holds a fraction.
    pub fn signed_bytes<T: Document>(
        document: &T,
        keys: &[&SigningKey],
    ) -> Result<Vec<u8>, NotCanonical> {
        let mut envelope = Self::unsigned(document)?;
        keys.iter().try_for_each(|key| envelope.sign(key))?;
        envelope.to_bytes()
    }

    /// Adds a signature, in place of an earlier one by the same key. Signatures are kept sorted.
    ///
    /// # Errors
    /// [`NotCanonical`].
    pub fn sign(&mut self, signing: &SigningKey) -> Result<(), NotCanonical> {
        let sig = hex::encode(&signing.sign(&self.message()?).to_bytes());
        let keyid = key_of(signing).id();
        self.signatures.retain(|signature| signature.keyid != keyid);
        self.signatures.push(Signature { keyid, sig });
        self.signatures.sort();
        Ok(())
    }
}

impl Root {
    /// A root that gives no one a say yet, with consistent snapshots.
    #[must_use]
    pub fn new(version: u64, expires_s: u64) -> Self {
        Self {
            header: metadata::header_of(Self::KIND, version, expires_s),
            consistent_snapshot: true,
            keys: BTreeMap::new(),
            roles: BTreeMap::new(),
        }
    }

    /// Gives a top-level role these keys, in place of those it had; keys of no role are dropped.
    pub fn authorize(&mut self, role: &Role, keys: &[Key], threshold: u32) {
        let keyids = add_keys(&mut self.keys, keys);
        self.roles
            .insert(role.name().into(), RoleKeys { keyids, threshold });
        let used = self.roles.values().flat_map(|role| &role.keyids);
        keep_used(&mut self.keys, used);
    }
}

impl Timestamp {
    /// A timestamp over one snapshot.
    #[must_use]
    pub fn new(version: u64, expires_s: u64, issued_at_s: u64, snapshot: FileMeta) -> Self {
        Self {
            header: metadata::header_of(Self::KIND, version, expires_s),
            meta: BTreeMap::from([(Role::Snapshot.listed_name(), snapshot)]),
            issued_at_s: Some(issued_at_s),
        }
    }
}

impl Snapshot {
    /// A snapshot that lists nothing yet.
    #[must_use]
    pub fn new(version: u64, expires_s: u64) -> Self {
        let header = metadata::header_of(Self::KIND, version, expires_s);
        Self {
            header,
            meta: BTreeMap::new(),
        }
    }

    /// Lists a targets role. A role once listed must stay listed.
    pub fn list(&mut self, role: &Role, listed: FileMeta) {
        self.meta.insert(role.listed_name(), listed);
    }
}

impl FileMeta {
    /// The listing of a document's bytes.
    #[must_use]
    pub fn of(version: u64, bytes: &[u8]) -> Self {
        Self {
            version,
            length: Some(bytes.len() as u64),
            hashes: Some(Hashes::of(bytes)),
        }
    }
}

impl TargetFile {
    /// The listing of a file's bytes.
    #[must_use]
    pub fn of(bytes: &[u8], custom: Option<Value>) -> Self {
        Self {
            length: bytes.len() as u64,
            hashes: Hashes::of(bytes),
            custom,
        }
    }
}

impl Delegation {
    /// The terminating delegation of one model's files to its role.
    #[must_use]
    pub fn of_model(model: &str, threshold: u32) -> Self {
        Self {
            name: Role::of_model(model).to_string(),
            keyids: Vec::new(),
            threshold,
            terminating: true,
            paths: Some(Vec::from([alloc::format!("models/{model}/*")])),
            path_hash_prefixes: None,
        }
    }
}

impl Targets {
    /// A targets document that lists nothing yet.
    #[must_use]
    pub fn new(version: u64, expires_s: u64) -> Self {
        Self {
            header: metadata::header_of(Self::KIND, version, expires_s),
            targets: BTreeMap::new(),
            delegations: None,
        }
    }

    /// Lists a file, in place of what was listed under that path.
    pub fn add_target(&mut self, path: &str, file: TargetFile) {
        self.targets.insert(path.into(), file);
    }

    /// Lists a file no longer.
    pub fn remove_target(&mut self, path: &str) {
        self.targets.remove(path);
    }

    /// Delegates to a role with these keys: in the place of its former delegation, or last.
    pub fn delegate(&mut self, mut delegation: Delegation, keys: &[Key]) {
        let all = self.delegations.get_or_insert_default();
        delegation.keyids = add_keys(&mut all.keys, keys);
        match all
            .roles
            .iter_mut()
            .find(|role| role.name == delegation.name)
        {
            Some(place) => *place = delegation,
            None => all.roles.push(delegation),
        }
        drop_unused(all);
    }

    /// Delegates to a role no longer.
    pub fn undelegate(&mut self, name: &str) {
        if let Some(all) = &mut self.delegations {
            all.roles.retain(|role| role.name != name);
            drop_unused(all);
        }
    }
}

fn add_keys(all: &mut BTreeMap<String, Key>, keys: &[Key]) -> Vec<String> {
    let ids: BTreeSet<String> = keys.iter().map(Key::id).collect();
    all.extend(keys.iter().map(|key| (key.id(), key.clone())));
    ids.into_iter().collect()
}

fn drop_unused(all: &mut Delegations) {
    keep_used(
        &mut all.keys,
        all.roles.iter().flat_map(|role| &role.keyids),
    );
}

fn keep_used<'a>(all: &mut BTreeMap<String, Key>, used: impl Iterator<Item = &'a String>) {
    let used: BTreeSet<&String> = used.collect();
    all.retain(|id, _| used.contains(id));
}
