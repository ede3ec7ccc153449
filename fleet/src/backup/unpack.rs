//! From an archive to a home: unpacked beside its place, verified, made the beginning of a restored
//! controller, and only then put there.
//!
//! Never follows a path of the archive: each member must be the next one of the manifest.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, BufReader, Read};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use muster_protocol::time::UnixSeconds;
use serde::Serialize;

use super::manifest::{self, Manifest, Member, Unfit};
use super::pack::hash;
use crate::bundle::progress::Progress;
use crate::controller;
use crate::error::{Exit, OperatorError};
use crate::home::Home;
use crate::store::StoreError;
use crate::store::backup::{self, Counts, Resumed};

/// What is in a new home.
#[derive(Debug, Serialize)]
pub(crate) struct Restored {
    /// The home.
    pub(crate) home: String,
    /// When the backup was made, unix seconds.
    pub(crate) backup_at: u64,
    /// Whether offline and release keys came with it.
    pub(crate) offline_keys: bool,
    /// How much the database holds.
    #[serde(flatten)]
    pub(crate) counts: Counts,
    /// What was raised and held.
    #[serde(flatten)]
    pub(crate) resumed: Resumed,
}

/// Why an archive is not restored.
#[derive(Debug, thiserror::Error)]
enum Broken {
    #[error(transparent)]
    Unfit(#[from] Unfit),
    // The library's text may quote raw bytes of the file.
    #[error("it is truncated or damaged ({})", .0.kind())]
    Damaged(io::Error),
    #[error("it is truncated: {0} is missing")]
    Truncated(String),
    #[error("it holds {0:?}, which its manifest does not name there")]
    Extra(String),
    #[error("it is damaged: {0} is not what its manifest says")]
    OtherDigest(String),
    #[error("it has bytes behind its end")]
    Behind,
    #[error("it needs {needed} bytes, and {free} are free")]
    NoRoom { needed: u64, free: u64 },
    #[error("{}: {error}", path.display())]
    Disk { path: PathBuf, error: io::Error },
}

/// Restores an archive into a home that is not there yet; `finish` does what is left to do before
/// it is put into place.
///
/// # Errors
/// Something is in the way, or the archive is no good; then nothing is in place.
pub(crate) fn restore(
    archive: &Path,
    folder: &Path,
    now: UnixSeconds,
    finish: impl FnOnce(&Home) -> Result<(), OperatorError>,
) -> Result<Restored, OperatorError> {
    Home::check_vacant(folder)?;
    let file = File::open(archive)
        .map_err(|error| OperatorError::file("read the backup", archive, &error))?;
    let unfinished = Unfinished::begin(folder)?;
    let manifest = unpack(file, &unfinished.folder).map_err(|broken| told(archive, &broken))?;
    let home = Home::make_folders(&unfinished.folder)?;
    let backup_at = UnixSeconds(manifest.created_at);
    let resumed = backup::resume(&home.database(), backup_at, now)
        .map_err(|error| unusable(archive, error))?;
    controller::check(&home)?;
    finish(&home)?;
    unfinished.put(folder)?;
    Ok(Restored {
        home: folder.display().to_string(),
        backup_at: manifest.created_at,
        offline_keys: manifest.offline_keys,
        counts: manifest.counts,
        resumed,
    })
}

fn told(archive: &Path, broken: &Broken) -> OperatorError {
    let (exit, hint) = match broken {
        Broken::Unfit(Unfit::Newer { .. }) => (Exit::Refused, "use the program that wrote it"),
        Broken::Unfit(Unfit::Foreign(_)) | Broken::Extra(_) => {
            (Exit::BadInput, "name a file that `muster backup` wrote")
        }
        Broken::NoRoom { .. } | Broken::Disk { .. } => (
            Exit::Resource,
            "free some space on this disk, or restore to another",
        ),
        Broken::Unfit(Unfit::Malformed(_))
        | Broken::Damaged(_)
        | Broken::Truncated(_)
        | Broken::OtherDigest(_)
        | Broken::Behind => (Exit::BadInput, "copy it once more, or take an older backup"),
    };
    let what = format!("restore the backup {}", archive.display());
    OperatorError::new(exit, what, broken, hint)
}

fn unusable(archive: &Path, error: StoreError) -> OperatorError {
    let what = format!("use the database of the backup {}", archive.display());
    let (exit, hint) = match error {
        StoreError::Newer { .. } => (Exit::Refused, "use the program that wrote it"),
        StoreError::Full => (Exit::Resource, "free some space on this disk"),
        StoreError::Open { .. }
        | StoreError::Failed { .. }
        | StoreError::Stopped
        | StoreError::Panicked => (Exit::BadInput, "take an older backup"),
    };
    OperatorError::new(exit, what, error, hint)
}

/// Unpacks everything into `folder`, and verifies it on the way.
fn unpack(file: File, folder: &Path) -> Result<Manifest, Broken> {
    let mut file = BufReader::new(file);
    let decoder = zstd::Decoder::with_buffer(&mut file).map_err(Broken::Damaged)?;
    let mut archive = tar::Archive::new(decoder.single_frame());
    let manifest = {
        // Extensions are members like others here, and refused like others.
        let mut entries = archive.entries().map_err(Broken::Damaged)?.raw(true);
        let first = entries.next().transpose().map_err(foreign)?;
        let first = first.ok_or_else(|| Unfit::Foreign("it is empty".to_owned()))?;
        let manifest = read_manifest(first)?;
        let free = free_bytes(folder)?;
        if manifest.bytes() > free {
            let needed = manifest.bytes();
            return Err(Broken::NoRoom { needed, free });
        }
        let progress = Progress::start("unpacking", manifest.bytes());
        for member in &manifest.members {
            let entry = entries.next().transpose().map_err(Broken::Damaged)?;
            let entry = entry.ok_or_else(|| Broken::Truncated(member.path.clone()))?;
            take(entry, member, folder)?;
            progress.advance(member.bytes);
        }
        if let Some(extra) = entries.next().transpose().map_err(Broken::Damaged)? {
            return Err(Broken::Extra(path_of(&extra)));
        }
        manifest
    };
    end(archive.into_inner())?;
    match file.read(&mut [0]).map_err(Broken::Damaged)? {
        0 => Ok(manifest),
        _ => Err(Broken::Behind),
    }
}

/// What cannot even be begun was never one of ours, unless it ends too early.
fn foreign(error: io::Error) -> Broken {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => Broken::Damaged(error),
        _ => Unfit::Foreign("it is no archive".to_owned()).into(),
    }
}

