//! Why the store failed. Never why a caller's job did.

use std::path::PathBuf;

/// A failure of the store itself. It can be told to several who waited for one commit.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum StoreError {
    /// The file cannot be opened.
    #[error("{}: {because}", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// What the library says.
        because: String,
    },
    /// The file was written by a newer program.
    #[error("its schema {found} is newer than {known}, the newest that this program knows")]
    Newer {
        /// Schema of the file.
        found: i64,
        /// Newest known schema.
        known: i64,
    },
    /// The disk has no room.
    #[error("the disk with the store is full")]
    Full,
    /// A statement or a commit failed.
    #[error("the store failed: because {because}")]
    Failed {
        /// What the library says.
        because: String,
    },
    /// The job was given up: the program stops.
    #[error("the store gave the job up: because the program is stopping")]
    Stopped,
    /// The job panicked; what it did is undone.
    #[error("the store gave the job up: because it panicked")]
    Panicked,
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        if error.sqlite_error_code() == Some(rusqlite::ErrorCode::DiskFull) {
            return Self::Full;
        }
        Self::Failed {
            because: error.to_string(),
        }
    }
}
