//! Layers on their way: pieces written in order, then verified whole and unpacked.
//!
//! What lies here counts for nothing until its hashes were checked again after a restart.

use super::Store;
use super::atomic::{self, DiskError};
use super::blobs::verify_file;
use super::disk;
use muster_protocol::bundle::LayerHashes;
use muster_protocol::bundle::manifest::{Compression, Layer};
use muster_protocol::digest::{Digest, Digester};
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

/// What is wrong with a layer that came piece by piece.
#[derive(Debug, thiserror::Error)]
pub enum StageError {
    /// The disk.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// The bytes on disk are not those that were verified piece by piece.
    #[error("layer {0} on disk is not what was received")]
    Damaged(Digest),
    /// The layer does not unpack to the blob that the manifest names.
    #[error("layer {0} does not unpack to the blob that the manifest names")]
    Unpacks(Digest),
}

impl Store {
    /// Where a layer is collected.
    pub fn partial_path(&self, digest: &Digest) -> PathBuf {
        self.folder.join("partial").join(digest.hex().to_string())
    }

    /// Reserves the space of a layer before its first piece is asked for.
    ///
    /// # Errors
    /// [`DiskError`], above all when the disk is full.
    pub fn reserve(&self, digest: &Digest, size: u64) -> Result<(), DiskError> {
        let path = self.partial_path(digest);
        let mut file = disk::open(&path).map_err(|e| DiskError::new("create", &path, e))?;
        file.reserve(size)
            .map_err(|e| DiskError::new("reserve space for", &path, e))
    }

    /// Verified pieces from the start that are on disk, by hashing them again.
    ///
    /// # Errors
    /// [`DiskError`].
    pub fn pieces_on_disk(
        &self,
        layer: &LayerHashes<'_>,
        piece_size: u32,
    ) -> Result<u32, DiskError> {
        let path = self.partial_path(&layer.digest);
        let Ok(mut file) = File::open(&path) else {
            return Ok(0);
        };
        let mut piece = vec![0; piece_size as usize];
        for index in 0..layer.len() {
            let len = layer.piece_len(index, piece_size).unwrap_or(0) as usize;
            let read = file.read_exact(&mut piece[..len]);
            if read.is_err() || layer.piece(index) != Some(Digest::of(&piece[..len])) {
                return Ok(index);
            }
        }
        Ok(layer.len())
    }

    /// Writes one verified piece at its place.
    ///
    /// # Errors
    /// [`DiskError`].
    pub fn write_piece(&self, digest: &Digest, offset: u64, bytes: &[u8]) -> Result<(), DiskError> {
        let path = self.partial_path(digest);
        disk::open(&path)
            .and_then(|mut file| file.write_at(bytes, offset))
            .map_err(|e| DiskError::new("write a piece of", &path, e))
    }
}

/// Verifies a complete layer whole and puts its blob, unpacked, among the blobs of the state
/// folder. Gives the bytes written. A blob that is there already is verified and kept.
///
/// # Errors
/// [`StageError`]; a damaged layer or blob is removed, so that it is fetched again.
pub fn stage_layer(folder: &Path, layer: &Layer) -> Result<u64, StageError> {
    let blob = folder
        .join("blobs")
        .join(layer.blob_digest.hex().to_string());
    let partial = folder.join("partial").join(layer.digest.hex().to_string());
    if verify_file(&blob, &layer.blob_digest, layer.blob_size)? {
        // After a cut the layer may lie here as well.
        if partial.exists() {
            atomic::remove_durably(&partial)?;
        }
        return Ok(0);
    }
    atomic::remove(&blob)?;
    if !verify_file(&partial, &layer.digest, layer.size)? {
        atomic::remove(&partial)?;
        return Err(StageError::Damaged(layer.digest));
    }
    match layer.compression {
        Compression::Plain => Ok(rename_durably(&partial, &blob)?),
        Compression::Zstd => {
            let written = unpack(&partial, &blob, layer)?;
            atomic::remove_durably(&partial)?;
            Ok(written)
        }
    }
}

fn rename_durably(from: &Path, to: &Path) -> Result<u64, DiskError> {
    disk::sync(from)
        .and_then(|()| disk::rename(from, to))
        .map_err(|e| DiskError::new("move into place", to, e))?;
    atomic::sync_folder_of(to)?;
    // Otherwise it could be found in both places, and take its space twice.
    atomic::sync_folder_of(from)?;
    #[cfg(test)]
    disk::recorder::relied_on(to);
    Ok(0)
}

fn unpack(from: &Path, to: &Path, layer: &Layer) -> Result<u64, StageError> {
    let temporary = to.with_added_extension("tmp");
    let failed = |e| DiskError::new("unpack", &temporary, e);
    let source = File::open(from).map_err(failed)?;
    let mut decoder = zstd::Decoder::new(source).map_err(failed)?;
    // A frame may not ask for more window than the largest layer needs.
    decoder.window_log_max(27).map_err(failed)?;
    let mut target = disk::create(&temporary).map_err(failed)?;
    let digest = copy_bounded(&mut decoder, &mut target, layer.blob_size);
    match digest {
        Ok(Some(digest)) if digest == layer.blob_digest => {}
        Ok(_) => {
            atomic::remove(&temporary)?;
            return Err(StageError::Unpacks(layer.digest));
        }
        Err(error) => {
            atomic::remove(&temporary)?;
            // What zstd cannot read passed its own digest: the bundle was built wrong.
            return match error.raw_os_error() {
                Some(_) => Err(failed(error).into()),
                None => Err(StageError::Unpacks(layer.digest)),
            };
        }
    }
    target
        .sync()
        .and_then(|()| disk::rename(&temporary, to))
        .map_err(failed)?;
    atomic::sync_folder_of(to)?;
    #[cfg(test)]
    disk::recorder::relied_on(to);
    Ok(layer.blob_size)
}

/// Copies exactly `size` bytes and digests them; `None` when there are fewer or more.
fn copy_bounded(
    from: &mut impl Read,
    to: &mut impl Write,
    size: u64,
) -> io::Result<Option<Digest>> {
    let (mut digester, mut part, mut copied) = (Digester::default(), vec![0; 64 * 1024], 0u64);
    loop {
        let len = from.read(&mut part)?;
        copied += len as u64;
        if len == 0 || copied > size {
            return Ok((copied == size).then(|| digester.finish()));
        }
        digester.update(&part[..len]);
        to.write_all(&part[..len])?;
    }
}
