//! A folder of files that are there whole or not at all: accepted metadata under the quoted names
//! of its roles without versions, and downloaded targets. It never says what may be written. One
//! client at a time uses a folder.

use std::{
    fs::{self, File},
    io::{ErrorKind, Write as _},
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use muster_protocol::tuf::{Role, Update};

use super::name::quoted;

/// A file on its way: no role and no target has this name.
const INCOMING: &str = ".incoming";

/// The metadata that a client trusts, as received.
pub(super) struct Folder(PathBuf);

impl Folder {
    pub(super) fn new(folder: &Path) -> Self {
        Self(folder.to_owned())
    }

    /// The stored document of a role, if any.
    ///
    /// # Errors
    /// The disk.
    pub(super) fn read(&self, role: &Role) -> anyhow::Result<Option<Vec<u8>>> {
        read(&self.path(role))
    }

    /// Stores the first root.
    ///
    /// # Errors
    /// The disk.
    pub(super) fn write_root(&self, bytes: &[u8]) -> anyhow::Result<()> {
        let what = || format!("failed to make the folder {}", self.0.display());
        fs::create_dir_all(&self.0).with_context(what)?;
        replace(&self.path(&Role::Root), bytes)
    }

    /// Stores an accepted document as [`Update`] says. What is forgotten goes first: a power cut in
    /// between leaves the old root, under which the new one is accepted again.
    ///
    /// # Errors
    /// The disk.
    pub(super) fn write(&self, role: &Role, update: Update, bytes: &[u8]) -> anyhow::Result<()> {
        if update == Update::Unchanged {
            return Ok(());
        }
        if update == Update::AcceptedAndOnlineForgotten {
            remove(&self.path(&Role::Timestamp))?;
            remove(&self.path(&Role::Snapshot))?;
        }
        replace(&self.path(role), bytes)
    }

    fn path(&self, role: &Role) -> PathBuf {
        self.0.join(format!("{}.json", quoted(role.name())))
    }
}

/// The bytes of a file, if it is there.
///
/// # Errors
/// The disk.
pub(super) fn read(path: &Path) -> anyhow::Result<Option<Vec<u8>>> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("failed to read {}", path.display())),
    }
}

/// Puts a file in place of the one before.
///
/// # Errors
/// The disk.
pub(super) fn replace(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let incoming = path.with_file_name(INCOMING);
    let written = File::create(&incoming).and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&incoming, path)
    });
    written.with_context(|| format!("failed to write {}", path.display()))
}

fn remove(path: &Path) -> anyhow::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(error).with_context(|| format!("failed to remove {}", path.display()))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}
