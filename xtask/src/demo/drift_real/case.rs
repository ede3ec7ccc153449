//! What a case is: rows of recordings that are the reference, rows that are replayed, what is done to
//! them on the way, and what has to be found. Nothing here runs.

use std::ops::RangeInclusive;

use super::recording::{Column, Dates};

/// The device whose rows are changed.
pub(super) const BROKEN: usize = 2;

/// Where a recording is, below the folder of shared data.
pub(super) struct Source {
    /// Its name in the table.
    pub(super) name: &'static str,
    pub(super) file: &'static str,
    pub(super) columns: &'static [Column],
    pub(super) dates: Dates,
}

/// A model that is asked about rows.
#[derive(Clone, Copy)]
pub(super) enum Model {
    /// Of the shared data.
    Shared(&'static str),
    /// Of this project: any four numbers, doubled, and their mean.
    Doubling,
}

/// Devices that run beside each other under one controller, and what they are asked.
pub(super) struct Scene {
    pub(super) devices: usize,
    pub(super) cases: Vec<Case>,
}

/// One case: a model of its own, so that none knows of another.
pub(super) struct Case {
    /// Its model's id.
    pub(super) id: String,
    /// What is done, in words.
    pub(super) done: String,
    pub(super) source: &'static Source,
    pub(super) model: Model,
    /// What the reference is made of.
    pub(super) reference: Vec<usize>,
    /// `--block-rows`, where the usual ones are not meant.
    pub(super) block_rows: Option<usize>,
    /// What each device is asked about, by rows of the recording of `replayed`.
    pub(super) replayed: &'static Source,
    pub(super) rows: Vec<Vec<usize>>,
    pub(super) window_rows: usize,
    pub(super) fault: Option<Fault>,
    pub(super) expected: Vec<Expected>,
}

/// What is done to one column of [`BROKEN`].
#[derive(Clone, Copy)]
pub(super) struct Fault {
    pub(super) column: usize,
    /// The first of its rows that is changed.
    pub(super) from: usize,
    pub(super) change: Change,
}

/// How a value is changed.
#[derive(Clone, Copy)]
pub(super) enum Change {
    /// −200 in every so many-th row.
    Sentinel { every: usize },
    /// So much more.
    Added(f32),
}

/// What has to be found.
pub(super) struct Expected {
    /// As the table says it.
    pub(super) asked: &'static str,
    pub(super) what: What,
    pub(super) answer: Answer,
}

/// What may be asked of incidents.
pub(super) enum What {
    /// There is none whose last window ends before this row of the recording.
    NothingBefore(usize),
    /// There is none at all.
    Nothing,
    /// The first of all is of this feature, found in these rows.
    First(&'static str, RangeInclusive<usize>),
    /// There is one of each of these features, found in these rows.
    Each(&'static [&'static str], RangeInclusive<usize>),
    /// There is one of this cause, of any of these features, found from this row on.
    Cause(&'static str, &'static [&'static str], usize),
    /// There is one of this cause and feature of [`BROKEN`], and none of any other device.
    OfBroken(&'static str, &'static str),
}

/// Whether it is found today.
#[derive(Clone, Copy)]
pub(super) enum Answer {
    Found,
    /// It is not, and this is why. It is a failure when it is found after all: the table would lie.
    NotYet(&'static str),
}

impl Change {
    /// The value in a row.
    pub(super) fn apply(self, row: usize, value: f32) -> f32 {
        match self {
            Self::Sentinel { every } if row.is_multiple_of(every) => -200.0,
            Self::Sentinel { .. } => value,
            Self::Added(more) => value + more,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_changes_what_it_says() {
        let check = |change: Change, row, expect: f32| {
            assert_eq!(change.apply(row, 20.0), expect, "{row}");
        };
        check(Change::Sentinel { every: 10 }, 10, -200.0);
        check(Change::Sentinel { every: 10 }, 11, 20.0);
        check(Change::Added(7.0), 11, 27.0);
    }
}
