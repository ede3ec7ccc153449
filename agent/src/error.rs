//! What an operator can act on, and the exit code of each.
//!
//! README.md repeats the table. A bug is not in here: it panics.

use crate::config::ConfigError;
use crate::enroll::IdentityError;
use crate::serve::ServeError;
use crate::store::OpenError;
use crate::store::atomic::DiskError;
use crate::supervisor::StartError;
use crate::tls::BadCredentials;
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
            Self::Credentials(_) | Self::Verification(_) => exit::REFUSED,
            Self::Signals(_) | Self::Runtime(_) => exit::UNEXPECTED,
            Self::NoAgent { .. } => exit::UNREACHABLE,
            Self::Prediction(_) | Self::Data { .. } => exit::BAD_INPUT,
        }
    }

    /// Prints the sentence and gives the exit code.
    pub fn report(&self) -> ExitCode {
        eprintln!("{self}");
        ExitCode::from(self.exit_code())
    }
}
