//! Files of the identity: for their owner only, each replaced as a whole or not at all.
//!
//! Never leaves a half-written file under its name, whenever the power goes.

use super::EnrollError;
use crate::store::atomic;
use crate::store::disk;
use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

/// A folder of mode 0700 that one process writes at a time.
pub(super) struct Folder {
    path: PathBuf,
    /// Open for the lock.
    _handle: File,
}

impl Folder {
    /// Makes the folder when it is missing, and locks it.
    pub(super) fn open(path: &Path) -> Result<Self, EnrollError> {
        let handle = make(path).map_err(|error| failed(path, error))?;
        match handle.try_lock() {
            Ok(()) => Ok(Self {
                path: path.to_owned(),
                _handle: handle,
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

    /// Removes a file, if it is there.
    pub(super) fn remove(&self, name: &str) -> Result<(), EnrollError> {
        let path = self.file(name);
        if !path.exists() {
            return Ok(());
        }
        let removed = disk::remove(&path).and_then(|()| disk::sync_folder(&self.path));
        removed.map_err(|error| failed(&path, error))
    }

    fn replace(&self, path: &Path, new: &Path, bytes: &[u8]) -> io::Result<()> {
        let mut file = disk::create(new)?;
        file.write_at(bytes, 0)?;
        file.sync()?;
        disk::rename(new, path)?;
        disk::sync_folder(&self.path)
    }
}

fn make(path: &Path) -> io::Result<File> {
    atomic::make_folder(path).map_err(atomic::DiskError::into_source)?;
    disk::restrict_folder(path)?;
    // An earlier attempt may have made it and been cut off before it was durable.
    if let Some(parent) = path.parent() {
        disk::sync_folder(parent)?;
    }
    File::open(path)
}

fn failed(path: &Path, because: io::Error) -> EnrollError {
    let path = path.to_owned();
    EnrollError::Disk { path, because }
}
