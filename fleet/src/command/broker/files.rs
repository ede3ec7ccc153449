//! Writing a few files into a folder: all of them or, when one is in the way, none.
//!
//! Never replaces silently: each file's fate is told.

use std::fs::{self, Metadata, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;

use rustix::fs::{Gid, Uid};
use serde::Serialize;

use super::WHAT;
use crate::broker::mosquitto::DATA;
use crate::error::{Exit, OperatorError};
use crate::home;

/// What is to be in the folder.
#[derive(Debug)]
pub(super) struct Files(pub(super) Vec<File>);

/// One of them.
#[derive(Debug, Clone)]
pub(super) struct File {
    name: &'static str,
    text: String,
    privacy: Privacy,
    change: Change,
}

/// Who may read it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Privacy {
    /// Whoever reaches the folder.
    Readers,
    /// Its owner.
    Owner,
}

/// What happens when it is there and says something else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Change {
    /// Only with the operator's word: it may have been changed by hand.
    Asked,
    /// It is always written by us, and each time anew.
    Always,
}

/// What became of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Fate {
    /// There was none.
    Written,
    /// It said the same.
    Kept,
    /// It said something else.
    Replaced,
}

impl Fate {
    /// For people.
    pub(super) const fn words(self) -> &'static str {
        match self {
            Self::Written => "written",
            Self::Kept => "was there",
            Self::Replaced => "replaced",
        }
    }
}

impl File {
    /// A file that a person may have changed.
    pub(super) const fn kept(name: &'static str, text: String) -> Self {
        Self {
            name,
            text,
            privacy: Privacy::Readers,
            change: Change::Asked,
        }
    }

    /// A file that is ours alone.
    pub(super) fn renewed(name: &'static str, text: String) -> Self {
        Self {
            change: Change::Always,
            ..Self::kept(name, text)
        }
    }

    /// A file that only its owner may read.
    pub(super) fn private(name: &'static str, text: String) -> Self {
        Self {
            privacy: Privacy::Owner,
            ..Self::kept(name, text)
        }
    }

    fn fate(&self, folder: &Path) -> Result<Fate, OperatorError> {
        let path = folder.join(self.name);
        match fs::read(&path) {
            Ok(bytes) if bytes == self.text.as_bytes() => Ok(Fate::Kept),
            Ok(_) => Ok(Fate::Replaced),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Fate::Written),
            Err(error) => Err(OperatorError::file("read", &path, &error)),
        }
    }

    fn write(&self, folder: &Path) -> Result<(), OperatorError> {
        let path = folder.join(self.name);
        match fs::metadata(&path) {
            Ok(old) => replace_as(&old, &path, &self.text),
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(OperatorError::file("replace", &path, &error))
            }
            Err(_) if self.privacy == Privacy::Owner => {
                home::write_private(&path, self.text.as_bytes())
            }
            Err(_) => home::replace(&path, &self.text),
        }
    }
}

impl Files {
    /// Writes what is missing or differs, and tells each file's fate.
    ///
    /// # Errors
    /// A file is in the way, or the disk refuses.
    pub(super) fn write(
        &self,
        folder: &Path,
        replace: bool,
    ) -> Result<Vec<(&'static str, Fate)>, OperatorError> {
        let mut fates = Vec::new();
        for file in &self.0 {
            let fate = file.fate(folder)?;
            if fate == Fate::Replaced && file.change == Change::Asked && !replace {
                let because = format!("{} is there and says something else", file.name);
                let hint = "move it away, name another folder, or add --replace";
                return Err(OperatorError::new(Exit::Missing, WHAT, because, hint));
            }
            fates.push((file.name, fate));
        }
        make(folder, None)?;
        // What mosquitto keeps is for its user only: messages of the fleet.
        make(&folder.join(DATA), Some(0o700))?;
        for (file, (_, fate)) in self.0.iter().zip(&fates) {
            if *fate != Fate::Kept {
                file.write(folder)?;
            }
        }
        Ok(fates)
    }
}

/// Replaces a file in one step by one of the same owner, group and mode: mosquitto reads its files
/// again as its own user, whoever wrote them.
fn replace_as(old: &Metadata, path: &Path, text: &str) -> Result<(), OperatorError> {
    let new = path.with_extension("new");
    match fs::remove_file(&new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(OperatorError::file("replace", &new, &error));
        }
        _ => home::write_private(&new, text.as_bytes())?,
    }
    let replaced = resemble(old, &new)
        .map_err(|error| not_kept(path, &error))
        .and_then(|()| {
            fs::rename(&new, path).map_err(|error| OperatorError::file("replace", path, &error))
        });
    if replaced.is_err() {
        // It may hold a key, and is of no use: what cannot be removed is removed the next time.
        let _left = fs::remove_file(&new);
    }
    replaced
}

/// Owner and group first: a change of them may take bits off the mode.
fn resemble(old: &Metadata, new: &Path) -> io::Result<()> {
    let file = fs::File::open(new)?;
    let made = file.metadata()?;
    let owner = (made.uid() != old.uid()).then(|| Uid::from_raw(old.uid()));
    let group = (made.gid() != old.gid()).then(|| Gid::from_raw(old.gid()));
    if owner.is_some() || group.is_some() {
        rustix::fs::fchown(&file, owner, group)?;
    }
    file.set_permissions(Permissions::from_mode(old.mode() & 0o777))?;
    file.sync_all()
}

fn not_kept(path: &Path, error: &io::Error) -> OperatorError {
    let what = format!("replace {}", path.display());
    let because = format!("its owner, group and mode cannot be kept ({error})");
    let hint = "run it as the owner of the file, or as root; the file was left as it is";
    OperatorError::new(Exit::Resource, what, because, hint)
}

/// Makes a folder that is missing.
fn make(path: &Path, mode: Option<u32>) -> Result<(), OperatorError> {
    if path.is_dir() {
        return Ok(());
    }
    let chmod = |mode| fs::set_permissions(path, Permissions::from_mode(mode));
    fs::create_dir_all(path)
        .and_then(|()| mode.map_or(Ok(()), chmod))
        .map_err(|error| OperatorError::file("make the folder", path, &error))
}
