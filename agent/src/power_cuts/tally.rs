//! Counts of an enumeration, and their line in the table of `docs/power-cuts.md`.
//!
//! Never rounds: the page says what was measured, and a test compares the two.

use super::cut::Kind;
use crate::store::disk::recorder::Note;
use std::collections::BTreeMap;

/// What was tried.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    /// Operations by name.
    pub operations: BTreeMap<&'static str, usize>,
    /// Moments at which the power was cut.
    pub cuts: usize,
    /// Disks by what became of what was not synced; equal ones counted each time.
    pub tried: BTreeMap<Kind, usize>,
    /// Disks that differ from each other.
    pub distinct: usize,
    /// Times that the program was started on one.
    pub boots: usize,
}

/// Names of operations, in the order of the table.
pub const OPERATIONS: [&str; 8] = [
    "create",
    "write",
    "reserve",
    "sync",
    "rename",
    "remove",
    "make folder",
    "sync folder",
];

/// The head of the table of operations.
pub fn head_of_operations() -> [String; 2] {
    let names = OPERATIONS.join(" | ");
    head(&format!("| story | {names} | all |"))
}

/// The head of the table of cuts.
pub fn head_of_cuts() -> [String; 2] {
    head(
        "| story | cut points | lost | kept | reordered | torn | zeros | disks | that differ | \
         starts |",
    )
}

fn head(names: &str) -> [String; 2] {
    let columns = names.matches('|').count() - 1;
    [names.to_owned(), format!("|{}", "---|".repeat(columns))]
}

impl Tally {
    pub(super) fn cut(&mut self, next: Option<&Note>) {
        self.cuts += 1;
        if let Some(name) = next.and_then(Note::operation) {
            *self.operations.entry(name).or_default() += 1;
        }
    }

    pub(super) fn disk(&mut self, kind: Kind, is_new: bool) {
        *self.tried.entry(kind).or_default() += 1;
        self.distinct += usize::from(is_new);
    }

    /// The line of a story in the table of operations.
    pub fn line_of_operations(&self, story: &str) -> String {
        let of = |name: &&str| self.operations.get(*name).copied().unwrap_or(0);
        let counts = OPERATIONS.iter().map(|name| of(name).to_string());
        let total: usize = self.operations.values().sum();
        let counts: Vec<_> = counts.chain([total.to_string()]).collect();
        format!("| {story} | {} |", counts.join(" | "))
    }

    /// The line of a story in the table of cuts.
    pub fn line_of_cuts(&self, story: &str) -> String {
        let of = |kind: &Kind| self.tried.get(kind).copied().unwrap_or(0);
        let kinds: Vec<_> = Kind::ALL.iter().map(|kind| of(kind).to_string()).collect();
        let total: usize = self.tried.values().sum();
        let (cuts, distinct, boots) = (self.cuts, self.distinct, self.boots);
        let kinds = kinds.join(" | ");
        format!("| {story} | {cuts} | {kinds} | {total} | {distinct} | {boots} |")
    }
}
