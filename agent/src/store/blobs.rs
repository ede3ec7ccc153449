//! Verified blobs, by digest: manifests, hash lists, statements, and layers unpacked.
//!
//! A blob is verified whole when it is put here and again before it is used. Never holds
//! anything unverified: that is [`super::partial`].

use super::Store;
use super::atomic::{self, DiskError};
use muster_protocol::digest::{Digest, Digester};
use muster_protocol::limits::WHOLE_BYTES_MAX;
use std::collections::BTreeSet;
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Unit in which a file system counts what a file takes (stat(2)).
const BLOCK_BYTES: u64 = 512;

impl Store {
    /// Where a verified blob lies.
    pub fn blob_path(&self, digest: &Digest) -> PathBuf {
        self.folder.join("blobs").join(digest.hex().to_string())
    }

    /// Reads a small document (statement, manifest, hash list, card) and verifies it again;
    /// `None` when it is absent or damaged.
    ///
    /// # Errors
    /// [`DiskError`].
    pub fn document(&self, digest: &Digest) -> Result<Option<Vec<u8>>, DiskError> {
        let bytes = atomic::read(&self.blob_path(digest), WHOLE_BYTES_MAX as usize)?;
        Ok(bytes.filter(|bytes| Digest::of(bytes) == *digest))
    }

    /// Stores a small document whose digest the caller has verified.
    ///
    /// # Errors
    /// [`DiskError`].
    pub fn put_document(&self, digest: &Digest, bytes: &[u8]) -> Result<(), DiskError> {
        debug_assert_eq!(
            Digest::of(bytes),
            *digest,
            "invariant: only verified bytes are stored"
        );
        atomic::write(&self.blob_path(digest), bytes)
    }

    /// Bytes that these blobs and partial layers take on the disk, reserved ones among them.
    pub fn allocated_bytes(&self, digests: &BTreeSet<Digest>) -> u64 {
        let paths = digests
            .iter()
            .flat_map(|digest| [self.blob_path(digest), self.partial_path(digest)]);
        // One that cannot be asked counts as absent: that only asks for more free space.
        let files = paths.filter_map(|path| std::fs::metadata(path).ok());
        files
            .map(|file| file.blocks().saturating_mul(BLOCK_BYTES))
            .fold(0, u64::saturating_add)
    }

    /// Removes every blob and partial layer that is not in `kept`.
    ///
    /// # Errors
    /// [`DiskError`].
    pub fn sweep(&self, kept: &BTreeSet<Digest>) -> Result<(), DiskError> {
        for part in ["blobs", "partial"] {
            let folder = self.folder.join(part);
            for name in atomic::names(&folder)? {
                let used = Digest::parse_hex(&name).is_ok_and(|digest| kept.contains(&digest));
                if !used {
                    atomic::remove(&folder.join(name))?;
                }
            }
        }
        Ok(())
    }
}

/// Whether the file at `path` has this digest and size; reads it in parts.
///
/// # Errors
/// [`DiskError`]; a missing file is `Ok(false)`.
pub fn verify_file(path: &Path, digest: &Digest, size: u64) -> Result<bool, DiskError> {
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(DiskError::new("open", path, error)),
    };
    let mut digester = Digester::default();
    let (mut part, mut read) = (vec![0; 64 * 1024], 0u64);
    while read <= size {
        let len = file
            .read(&mut part)
            .map_err(|e| DiskError::new("read", path, e))?;
        if len == 0 {
            break;
        }
        digester.update(&part[..len]);
        read += len as u64;
    }
    Ok(read == size && digester.finish() == *digest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reserved_space_counts_as_there() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let store = Store::open(folder.path()).expect("opens");
        let (layer, absent) = (Digest([1; 32]), Digest([3; 32]));
        store.reserve(&layer, 1 << 20).expect("reserves");
        let check = |digests: &[Digest], at_least, at_most| {
            let got = store.allocated_bytes(&digests.iter().copied().collect());
            assert!((at_least..=at_most).contains(&got), "{digests:?}: {got}");
        };
        check(&[absent], 0, 0);
        check(&[layer], 1 << 20, 2 << 20);
        check(&[layer, layer, absent], 1 << 20, 2 << 20);
    }
}
