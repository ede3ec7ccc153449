//! Keys, their ids, and who may sign for a role. Only Ed25519 counts; a key of another type is kept
//! as it came and grants nothing. A threshold counts distinct public keys, never key ids.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::{String, ToString};

use ed25519_dalek::{Signature, VerifyingKey};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::canonical::canonical_bytes;
use super::envelope;
use super::hex::{self, Hex32};

const ED25519: &str = "ed25519";

/// A public key as metadata writes it (4.2), with the fields we do not know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Key {
    /// The kind of key; ours is `ed25519`.
    pub keytype: String,
    /// The kind of signature; ours is `ed25519`.
    pub scheme: String,
    /// For `ed25519`: `public`, 64 lower-case hexadecimal digits.
    pub keyval: BTreeMap<String, Value>,
    /// Fields we do not know.
    #[serde(flatten)]
    pub other: BTreeMap<String, Value>,
}

impl Key {
    /// The entry for an Ed25519 public key.
    #[must_use]
    pub fn ed25519(public: [u8; 32]) -> Self {
        let public = Value::from(hex::encode(&public));
        Self {
            keytype: ED25519.into(),
            scheme: ED25519.into(),
            keyval: BTreeMap::from([("public".into(), public)]),
            other: BTreeMap::new(),
        }
    }

    /// The sha256 of the canonical form of type, scheme and value (4.2).
    #[must_use]
    pub fn id(&self) -> String {
        let known = json!({
            "keytype": self.keytype, "scheme": self.scheme, "keyval": self.keyval
        });
        id_of(&known)
    }

    /// The public key, if it is a well-formed Ed25519 key.
    #[must_use]
    pub fn ed25519_public(&self) -> Option<[u8; 32]> {
        self.public().map(|public| public.to_bytes())
    }

    /// Whether `id` is the key's: without the fields we do not know, or with them. Authors differ,
    /// and both bind the id to the key.
    pub(super) fn answers_to(&self, id: &str) -> bool {
        self.id() == id || serde_json::to_value(self).is_ok_and(|whole| id_of(&whole) == id)
    }

    pub(super) fn is_ed25519(&self) -> bool {
        self.keytype == ED25519 && self.scheme == ED25519
    }

    /// The public key, if it is a well-formed Ed25519 key.
    pub(super) fn public(&self) -> Option<VerifyingKey> {
        let public = self.keyval.get("public")?.as_str()?;
        VerifyingKey::from_bytes(&hex::decode(public)?)
            .ok()
            .filter(|_| self.is_ed25519())
    }
}

fn id_of(key: &Value) -> String {
    // A number without a canonical form cannot come from the strict reader; it then has no id.
    canonical_bytes(key).map_or(String::new(), |bytes| Hex32::sha256(&bytes).to_string())
}

/// The keys that may sign for a role, and how many of them must.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authority {
    keys: BTreeMap<String, [u8; 32]>,
    threshold: u32,
}

impl Authority {
    pub(super) fn new(keys: &BTreeMap<String, Key>, key_ids: &[String], threshold: u32) -> Self {
        let known = key_ids.iter().filter_map(|id| {
            let public = keys.get(id)?.public()?;
            Some((id.clone(), public.to_bytes()))
        });
        Self {
            keys: known.collect(),
            threshold,
        }
    }

    /// Signatures needed.
    #[must_use]
    pub fn threshold(&self) -> u32 {
        self.threshold
    }

    /// The distinct public keys.
    #[must_use]
    pub fn public_keys(&self) -> BTreeSet<[u8; 32]> {
        self.keys.values().copied().collect()
    }

    /// Whether a key that had a say under `self` has none under `next`.
    pub(super) fn lost_a_key(&self, next: &Self) -> bool {
        !self.public_keys().is_subset(&next.public_keys())
    }

    /// How many distinct keys made a valid signature over `message`.
    pub(super) fn count(&self, message: &[u8], signatures: &[envelope::Signature]) -> u32 {
        let valid = signatures.iter().filter_map(|signature| {
            let public = self.keys.get(&signature.keyid)?;
            let made = Signature::from_bytes(&hex::decode(&signature.sig)?);
            VerifyingKey::from_bytes(public)
                .ok()?
                .verify_strict(message, &made)
                .ok()?;
            Some(public)
        });
        let distinct: BTreeSet<_> = valid.collect();
        u32::try_from(distinct.len()).unwrap_or(u32::MAX)
    }
}
