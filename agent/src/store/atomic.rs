//! Files that are there whole or not at all, after a power cut at any write.
//!
//! Never leaves a temporary file behind where it could be read as something.

use super::disk;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// Ending of files that are being written.
const TEMPORARY: &str = "tmp";

/// A disk that did not do what it was asked.
#[derive(Debug, thiserror::Error)]
#[error("failed to {operation} {}: because {source}: hint: {}", path.display(), hint(source))]
pub struct DiskError {
    operation: &'static str,
    path: PathBuf,
    source: io::Error,
}

impl DiskError {
    /// What was tried, on which file, and what the system said.
    pub fn new(operation: &'static str, path: &Path, source: io::Error) -> Self {
        Self {
            operation,
            path: path.to_owned(),
            source,
        }
    }

    /// What the system said.
    pub fn into_source(self) -> io::Error {
        self.source
    }

    /// Whether the file is simply not there.
    pub fn is_absent(&self) -> bool {
        self.source.kind() == io::ErrorKind::NotFound
    }
}

fn hint(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            "make room on this disk; the agent goes on by itself"
        }
        io::ErrorKind::PermissionDenied => "the agent's user must own its state folder",
        io::ErrorKind::ReadOnlyFilesystem => "mount the state folder read-write",
        _ => "check the disk and the state folder",
    }
}

/// Makes a folder that only its owner can read, and those above it; one that exists is fine. Each
/// that was made is durable, before anything in it can be.
///
/// # Errors
/// [`DiskError`].
pub fn make_folder(path: &Path) -> Result<(), DiskError> {
    let is_missing = |folder: &&Path| !folder.as_os_str().is_empty() && !folder.is_dir();
    let missing: Vec<_> = path.ancestors().take_while(is_missing).collect();
    for folder in missing.into_iter().rev() {
        disk::make_folder(folder)
            .map_err(|error| DiskError::new("make the folder", folder, error))?;
        sync_folder_of(folder)?;
    }
    Ok(())
}

/// Puts `bytes` at `path`, whole and durably.
///
/// # Errors
/// [`DiskError`]; what was at `path` before is still there.
pub fn write(path: &Path, bytes: &[u8]) -> Result<(), DiskError> {
    let temporary = path.with_added_extension(TEMPORARY);
    let written = write_new(&temporary, bytes).and_then(|()| disk::rename(&temporary, path));
    if let Err(error) = written {
        // What cannot be removed now is overwritten by the next write.
        let _ = disk::remove(&temporary);
        return Err(DiskError::new("write", path, error));
    }
    sync_folder_of(path)?;
    #[cfg(test)]
    disk::recorder::relied_on(path);
    Ok(())
}

fn write_new(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = disk::create(path)?;
    file.write_at(bytes, 0)?;
    file.sync()
}

/// Makes the names in the folder of `path` durable.
///
/// # Errors
/// [`DiskError`].
pub fn sync_folder_of(path: &Path) -> Result<(), DiskError> {
    // The folder of a relative name is the current one.
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    sync_folder(folder.unwrap_or(Path::new(".")))
}

/// Makes the names in a folder durable.
///
/// # Errors
/// [`DiskError`].
pub fn sync_folder(folder: &Path) -> Result<(), DiskError> {
    disk::sync_folder(folder).map_err(|e| DiskError::new("sync the folder", folder, e))
}

/// Reads a file of at most `bytes_max`; `None` when there is none.
///
/// # Errors
/// [`DiskError`], also for a larger file.
pub fn read(path: &Path, bytes_max: usize) -> Result<Option<Vec<u8>>, DiskError> {
    let mut bytes = Vec::new();
    let result = File::open(path).and_then(|file| {
        file.take(bytes_max as u64 + 1).read_to_end(&mut bytes)?;
        if bytes.len() > bytes_max {
            return Err(io::Error::new(
                io::ErrorKind::FileTooLarge,
                "it is larger than it may be",
            ));
        }
        Ok(())
    });
    match result {
        Ok(()) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(DiskError::new("read", path, error)),
    }
}

/// Removes a file; one that is not there is fine.
///
/// # Errors
/// [`DiskError`].
pub fn remove(path: &Path) -> Result<(), DiskError> {
    match disk::remove(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(DiskError::new("remove", path, error))
        }
        _ => Ok(()),
    }
}

/// Removes a file so that no power cut brings it back; one that is not there is fine.
///
/// # Errors
/// [`DiskError`].
pub fn remove_durably(path: &Path) -> Result<(), DiskError> {
    remove(path)?;
    sync_folder_of(path)
}

/// Names of the files of a folder, without those being written.
///
/// # Errors
/// [`DiskError`].
pub fn names(folder: &Path) -> Result<Vec<String>, DiskError> {
    let failed = |e| DiskError::new("list", folder, e);
    let mut names = Vec::new();
    for entry in fs::read_dir(folder).map_err(failed)? {
        let name = entry.map_err(failed)?.file_name();
        // Names that are not text are not ours.
        if let Some(name) = name.to_str().filter(|name| !name.ends_with(".tmp")) {
            names.push(name.to_owned());
        }
    }
    names.sort();
    Ok(names)
}

/// Removes what a cut left half written in a folder. Only for whoever holds the folder's lock.
///
/// # Errors
/// [`DiskError`]; what comes after the first file that cannot be removed is left as it is.
pub fn remove_temporaries(folder: &Path) -> Result<(), DiskError> {
    let failed = |e| DiskError::new("list", folder, e);
    for entry in fs::read_dir(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let path = entry.path();
        let is_file = entry.file_type().is_ok_and(|kind| kind.is_file());
        if is_file && path.extension().is_some_and(|ending| ending == TEMPORARY) {
            remove(&path)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_whole_and_nothing_else_is_left() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let path = folder.path().join("state.cbor");
        write(&path, b"one").expect("writes");
        write(&path, b"two").expect("writes");
        assert_eq!(read(&path, 3).expect("reads"), Some(b"two".to_vec()));
        assert_eq!(names(folder.path()).expect("lists"), ["state.cbor"]);
        assert!(read(&path, 2).is_err());
        remove(&path).expect("removes");
        remove(&path).expect("is gone");
        assert_eq!(read(&path, 3).expect("reads"), None);
    }

    #[test]
    fn what_a_cut_left_half_written_is_removed() {
        let folder = tempfile::tempdir().expect("temporary folder");
        write(&folder.path().join("state.cbor"), b"one").expect("writes");
        for name in ["state.cbor.tmp", "0af1.tmp", "tmp"] {
            fs::write(folder.path().join(name), b"half").expect("writes");
        }
        fs::create_dir(folder.path().join("folder.tmp")).expect("makes");
        remove_temporaries(folder.path()).expect("removes");
        let left = fs::read_dir(folder.path()).expect("lists");
        let mut left: Vec<_> = left
            .map(|entry| entry.expect("lists").file_name())
            .collect();
        left.sort();
        assert_eq!(left, ["folder.tmp", "state.cbor", "tmp"]);
    }

    #[test]
    fn a_failed_write_leaves_what_was_there() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let path = folder.path().join("state.cbor");
        write(&path, b"one").expect("writes");
        fs::create_dir(folder.path().join("state.cbor.tmp")).expect("blocks the temporary name");
        let error = write(&path, b"two").expect_err("cannot write").to_string();
        assert!(error.starts_with("failed to write"), "{error}");
        assert_eq!(read(&path, 3).expect("reads"), Some(b"one".to_vec()));
    }
}
