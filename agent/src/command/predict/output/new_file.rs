//! A file that gets its name when it is whole.
//!
//! Until then it lies beside it under a name of its own, which goes with this program unless it
//! is killed.

use crate::error::Failure;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

/// A file in the making.
pub(super) struct NewFile {
    path: PathBuf,
    temporary: PathBuf,
    writer: BufWriter<File>,
}

impl NewFile {
    /// Makes it beside `path`.
    ///
    /// # Errors
    /// `path` is no regular file, its folder is not there, or the disk refuses.
    pub(super) fn make(path: &Path) -> Result<NewFile, Failure> {
        if fs::metadata(path).is_ok_and(|there| !there.is_file()) {
            return Err(Failure::Arguments {
                because: format!("{} is there and no regular file", path.display()),
                hint: "name another file, or leave --out away to print",
            });
        }
        let ending = format!("{}.part", std::process::id());
        let temporary = path.with_added_extension(ending);
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .open(&temporary);
        let file = file.map_err(|error| Failure::file("write", path, error))?;
        Ok(NewFile {
            path: path.to_owned(),
            temporary,
            writer: BufWriter::new(file),
        })
    }

    /// Appends bytes.
    ///
    /// # Errors
    /// The disk.
    pub(super) fn append(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        let written = self.writer.write_all(bytes);
        written.map_err(|error| self.failed(error))
    }

    /// Puts bytes over the first ones.
    ///
    /// # Errors
    /// The disk.
    pub(super) fn put_first(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        let sought = self.writer.seek(SeekFrom::Start(0));
        let written = sought.and_then(|_| self.writer.write_all(bytes));
        written.map_err(|error| self.failed(error))
    }

    /// Gives it its name, in the place of what had it before.
    ///
    /// # Errors
    /// The disk.
    pub(super) fn commit(mut self) -> Result<(), Failure> {
        let durable = self.writer.flush();
        let durable = durable.and_then(|()| self.writer.get_ref().sync_all());
        let named = durable.and_then(|()| fs::rename(&self.temporary, &self.path));
        named.map_err(|error| self.failed(error))
    }

    fn failed(&self, error: io::Error) -> Failure {
        Failure::file("write", &self.path, error)
    }
}

impl Drop for NewFile {
    fn drop(&mut self) {
        // After a commit it is gone already.
        let _ = fs::remove_file(&self.temporary);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_there_whole_or_as_it_was() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("out.csv");
        fs::write(&path, "before").expect("the disk takes it");
        let seen = || {
            let names = fs::read_dir(folder.path()).expect("a folder").count();
            (fs::read_to_string(&path).expect("a file"), names)
        };
        let mut given_up = NewFile::make(&path).expect("made");
        given_up.append(b"half").expect("the disk takes it");
        drop(given_up);
        assert_eq!(seen(), ("before".to_owned(), 1));
        let mut whole = NewFile::make(&path).expect("made");
        whole.append(b"half").expect("the disk takes it");
        whole.put_first(b"H").expect("the disk takes it");
        whole.commit().expect("the disk takes it");
        assert_eq!(seen(), ("Half".to_owned(), 1));
    }

    #[test]
    fn what_is_no_place_for_a_file_is_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let code = |path: &Path| NewFile::make(path).err().map(|f| f.exit_code());
        assert_eq!(code(folder.path()), Some(2));
        assert_eq!(code(&folder.path().join("none/out.csv")), Some(7));
    }
}
