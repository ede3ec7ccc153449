//! Why the controller did not do what it was asked. Never a status code or an exit code: those
//! are the callers'.

use crate::authority::AuthorityError;
use crate::blobs::BlobError;
use crate::dispatch::DispatchError;
use crate::store::StoreError;

/// A refusal or a failure.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// It does not exist.
    #[error("{what} does not exist")]
    NotFound {
        /// What.
        what: String,
    },
    /// It collides with what is there.
    #[error("{why}")]
    Conflict {
        /// How.
        why: String,
    },
    /// A check refused it.
    #[error("{why}")]
    Refused {
        /// Which.
        why: String,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The disk with the blobs failed.
    #[error(transparent)]
    Blob(BlobError),
    /// A certificate could not be made.
    #[error(transparent)]
    Authority(#[from] AuthorityError),
    /// The system gives no randomness.
    #[error("the system gives no randomness: because {0}")]
    Random(getrandom::Error),
    /// The program is stopping.
    #[error("the program is stopping")]
    Stopping,
}

impl From<DispatchError> for Error {
    fn from(error: DispatchError) -> Self {
        match error {
            DispatchError::Compose(error) => Self::Refused {
                why: error.to_string(),
            },
            DispatchError::Store(error) => Self::Store(error),
        }
    }
}
