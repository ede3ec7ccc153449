//! Root (4.3): the keys of every top-level role. It never holds keys of delegated roles.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use super::{Authority, Document, Header, Key, Refused, Role};
use super::{check_keys, check_role_keys, require};

/// The root document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Root {
    /// What every document begins with.
    #[serde(flatten)]
    pub header: Header,
    /// Whether file names carry versions and digests (6.2).
    #[serde(default)]
    pub consistent_snapshot: bool,
    /// All keys by id.
    pub keys: BTreeMap<String, Key>,
    /// The keys of each top-level role.
    pub roles: BTreeMap<String, RoleKeys>,
}

/// Who signs for a role.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoleKeys {
    /// Ids of its keys.
    pub keyids: Vec<String>,
    /// How many of them must sign.
    pub threshold: u32,
}

impl Root {
    /// Who signs for a top-level role; nobody for any other.
    #[must_use]
    pub fn authority(&self, role: &Role) -> Authority {
        let nobody = RoleKeys {
            keyids: Vec::new(),
            threshold: u32::MAX,
        };
        let keys = match role {
            Role::Delegated(_) => &nobody,
            Role::Root | Role::Timestamp | Role::Snapshot | Role::Targets => {
                self.roles.get(role.name()).unwrap_or(&nobody)
            }
        };
        Authority::new(&self.keys, &keys.keyids, keys.threshold)
    }
}

impl Document for Root {
    const KIND: &'static str = "root";

    fn header(&self) -> &Header {
        &self.header
    }

    fn check(&self, role: &Role) -> Result<(), Refused> {
        check_keys(role, &self.keys)?;
        for top in Role::TOP_LEVEL {
            let keys = self.roles.get(top.name());
            require(role, keys.is_some(), "a top-level role is missing")?;
        }
        require(role, self.roles.len() <= 8, "too many roles")?;
        self.roles
            .values()
            .try_for_each(|keys| check_role_keys(role, &keys.keyids, keys.threshold))
    }
}
