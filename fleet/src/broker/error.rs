//! Why the broker could not start or could not publish, in sentences for an operator.
//!
//! Never an error of a device: those are logged and close the device's connection.

use std::net::SocketAddr;
use std::path::PathBuf;

/// What the broker failed to do.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BrokerError {
    /// Another program has the port.
    #[error(
        "failed to listen for devices on {listen}: because the port is in use: \
         hint: stop the program that has it (`ss -ltnp` shows which) or configure another port"
    )]
    PortInUse {
        /// The address asked for.
        listen: SocketAddr,
    },
    /// The address cannot be had for another reason.
    #[error(
        "failed to listen for devices on {listen}: because {because}: \
         hint: the address must be one of this machine, ports below 1024 need privileges"
    )]
    Listen {
        /// The address asked for.
        listen: SocketAddr,
        /// What the system said.
        because: String,
    },
    /// A certificate or key file cannot be opened.
    #[error(
        "failed to read the broker's {what} {}: because {because}: \
         hint: `muster init` writes it", path.display()
    )]
    File {
        /// What the file should hold.
        what: &'static str,
        /// Where it should be.
        path: PathBuf,
        /// What the system said.
        because: String,
    },
    /// The files can be read but do not make a TLS server.
    #[error(
        "failed to set up TLS for the broker: because {because}: \
         hint: certificate and key must be PEM and belong together"
    )]
    Tls {
        /// What was wrong with them.
        because: String,
    },
    /// The topic prefix cannot begin a topic.
    #[error(
        "failed to use {prefix:?} as topic prefix: because it is not one or two plain levels \
         of at most 32 bytes: hint: the default is muster/v1"
    )]
    Prefix {
        /// The prefix as configured.
        prefix: String,
    },
    /// A message could not be published.
    #[error("failed to publish on {topic:?}: because {because}")]
    Publish {
        /// The topic.
        topic: String,
        /// Why not.
        because: String,
    },
}
