//! A stick at the fleet: the files that go to devices and come from them.
//!
//! Never judges what lies on it: the controller does. Never writes through a link: a stick that comes
//! from elsewhere must not lead out of itself. Each file is there whole or not at all, so
//! that an export that was interrupted can be repeated.

use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use muster_protocol::digest::{Digest, Digester};
use muster_protocol::id::DeviceId;
use muster_protocol::limits::DOCUMENT_BYTES_MAX;
use muster_protocol::stick;

use crate::error::{Exit, OperatorError};

/// Documents of one device that are read at once: far more than two streams can have waiting.
const DOCUMENTS_MAX: usize = 256;
const PART_BYTES: usize = 64 * 1024;

/// A folder that is a stick.
#[derive(Debug, Clone)]
pub(crate) struct Stick {
    folder: PathBuf,
}

impl Stick {
    /// Makes a folder a stick, unless it is one.
    ///
    /// # Errors
    /// The disk refuses.
    pub(crate) fn begin(folder: &Path) -> Result<Self, OperatorError> {
        let stick = Self {
            folder: folder.to_owned(),
        };
        stick.put(stick::MARKER, stick::MARKER_TEXT.as_bytes())?;
        Ok(stick)
    }

    /// Opens a folder that says it is a stick.
    ///
    /// # Errors
    /// There is none, or it is something else, or of another version.
    pub(crate) fn open(folder: &Path) -> Result<Self, OperatorError> {
        let stick = Self {
            folder: folder.to_owned(),
        };
        fs::read_dir(folder).map_err(|error| OperatorError::file("read", folder, &error))?;
        let because = match stick.read(stick::MARKER)? {
            Some(marker) if marker == stick::MARKER_TEXT.as_bytes() => return Ok(stick),
            Some(_) => "it is a stick of another version",
            None => "it holds no stick of a device",
        };
        let what = format!("read {}", folder.display());
        let hint = "`muster-agent export --out FOLDER` writes one";
        Err(OperatorError::new(Exit::BadInput, what, because, hint))
    }

    /// Puts a file there, with the folders above it.
    ///
    /// # Errors
    /// The disk refuses.
    pub(crate) fn put(&self, name: &str, bytes: &[u8]) -> Result<(), OperatorError> {
        let path = self.folder.join(name);
        write(&self.folder, &path, bytes)
            .map_err(|error| OperatorError::file("write", &path, &error))
    }

    /// Removes a file that may be there.
    ///
    /// # Errors
    /// The disk refuses.
    pub(crate) fn remove(&self, name: &str) -> Result<(), OperatorError> {
        let path = self.folder.join(name);
        let folder = path.parent().unwrap_or(&self.folder);
        let removed = refuse_links(&self.folder, folder).and_then(|()| fs::remove_file(&path));
        match removed {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(OperatorError::file("remove", &path, &error))
            }
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// Whether a blob lies there whole.
    pub(crate) fn has_blob(&self, digest: &Digest) -> bool {
        let path = self.folder.join(stick::blob(digest));
        is_plain(&path) && digest_of(&path).is_ok_and(|found| found == *digest)
    }

    /// Devices that have a folder there, in order.
    pub(crate) fn devices(&self) -> Vec<DeviceId> {
        let names = self.names(stick::DEVICES);
        let devices = names.iter().filter_map(|name| DeviceId::parse(name).ok());
        devices.collect()
    }

    /// The hello of a device, if there is one.
    ///
    /// # Errors
    /// It cannot be read.
    pub(crate) fn hello(&self, device: &DeviceId) -> Result<Option<Vec<u8>>, OperatorError> {
        self.read(&stick::hello(device))
    }

    /// Numbered documents of a device, in their order.
    ///
    /// # Errors
    /// One cannot be read.
    pub(crate) fn documents(&self, device: &DeviceId) -> Result<Vec<Vec<u8>>, OperatorError> {
        let up = stick::up(device);
        let names = self.names(&up).into_iter();
        let ours = names.filter(|name| name.starts_with(stick::DOCUMENT));
        let read = |name: String| self.read(&format!("{up}/{name}")).transpose();
        ours.take(DOCUMENTS_MAX).filter_map(read).collect()
    }

    fn names(&self, folder: &str) -> Vec<String> {
        let entries = fs::read_dir(self.folder.join(folder)).into_iter().flatten();
        let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        let mut names: Vec<_> = names.collect();
        names.sort();
        names
    }

    /// A document, whole; none when there is none. One that is too large comes cut, and is refused
    /// by whoever judges it.
    fn read(&self, name: &str) -> Result<Option<Vec<u8>>, OperatorError> {
        let path = self.folder.join(name);
        let failed = |error| OperatorError::file("read", &path, &error);
        if !path.exists() {
            return Ok(None);
        }
        if !is_plain(&path) {
            return Err(failed(io::Error::other("it is no plain file")));
        }
        let mut bytes = Vec::new();
        let file = File::open(&path).map_err(failed)?;
        file.take(DOCUMENT_BYTES_MAX as u64 + 1)
            .read_to_end(&mut bytes)
            .map_err(failed)?;
        Ok(Some(bytes))
    }
}

/// Nothing on a stick is trusted, not even to be a file.
fn is_plain(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|found| found.is_file())
}