/// The rest of the archive is filled with zeros; behind it comes the checksum of all.
fn end(mut rest: impl Read) -> Result<(), Broken> {
    let mut chunk = [0; 512];
    loop {
        let read = rest.read(&mut chunk).map_err(Broken::Damaged)?;
        if read == 0 {
            return Ok(());
        }
        if chunk[..read].iter().any(|byte| *byte != 0) {
            return Err(Broken::Behind);
        }
    }
}

fn read_manifest<R: Read>(entry: tar::Entry<'_, R>) -> Result<Manifest, Broken> {
    let (path, bytes) = (path_of(&entry), entry.size());
    if path != manifest::NAME || !is_file(&entry) {
        return Err(Unfit::Foreign(format!("it does not begin with {}", manifest::NAME)).into());
    }
    if bytes > manifest::BYTES_MAX {
        return Err(Unfit::Malformed(format!("has {bytes} bytes")).into());
    }
    let mut text = Vec::new();
    let read = entry.take(bytes).read_to_end(&mut text);
    if read.map_err(Broken::Damaged)? as u64 != bytes {
        return Err(Broken::Truncated(manifest::NAME.to_owned()));
    }
    Ok(Manifest::parse(&text)?)
}

fn take<R: Read>(entry: tar::Entry<'_, R>, member: &Member, folder: &Path) -> Result<(), Broken> {
    if path_of(&entry) != member.path || !is_file(&entry) || entry.size() != member.bytes {
        return Err(Broken::Extra(path_of(&entry)));
    }
    let path = folder.join(&member.path);
    let failed = |error: io::Error| Broken::Disk {
        path: path.clone(),
        error,
    };
    if let Some(parent) = path.parent() {
        private_folder(parent).map_err(failed)?;
    }
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).mode(0o600);
    let mut file = options.open(&path).map_err(failed)?;
    let copied = hash(entry, &mut file).map_err(|error| match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => failed(error),
        _ => Broken::Damaged(error),
    });
    let (bytes, digest) = copied?;
    if bytes != member.bytes {
        return Err(Broken::Truncated(member.path.clone()));
    }
    if Some(digest) != member.digest() {
        return Err(Broken::OtherDigest(member.path.clone()));
    }
    file.sync_all().map_err(failed)
}

fn path_of<R: Read>(entry: &tar::Entry<'_, R>) -> String {
    String::from_utf8_lossy(&entry.path_bytes()).into_owned()
}

fn is_file<R: Read>(entry: &tar::Entry<'_, R>) -> bool {
    entry.header().entry_type() == tar::EntryType::Regular
}

fn free_bytes(folder: &Path) -> Result<u64, Broken> {
    let stat = rustix::fs::statvfs(folder).map_err(|error| Broken::Disk {
        path: folder.to_owned(),
        error: error.into(),
    })?;
    Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
}

fn private_folder(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// The home under another name until it is whole; what is left of it goes when it is dropped.
struct Unfinished {
    folder: PathBuf,
    _alone: File,
}

impl Unfinished {
    fn begin(home: &Path) -> Result<Self, OperatorError> {
        let mut name = home.as_os_str().to_owned();
        name.push(".restoring");
        let folder = PathBuf::from(name);
        let failed = |error: io::Error| OperatorError::file("restore into", &folder, &error);
        private_folder(&folder).map_err(failed)?;
        let alone = File::open(&folder).map_err(failed)?;
        match alone.try_lock() {
            Ok(()) => {}
            Err(TryLockError::Error(error)) => return Err(failed(error)),
            Err(TryLockError::WouldBlock) => {
                let what = format!("restore into {}", home.display());
                let because = "another `muster restore` is at it";
                return Err(OperatorError::new(
                    Exit::Resource,
                    what,
                    because,
                    "wait for it",
                ));
            }
        }
        // One that was cut off leaves its folder, but nobody holds it.
        empty(&folder).map_err(failed)?;
        let _alone = alone;
        Ok(Self { folder, _alone })
    }

    /// In place of an empty folder at most.
    fn put(&self, home: &Path) -> Result<(), OperatorError> {
        let failed = |error: io::Error| OperatorError::file("make the home", home, &error);
        sync(&self.folder).map_err(failed)?;
        fs::rename(&self.folder, home).map_err(failed)?;
        let parent = home.parent().filter(|path| !path.as_os_str().is_empty());
        File::open(parent.unwrap_or(Path::new(".")))
            .and_then(|parent| parent.sync_all())
            .map_err(failed)
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        // After it was put in place there is nothing left; otherwise the next one empties it.
        let _left = fs::remove_dir_all(&self.folder);
    }
}

fn empty(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            fs::remove_dir_all(entry.path())?;
        } else {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// Every folder, so that no name is lost by a power cut; the files are on disk already.
fn sync(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            sync(&entry.path())?;
        }
    }
    File::open(folder)?.sync_all()
}
