//! The roles of TUF and their names. It never says who holds a role: root and delegations do.

use alloc::string::String;
use core::fmt;

use super::limits;

/// A role that signs metadata.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Names the keys of all top-level roles; offline.
    Root,
    /// Names the newest snapshot; online.
    Timestamp,
    /// Lists the versions of all targets documents; online.
    Snapshot,
    /// Lists targets and delegations; offline.
    Targets,
    /// A role that targets, or another delegated role, delegates to, by its name.
    Delegated(String),
}

impl Role {
    /// The roles whose keys root must name.
    pub const TOP_LEVEL: [Self; 4] = [Self::Root, Self::Timestamp, Self::Snapshot, Self::Targets];

    /// The name in metadata.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Root => "root",
            Self::Timestamp => "timestamp",
            Self::Snapshot => "snapshot",
            Self::Targets => "targets",
            Self::Delegated(name) => name,
        }
    }

    /// The name under which snapshot and timestamp list the document.
    #[must_use]
    pub fn listed_name(&self) -> String {
        alloc::format!("{}.json", self.name())
    }

    /// The targets role that a snapshot lists under `name`.
    pub(super) fn of_listed_name(name: &str) -> Self {
        match name.strip_suffix(".json").unwrap_or(name) {
            "root" => Self::Root,
            "targets" => Self::Targets,
            other => Self::Delegated(other.into()),
        }
    }

    /// The role that signs for one model.
    #[must_use]
    pub fn of_model(model: &str) -> Self {
        Self::Delegated(alloc::format!("models/{model}"))
    }

    /// Bytes that a document of this role may have.
    #[must_use]
    pub fn bytes_max(&self) -> u64 {
        match self {
            Self::Root => limits::ROOT_BYTES_MAX,
            Self::Timestamp => limits::TIMESTAMP_BYTES_MAX,
            Self::Snapshot => limits::SNAPSHOT_BYTES_MAX,
            Self::Targets | Self::Delegated(_) => limits::TARGETS_BYTES_MAX,
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
