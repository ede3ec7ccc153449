//! Cuts the power before each operation of a recording and after the last, and has each disk
//! judged that a cut may leave there.
//!
//! A disk that was judged under the same promises is not judged again.

use super::cut::{self, Kind};
use super::files::{Files, Tree};
use super::relied::Relied;
use super::tally::Tally;
use crate::store::disk::recorder::Note;
use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};

/// Where the power is cut.
#[derive(Debug, Clone, Copy)]
pub struct Cut<'n> {
    /// What had happened.
    pub before: &'n [Note],
    /// What the process saw then.
    pub files: &'n Files,
}

/// A disk on which something is wrong.
#[derive(Debug)]
pub struct Breach(pub String);

/// What the enumeration came to: counts, and what was wrong.
#[derive(Debug, Default)]
pub struct Outcome {
    /// The counts.
    pub tally: Tally,
    /// At most [`BREACHES_MAX`].
    pub breaches: Vec<Breach>,
}

/// Enough to learn from.
const BREACHES_MAX: usize = 5;

/// Cuts a recording that began on the disk `start` everywhere.
pub fn enumerate(
    start: &Tree,
    notes: &[Note],
    mut judge: impl FnMut(Cut<'_>, &Tree) -> Result<(), String>,
) -> Outcome {
    let (mut files, mut relied) = (Files::of(start), Relied::default());
    let mut trial = Trial::default();
    for at in 0..=notes.len() {
        let next = notes.get(at);
        if next.is_none_or(Note::is_operation) {
            let before = &notes[..at];
            let cut = Cut {
                before,
                files: &files,
            };
            trial.cut(next, cut, &relied, &mut judge);
        }
        if trial.is_over() {
            break;
        }
        if let Some(note) = next {
            files.obey(note);
            relied.hear(note, &files);
            trial.promises += usize::from(note.is_promise());
        }
    }
    trial.outcome
}

/// Disks that were judged, and what came of it.
#[derive(Debug, Default)]
pub struct Trial {
    /// So far.
    pub outcome: Outcome,
    /// How much the device has promised; with more of it the same disk is judged again.
    pub promises: usize,
    disks: HashSet<u64>,
    judged: HashSet<(u64, usize)>,
}

impl Trial {
    /// Whether enough is wrong.
    pub fn is_over(&self) -> bool {
        self.outcome.breaches.len() >= BREACHES_MAX
    }

    /// Cuts the power here, before `next`.
    pub fn cut(
        &mut self,
        next: Option<&Note>,
        cut: Cut<'_>,
        relied: &Relied,
        judge: &mut impl FnMut(Cut<'_>, &Tree) -> Result<(), String>,
    ) {
        self.outcome.tally.cut(next);
        for (kind, fates) in cut::fates(cut.files) {
            let tree = cut.files.after(&fates);
            let hash = hash(&tree);
            let is_new = self.disks.insert(hash);
            self.outcome.tally.disk(kind, is_new);
            let mut verdict = relied.breach(&tree).map_or(Ok(()), Err);
            if verdict.is_ok() && self.judged.insert((hash, self.promises)) {
                self.outcome.tally.boots += 1;
                verdict = judge(cut, &tree);
            }
            if let Err(because) = verdict {
                let at = cut.before.len();
                let breach = breach(at, next, kind, &fates, &because);
                self.outcome.breaches.push(breach);
            }
            if self.is_over() {
                return;
            }
        }
    }
}

fn breach(
    at: usize,
    next: Option<&Note>,
    kind: Kind,
    fates: &[cut::Fate],
    because: &str,
) -> Breach {
    let next = next.map_or("the end".to_owned(), Note::line);
    Breach(format!(
        "cut at {at}, before {next}, {kind:?} {fates:?}: {because}"
    ))
}

fn hash(tree: &Tree) -> u64 {
    let mut hasher = DefaultHasher::new();
    for (path, content) in tree {
        path.as_os_str().hash(&mut hasher);
        content
            .as_ref()
            .map(|content| content.digest.0)
            .hash(&mut hasher);
    }
    hasher.finish()
}
