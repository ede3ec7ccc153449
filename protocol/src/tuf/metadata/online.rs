//! Snapshot (4.4) and timestamp (4.6): which documents are current. They never name a key.

use alloc::collections::BTreeMap;
use alloc::string::String;

use serde::{Deserialize, Serialize};

use super::{Document, Hashes, Header, Refused, Role, Signed, date, limits, require};

/// The snapshot document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    /// What every document begins with.
    #[serde(flatten)]
    pub header: Header,
    /// Targets and all delegated roles, as `NAME.json`.
    pub meta: BTreeMap<String, FileMeta>,
}

/// The timestamp document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timestamp {
    /// What every document begins with.
    #[serde(flatten)]
    pub header: Header,
    /// `snapshot.json` and nothing else.
    pub meta: BTreeMap<String, FileMeta>,
    /// When it was signed, unix seconds: our own field, from which a device's time floor rises.
    #[serde(
        rename = "issued_at",
        default,
        skip_serializing_if = "Option::is_none",
        with = "date::optional_unix_seconds"
    )]
    pub issued_at_s: Option<u64>,
}

/// What a listing says about a document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileMeta {
    /// Its version.
    pub version: u64,
    /// Its length in bytes, if listed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub length: Option<u64>,
    /// Its digests, if listed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hashes: Option<Hashes>,
}

impl Timestamp {
    /// What it says about the snapshot.
    ///
    /// # Errors
    /// [`Refused::MissingRole`]; never after the document was checked.
    pub fn snapshot(&self) -> Result<&FileMeta, Refused> {
        listed(&self.meta, &Role::Snapshot)
    }
}

impl Snapshot {
    /// What it says about a targets role.
    ///
    /// # Errors
    /// [`Refused::MissingRole`].
    pub fn listed(&self, role: &Role) -> Result<&FileMeta, Refused> {
        listed(&self.meta, role)
    }
}

impl FileMeta {
    pub(in super::super) fn check_bytes(&self, role: &Role, bytes: &[u8]) -> Result<(), Refused> {
        let offered = bytes.len() as u64;
        if let Some(expected) = self.length.filter(|&length| length != offered) {
            return Err(Refused::LengthMismatch {
                role: role.clone(),
                expected,
                offered,
            });
        }
        match &self.hashes {
            Some(hashes) if !hashes.match_bytes(bytes) => {
                Err(Refused::HashMismatch { role: role.clone() })
            }
            Some(_) | None => Ok(()),
        }
    }

    pub(in super::super) fn check_version(&self, role: &Role, offered: u64) -> Result<(), Refused> {
        if self.version == offered {
            return Ok(());
        }
        Err(Refused::WrongVersion {
            role: role.clone(),
            expected: self.version,
            offered,
        })
    }

    /// Whether the document is the one that is listed.
    pub(in super::super) fn is<T: Document>(&self, signed: &Signed<T>) -> bool {
        self.version == signed.version()
            && self.length.is_none_or(|length| length == signed.length())
            && self
                .hashes
                .as_ref()
                .is_none_or(|hashes| hashes.match_digests(&signed.digests))
    }
}

impl Document for Snapshot {
    const KIND: &'static str = "snapshot";

    fn header(&self) -> &Header {
        &self.header
    }

    fn check(&self, role: &Role) -> Result<(), Refused> {
        require(
            role,
            self.meta.len() <= limits::LISTED_MAX,
            "too many documents listed",
        )?;
        let name_max = limits::ROLE_NAME_BYTES_MAX + ".json".len();
        for (name, listed) in &self.meta {
            require(role, name.len() <= name_max, "a listed name is too long")?;
            require(role, listed.version >= 1, "a listed version")?;
        }
        self.listed(&Role::Targets).map(|_| ())
    }
}

impl Document for Timestamp {
    const KIND: &'static str = "timestamp";

    fn header(&self) -> &Header {
        &self.header
    }

    fn check(&self, role: &Role) -> Result<(), Refused> {
        require(
            role,
            self.meta.len() == 1,
            "meta must list the snapshot alone",
        )?;
        require(role, self.snapshot()?.version >= 1, "a listed version")
    }
}

fn listed<'a>(meta: &'a BTreeMap<String, FileMeta>, role: &Role) -> Result<&'a FileMeta, Refused> {
    meta.get(&role.listed_name())
        .ok_or_else(|| Refused::MissingRole { role: role.clone() })
}
