//! A folder that appears whole or not at all: built beside its place, then renamed.
//!
//! Never overwrites what is there.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::error::{Exit, OperatorError};

/// A folder in the making; removed when it is dropped unfinished.
pub(super) struct Staging {
    out: PathBuf,
    folder: PathBuf,
    scratch: PathBuf,
}

impl Staging {
    /// Makes `OUT.partial` for what shall become `OUT`.
    pub(super) fn make(out: &Path) -> Result<Self, OperatorError> {
        let refused = |exit, because: &str, hint: String| {
            let what = format!("make the bundle {}", out.display());
            OperatorError::new(exit, what, because, hint)
        };
        if out.symlink_metadata().is_ok() {
            let hint = "name another folder with --out, or remove it".to_owned();
            return Err(refused(Exit::Missing, "it exists already", hint));
        }
        let Some(name) = out.file_name() else {
            return Err(refused(
                Exit::Usage,
                "this is no name of a folder",
                "name one with --out".into(),
            ));
        };
        let beside = |end: &str| {
            let mut name = name.to_owned();
            name.push(end);
            out.with_file_name(name)
        };
        let (folder, scratch) = (beside(".partial"), beside(".scratch"));
        let made = [&folder, &scratch].into_iter().try_for_each(fs::create_dir);
        made.map_err(|error| {
            if error.kind() != io::ErrorKind::AlreadyExists {
                return OperatorError::file("make the folder", &folder, &error);
            }
            let hint = format!("remove {} and {}", folder.display(), scratch.display());
            refused(
                Exit::Missing,
                "another build of it runs, or was killed",
                hint,
            )
        })?;
        Ok(Self {
            out: out.to_owned(),
            folder,
            scratch,
        })
    }

    /// Where the bundle is written.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Writes a file that the bundle does not keep.
    pub(super) fn scratch(&self, name: &str, bytes: &[u8]) -> Result<PathBuf, OperatorError> {
        let path = self.scratch.join(name);
        let written = fs::write(&path, bytes);
        written.map_err(|error| OperatorError::file("write", &path, &error))?;
        Ok(path)
    }

    /// Gives the folder its name.
    pub(super) fn finish(self) -> Result<(), OperatorError> {
        let renamed = fs::rename(&self.folder, &self.out);
        renamed.map_err(|error| OperatorError::file("make the bundle", &self.out, &error))
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        // What cannot be removed is named by the next build.
        let _already_gone = fs::remove_dir_all(&self.folder);
        let _already_gone = fs::remove_dir_all(&self.scratch);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_appears_whole_or_not_at_all() {
        let folder = tempfile::tempdir().expect("a folder");
        let out = folder.path().join("out");
        let staging = Staging::make(&out).expect("made");
        assert!(Staging::make(&out).is_err(), "one at a time");
        drop(staging);
        assert_eq!(fs::read_dir(folder.path()).expect("listed").count(), 0);
        Staging::make(&out)
            .and_then(Staging::finish)
            .expect("finished");
        let error = Staging::make(&out).err().expect("exists");
        assert_eq!(error.exit, Exit::Missing);
        assert!(error.to_string().contains("exists already"), "{error}");
        assert_eq!(fs::read_dir(folder.path()).expect("listed").count(), 1);
    }
}