fn write(stick: &Path, path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = path.parent().unwrap_or(stick);
    refuse_links(stick, folder)?;
    fs::create_dir_all(folder)?;
    let unfinished = path.with_added_extension("new");
    match fs::remove_file(&unfinished) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let mut file = File::create_new(&unfinished)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&unfinished, path)
}

/// Whoever made the stick may have put a link in the place of a folder.
fn refuse_links(stick: &Path, folder: &Path) -> io::Result<()> {
    let mut path = PathBuf::from(stick);
    for part in folder.strip_prefix(stick).into_iter().flatten() {
        path.push(part);
        if fs::symlink_metadata(&path).is_ok_and(|found| found.is_symlink()) {
            return Err(io::Error::other(format!("{} is a link", path.display())));
        }
    }
    Ok(())
}

fn digest_of(path: &Path) -> io::Result<Digest> {
    let (mut file, mut part) = (File::open(path)?, vec![0; PART_BYTES]);
    let mut digester = Digester::default();
    loop {
        match file.read(&mut part)? {
            0 => return Ok(digester.finish()),
            len => digester.update(&part[..len]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stick_gives_back_what_devices_put_there_and_nothing_else() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let stick = Stick::begin(folder.path()).expect("begins");
        let device = DeviceId::parse("press-07").expect("valid");
        let up = stick::up(&device);
        for name in ["hello", "doc-b", "doc-a", "other"] {
            stick
                .put(&format!("{up}/{name}"), name.as_bytes())
                .expect("writes");
        }
        stick.put("devices/NOT A DEVICE/x", b"x").expect("writes");
        let stick = Stick::open(folder.path()).expect("opens");
        assert_eq!(stick.devices(), std::slice::from_ref(&device));
        let hello = stick.hello(&device).expect("reads");
        assert_eq!(hello.as_deref(), Some(&b"hello"[..]));
        let documents = stick.documents(&device).expect("reads");
        assert_eq!(documents, [b"doc-a", b"doc-b"]);
        std::os::unix::fs::symlink("/etc/hostname", folder.path().join(up).join("doc-c"))
            .expect("links");
        assert!(stick.documents(&device).is_err(), "links are not followed");
    }

    #[test]
    fn a_link_on_a_stick_leads_nowhere() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let outside = folder.path().join("outside");
        fs::create_dir(&outside).expect("makes");
        fs::write(outside.join("secret"), b"kept").expect("writes");
        let stick = Stick::begin(&folder.path().join("stick")).expect("begins");
        let link = |from: &Path, name: &str| {
            std::os::unix::fs::symlink(from, stick.folder.join(name)).expect("links");
        };
        link(&outside, "folder");
        let error = stick.put("folder/secret", b"lost").expect_err("refused");
        assert!(error.to_string().contains("is a link"), "{error}");
        stick.remove("folder/secret").expect_err("refused");
        link(&outside.join("secret"), "file.new");
        link(&outside.join("secret"), "file");
        stick
            .put("file", b"new")
            .expect("in the place of both links");
        assert_eq!(fs::read(outside.join("secret")).expect("reads"), b"kept");
    }

    #[test]
    fn a_blob_counts_as_there_when_it_is_whole() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let stick = Stick::begin(folder.path()).expect("begins");
        let digest = Digest::of(b"0123456789");
        let check = |bytes: Option<&[u8]>, expect| {
            if let Some(bytes) = bytes {
                stick.put(&stick::blob(&digest), bytes).expect("writes");
            }
            assert_eq!(stick.has_blob(&digest), expect, "{bytes:?}");
        };
        check(None, false);
        check(Some(b"0123"), false);
        check(Some(b"0123456789"), true);
    }

    #[test]
    fn a_folder_without_the_marker_is_no_stick() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let check = |part: &str, exit: Exit, path: &Path| {
            let error = Stick::open(path).expect_err("is none");
            assert_eq!(error.exit, exit, "{error}");
            assert!(error.to_string().contains(part), "{error}");
        };
        check("holds no stick", Exit::BadInput, folder.path());
        check("failed to read", Exit::Missing, &folder.path().join("no"));
        fs::write(folder.path().join(stick::MARKER), "muster stick 2\n").expect("writes");
        check("another version", Exit::BadInput, folder.path());
    }
}
