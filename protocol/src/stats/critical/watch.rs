//! One feature over time: windows become blocks, blocks are judged, and two breaches of one kind
//! in a row are an alarm, which ends after some quiet blocks.
//!
//! Time is an argument. The state is small: a device loses it with the process, and an alarm then
//! takes two blocks again; a fleet writes it down as [`Progress`].

use super::{Block, KINDS, Kind, Limits, Reading, judge};
use crate::time::Millis;
use minicbor::{Decode, Encode};

/// Blocks in a row that breach a limit before it is an alarm.
pub const STREAK: u32 = 2;
/// Blocks in a row within the limit before an alarm ends.
pub const QUIET_BLOCKS: u32 = 3;

/// A limit that is breached, and goes on being so.
#[derive(Debug, Clone, Copy, PartialEq, Encode, Decode)]
pub struct Alarm {
    /// Which.
    #[n(0)]
    pub kind: Kind,
    /// The end of the first block that breached it.
    #[n(1)]
    pub since: Millis,
    /// What the last judged block had.
    #[n(2)]
    pub reading: Reading,
}

/// What a block has changed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Change {
    /// An alarm begins.
    Began(Alarm),
    /// It has ended.
    Ended(Alarm),
}

/// The changes of one block, at most one of each kind.
pub type Changes = heapless::Vec<Change, KINDS>;

/// Where one kind stands.
#[derive(Debug, Clone, Copy, PartialEq, Default, Encode, Decode)]
enum Standing {
    #[default]
    #[n(0)]
    Quiet,
    /// Breached, but not often enough in a row.
    #[n(1)]
    Breached {
        #[n(0)]
        since: Millis,
        #[n(1)]
        blocks: u32,
    },
    /// Alarmed, and quiet for so many blocks.
    #[n(2)]
    Alarmed {
        #[n(0)]
        alarm: Alarm,
        #[n(1)]
        quiet: u32,
    },
}

/// How far a watch has come, to be written down between two windows.
#[derive(Debug, Clone, Copy, PartialEq, Default, Encode, Decode)]
pub struct Progress {
    #[n(0)]
    open: Block,
    #[n(1)]
    standings: [Standing; KINDS],
}

/// Watches one feature against its limits.
#[derive(Debug, Clone)]
pub struct LocalWatch {
    limits: Limits,
    progress: Progress,
}

impl LocalWatch {
    /// Nothing was seen yet.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            progress: Progress::default(),
        }
    }

    /// Takes the counts of a window that ended `now`: of [`super::super::FeatureCounts`] or
    /// [`super::super::FeatureSum`]. Windows are merged until they hold as many rows as the
    /// limits are made for.
    pub fn take(&mut self, window: impl Into<Block>, now: Millis) -> Changes {
        let changes = self.progress.take(&self.limits, window, now);
        changes.unwrap_or_default()
    }

    /// The alarms that go on.
    pub fn alarms(&self) -> impl Iterator<Item = Alarm> + '_ {
        self.progress.alarms()
    }
}

impl Progress {
    /// As [`LocalWatch::take`]; none when no block was judged.
    pub fn take(
        &mut self,
        limits: &Limits,
        window: impl Into<Block>,
        now: Millis,
    ) -> Option<Changes> {
        self.open.merge(&window.into());
        let judgement = judge(&self.open, limits)?;
        self.open = Block::default();
        let kinds = Kind::ALL.into_iter().zip(&mut self.standings);
        let changes = kinds.filter_map(|(kind, standing)| {
            // What cannot be judged stays as it is.
            standing.take(kind, judgement.of(kind)?, now)
        });
        Some(changes.collect())
    }

    /// The alarms that go on.
    pub fn alarms(&self) -> impl Iterator<Item = Alarm> + '_ {
        self.standings.iter().filter_map(|standing| match standing {
            Standing::Alarmed { alarm, .. } => Some(*alarm),
            Standing::Quiet | Standing::Breached { .. } => None,
        })
    }
}

impl Standing {
    fn take(&mut self, kind: Kind, reading: Reading, now: Millis) -> Option<Change> {
        let (next, change) = match (*self, reading.is_breach) {
            (Self::Alarmed { alarm, .. }, true) => {
                let alarm = Alarm { reading, ..alarm };
                (Self::Alarmed { alarm, quiet: 0 }, None)
            }
            (Self::Alarmed { alarm, quiet }, false) if quiet + 1 < QUIET_BLOCKS => {
                let (alarm, quiet) = (Alarm { reading, ..alarm }, quiet + 1);
                (Self::Alarmed { alarm, quiet }, None)
            }
            (Self::Alarmed { alarm, .. }, false) => {
                let alarm = Alarm { reading, ..alarm };
                (Self::Quiet, Some(Change::Ended(alarm)))
            }
            (Self::Quiet, true) => Self::breached(kind, reading, now, 1),
            (Self::Breached { since, blocks }, true) => {
                Self::breached(kind, reading, since, blocks.saturating_add(1))
            }
            (Self::Quiet | Self::Breached { .. }, false) => (Self::Quiet, None),
        };
        *self = next;
        change
    }

    fn breached(
        kind: Kind,
        reading: Reading,
        since: Millis,
        blocks: u32,
    ) -> (Self, Option<Change>) {
        if blocks < STREAK {
            return (Self::Breached { since, blocks }, None);
        }
        let alarm = Alarm {
            kind,
            since,
            reading,
        };
        (
            Self::Alarmed { alarm, quiet: 0 },
            Some(Change::Began(alarm)),
        )
    }
}
