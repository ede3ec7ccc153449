//! Scores on the wire: bins and classes that are not empty.
//!
//! Never a score. What a hostile sender repeats is added up, what has no bin is left out.

use crate::cbor::List;
use crate::limits::{SCORE_BINS, SCORE_CLASSES_MAX};
use crate::stats::ScoreCounts;
use minicbor::{Decode, Encode};

/// Scores of one window; see [`ScoreCounts`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Scores<'b> {
    /// Rows by bin, ascending.
    #[b(0)]
    pub bins: List<'b, ScoreCount, SCORE_BINS>,
    /// Rows by predicted class, ascending.
    #[b(1)]
    #[cbor(default)]
    pub classes: List<'b, ClassCount, SCORE_CLASSES_MAX>,
    /// Rows whose scores are no probabilities.
    #[n(2)]
    #[cbor(default)]
    pub improper: u32,
}

/// Rows of one bin of the score.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub struct ScoreCount {
    /// The bin.
    #[n(0)]
    pub bin: u8,
    /// How many.
    #[n(1)]
    pub count: u32,
    /// The sum of their probabilities, in steps of [`crate::stats::score::STEPS_PER_ONE`].
    #[n(2)]
    pub sum: u64,
    /// The sum of the squares of their steps above the lower end of the bin.
    #[n(3)]
    pub squares: u64,
}

/// Rows of one predicted class.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub struct ClassCount {
    /// The class.
    #[n(0)]
    pub class: u8,
    /// How many.
    #[n(1)]
    pub count: u32,
}

/// Counts as lists, to be written.
#[derive(Debug, Clone)]
pub struct ScoreLists {
    bins: heapless::Vec<ScoreCount, SCORE_BINS>,
    classes: heapless::Vec<ClassCount, SCORE_CLASSES_MAX>,
    improper: u32,
}

impl ScoreLists {
    /// The bins and classes of `counts` that are not empty.
    #[must_use]
    pub fn of(counts: &ScoreCounts) -> Self {
        let places = (0..).zip(0..SCORE_BINS);
        let bins = places.map(|(bin, place)| ScoreCount {
            bin,
            count: counts.bins[place],
            sum: counts.sums[place],
            squares: counts.squares[place],
        });
        let bins = bins.filter(|bin| (bin.count, bin.sum, bin.squares) != (0, 0, 0));
        let classes = (0..).zip(counts.classes);
        let classes = classes.map(|(class, count)| ClassCount { class, count });
        Self {
            bins: bins.collect(),
            classes: classes.filter(|class| class.count > 0).collect(),
            improper: counts.improper,
        }
    }

    /// What a window carries.
    #[must_use]
    pub fn scores(&self) -> Scores<'_> {
        Scores {
            bins: List::of(&self.bins),
            classes: List::of(&self.classes),
            improper: self.improper,
        }
    }
}

impl Scores<'_> {
    /// The counts, to be merged or judged.
    #[must_use]
    pub fn counts(&self) -> ScoreCounts {
        let mut counts = ScoreCounts {
            improper: self.improper,
            ..ScoreCounts::default()
        };
        for row in self.bins.iter() {
            let place = usize::from(row.bin);
            if place < SCORE_BINS {
                counts.bins[place] = counts.bins[place].saturating_add(row.count);
                counts.sums[place] = counts.sums[place].saturating_add(row.sum);
                counts.squares[place] = counts.squares[place].saturating_add(row.squares);
            }
        }
        for ClassCount { class, count } in self.classes.iter() {
            if let Some(rows) = counts.classes.get_mut(usize::from(class)) {
                *rows = rows.saturating_add(count);
            }
        }
        counts
    }

    /// The counts of both; none where neither has any.
    pub(super) fn sum(one: Option<&Self>, other: Option<&Self>) -> Option<ScoreCounts> {
        let mut counts = one.or(other)?.counts();
        if let (Some(_), Some(other)) = (one, other) {
            counts.merge(&other.counts());
        }
        Some(counts)
    }
}
