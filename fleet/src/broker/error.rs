//! Why the broker could not start or could not publish, and what an operator is told then.
//!
//! Never an error of a device: those are logged and close the device's connection.

use std::net::SocketAddr;
use std::path::PathBuf;

use crate::error::{Exit, OperatorError};

/// What the broker failed to do.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BrokerError {
    /// Another program has the port.
    #[error("the port is in use")]
    PortInUse {
        /// The address asked for.
        listen: SocketAddr,
    },
    /// The address cannot be had for another reason.
    #[error("{because}")]
    Listen {
        /// The address asked for.
        listen: SocketAddr,
        /// What the system said.
        because: String,
    },
    /// A certificate or key file cannot be opened.
    #[error("{because}")]
    File {
        /// What the file should hold.
        what: &'static str,
        /// Where it should be.
        path: PathBuf,
        /// What the system said.
        because: String,
    },
    /// The files can be read but do not make a TLS server.
    #[error("{because}")]
    Tls {
        /// What was wrong with them.
        because: String,
    },
    /// The topic prefix cannot begin a topic.
    #[error("it is not one or two plain levels of at most 32 bytes")]
    Prefix {
        /// The prefix as configured.
        prefix: String,
    },
    /// A message could not be published.
    #[error("{because}")]
    Publish {
        /// The topic.
        topic: String,
        /// Why not.
        because: String,
    },
}

impl From<BrokerError> for OperatorError {
    fn from(error: BrokerError) -> Self {
        let (exit, what, hint) = match &error {
            BrokerError::PortInUse { listen } => (
                Exit::Resource,
                format!("listen for devices on {listen}"),
                "stop the program that has it (`ss -ltnp` shows which) or configure another \
                 broker_listen",
            ),
            BrokerError::Listen { listen, .. } => (
                Exit::Resource,
                format!("listen for devices on {listen}"),
                "broker_listen must be an address of this machine; ports below 1024 need \
                 privileges",
            ),
            BrokerError::File { what, path, .. } => (
                Exit::Missing,
                format!("read the broker's {what} {}", path.display()),
                "`muster init` wrote it: bring it back from a backup",
            ),
            BrokerError::Tls { .. } => (
                Exit::BadInput,
                "set up TLS for the broker".to_owned(),
                "server.pem and server.key are PEM and belong together, as `muster init` wrote \
                 them",
            ),
            BrokerError::Prefix { prefix } => (
                Exit::BadInput,
                format!("use the topic_prefix {prefix:?}"),
                "the default is muster/v1",
            ),
            BrokerError::Publish { topic, .. } => {
                (Exit::Bug, format!("publish on {topic:?}"), "report it")
            }
        };
        Self::new(exit, what, error, hint)
    }
}
