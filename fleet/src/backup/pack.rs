//! Making an archive: a copy of the database at one moment, then what it needs, each hashed twice.
//!
//! Written beside its place and put there when it is whole and on disk.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, BufWriter, Read, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use muster_protocol::digest::Digest;
use muster_protocol::time::UnixSeconds;
use sha2::{Digest as _, Sha256};

use super::manifest::{self, Manifest, Member};
use super::members::{self, OfflineKeys, Source};
use crate::bundle::progress::Progress;
use crate::error::{Exit, OperatorError};
use crate::home::Home;
use crate::store::{StoreError, backup};

/// Fast; most of the bytes are models, which are packed already.
const LEVEL: i32 = 3;
/// Bytes that are read at once.
const CHUNK_BYTES: usize = 128 * 1024;

/// Backs a home up into `to`, whether or not a controller serves it.
///
/// # Errors
/// `to` exists, the disk refuses, or a file of the home is missing or damaged.
pub(crate) fn pack(
    home: &Home,
    to: &Path,
    offline: OfflineKeys,
    now: UnixSeconds,
) -> Result<Manifest, OperatorError> {
    let unfinished = Unfinished::begin(to)?;
    let database = unfinished.database();
    backup::copy(&home.database(), &database).map_err(|error| not_copied(home, error))?;
    let read = |error| not_copied(home, error);
    let blobs = backup::blobs(&database).map_err(read)?;
    let (schema, counts) = (
        backup::schema(&database).map_err(read)?,
        backup::counts(&database).map_err(read)?,
    );
    let sources = members::find(home, &database, &blobs, offline)?;
    let members = survey(&sources)?;
    let manifest = Manifest::new(now.0, schema, counts, members);
    write(&unfinished.file, &sources, &manifest)
        .map_err(|error| OperatorError::file("write the backup", to, &error))?;
    unfinished.put()?;
    Ok(manifest)
}

fn not_copied(home: &Home, error: StoreError) -> OperatorError {
    let what = format!("copy the database of {}", home.folder().display());
    let hint = match error {
        StoreError::Newer { .. } => "use the program that wrote it",
        StoreError::Full | StoreError::Failed { .. } => {
            "has the disk that takes the backup room for another copy of the database?"
        }
        StoreError::Open { .. } | StoreError::Stopped | StoreError::Panicked => {
            "run as the owner of the home"
        }
    };
    OperatorError::new(Exit::Resource, what, error, hint)
}

/// Size and digest of each file; a blob must be what its name says.
fn survey(sources: &[Source]) -> Result<Vec<Member>, OperatorError> {
    let sizes = sources.iter().map(|source| {
        let meta = fs::metadata(&source.file).map_err(|error| unreadable(source, &error))?;
        Ok(meta.len())
    });
    let sizes = sizes.collect::<Result<Vec<_>, OperatorError>>()?;
    let progress = Progress::start("reading the home", sizes.iter().sum());
    let mut members = Vec::with_capacity(sources.len());
    for source in sources {
        let hashed = File::open(&source.file).and_then(|file| hash(file, &mut io::sink()));
        let (bytes, digest) = hashed.map_err(|error| unreadable(source, &error))?;
        progress.advance(bytes);
        let named = source.path.strip_prefix(manifest::BLOBS);
        if named.is_some_and(|named| named != digest.hex().to_string()) {
            return Err(OperatorError::new(
                Exit::Refused,
                format!("back the blob {} up", source.file.display()),
                "the disk has damaged it: its digest is another",
                "release its bundle once more, or take it from an older backup",
            ));
        }
        members.push(Member {
            path: source.path.clone(),
            bytes,
            sha256: digest.hex().to_string(),
        });
    }
    Ok(members)
}

fn unreadable(source: &Source, error: &io::Error) -> OperatorError {
    OperatorError::file("read", &source.file, error)
}

fn write(file: &File, sources: &[Source], manifest: &Manifest) -> io::Result<()> {
    let mut packed = zstd::Encoder::new(BufWriter::new(file), LEVEL)?;
    packed.include_checksum(true)?;
    let mut archive = tar::Builder::new(packed);
    let progress = Progress::start("writing the backup", manifest.bytes());
    let text = serde_json::to_vec_pretty(manifest)?;
    let header = header(manifest::NAME, text.len() as u64, manifest.created_at)?;
    archive.append(&header, text.as_slice())?;
    for (source, member) in sources.iter().zip(&manifest.members) {
        let header = self::header(&member.path, member.bytes, manifest.created_at)?;
        let mut reader = Hashing::new(File::open(&source.file)?.take(member.bytes));
        archive.append(&header, &mut reader)?;
        if Some(reader.digest()) != member.digest() {
            let changed = format!("{} was changed meanwhile", source.file.display());
            return Err(io::Error::other(changed));
        }
        progress.advance(member.bytes);
    }
    archive.into_inner()?.finish()?.flush()?;
    file.sync_all()
}

