//! What was said to be durable must be found, or what was put in its place later.
//!
//! Knows no meaning: a file is what it was said to be, or something that came after it.

use super::files::{Files, Tree};
use crate::store::disk::recorder::Note;
use muster_protocol::digest::Digest;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// For each file that somebody relies on, what may be found under its name; `None` is nothing.
#[derive(Debug, Clone, Default)]
pub struct Relied(BTreeMap<PathBuf, Vec<Option<Digest>>>);

impl Relied {
    /// Takes a note that `files` have obeyed.
    pub fn hear(&mut self, note: &Note, files: &Files) {
        match note {
            Note::ReliedOn(path) => {
                let now = digest(files, path);
                self.0.insert(path.clone(), vec![now]);
            }
            Note::Rename(from, to) => {
                self.may_be(from, files);
                self.may_be(to, files);
            }
            Note::Remove(path) | Note::Create(path) | Note::Write(path, ..) => {
                self.may_be(path, files);
            }
            Note::SyncFolder(folder) => self.forget_removed(folder),
            Note::MakeFolder(_)
            | Note::Reserve(..)
            | Note::Sync(_)
            | Note::Said(..)
            | Note::Step(_) => {}
        }
    }

    fn may_be(&mut self, path: &Path, files: &Files) {
        if let Some(may_be) = self.0.get_mut(path) {
            may_be.push(digest(files, path));
        }
    }

    /// What was removed for good needs no watching.
    fn forget_removed(&mut self, folder: &Path) {
        self.0
            .retain(|path, may_be| path.parent() != Some(folder) || may_be.last() != Some(&None));
    }

    /// The first file that is not what it may be.
    pub fn breach(&self, tree: &Tree) -> Option<String> {
        let found = |path| tree.get(path).and_then(|c| Some(c.as_ref()?.digest));
        let mut all = self.0.iter();
        let (path, _) = all.find(|(path, may_be)| !may_be.contains(&found(*path)))?;
        let what = match tree.get(path) {
            None => "gone".to_owned(),
            Some(None) => "a folder".to_owned(),
            Some(Some(content)) => format!("something else, of {} bytes", content.bytes.len()),
        };
        Some(format!(
            "{} was said to be durable, and is {what}",
            path.display()
        ))
    }
}

fn digest(files: &Files, path: &Path) -> Option<Digest> {
    files.seen(path).map(|content| content.digest)
}
