//! Targets (5.7): fetched unless they are there, verified, and put into a folder under their quoted
//! names. Nothing that does not match its listing reaches the folder.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail, ensure};
use muster_protocol::tuf::{Role, TargetFile};

use super::{
    client::Client,
    fetch::{Answer, Source},
    folder,
    name::{file_name, quoted_path},
};

/// Larger targets are refused: they are held in memory until they are verified.
const TARGET_BYTES_MAX: u64 = 256 * 1024 * 1024;

/// Where targets come from and where they go.
pub(super) struct Downloads {
    source: Source,
    folder: PathBuf,
}

impl Downloads {
    pub(super) fn new(source: Source, folder: &Path) -> Self {
        Self {
            source,
            folder: folder.to_owned(),
        }
    }

    /// Fetches a target, if its file is not there or has changed.
    ///
    /// # Errors
    /// The target is not listed, not to be had, not what is listed, or cannot be stored.
    pub(super) fn take(&self, client: &mut Client, name: &str) -> anyhow::Result<()> {
        let what = || format!("failed to download {name:?}");
        self.take_listed(client, name).with_context(what)
    }

    fn take_listed(&self, client: &mut Client, name: &str) -> anyhow::Result<()> {
        ensure!(!name.is_empty(), "a target has a name");
        let (role, file) = client.find(name)?;
        let path = self.folder.join(file_name(name));
        if is_there(&path, &role, &file)? {
            return Ok(());
        }
        let bytes = self.fetch(client, name, &file)?;
        file.check_bytes(&role, &bytes)?;
        let folder = || format!("failed to make the folder {}", self.folder.display());
        fs::create_dir_all(&self.folder).with_context(folder)?;
        folder::replace(&path, &bytes)
    }

    fn fetch(&self, client: &Client, name: &str, file: &TargetFile) -> anyhow::Result<Vec<u8>> {
        let (length, max) = (file.length, TARGET_BYTES_MAX);
        ensure!(
            length <= max,
            "it has {length} bytes, more than {max} are not taken"
        );
        let name = match client.has_consistent_snapshots() {
            true => with_digest(name, file),
            false => name.to_owned(),
        };
        match self.source.get(&quoted_path(&name), length)? {
            Answer::Bytes(bytes) => Ok(bytes),
            Answer::Absent => bail!("the repository does not have {name}"),
        }
    }
}

/// `folder/HASH.file` for `folder/file` (5.7.3).
fn with_digest(name: &str, file: &TargetFile) -> String {
    let hashes = &file.hashes;
    let sha512 = || hashes.sha512().map(|digest| digest.to_string());
    let sha256 = hashes.sha256().map(|digest| digest.to_string());
    let digest = sha256.or_else(sha512).unwrap_or_default();
    match name.rsplit_once('/') {
        Some((folder, last)) => format!("{folder}/{digest}.{last}"),
        None => format!("{digest}.{name}"),
    }
}

fn is_there(path: &Path, role: &Role, file: &TargetFile) -> anyhow::Result<bool> {
    if fs::metadata(path).is_ok_and(|there| there.len() != file.length) {
        return Ok(false);
    }
    let there = folder::read(path)?;
    Ok(there.is_some_and(|bytes| file.check_bytes(role, &bytes).is_ok()))
}