fn header(path: &str, bytes: u64, created_at: u64) -> io::Result<tar::Header> {
    let mut header = tar::Header::new_ustar();
    header.set_path(path)?;
    header.set_entry_type(tar::EntryType::Regular);
    header.set_size(bytes);
    header.set_mode(0o600);
    header.set_mtime(created_at);
    header.set_cksum();
    Ok(header)
}

/// Copies all of `from`; bytes and digest of what was copied.
pub(super) fn hash(mut from: impl Read, to: &mut impl Write) -> io::Result<(u64, Digest)> {
    let (mut chunk, mut hasher, mut bytes) = (vec![0; CHUNK_BYTES], Sha256::new(), 0);
    loop {
        let read = from.read(&mut chunk)?;
        if read == 0 {
            return Ok((bytes, Digest(hasher.finalize().into())));
        }
        hasher.update(&chunk[..read]);
        to.write_all(&chunk[..read])?;
        bytes += read as u64;
    }
}

/// A reader that hashes what goes through it.
struct Hashing<R> {
    from: R,
    hasher: Sha256,
}

impl<R> Hashing<R> {
    fn new(from: R) -> Self {
        let hasher = Sha256::new();
        Self { from, hasher }
    }

    fn digest(self) -> Digest {
        Digest(self.hasher.finalize().into())
    }
}

impl<R: Read> Read for Hashing<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.from.read(buffer)?;
        self.hasher.update(&buffer[..read]);
        Ok(read)
    }
}

/// The file under another name until it is whole; what is left of it goes when it is dropped.
struct Unfinished {
    file: File,
    path: PathBuf,
    to: PathBuf,
}

impl Unfinished {
    fn begin(to: &Path) -> Result<Self, OperatorError> {
        let path = beside(to, "new");
        let failed = |error: io::Error| OperatorError::file("write the backup", &path, &error);
        if to.symlink_metadata().is_ok() {
            return Err(taken(to));
        }
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(false).mode(0o600);
        let file = options.open(&path).map_err(failed)?;
        match file.try_lock() {
            // One that was cut off leaves its file, but nobody holds it.
            Ok(()) => file.set_len(0).map_err(failed)?,
            Err(TryLockError::Error(error)) => return Err(failed(error)),
            Err(TryLockError::WouldBlock) => {
                let what = format!("write the backup {}", to.display());
                let hint = "wait for it, or name another file";
                let because = "another `muster backup` writes it";
                return Err(OperatorError::new(Exit::Resource, what, because, hint));
            }
        }
        let to = to.to_owned();
        Ok(Self { file, path, to })
    }

    /// Where the copy of the database lies while the archive is made.
    fn database(&self) -> PathBuf {
        beside(&self.to, "db.new")
    }

    /// A link takes no place that is taken, as a rename would.
    fn put(self) -> Result<(), OperatorError> {
        let failed = |error: io::Error| match error.kind() {
            io::ErrorKind::AlreadyExists => taken(&self.to),
            _ => OperatorError::file("write the backup", &self.to, &error),
        };
        let linked = fs::hard_link(&self.path, &self.to).or_else(|error| {
            if error.kind() == io::ErrorKind::AlreadyExists || self.to.symlink_metadata().is_ok() {
                return Err(error);
            }
            // The file system of a stick knows no links.
            fs::rename(&self.path, &self.to)
        });
        linked.map_err(failed)?;
        let folder = self.to.parent().filter(|path| !path.as_os_str().is_empty());
        File::open(folder.unwrap_or(Path::new(".")))
            .and_then(|folder| folder.sync_all())
            .map_err(failed)
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        for path in [&self.path, &self.database()] {
            // What cannot be removed now is written over by the next one.
            let _left = fs::remove_file(path);
        }
    }
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{suffix}"));
    name.into()
}

fn taken(to: &Path) -> OperatorError {
    OperatorError::new(
        Exit::Missing,
        format!("write the backup {}", to.display()),
        "something is there already, and nothing is overwritten",
        "name another file, for example with the date in it",
    )
}
