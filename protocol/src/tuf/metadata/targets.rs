//! Targets (4.5), top-level or delegated: files by path, and delegations in their order. What a
//! delegated role lists outside its delegation's paths is never found.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::super::path_pattern;
use super::{Authority, Document, Hashes, Header, Hex32, Key, Refused, Role};
use super::{check_keys, check_role_keys, limits, require};

/// A targets document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Targets {
    /// What every document begins with.
    #[serde(flatten)]
    pub header: Header,
    /// Files by path.
    pub targets: BTreeMap<String, TargetFile>,
    /// Who else may list files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delegations: Option<Delegations>,
}

/// What is known about a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TargetFile {
    /// Its length in bytes.
    pub length: u64,
    /// Its digests.
    pub hashes: Hashes,
    /// What the author adds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub custom: Option<Value>,
}

/// Delegations and the keys they name.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delegations {
    /// All keys by id.
    pub keys: BTreeMap<String, Key>,
    /// In the order in which they are asked.
    pub roles: Vec<Delegation>,
}

/// The right of a role to list files under some paths.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delegation {
    /// The name of the role.
    pub name: String,
    /// Ids of its keys.
    pub keyids: Vec<String>,
    /// How many of them must sign.
    pub threshold: u32,
    /// Whether a path that it covers is sought nowhere else.
    pub terminating: bool,
    /// Patterns of its paths; or else `path_hash_prefixes`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paths: Option<Vec<String>>,
    /// Beginnings of the sha256 of its paths.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path_hash_prefixes: Option<Vec<String>>,
}

impl Targets {
    /// Its delegations in order.
    #[must_use]
    pub fn delegated(&self) -> &[Delegation] {
        self.delegations
            .as_ref()
            .map_or(&[], |delegations| &delegations.roles)
    }

    /// Who signs for one of its delegations.
    #[must_use]
    pub fn authority(&self, delegation: &Delegation) -> Authority {
        let none = BTreeMap::new();
        let keys = self
            .delegations
            .as_ref()
            .map_or(&none, |delegations| &delegations.keys);
        Authority::new(keys, &delegation.keyids, delegation.threshold)
    }
}

impl TargetFile {
    /// Checks the bytes of the file (5.7.3).
    ///
    /// # Errors
    /// [`Refused::LengthMismatch`] or [`Refused::HashMismatch`]; `role` is the one that lists it.
    pub fn check_bytes(&self, role: &Role, bytes: &[u8]) -> Result<(), Refused> {
        let (expected, offered) = (self.length, bytes.len() as u64);
        if expected != offered {
            return Err(Refused::LengthMismatch {
                role: role.clone(),
                expected,
                offered,
            });
        }
        if !self.hashes.match_bytes(bytes) {
            return Err(Refused::HashMismatch { role: role.clone() });
        }
        Ok(())
    }
}

impl Delegation {
    /// Whether it covers a path.
    #[must_use]
    pub fn covers(&self, path: &str) -> bool {
        if let Some(patterns) = &self.paths {
            return patterns
                .iter()
                .any(|pattern| path_pattern::matches(pattern, path));
        }
        let digest = Hex32::sha256(path.as_bytes()).to_string();
        let mut prefixes = self.path_hash_prefixes.iter().flatten();
        prefixes.any(|prefix| digest.starts_with(prefix.as_str()))
    }

    fn check(&self, role: &Role) -> Result<(), Refused> {
        let top_level = Role::TOP_LEVEL.iter().any(|top| top.name() == self.name);
        require(role, !top_level, "a delegation to a top-level role")?;
        let length = self.name.len();
        let named = (1..=limits::ROLE_NAME_BYTES_MAX).contains(&length);
        require(role, named, "the name of a delegation")?;
        let one = self.paths.is_some() != self.path_hash_prefixes.is_some();
        require(
            role,
            one,
            "a delegation needs either paths or path_hash_prefixes",
        )?;
        let paths = self.paths.iter().chain(&self.path_hash_prefixes);
        for paths in paths {
            require(
                role,
                paths.len() <= limits::PATHS_MAX,
                "too many paths of a delegation",
            )?;
            let short = paths
                .iter()
                .all(|path| path.len() <= limits::PATH_BYTES_MAX);
            require(role, short, "a path of a delegation is too long")?;
        }
        check_role_keys(role, &self.keyids, self.threshold)
    }
}

impl Document for Targets {
    const KIND: &'static str = "targets";

    fn header(&self) -> &Header {
        &self.header
    }

    fn check(&self, role: &Role) -> Result<(), Refused> {
        require(
            role,
            self.targets.len() <= limits::TARGETS_MAX,
            "too many targets",
        )?;
        let short = self
            .targets
            .keys()
            .all(|path| path.len() <= limits::PATH_BYTES_MAX);
        require(role, short, "a target path is too long")?;
        let Some(delegations) = &self.delegations else {
            return Ok(());
        };
        check_keys(role, &delegations.keys)?;
        let few = delegations.roles.len() <= limits::DELEGATIONS_MAX;
        require(role, few, "too many delegations")?;
        let mut names = BTreeSet::new();
        let unique = delegations
            .roles
            .iter()
            .all(|delegation| names.insert(&delegation.name));
        require(role, unique, "two delegations to one role")?;
        delegations
            .roles
            .iter()
            .try_for_each(|delegation| delegation.check(role))
    }
}
