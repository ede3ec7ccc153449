//! A bounded memory by key: the newest push out the oldest. Some 7 MB when it is full.
//!
//! Keeps a digest of an id, never the id: clients choose how long it is.

use muster_protocol::digest::Digest;
use muster_protocol::stats::Score;
use std::collections::{HashMap, VecDeque};

/// Entries at most.
pub(super) const ENTRIES_MAX: usize = 65_536;

/// The id of a request, in short.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Key([u8; 16], u32);

/// What is remembered of a row.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entry {
    key: Key,
    pub(super) bin: u8,
    pub(super) class: u16,
    /// Which task predicted: equal numbers, the same.
    pub(super) turn: u32,
    pub(super) labelled: bool,
}

/// Entries in the order in which they came.
#[derive(Debug, Default)]
pub(super) struct Ring {
    entries: VecDeque<Entry>,
    /// Numbers of entries; that of the first is `forgotten`.
    places: HashMap<Key, u64>,
    forgotten: u64,
}

impl Key {
    pub(super) fn of(id: &str) -> Self {
        let digest = Digest::of(id.as_bytes());
        let half = digest.0.first_chunk().copied();
        Self(half.unwrap_or_default(), 0)
    }

    pub(super) const fn row(self, row: u32) -> Self {
        Self(self.0, row)
    }
}

impl Ring {
    pub(super) fn put(&mut self, key: Key, score: Score, turn: u32) {
        if self.entries.len() >= ENTRIES_MAX {
            self.forget_oldest();
        }
        let number = self.forgotten.wrapping_add(self.entries.len() as u64);
        self.places.insert(key, number);
        self.entries.push_back(Entry {
            key,
            bin: score.bin,
            class: score.class,
            turn,
            labelled: false,
        });
    }

    /// The newest of a key.
    pub(super) fn get(&mut self, key: Key) -> Option<&mut Entry> {
        let number = self.places.get(&key)?.wrapping_sub(self.forgotten);
        self.entries.get_mut(usize::try_from(number).ok()?)
    }

    fn forget_oldest(&mut self) {
        if let Some(oldest) = self.entries.pop_front() {
            // A newer one may have taken its key.
            if self.places.get(&oldest.key) == Some(&self.forgotten) {
                self.places.remove(&oldest.key);
            }
            self.forgotten = self.forgotten.wrapping_add(1);
        }
    }
}
