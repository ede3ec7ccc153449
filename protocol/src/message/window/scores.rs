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
        let bins = (0..).zip(counts.bins.iter().zip(&counts.sums));
        let bins = bins.map(|(bin, (count, sum))| ScoreCount {
            bin,
            count: *count,
            sum: *sum,
        });
        let classes = (0..).zip(counts.classes);
        let classes = classes.map(|(class, count)| ClassCount { class, count });
        Self {
            bins: bins.filter(|bin| (bin.count, bin.sum) != (0, 0)).collect(),
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
        for ScoreCount { bin, count, sum } in self.bins.iter() {
            let bin = usize::from(bin);
            if let (Some(rows), Some(steps)) = (counts.bins.get_mut(bin), counts.sums.get_mut(bin))
            {
                *rows = rows.saturating_add(count);
                *steps = steps.saturating_add(sum);
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
