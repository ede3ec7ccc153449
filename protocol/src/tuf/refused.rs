//! Why a document was not accepted: one named reason per check, with the section of the
//! specification that asks for it. A refusal changes nothing that was trusted before.

use alloc::string::String;
use core::fmt;

use super::role::Role;

/// The reason of a refusal. `Display` ends with the section of the TUF specification.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refused {
    /// More bytes than the role may have, or than its listing says.
    TooLarge {
        /// Whose document.
        role: Role,
        /// Bytes allowed.
        bytes_max: u64,
    },
    /// Not JSON, a field missing or of the wrong kind, or more entries than the limits allow.
    Malformed {
        /// Whose document.
        role: Role,
        /// Which field or rule.
        what: String,
    },
    /// A key stands under an id that is not its own.
    WrongKeyId {
        /// Whose document.
        role: Role,
        /// The id as listed.
        key_id: String,
    },
    /// The same key id signed twice.
    DuplicateSignature {
        /// Whose document.
        role: Role,
        /// The id.
        key_id: String,
    },
    /// Too few distinct keys of the role made a valid signature.
    ThresholdNotMet {
        /// Whose document.
        role: Role,
        /// Valid signatures by distinct keys of the role.
        have: u32,
        /// Signatures needed.
        need: u32,
    },
    /// An older version than the trusted one.
    Rollback {
        /// Whose version would go back.
        role: Role,
        /// The version trusted so far.
        trusted: u64,
        /// The version offered.
        offered: u64,
    },
    /// Not the version that comes next or that is listed.
    WrongVersion {
        /// Whose document.
        role: Role,
        /// The version that was due.
        expected: u64,
        /// The version offered.
        offered: u64,
    },
    /// The version already trusted, rightly signed, but with other content.
    SameVersionDifferentBytes {
        /// Whose document.
        role: Role,
        /// The version.
        version: u64,
    },
    /// Not the length that is listed.
    LengthMismatch {
        /// Whose document.
        role: Role,
        /// Bytes listed.
        expected: u64,
        /// Bytes offered.
        offered: u64,
    },
    /// Not the sha256 that is listed.
    HashMismatch {
        /// Whose document.
        role: Role,
    },
    /// No longer valid.
    Expired {
        /// Whose document.
        role: Role,
        /// When it expired, unix seconds.
        at_s: u64,
    },
    /// Snapshot no longer lists a role it has listed, or does not list the one asked for; or
    /// nobody delegates to it.
    MissingRole {
        /// The role.
        role: Role,
    },
    /// Its turn comes after another document's, which is missing or not current.
    OutOfOrder {
        /// Whose document was offered.
        role: Role,
        /// Whose document comes first.
        needs: Role,
    },
    /// More root documents in one update cycle than the limit.
    TooManyRotations,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLarge { role, bytes_max } => {
                write!(f, "{role} has more than {bytes_max} bytes")
            }
            Self::Malformed { role, what } => write!(f, "{role} is malformed: {what}"),
            Self::WrongKeyId { role, key_id } => {
                write!(f, "{role} lists a key under {key_id}, which is not its id")
            }
            Self::DuplicateSignature { role, key_id } => {
                write!(f, "{role} has two signatures of key {key_id}")
            }
            Self::ThresholdNotMet { role, have, need } => {
                write!(f, "{role} has {have} valid signatures of {need} needed")
            }
            Self::Rollback {
                role,
                trusted,
                offered,
            } => {
                write!(
                    f,
                    "{role} would go back from version {trusted} to {offered}"
                )
            }
            Self::WrongVersion {
                role,
                expected,
                offered,
            } => {
                write!(f, "{role} has version {offered} where {expected} is due")
            }
            Self::SameVersionDifferentBytes { role, version } => {
                write!(
                    f,
                    "{role} has other content under the trusted version {version}"
                )
            }
            Self::LengthMismatch {
                role,
                expected,
                offered,
            } => {
                write!(f, "{role} has {offered} bytes where {expected} are listed")
            }
            Self::HashMismatch { role } => write!(f, "{role} has another sha256 than listed"),
            Self::Expired { role, at_s } => {
                write!(f, "{role} expired at {}", super::date::format(*at_s))
            }
            Self::MissingRole { role } => write!(f, "{role} is not listed or not delegated"),
            Self::OutOfOrder { role, needs } => write!(f, "{role} needs a current {needs} first"),
            Self::TooManyRotations => f.write_str("too many root documents in one update"),
        }?;
        write!(f, " (TUF {})", self.section())
    }
}

impl core::error::Error for Refused {}

impl Refused {
    /// The section of the TUF specification 1.0 that asks for the check.
    #[must_use]
    pub fn section(&self) -> &'static str {
        match self {
            Self::TooLarge { role, .. } => step(role, ["5.3.3", "5.4.1", "5.5.1", "5.6.1"]),
            Self::Malformed { role, .. } => step(role, ["4.3", "4.6", "4.4", "4.5"]),
            Self::WrongKeyId { .. } | Self::DuplicateSignature { .. } => "4.2",
            Self::ThresholdNotMet { role, .. } => step(role, ["5.3.4", "5.4.2", "5.5.3", "5.6.3"]),
            // A version goes back in the document that lists it: the one before it.
            Self::Rollback { role, .. } => step(role, ["5.3.5", "5.4.3.1", "5.4.3.2", "5.5.5"]),
            Self::WrongVersion { role, .. } => step(role, ["5.3.5", "5.4.3", "5.5.4", "5.6.4"]),
            Self::SameVersionDifferentBytes { role, .. } => {
                step(role, ["5.3.5", "5.4.3.1", "5.5.5", "5.6.4"])
            }
            Self::LengthMismatch { role, .. } | Self::HashMismatch { role } => {
                step(role, ["5.3.3", "5.4.1", "5.5.2", "5.6.2"])
            }
            Self::Expired { role, .. } => step(role, ["5.3.10", "5.4.4", "5.5.6", "5.6.5"]),
            Self::MissingRole { .. } => "5.5.5",
            Self::OutOfOrder { .. } => "5",
            Self::TooManyRotations => "5.3.3",
        }
    }
}

fn step(role: &Role, of: [&'static str; 4]) -> &'static str {
    match role {
        Role::Root => of[0],
        Role::Timestamp => of[1],
        Role::Snapshot => of[2],
        Role::Targets | Role::Delegated(_) => of[3],
    }
}
