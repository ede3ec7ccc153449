//! The four kinds of metadata document (TUF chapter 4) as types, and the proof that one was signed.
//! The types serve reading and writing; fields we do not know are verified but not kept here.

mod hashes;
mod online;
mod root;
mod targets;

use alloc::collections::BTreeMap;
use alloc::string::{String, ToString};

use serde::{Deserialize, Serialize};

use super::date;
use super::envelope::Envelope;
use super::hex::Hex32;
use super::key::{Authority, Key};
use super::limits;
use super::refused::Refused;
use super::role::Role;

use hashes::Digests;

pub use hashes::Hashes;
pub use online::{FileMeta, Snapshot, Timestamp};
pub use root::{RoleKeys, Root};
pub use targets::{Delegation, Delegations, TargetFile, Targets};

/// What every document begins with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// The kind of document, fixed per type.
    #[serde(rename = "_type")]
    pub kind: String,
    /// The version of the TUF specification, `1.` and more.
    pub spec_version: String,
    /// Counts from 1.
    pub version: u64,
    /// When it ceases to be valid, unix seconds.
    #[serde(rename = "expires", with = "date::unix_seconds")]
    pub expires_s: u64,
}

/// A kind of metadata document.
pub trait Document: Serialize + for<'de> Deserialize<'de> {
    /// Its `_type`.
    const KIND: &'static str;

    /// What it begins with.
    fn header(&self) -> &Header;

    /// Says which rule of its own the document breaks.
    ///
    /// # Errors
    /// The reason.
    fn check(&self, role: &Role) -> Result<(), Refused>;
}

/// A document that enough keys of its role have signed. Only verification makes one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signed<T> {
    document: T,
    by: Authority,
    length: u64,
    digests: Digests,
    content: Hex32,
}

impl<T: Document> Signed<T> {
    /// The document.
    #[must_use]
    pub fn document(&self) -> &T {
        &self.document
    }

    /// Its version.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.document.header().version
    }

    /// Who was asked to sign it.
    #[must_use]
    pub fn by(&self) -> &Authority {
        &self.by
    }

    /// The sha256 of the bytes as received.
    #[must_use]
    pub fn sha256(&self) -> Hex32 {
        self.digests.sha256
    }

    /// Bytes as received.
    #[must_use]
    pub fn length(&self) -> u64 {
        self.length
    }

    pub(super) fn verify(role: &Role, by: Authority, bytes: &[u8]) -> Result<Self, Refused> {
        let envelope = Envelope::parse(role, bytes)?;
        envelope.require(role, &by)?;
        Self::believe(&envelope, read(role, &envelope)?, by, bytes, role)
    }

    /// Whether what is signed is the same; the signatures may differ.
    pub(super) fn same_content(&self, other: &Self) -> bool {
        self.content == other.content
    }

    fn believe(
        envelope: &Envelope,
        document: T,
        by: Authority,
        bytes: &[u8],
        role: &Role,
    ) -> Result<Self, Refused> {
        let message = envelope.message().map_err(|error| malformed(role, error))?;
        Ok(Self {
            document,
            by,
            length: bytes.len() as u64,
            digests: Digests::of(bytes),
            content: Hex32::sha256(&message),
        })
    }
}

impl Signed<Root> {
    /// A root document that its own root keys have signed.
    pub(super) fn verify_self_signed(bytes: &[u8]) -> Result<Self, Refused> {
        let role = Role::Root;
        let envelope = Envelope::parse(&role, bytes)?;
        let document: Root = read(&role, &envelope)?;
        let by = document.authority(&role);
        envelope.require(&role, &by)?;
        Self::believe(&envelope, document, by, bytes, &role)
    }
}

/// What is signed, as a type, after the checks that need no other document.
pub(super) fn read<T: Document>(role: &Role, envelope: &Envelope) -> Result<T, Refused> {
    let document = T::deserialize(&envelope.signed).map_err(|error| malformed(role, error))?;
    let header = document.header();
    require(role, header.kind == T::KIND, "_type")?;
    require(role, header.spec_version.starts_with("1."), "spec_version")?;
    require(role, header.version >= 1, "version")?;
    document.check(role)?;
    Ok(document)
}

pub(super) fn header_of(kind: &str, version: u64, expires_s: u64) -> Header {
    Header {
        kind: kind.into(),
        spec_version: "1.0.34".into(),
        version,
        expires_s,
    }
}

fn malformed(role: &Role, what: impl core::fmt::Display) -> Refused {
    Refused::Malformed {
        role: role.clone(),
        what: what.to_string(),
    }
}

fn require(role: &Role, holds: bool, what: &str) -> Result<(), Refused> {
    if holds {
        Ok(())
    } else {
        Err(malformed(role, what))
    }
}

/// Every key stands under its own id and, if it is of our type, is a point on the curve.
fn check_keys(role: &Role, keys: &BTreeMap<String, Key>) -> Result<(), Refused> {
    require(role, keys.len() <= limits::KEYS_MAX, "too many keys")?;
    for (id, key) in keys.iter().filter(|(_, key)| key.is_ed25519()) {
        if !key.answers_to(id) {
            return Err(Refused::WrongKeyId {
                role: role.clone(),
                key_id: id.clone(),
            });
        }
        require(role, key.public().is_some(), "keyval")?;
    }
    Ok(())
}

/// A threshold that no number of keys can meet is no error here: nothing can then be signed.
fn check_role_keys(role: &Role, key_ids: &[String], threshold: u32) -> Result<(), Refused> {
    require(role, threshold >= 1, "threshold")?;
    require(
        role,
        key_ids.len() <= limits::KEYS_OF_ROLE_MAX,
        "too many keys of a role",
    )
}
