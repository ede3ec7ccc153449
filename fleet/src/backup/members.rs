//! Which files of a home belong into a backup: all of the controller, but for what a running one
//! makes anew, and offline keys only when they were asked for.
//!
//! Never follows a link, and never reads a file.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use muster_protocol::digest::Digest;

use super::manifest;
use crate::error::{Exit, OperatorError};
use crate::home::Home;

/// Whether the keys that do not belong on a controller are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OfflineKeys {
    /// They stay where they are.
    Leave,
    /// With `offline/` and `release/`.
    Take,
}

/// A file, and its path in the archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Source {
    pub(super) path: String,
    pub(super) file: PathBuf,
}

/// What a running controller writes for itself, and keys that nothing names yet; the database is
/// copied, not taken.
const LEFT_OUT: [&str; 7] = [
    "controller/next",
    "controller/lock",
    "controller/addresses.json",
    "controller/muster.db",
    "controller/muster.db-wal",
    "controller/muster.db-shm",
    "controller/blobs",
];

/// What the folders of local sockets begin with; see [`Home::link`].
const LINK: &str = "controller/link-";

/// Every file of the home that is taken as it is; then the database, which lies in `database`,
/// and the blobs that it names.
pub(super) fn find(
    home: &Home,
    database: &Path,
    blobs: &[Digest],
    offline: OfflineKeys,
) -> Result<Vec<Source>, OperatorError> {
    let mut found = vec![source(home, manifest::CONFIG)];
    let folders: &[&str] = match offline {
        OfflineKeys::Leave => &["controller"],
        OfflineKeys::Take => &["controller", "offline", "release"],
    };
    for folder in folders {
        walk(home, folder, &mut found)?;
    }
    found.push(Source {
        path: manifest::DATABASE.to_owned(),
        file: database.to_owned(),
    });
    for digest in blobs {
        found.push(source(
            home,
            &format!("{}{}", manifest::BLOBS, digest.hex()),
        ));
    }
    Ok(found)
}

fn source(home: &Home, path: &str) -> Source {
    Source {
        path: path.to_owned(),
        file: home.folder().join(path),
    }
}

/// By name, so that the same home gives the same order.
fn walk(home: &Home, folder: &str, found: &mut Vec<Source>) -> Result<(), OperatorError> {
    let at = home.folder().join(folder);
    let failed = |error: io::Error| OperatorError::file("read the folder", &at, &error);
    let mut entries = match fs::read_dir(&at) {
        Ok(entries) => entries.collect::<io::Result<Vec<_>>>().map_err(failed)?,
        // Carried away, as `muster init` advises.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed(error)),
    };
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let path = format!("{folder}/{}", entry.file_name().to_string_lossy());
        let kind = entry.file_type().map_err(failed)?;
        if LEFT_OUT.contains(&path.as_str()) || path.starts_with(LINK) || path.ends_with(".new") {
            continue;
        }
        if kind.is_dir() {
            walk(home, &path, found)?;
        } else if kind.is_file() && manifest::is_path(&path) {
            found.push(source(home, &path));
        } else {
            return Err(no_member(home, &path));
        }
    }
    Ok(())
}

fn no_member(home: &Home, path: &str) -> OperatorError {
    OperatorError::new(
        Exit::BadInput,
        format!("back the home {} up", home.folder().display()),
        format!("{path:?} is no plain file with a plain name"),
        "move it out of the home: only letters, digits and . _ - make names, and links are not \
         followed",
    )
}
