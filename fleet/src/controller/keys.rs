//! The keys that a controller signs with: made once, and again when one was stolen.
//!
//! Never an offline key.

use std::path::PathBuf;

use ed25519_dalek::SigningKey;

use crate::error::OperatorError;
use crate::home::Home;
use crate::key_file;

/// The keys.
pub(crate) struct Keys {
    /// Of the snapshot role.
    pub(crate) snapshot: SigningKey,
    /// Of the timestamp role.
    pub(crate) timestamp: SigningKey,
    /// Signs assignments.
    pub(crate) director: SigningKey,
    /// Signs acknowledgements.
    pub(crate) ack: SigningKey,
    /// Signs time.
    pub(crate) time: SigningKey,
}

impl Keys {
    /// New ones.
    ///
    /// # Errors
    /// The system gives no randomness.
    pub(crate) fn generate() -> Result<Self, OperatorError> {
        Ok(Self {
            snapshot: key_file::generate()?,
            timestamp: key_file::generate()?,
            director: key_file::generate()?,
            ack: key_file::generate()?,
            time: key_file::generate()?,
        })
    }

    /// Those of a home.
    ///
    /// # Errors
    /// As [`key_file::read`].
    pub(super) fn read(home: &Home) -> Result<Self, OperatorError> {
        Ok(Self {
            snapshot: key_file::read(&home.snapshot_key())?,
            timestamp: key_file::read(&home.timestamp_key())?,
            director: key_file::read(&home.director_key())?,
            ack: key_file::read(&home.ack_key())?,
            time: key_file::read(&home.time_key())?,
        })
    }

    /// Where each lies in a home.
    pub(crate) fn files(&self, home: &Home) -> [(PathBuf, &SigningKey); 5] {
        [
            (home.snapshot_key(), &self.snapshot),
            (home.timestamp_key(), &self.timestamp),
            (home.director_key(), &self.director),
            (home.ack_key(), &self.ack),
            (home.time_key(), &self.time),
        ]
    }
}
