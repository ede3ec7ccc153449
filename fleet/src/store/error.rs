//! Why the store failed. Never why a caller's job did.

use std::path::PathBuf;

/// A failure of the store itself. It can be told to several who waited for one commit.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum StoreError {
    /// The file cannot be opened.
    #[error("failed to open the store {}: because {because}: hint: is the disk writable, \
             and does no other controller use this home?", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// What the library says.
        because: String,
    },
    /// The file was written by a newer program.
    #[error(
        "failed to open the store: because its schema {found} is newer than {known}, the \
             newest that this program knows: hint: use the program that wrote it"
    )]
    Newer {
        /// Schema of the file.
        found: i64,
        /// Newest known schema.
        known: i64,
    },
    /// A statement or a commit failed.
    #[error("the store failed: because {because}")]
    Failed {
        /// What the library says.
        because: String,
    },
    /// The writer gave the job up: the program stops, or the job panicked.
    #[error("the store gave the job up: because the program is stopping or the job panicked")]
    Stopped,
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Failed {
            because: error.to_string(),
        }
    }
}
