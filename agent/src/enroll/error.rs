//! Why a device could not enrol: each with what to do, and an exit code.
//!
//! Never shows the secret of a token.

use super::address::BadAddress;
use super::identity::IdentityError;
use muster_protocol::id::DeviceId;
use muster_protocol::token::NotAToken;
use std::io;
use std::path::PathBuf;

const EXIT_FAILED: u8 = 1;
const EXIT_USAGE: u8 = 2;
const EXIT_REFUSED: u8 = 4;
const EXIT_UNREACHABLE: u8 = 5;
const EXIT_RESOURCE: u8 = 6;
const EXIT_EXISTS: u8 = 7;

/// Why a device could not enrol.
#[derive(Debug, thiserror::Error)]
pub enum EnrollError {
    /// Not a token.
    #[error(
        "failed to read the token: because it is {0}: hint: copy the whole line that \
         `muster enroll-token` printed, or name a file that holds it as @FILE"
    )]
    Token(#[from] NotAToken),
    /// A file that should hold a token.
    #[error(
        "failed to read the token from {path}: because {because}: hint: {}",
        crate::error::file_hint(because)
    )]
    TokenFile {
        /// Which.
        path: PathBuf,
        /// What the system says.
        because: io::Error,
    },
    /// A token that names no usable address.
    #[error("failed to use the token: because {0}: hint: ask for a new token")]
    Url(#[from] BadAddress),
    /// This machine has an identity.
    #[error(
        "failed to enroll {asked}: because this machine is {enrolled}: hint: to make it another \
         device, move {folder} away first"
    )]
    OtherDevice {
        /// Where its identity lies.
        folder: PathBuf,
        /// Who it is.
        enrolled: Box<DeviceId>,
        /// Who the token would make it.
        asked: Box<DeviceId>,
    },
    /// Nobody answers.
    #[error(
        "failed to reach {url}: because {because}: hint: check network, name and port, and that \
         `muster serve` runs there"
    )]
    Unreachable {
        /// Where.
        url: String,
        /// Why.
        because: String,
    },
    /// Somebody answers who is not the fleet of the token.
    #[error(
        "failed to trust {url}: because {because}: hint: the token is of another fleet, or \
         something on the way pretends to be yours"
    )]
    Untrusted {
        /// Where.
        url: String,
        /// Why.
        because: String,
    },
    /// The fleet says no.
    #[error("failed to enroll: because the fleet refuses ({status}): {because}: hint: {hint}")]
    Refused {
        /// HTTP status.
        status: u16,
        /// Its words.
        because: String,
        /// Its hint.
        hint: String,
    },
    /// The fleet answers what the token does not allow, or nonsense.
    #[error(
        "failed to accept the fleet's answer: because {because}: hint: ask for a new token; if \
         that does not help, fleet and agent do not fit together"
    )]
    Answer {
        /// What is wrong with it.
        because: String,
    },
    /// Disk full, no permission.
    #[error(
        "failed to write {path}: because {because}: hint: {}",
        disk_hint(because)
    )]
    Disk {
        /// What.
        path: PathBuf,
        /// What the system says.
        because: io::Error,
    },
    /// What lies there cannot be read.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// Keys cannot be made.
    #[error("failed to make a key: because {because}: hint: the system must offer getrandom")]
    Key {
        /// Why.
        because: String,
    },
    /// Two at once.
    #[error("failed to enroll: because another enrolment is running: hint: wait for it")]
    Running,
}

impl EnrollError {
    /// How the program ends.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Key { .. } => EXIT_FAILED,
            Self::Token(_) | Self::Url(_) => EXIT_USAGE,
            Self::TokenFile { because, .. } => crate::error::exit::of_file(because),
            Self::Untrusted { .. } | Self::Refused { .. } | Self::Answer { .. } => EXIT_REFUSED,
            Self::Unreachable { .. } => EXIT_UNREACHABLE,
            Self::Disk { .. } | Self::Identity(_) | Self::Running => EXIT_RESOURCE,
            Self::OtherDevice { .. } => EXIT_EXISTS,
        }
    }

    pub(super) fn answer(because: impl ToString) -> Self {
        let because = because.to_string();
        Self::Answer { because }
    }

    pub(super) fn key(because: impl ToString) -> Self {
        let because = because.to_string();
        Self::Key { because }
    }
}

fn disk_hint(error: &io::Error) -> &'static str {
    use io::ErrorKind::{PermissionDenied, QuotaExceeded, ReadOnlyFilesystem, StorageFull};
    let kind = error.kind();
    if matches!(kind, PermissionDenied | ReadOnlyFilesystem) {
        "run as the user of the agent, or name another folder with --state"
    } else if matches!(kind, StorageFull | QuotaExceeded) {
        "free some space"
    } else {
        "check the disk, or name another folder with --state"
    }
}
