//! Reading a stick: bounded, and plain files alone.
//!
//! Never follows a link and never waits for a pipe: nothing on a stick is trusted, not even to be a
//! file.

use super::Wish;
use crate::error::Failure;
use muster_protocol::limits::PIECE_BYTES_MAX;
use muster_protocol::stick;
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// Files that are looked at in one folder.
const NAMES_MAX: usize = 256;

/// A folder with the marker of a stick.
#[derive(Debug)]
pub struct Stick {
    folder: PathBuf,
}

impl Stick {
    /// Opens a folder that says it is a stick.
    ///
    /// # Errors
    /// There is none, or it is something else, or of another version.
    pub fn open(folder: &Path) -> Result<Self, Failure> {
        let stick = Self {
            folder: folder.to_owned(),
        };
        fs::read_dir(folder).map_err(|error| Failure::file("read", folder, error))?;
        let marker = stick.small(stick::MARKER, stick::MARKER_TEXT.len())?;
        if marker.as_deref() == Some(stick::MARKER_TEXT.as_bytes()) {
            return Ok(stick);
        }
        Err(Failure::Data {
            what: folder.display().to_string(),
            because: match marker {
                None => "it holds no stick of a fleet".to_owned(),
                Some(_) => "it is a stick of another version".to_owned(),
            },
            hint: "`muster export --device DEVICE --out FOLDER` writes one",
        })
    }

    /// A small file, whole; `None` when there is none.
    ///
    /// # Errors
    /// It cannot be read, is no plain file, or larger than `bytes_max`.
    pub fn small(&self, name: &str, bytes_max: usize) -> Result<Option<Vec<u8>>, Failure> {
        let path = self.folder.join(name);
        let failed = |error| Failure::file("read", &path, error);
        let Some((file, _)) = open(&path).map_err(failed)? else {
            return Ok(None);
        };
        let mut bytes = Vec::new();
        file.take(bytes_max as u64 + 1)
            .read_to_end(&mut bytes)
            .map_err(failed)?;
        match bytes.len() > bytes_max {
            true => Err(failed(io::ErrorKind::FileTooLarge.into())),
            false => Ok(Some(bytes)),
        }
    }

    /// Names in a folder that begin with `start`, in order; none when there is no such folder.
    pub fn names(&self, folder: &str, start: &str) -> Vec<String> {
        let entries = fs::read_dir(self.folder.join(folder)).into_iter().flatten();
        let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        let ours = names.filter(|name| name.starts_with(start));
        let mut names: Vec<_> = ours.take(NAMES_MAX).collect();
        names.sort();
        names
    }

    /// Size of the whole, and the part that is wished for; `None` when it is not there.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn part(&self, wish: &Wish) -> Result<Option<(u64, Vec<u8>)>, Failure> {
        let Some((name, offset, len)) = place(wish) else {
            return Ok(None);
        };
        let path = self.folder.join(name);
        let failed = |error| Failure::file("read", &path, error);
        let Some((file, total)) = open(&path).map_err(failed)? else {
            return Ok(None);
        };
        let left = total.saturating_sub(offset).min(u64::from(len));
        let mut bytes = vec![0; usize::try_from(left).unwrap_or(0)];
        file.read_exact_at(&mut bytes, offset).map_err(failed)?;
        Ok((!bytes.is_empty()).then_some((total, bytes)))
    }
}

/// The file of a wish, and which part of it; for people as well.
pub fn place(wish: &Wish) -> Option<(String, u64, u32)> {
    match wish {
        Wish::Metadata {
            role,
            version,
            offset,
        } => Some((stick::metadata(role, *version)?, *offset, PIECE_BYTES_MAX)),
        Wish::Blob {
            digest,
            index,
            piece_size,
        } => {
            let offset = u64::from(*index) * u64::from(*piece_size);
            let len = (*piece_size).min(PIECE_BYTES_MAX);
            Some((stick::blob(digest), offset, len))
        }
    }
}

/// A plain file with its size; `None` when there is none.
fn open(path: &Path) -> io::Result<Option<(File, u64)>> {
    let found = match fs::symlink_metadata(path) {
        Ok(found) => found,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    if !found.is_file() {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "it is no plain file",
        ));
    }
    Ok(Some((File::open(path)?, found.len())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use muster_protocol::digest::Digest;

    const DIGEST: Digest = Digest([7; 32]);

    /// A stick after `change`, and what a part of a blob of ten bytes is on it.
    fn check(change: impl FnOnce(&Path), index: u32, expect: Result<Option<&[u8]>, &str>) {
        let folder = tempfile::tempdir().expect("temporary folder");
        let blob = folder.path().join(stick::blob(&DIGEST));
        fs::create_dir(folder.path().join("blobs")).expect("makes");
        fs::write(folder.path().join(stick::MARKER), stick::MARKER_TEXT).expect("writes");
        fs::write(&blob, b"0123456789").expect("writes");
        change(&blob);
        let wish = Wish::Blob {
            digest: DIGEST,
            index,
            piece_size: 4,
        };
        let stick = Stick::open(folder.path()).expect("opens");
        match (stick.part(&wish), expect) {
            (Ok(got), Ok(expect)) => {
                let got = got.map(|(_, bytes)| bytes);
                assert_eq!(got.as_deref(), expect, "{index}");
            }
            (Err(error), Err(part)) => assert!(error.to_string().contains(part), "{error}"),
            (got, expect) => panic!("{got:?} instead of {expect:?}"),
        }
    }

    #[test]
    fn parts_are_read_and_nothing_else() {
        let remove = |path: &Path| fs::remove_file(path).expect("removes");
        check(|_| (), 0, Ok(Some(b"0123")));
        check(|_| (), 2, Ok(Some(b"89")));
        check(|_| (), 3, Ok(None));
        check(|_| (), u32::MAX, Ok(None));
        check(remove, 0, Ok(None));
        let link = |path: &Path| {
            remove(path);
            std::os::unix::fs::symlink("/etc/hostname", path).expect("links");
        };
        check(link, 0, Err("it is no plain file"));
        let folder = |path: &Path| {
            remove(path);
            fs::create_dir(path).expect("makes");
        };
        check(folder, 0, Err("it is no plain file"));
    }

    #[test]
    fn a_folder_without_the_marker_is_no_stick() {
        let check = |marker: Option<&str>, part: &str| {
            let folder = tempfile::tempdir().expect("temporary folder");
            if let Some(text) = marker {
                fs::write(folder.path().join(stick::MARKER), text).expect("writes");
            }
            let error = Stick::open(folder.path()).expect_err("is none");
            assert!(error.to_string().contains(part), "{error}");
        };
        check(None, "holds no stick");
        check(Some("muster stick 2\n"), "of another version");
        let absent = Stick::open(Path::new("/nowhere/stick")).expect_err("is none");
        assert_eq!(absent.exit_code(), crate::error::exit::CONFLICT);
    }
}
