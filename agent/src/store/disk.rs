//! The only file of this program that changes what must outlive a power cut.
//!
//! Each function asks the file system for one thing, and says what it leaves open. Never decides
//! an order, and never makes anything durable by the way: the order is the caller's, and tests
//! cut the power between any two of these calls.

#[cfg(test)]
pub mod recorder;

use std::fs::{self, File, OpenOptions, Permissions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;
#[cfg(test)]
use std::path::PathBuf;

#[cfg(test)]
use recorder::Operation;

/// For its owner only.
const FILE_MODE: u32 = 0o600;
const FOLDER_MODE: u32 = 0o700;

/// A file open for writing, for its owner only. What is written is durable once it is synced, and
/// its name once the folder is.
#[derive(Debug)]
pub struct Writing {
    file: File,
    /// Where the next bytes in a row go.
    end: u64,
    #[cfg(test)]
    path: PathBuf,
}

/// Makes an empty file, in place of one that has this name.
///
/// # Errors
/// As the system says.
pub fn create(path: &Path) -> io::Result<Writing> {
    #[cfg(test)]
    let turn = recorder::turn_to_grow(path)?;
    let file = options().truncate(true).open(path)?;
    // One that was there may have been readable for others.
    file.set_permissions(Permissions::from_mode(FILE_MODE))?;
    #[cfg(test)]
    turn.note(Operation::Create(path));
    Ok(Writing::at(file, path))
}

/// Opens a file to write into what it has; makes it when it is missing.
///
/// # Errors
/// As the system says.
pub fn open(path: &Path) -> io::Result<Writing> {
    #[cfg(test)]
    let (turn, missing) = (recorder::turn_to_grow(path)?, !path.exists());
    let file = options().truncate(false).open(path)?;
    #[cfg(test)]
    if missing {
        turn.note(Operation::Create(path));
    }
    Ok(Writing::at(file, path))
}

fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true).create(true).mode(FILE_MODE);
    options
}

impl Writing {
    #[cfg_attr(not(test), expect(unused_variables, reason = "tests record by name"))]
    fn at(file: File, path: &Path) -> Self {
        Self {
            file,
            end: 0,
            #[cfg(test)]
            path: path.to_owned(),
        }
    }

    /// Writes bytes at a place.
    ///
    /// # Errors
    /// As the system says; some of them may be written.
    pub fn write_at(&mut self, bytes: &[u8], offset: u64) -> io::Result<()> {
        #[cfg(test)]
        let turn = recorder::turn_to_grow(&self.path)?;
        self.file.write_all_at(bytes, offset)?;
        #[cfg(test)]
        turn.note(Operation::Write(&self.path, offset, bytes));
        Ok(())
    }

    /// Takes the space of `size` bytes, which read as zeros until they are written.
    ///
    /// # Errors
    /// As the system says, above all that the disk is full.
    pub fn reserve(&mut self, size: u64) -> io::Result<()> {
        #[cfg(test)]
        let turn = recorder::turn_to_grow(&self.path)?;
        rustix::fs::fallocate(&self.file, rustix::fs::FallocateFlags::empty(), 0, size).or_else(
            |error| match error {
                // A file system that cannot reserve: the write will tell.
                rustix::io::Errno::OPNOTSUPP => self.file.set_len(size).map_err(|_| error),
                error => Err(error),
            },
        )?;
        #[cfg(test)]
        turn.note(Operation::Reserve(&self.path, size));
        Ok(())
    }

    /// Makes what the file holds durable, not its name.
    ///
    /// # Errors
    /// As the system says; nothing is known of what is durable then.
    pub fn sync(&self) -> io::Result<()> {
        #[cfg(test)]
        let turn = recorder::turn(&self.path);
        self.file.sync_all()?;
        #[cfg(test)]
        turn.note(Operation::Sync(&self.path));
        Ok(())
    }
}

impl Write for Writing {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_at(bytes, self.end)?;
        self.end += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Makes what a file holds durable, not its name.
///
/// # Errors
/// As the system says.
pub fn sync(path: &Path) -> io::Result<()> {
    #[cfg(test)]
    let turn = recorder::turn(path);
    File::open(path)?.sync_all()?;
    #[cfg(test)]
    turn.note(Operation::Sync(path));
    Ok(())
}

/// Renames a file, over one that has the new name. A power cut may keep this and lose what came
/// before, until the folder is synced.
///
/// # Errors
/// As the system says.
pub fn rename(from: &Path, to: &Path) -> io::Result<()> {
    #[cfg(test)]
    let turn = recorder::turn(from);
    fs::rename(from, to)?;
    #[cfg(test)]
    turn.note(Operation::Rename(from, to));
    Ok(())
}

/// Removes a file. A power cut may bring it back until the folder is synced.
///
/// # Errors
/// As the system says, also when it is not there.
pub fn remove(path: &Path) -> io::Result<()> {
    #[cfg(test)]
    let turn = recorder::turn(path);
    fs::remove_file(path)?;
    #[cfg(test)]
    turn.note(Operation::Remove(path));
    Ok(())
}

/// Makes a folder in one that exists.
///
/// # Errors
/// As the system says, also when it is there.
pub fn make_folder(path: &Path) -> io::Result<()> {
    #[cfg(test)]
    let turn = recorder::turn_to_grow(path)?;
    fs::DirBuilder::new().mode(FOLDER_MODE).create(path)?;
    #[cfg(test)]
    turn.note(Operation::MakeFolder(path));
    Ok(())
}

/// Takes a folder away from everybody but its owner.
///
/// # Errors
/// As the system says.
pub fn restrict_folder(path: &Path) -> io::Result<()> {
    fs::set_permissions(path, Permissions::from_mode(FOLDER_MODE))
}

/// A locked file.
#[derive(Debug)]
pub struct Lock(File);

impl Drop for Lock {
    fn drop(&mut self) {
        // Closing is not enough: a child that was forked and has not begun its program yet holds
        // the same open file for a moment.
        let _ = self.0.unlock();
    }
}

/// Opens and locks an empty file for as long as the lock lives; `None` when another process has
/// it. Nothing of it needs to outlive a power cut.
///
/// # Errors
/// As the system says.
pub fn lock(path: &Path) -> io::Result<Option<Lock>> {
    let file = options().truncate(false).open(path)?;
    match file.try_lock() {
        Ok(()) => Ok(Some(Lock(file))),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// Makes the names in a folder durable, also what was removed and renamed.
///
/// # Errors
/// As the system says.
pub fn sync_folder(path: &Path) -> io::Result<()> {
    #[cfg(test)]
    let turn = recorder::turn(path);
    File::open(path)?.sync_all()?;
    #[cfg(test)]
    turn.note(Operation::SyncFolder(path));
    Ok(())
}
