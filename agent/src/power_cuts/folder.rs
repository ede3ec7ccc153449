//! A folder in memory that is made to hold what a cut left, over and over.
//!
//! Only what differs is written: a boot costs what it reads and changes.

use super::files::{Content, Tree};
use crate::store::disk::recorder::Note;
use muster_protocol::digest::Digest;
use std::collections::BTreeSet;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::rc::Rc;
use tempfile::TempDir;

/// Where Linux keeps files in memory.
const MEMORY: &str = "/dev/shm";

/// A temporary folder in memory, or on the disk where there is none.
pub fn in_memory() -> TempDir {
    tempfile::tempdir_in(MEMORY)
        .or_else(|_| tempfile::tempdir())
        .expect("temporary folder")
}

/// A folder that is made to hold one tree after the other.
#[derive(Debug)]
pub struct Stage {
    folder: TempDir,
    holds: Tree,
}

impl Stage {
    /// An empty one.
    pub fn new() -> Self {
        Self {
            folder: in_memory(),
            holds: Tree::new(),
        }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// What it holds, as far as is known.
    pub fn holds(&self) -> &Tree {
        &self.holds
    }

    /// Makes it hold `tree`.
    pub fn make(&mut self, tree: &Tree) {
        let folder = self.folder.path();
        for (path, content) in self.holds.iter().rev() {
            let new = tree.get(path);
            if new.is_none_or(|new| new.is_some() != content.is_some()) {
                match content {
                    Some(_) => fs::remove_file(folder.join(path)).expect("removes"),
                    None => fs::remove_dir(folder.join(path)).expect("removes"),
                }
            }
        }
        for (path, content) in tree {
            match (content, self.holds.get(path)) {
                (Some(new), Some(Some(old))) if new.digest == old.digest => {}
                (Some(new), _) => write(&folder.join(path), &new.bytes),
                (None, Some(None)) => {}
                (None, _) => fs::create_dir(folder.join(path)).expect("makes"),
            }
        }
        self.holds = tree.clone();
    }

    /// Learns what a program did here.
    pub fn learn(&mut self, notes: &[Note]) {
        let touched = notes.iter().flat_map(Note::paths).flatten();
        let touched: BTreeSet<&Path> = touched.collect();
        for path in touched.into_iter().filter(|path| **path != *Path::new("")) {
            let whole = self.folder.path().join(path);
            let found = match fs::metadata(&whole) {
                Err(_) => None,
                Ok(found) if found.is_dir() => Some(None),
                Ok(_) => Some(Some(content(&whole))),
            };
            match found {
                Some(found) => self.holds.insert(path.to_owned(), found),
                None => self.holds.remove(path),
            };
        }
    }
}

/// For its owner only, as keys must be.
fn write(path: &Path, bytes: &[u8]) {
    fs::write(path, bytes).expect("writes");
    fs::set_permissions(path, Permissions::from_mode(0o600)).expect("is ours");
}

fn content(path: &Path) -> Rc<Content> {
    let bytes = fs::read(path).expect("reads");
    let digest = Digest::of(&bytes);
    Rc::new(Content { bytes, digest })
}
