//! What a device keeps on disk: one small state file, blobs, metadata, queues, checkpoints.
//!
//! Every write is atomic and durable before it is answered: temporary file, fsync, rename, fsync
//! of the folder. Never decides anything, and never reads what it has not bounded.

pub mod atomic;
pub mod blobs;
pub mod disk;
pub mod metadata;
pub mod partial;
pub mod queue;
pub mod state;
pub mod worked;

use atomic::DiskError;

use std::path::{Path, PathBuf};

/// The folders of a state folder, itself first.
const PARTS: [&str; 7] = [
    "",
    "blobs",
    "partial",
    "metadata",
    "queue",
    "checkpoints",
    "run",
];

/// The state folder of one agent, locked for as long as this lives.
#[derive(Debug)]
pub struct Store {
    folder: PathBuf,
    _lock: Option<disk::Lock>,
}

/// Why a state folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another agent has it.
    #[error("failed to open {}: because another agent runs on it: hint: stop that agent, or give this one its own --state folder", .0.display())]
    InUse(PathBuf),
    /// It cannot be made or read.
    #[error(transparent)]
    Disk(#[from] DiskError),
}

impl Store {
    /// Opens the folder, making what is missing, and locks it.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn open(folder: &Path) -> Result<Self, OpenError> {
        for part in PARTS {
            atomic::make_folder(&folder.join(part))?;
        }
        let path = folder.join("lock");
        let lock = disk::lock(&path).map_err(|e| DiskError::new("lock", &path, e))?;
        let lock = lock.ok_or_else(|| OpenError::InUse(folder.to_owned()))?;
        for part in PARTS {
            // What cannot be removed only takes space: no reason not to serve.
            if let Err(error) = atomic::remove_temporaries(&folder.join(part)) {
                tracing::warn!("{error}");
            }
            // An agent that was killed may have left names that only memory knows: they are
            // believed from here on, and must not go with a power cut.
            atomic::sync_folder(&folder.join(part))?;
        }
        Ok(Self {
            folder: folder.to_owned(),
            _lock: Some(lock),
        })
    }

    /// Opens a folder that exists for reading only, beside an agent that may run on it.
    ///
    /// # Errors
    /// There is no such folder.
    pub fn open_shared(folder: &Path) -> Result<Self, DiskError> {
        std::fs::read_dir(folder).map_err(|e| DiskError::new("open", folder, e))?;
        Ok(Self {
            folder: folder.to_owned(),
            _lock: None,
        })
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Where a checkpoint of the open window of a model lies.
    pub fn checkpoint(&self, model: &str) -> PathBuf {
        self.folder
            .join("checkpoints")
            .join(format!("{model}.cbor"))
    }

    /// Bytes free on the disk of the folder.
    ///
    /// # Errors
    /// The file system cannot be asked.
    pub fn free_bytes(&self) -> Result<u64, DiskError> {
        let stat = rustix::fs::statvfs(&self.folder)
            .map_err(|e| DiskError::new("ask for free space of", &self.folder, e.into()))?;
        Ok(stat.f_bavail * stat.f_frsize)
    }
}
