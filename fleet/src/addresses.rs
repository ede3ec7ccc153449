//! Where a running `muster serve` listens, for the commands that look for it.
//!
//! A hint on disk, never evidence that it still runs.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use crate::error::{Exit, OperatorError};
use crate::home::{self, Home};

/// The addresses, with real ports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Addresses {
    /// MQTT over TLS, where the broker is the embedded one.
    pub(crate) broker: Option<SocketAddr>,
    /// Enrolment over HTTPS.
    pub(crate) enroll: SocketAddr,
    /// The API, on loopback.
    pub(crate) api: SocketAddr,
}

impl Addresses {
    /// Writes them for the commands, in place of those of an earlier run.
    ///
    /// # Errors
    /// The disk refuses.
    pub(crate) fn write(&self, home: &Home) -> Result<(), OperatorError> {
        let path = home.addresses();
        let text = serde_json::to_string(self).expect("invariant: addresses are plain JSON");
        home::replace(&path, &text)
    }

    /// Reads what the latest `serve` wrote.
    ///
    /// # Errors
    /// None ever ran in this home, or the file is damaged.
    pub(crate) fn read(home: &Home) -> Result<Self, OperatorError> {
        const HINT: &str = "start `muster serve` in this home, or name an API with --api";
        let path = home.addresses();
        let what = "find the API of this home";
        if !path.exists() {
            let because = "no `muster serve` has run in it";
            return Err(OperatorError::new(Exit::Unreachable, what, because, HINT));
        }
        serde_json::from_str(&home::read_text(&path)?).map_err(|error| {
            let because = format!("{} is damaged ({error})", path.display());
            OperatorError::new(Exit::BadInput, what, because, HINT)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_as_written_and_their_absence_names_serve() {
        let folder = tempfile::tempdir().expect("a folder");
        let home = Home::create(&folder.path().join("home")).expect("a home");
        let error = Addresses::read(&home).expect_err("none yet");
        assert_eq!(error.exit, Exit::Unreachable);
        let address = |port| SocketAddr::from(([127, 0, 0, 1], port));
        let addresses = Addresses {
            broker: Some(address(1)),
            enroll: address(2),
            api: address(3),
        };
        addresses.write(&home).expect("written");
        addresses.write(&home).expect("written again");
        assert_eq!(Addresses::read(&home).expect("read"), addresses);
    }
}
