//! What an operator can act on, and the exit code of each.
//!
//! README.md repeats the table. A bug is not in here: it panics.

use crate::config::ConfigError;
use crate::enroll::IdentityError;
use crate::serve::ServeError;
use crate::store::OpenError;
use crate::store::atomic::DiskError;
use crate::store::metadata::MetadataError;
use crate::store::state::StateError;
use crate::supervisor::StartError;
use crate::tls::BadCredentials;
use std::path::Path;
use std::process::ExitCode;

/// Exit codes of every command.
pub mod exit {
    /// Something unexpected.
    pub const UNEXPECTED: u8 = 1;
    /// Arguments or settings.
    pub const USAGE: u8 = 2;
    /// A model, bundle or data file is no good.
    pub const BAD_INPUT: u8 = 3;
    /// A check refused: signature, policy, verification.
    pub const REFUSED: u8 = 4;
    /// Somebody else is not reachable.
    pub const UNREACHABLE: u8 = 5;
    /// Port, disk, permission.
    pub const RESOURCE: u8 = 6;
    /// Not found, or there already.
    pub const CONFLICT: u8 = 7;

    /// A file that a user has named and that cannot be used.
    #[must_use]
    pub fn of_file(error: &std::io::Error) -> u8 {
        use std::io::ErrorKind;
        match error.kind() {
            ErrorKind::NotFound => CONFLICT,
            ErrorKind::IsADirectory | ErrorKind::InvalidData => BAD_INPUT,
            _ => RESOURCE,
        }
    }
}

/// Why a command did not do what it was told.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// Settings.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The identity.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// The state folder.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The disk.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// What the state folder holds.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The local server.
    #[error(transparent)]
    Serve(#[from] ServeError),
    /// Certificate and keys.
    #[error("failed to prepare TLS: because {0}: hint: enrol this device again")]
    Credentials(#[from] BadCredentials),
    /// Signals.
    #[error("failed to listen for signals: because {0}: hint: this is not Linux?")]
    Signals(std::io::Error),
    /// No running agent.
    #[error(
        "failed to ask the agent: because nothing answers at {socket}: {because}: hint: is `muster-agent run` running with this --state?"
    )]
    NoAgent {
        /// Its socket.
        socket: String,
        /// What the system said.
        because: String,
    },
    /// The agent refused a request.
    #[error("{0}")]
    Prediction(String),
    /// The agent serves no such model or version.
    #[error("{0}")]
    Absent(String),
    /// The agent has too much to do, or its worker is being started again.
    #[error("{0}")]
    Unavailable(String),
    /// Arguments that do not go together.
    #[error("failed to understand the arguments: because {because}: hint: {hint}")]
    Arguments {
        /// Why.
        because: String,
        /// What to do.
        hint: &'static str,
    },
    /// A file that the user has named.
    #[error(
        "failed to {action} {path}: because {because}: hint: {}",
        file_hint(because)
    )]
    File {
        /// What was tried.
        action: &'static str,
        /// Which.
        path: String,
        /// What the system says.
        because: std::io::Error,
    },
    /// Rows of a file that were left out, as asked.
    #[error(
        "failed to predict {skipped} of {rows} rows: because they are no good, as said above: hint: \
         mend them; the others are written"
    )]
    Skipped {
        /// How many.
        skipped: u64,
        /// Of how many.
        rows: u64,
    },
    /// Labels of a file that do not count.
    #[error(
        "failed to count {refused} of {labels} labels: because they were refused, as said above: \
         hint: the others count; docs/quality.md says which labels can"
    )]
    Uncounted {
        /// How many.
        refused: u64,
        /// Of how many.
        labels: u64,
    },
    /// Input data.
    #[error("failed to read {what}: because {because}: hint: {hint}")]
    Data {
        /// Which.
        what: String,
        /// Why.
        because: String,
        /// What to do.
        hint: &'static str,
    },
    /// Something on a stick that the agent refused.
    #[error("failed to take {what} from the stick: because {because}: hint: {hint}")]
    Stick {
        /// What.
        what: String,
        /// Why.
        because: String,
        /// What to do.
        hint: &'static str,
    },
    /// The trusted root.
    #[error(transparent)]
    Metadata(#[from] MetadataError),
    /// The state file.
    #[error(transparent)]
    State(#[from] StateError),
    /// Something on disk does not verify.
    #[error(
        "failed to verify: because {0}: hint: roll this release out again with `muster rollout create --retry`: the agent then fetches what is damaged; if it comes back, check the disk"
    )]
    Verification(String),
    /// Everything else.
    #[error("failed to start: because {0}")]
    Runtime(std::io::Error),
}

impl Failure {
    /// The exit code.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Config(_) => exit::USAGE,
            Self::Identity(_) => exit::RESOURCE,
            Self::Open(_) | Self::Disk(_) | Self::Start(_) | Self::Serve(_) => exit::RESOURCE,
            Self::Credentials(_) | Self::Verification(_) | Self::Stick { .. } => exit::REFUSED,
            Self::Metadata(MetadataError::Root(_)) | Self::State(StateError::Damaged(_)) => {
                exit::REFUSED
            }
            Self::Metadata(_) | Self::State(_) => exit::RESOURCE,
            Self::Signals(_) | Self::Runtime(_) => exit::UNEXPECTED,
            Self::NoAgent { .. } | Self::Unavailable(_) => exit::UNREACHABLE,
            Self::Prediction(_)
            | Self::Data { .. }
            | Self::Skipped { .. }
            | Self::Uncounted { .. } => exit::BAD_INPUT,
            Self::Arguments { .. } => exit::USAGE,
            Self::Absent(_) => exit::CONFLICT,
            Self::File { because, .. } => exit::of_file(because),
        }
    }

    /// A file that the user has named, and what the system says of it.
    pub fn file(action: &'static str, path: &Path, because: std::io::Error) -> Self {
        let path = path.display().to_string();
        Self::File {
            action,
            path,
            because,
        }
    }

    /// Prints the sentence and gives the exit code.
    pub fn report(&self) -> ExitCode {
        eprintln!("{self}");
        ExitCode::from(self.exit_code())
    }
}

/// What to do about a file that a user has named.
pub fn file_hint(error: &std::io::Error) -> &'static str {
    use std::io::ErrorKind;
    match error.kind() {
        ErrorKind::NotFound => "check the path",
        ErrorKind::IsADirectory => "name a file, not a folder",
        ErrorKind::InvalidData => "mend the file; text must be UTF-8",
        ErrorKind::PermissionDenied => "run as a user who may, or change its permissions",
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => "free some space on this disk",
        _ => "check the file and the disk that holds it",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::ErrorKind;

    #[test]
    fn a_named_file_ends_every_command_with_the_same_code() {
        let check = |kind: ErrorKind, expect: u8, hint: &str| {
            let failure = Failure::file("read", Path::new("/a/b"), kind.into());
            assert_eq!(failure.exit_code(), expect, "{failure}");
            let sentence = failure.to_string();
            assert!(sentence.starts_with("failed to read /a/b: because "));
            assert!(sentence.contains(&format!(": hint: {hint}")), "{sentence}");
        };
        check(ErrorKind::NotFound, exit::CONFLICT, "");
        check(ErrorKind::IsADirectory, exit::BAD_INPUT, "");
        check(ErrorKind::InvalidData, exit::BAD_INPUT, "mend the file");
        check(ErrorKind::PermissionDenied, exit::RESOURCE, "");
        check(ErrorKind::StorageFull, exit::RESOURCE, "");
    }
}
