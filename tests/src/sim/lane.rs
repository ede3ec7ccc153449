//! One stream on the disk of a device: bodies without a number, signed documents with one.
//!
//! Each step is one atomic write, as the agent's queue makes it with its files. Never encodes a
//! numbered document again.

use muster_device::stream::Handle;
use muster_protocol::id::{Sequence, StreamId};
use std::collections::BTreeMap;
use std::ops::{Add, AddAssign};

/// What was counted: windows that were closed, and rows in them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) windows: u64,
    pub(super) calls: u64,
}

impl Add for Counts {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self {
            windows: self.windows + other.windows,
            calls: self.calls + other.calls,
        }
    }
}

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl std::iter::Sum for Counts {
    fn sum<I: Iterator<Item = Self>>(counts: I) -> Self {
        counts.fold(Self::default(), Add::add)
    }
}

/// A body as it lies on the disk, and what it counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Body {
    pub(super) bytes: Vec<u8>,
    pub(super) counts: Counts,
}

/// A signed document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Frozen {
    pub(super) handle: Handle,
    pub(super) bytes: Vec<u8>,
    pub(super) counts: Counts,
}

/// The folder of one stream.
#[derive(Debug, Clone)]
pub(super) struct StoredLane {
    pub(super) id: StreamId,
    pub(super) predecessor: Option<StreamId>,
    pub(super) through: Sequence,
    pub(super) pending: BTreeMap<Handle, Body>,
    pub(super) frozen: BTreeMap<Sequence, Frozen>,
    /// Documents that are kept for people.
    pub(super) aside: Vec<Frozen>,
    /// The truth, which no machine sees: everything that was ever durable here.
    pub(super) counted: Counts,
}

impl StoredLane {
    pub(super) const fn new(id: StreamId) -> Self {
        Self {
            id,
            predecessor: None,
            through: Sequence(0),
            pending: BTreeMap::new(),
            frozen: BTreeMap::new(),
            aside: Vec::new(),
            counted: Counts {
                windows: 0,
                calls: 0,
            },
        }
    }

    pub(super) fn add(&mut self, handle: Handle, body: &Body) {
        self.counted += body.counts;
        self.pending.insert(handle, body.clone());
    }

    pub(super) fn replace(&mut self, earlier: Option<Handle>, later: Handle, body: &Body) {
        if let Some(earlier) = earlier {
            self.pending.remove(&earlier);
        }
        self.pending.insert(later, body.clone());
    }

    pub(super) fn freeze(&mut self, handle: Handle, sequence: Sequence, bytes: &[u8]) {
        if let Some(body) = self.pending.remove(&handle) {
            let (bytes, counts) = (bytes.to_vec(), body.counts);
            self.frozen.insert(
                sequence,
                Frozen {
                    handle,
                    bytes,
                    counts,
                },
            );
        }
    }

    pub(super) fn cover(&mut self, through: Sequence) {
        self.through = through;
        self.frozen = self.frozen.split_off(&Sequence(through.0 + 1));
    }

    pub(super) fn keep_aside(&mut self, sequence: Sequence) {
        self.aside.extend(self.frozen.get(&sequence).cloned());
    }

    pub(super) fn supersede(&mut self, fresh: StreamId) {
        self.aside
            .extend(std::mem::take(&mut self.frozen).into_values());
        self.predecessor = Some(self.id);
        self.id = fresh;
        self.through = Sequence(0);
    }

    /// The handle above all that lie here.
    pub(super) fn next_handle(&self) -> Handle {
        let frozen = self.frozen.values().map(|frozen| frozen.handle);
        let highest = self.pending.keys().copied().chain(frozen).max();
        Handle(highest.map_or(1, |highest| highest.0 + 1))
    }
}
