//! The blobs: files named by the sha256 of what they hold, in one folder.
//!
//! Never serves a file that was not whole when it got its name; never decides who may have one.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use muster_protocol::digest::Digest;
use muster_protocol::limits::LAYER_BYTES_MAX;

/// Why a blob is not stored or not read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BlobError {
    /// The bytes are not what their name says.
    #[error("the bytes have the digest {found}, not {named}")]
    OtherDigest {
        /// The name.
        named: Digest,
        /// What the bytes have.
        found: Digest,
    },
    /// Larger than a layer may be.
    #[error("the blob is larger than {LAYER_BYTES_MAX} bytes")]
    TooLarge,
    /// The disk has no room.
    #[error("the disk with the blobs is full")]
    Full,
    /// The disk refused.
    #[error("failed to use the blobs in {}: because {error}", path.display())]
    Disk {
        /// Which folder or file.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
}

/// The folder. All its methods block.
#[derive(Debug, Clone)]
pub(crate) struct Blobs {
    folder: PathBuf,
}

impl Blobs {
    /// Opens or makes the folder `sha256` below `folder`, without what a power cut left half
    /// written.
    ///
    /// # Errors
    /// [`BlobError::Disk`].
    pub(crate) fn open(folder: &Path) -> Result<Self, BlobError> {
        let folder = folder.join("sha256");
        let opened = Self { folder };
        opened.clean().map_err(|error| opened.failed(error))?;
        Ok(opened)
    }

    /// Stores `bytes` durably under their digest; what is there already stays, unless the disk
    /// has lost some of it.
    ///
    /// # Errors
    /// [`BlobError`].
    pub(crate) fn put(&self, digest: Digest, bytes: &[u8]) -> Result<(), BlobError> {
        if bytes.len() as u64 > LAYER_BYTES_MAX {
            return Err(BlobError::TooLarge);
        }
        let found = Digest::of(bytes);
        if found != digest {
            return Err(BlobError::OtherDigest {
                named: digest,
                found,
            });
        }
        if self.size(digest)? == Some(bytes.len() as u64) {
            return Ok(());
        }
        self.write(digest, bytes)
            .map_err(|error| self.failed(error))
    }

    /// Size in bytes of a blob that is there.
    ///
    /// # Errors
    /// [`BlobError::Disk`].
    pub(crate) fn size(&self, digest: Digest) -> Result<Option<u64>, BlobError> {
        match fs::metadata(self.path(digest)) {
            Ok(meta) => Ok(Some(meta.len())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(self.failed(error)),
        }
    }

    /// A whole blob, if it is there and at most `bytes_max` large.
    ///
    /// # Errors
    /// [`BlobError::TooLarge`], [`BlobError::Disk`].
    pub(crate) fn read(
        &self,
        digest: Digest,
        bytes_max: u64,
    ) -> Result<Option<Vec<u8>>, BlobError> {
        match self.size(digest)? {
            None => Ok(None),
            Some(size) if size > bytes_max => Err(BlobError::TooLarge),
            Some(_) => fs::read(self.path(digest))
                .map(Some)
                .map_err(|error| self.failed(error)),
        }
    }

    /// Size of a blob, and its bytes from `offset` on, at most `len`; none when it is not there
    /// or ends before.
    ///
    /// # Errors
    /// [`BlobError::Disk`].
    pub(crate) fn read_part(
        &self,
        digest: Digest,
        offset: u64,
        len: u32,
    ) -> Result<Option<(u64, Vec<u8>)>, BlobError> {
        let Some(total) = self.size(digest)?.filter(|total| offset < *total) else {
            return Ok(None);
        };
        let len = (total - offset).min(u64::from(len));
        let mut bytes = vec![0; usize::try_from(len).unwrap_or(0)];
        File::open(self.path(digest))
            .and_then(|file| file.read_exact_at(&mut bytes, offset))
            .map_err(|error| self.failed(error))?;
        Ok(Some((total, bytes)))
    }

    fn write(&self, digest: Digest, bytes: &[u8]) -> io::Result<()> {
        // Two who put one blob at once each write a file of their own.
        let mut suffix = [0; 8];
        getrandom::fill(&mut suffix).map_err(io::Error::other)?;
        let suffix = u64::from_le_bytes(suffix);
        let unfinished = self
            .folder
            .join(format!("{}.{suffix:016x}.new", digest.hex()));
        let mut file = File::create_new(&unfinished)?;
        let written = file.write_all(bytes).and_then(|()| file.sync_all());
        if let Err(error) = written {
            // What cannot be removed now is removed at the next start.
            let _left = fs::remove_file(&unfinished);
            return Err(error);
        }
        fs::rename(&unfinished, self.path(digest))?;
        File::open(&self.folder)?.sync_all()
    }

    fn clean(&self) -> io::Result<()> {
        fs::create_dir_all(&self.folder)?;
        for entry in fs::read_dir(&self.folder)? {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == "new") {
                fs::remove_file(path)?;
            }
        }
        Ok(())
    }

    fn path(&self, digest: Digest) -> PathBuf {
        self.folder.join(digest.hex().to_string())
    }

    fn failed(&self, error: io::Error) -> BlobError {
        if let io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded = error.kind() {
            return BlobError::Full;
        }
        BlobError::Disk {
            path: self.folder.clone(),
            error,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_blob_is_read_in_parts_as_it_was_put() {
        let folder = tempfile::tempdir().expect("a folder");
        let blobs = Blobs::open(folder.path()).expect("a folder");
        let digest = Digest::of(b"0123456789");
        blobs.put(digest, b"0123456789").expect("written");
        blobs.put(digest, b"0123456789").expect("there already");
        let check = |offset, len, expect: Option<&[u8]>| {
            let part = blobs.read_part(digest, offset, len).expect("read");
            assert_eq!(
                part,
                expect.map(|bytes| (10, bytes.to_vec())),
                "{offset} {len}"
            );
        };
        check(0, 4, Some(b"0123"));
        check(8, 4, Some(b"89"));
        check(10, 4, None);
        check(u64::MAX, 4, None);
        assert_eq!(blobs.read_part(Digest::of(b"x"), 0, 4).expect("read"), None);
        fs::write(blobs.path(digest), b"0123").expect("damaged");
        blobs.put(digest, b"0123456789").expect("written anew");
        check(8, 4, Some(b"89"));
    }

    #[test]
    fn bytes_of_another_digest_are_refused_and_leftovers_removed() {
        let folder = tempfile::tempdir().expect("a folder");
        let blobs = Blobs::open(folder.path()).expect("a folder");
        let named = Digest::of(b"a");
        assert!(matches!(
            blobs.put(named, b"b"),
            Err(BlobError::OtherDigest { .. })
        ));
        assert_eq!(blobs.size(named).expect("asked"), None);
        let left = folder.path().join("sha256/00.new");
        fs::write(&left, b"half").expect("written");
        Blobs::open(folder.path()).expect("a folder");
        assert!(!left.exists());
    }
}
