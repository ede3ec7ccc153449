//! Files of the identity: for their owner only, each replaced as a whole or not at all.
//!
//! Never leaves a half-written file under its name, whenever the power goes.

use super::EnrollError;
use std::fs::{DirBuilder, File, OpenOptions, Permissions, TryLockError};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

/// A folder of mode 0700 that one process writes at a time.
pub(super) struct Folder {
    path: PathBuf,
    /// Open for the lock and for making renames durable.
    handle: File,
}

impl Folder {
    /// Makes the folder when it is missing, and locks it.
    pub(super) fn open(path: &Path) -> Result<Self, EnrollError> {
        let handle = make(path).map_err(|error| failed(path, error))?;
        match handle.try_lock() {
            Ok(()) => Ok(Self {
                path: path.to_owned(),
                handle,
            }),
            Err(TryLockError::WouldBlock) => Err(EnrollError::Running),
            Err(TryLockError::Error(error)) => Err(failed(path, error)),
        }
    }

    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Replaces a file: write, fsync, rename, fsync the folder.
    pub(super) fn write(&self, name: &str, bytes: &[u8]) -> Result<(), EnrollError> {
        let path = self.file(name);
        self.replace(&path, &self.file(&format!("{name}.new")), bytes)
            .map_err(|error| failed(&path, error))
    }

    fn replace(&self, path: &Path, new: &Path, bytes: &[u8]) -> io::Result<()> {
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(new)?;
        file.set_permissions(Permissions::from_mode(0o600))?;
        file.write_all(bytes)?;
        file.sync_all()?;
        std::fs::rename(new, path)?;
        self.handle.sync_all()
    }
}

fn make(path: &Path) -> io::Result<File> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)?;
    let handle = File::open(path)?;
    handle.set_permissions(Permissions::from_mode(0o700))?;
    // The folder itself must survive a power cut as well as what is written into it.
    if let Some(parent) = path.parent() {
        File::open(parent)?.sync_all()?;
    }
    Ok(handle)
}

fn failed(path: &Path, because: io::Error) -> EnrollError {
    let path = path.to_owned();
    EnrollError::Disk { path, because }
}
