//! Bodies that the disk refused: kept in memory until it takes them.
//!
//! Bounded: beyond the bound windows merge, and what does not merge becomes a gap that sums it.
//! Never survives the agent; a checkpoint of the newest window stays on disk meanwhile.

use super::bodies::{self, Signing};
use muster_device::stream::{Handle, MergeClass};
use std::collections::VecDeque;

/// Bodies kept in memory, at most.
const UNSTORED_MAX: usize = 64;

/// Bodies in the order in which they came.
#[derive(Debug, Default)]
pub(super) struct Unstored(VecDeque<Vec<u8>>);

impl Unstored {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn oldest(&self) -> Option<&[u8]> {
        self.0.front().map(Vec::as_slice)
    }

    pub(super) fn remove_oldest(&mut self) -> Option<Vec<u8>> {
        self.0.pop_front()
    }

    /// Keeps a body.
    pub(super) fn push(&mut self, body: Vec<u8>, signing: &Signing) {
        self.0.push_back(body);
        if self.0.len() > UNSTORED_MAX {
            self.shrink(signing);
        }
    }

    fn shrink(&mut self, signing: &Signing) {
        let classes: Vec<_> = self.0.iter().map(|body| class_of(body)).collect();
        let (earlier, later) = alike(&classes).unwrap_or_else(|| cheapest(&classes));
        let (first, second) = (&self.0[earlier], &self.0[later]);
        let one =
            bodies::merge(first, second).unwrap_or_else(|| bodies::give_up(first, second, signing));
        self.0[later] = one;
        self.0.remove(earlier);
    }
}

fn class_of(body: &[u8]) -> Option<MergeClass> {
    bodies::describe(Handle(0), body).class
}

/// The first two windows that merge.
fn alike(classes: &[Option<MergeClass>]) -> Option<(usize, usize)> {
    (0..classes.len()).find_map(|earlier| {
        let mut later = earlier + 1..classes.len();
        let next = later.find(|n| classes[earlier].is_some() && classes[*n] == classes[earlier]);
        next.map(|next| (earlier, next))
    })
}

/// The two oldest of those whose loss costs least: gaps and receipts before windows.
fn cheapest(classes: &[Option<MergeClass>]) -> (usize, usize) {
    let of = |counts: bool| (0..classes.len()).filter(move |n| classes[*n].is_some() == counts);
    let mut oldest = of(false).chain(of(true));
    let (a, b) = (oldest.next().unwrap_or(0), oldest.next().unwrap_or(1));
    (a.min(b), a.max(b))
}
