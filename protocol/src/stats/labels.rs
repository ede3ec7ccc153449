//! Labels that came for predictions, by the bin of the score: what quality is measured with.
//!
//! Never which prediction a label belongs to.

use crate::limits::SCORE_BINS;

/// What a label says of a score.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    /// It is the class whose probability was counted: the positive one of two, the predicted one
    /// of more.
    Positive,
    /// It is another.
    Negative,
}

/// Labels of one model: what a window carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LabelCounts {
    /// Labels of the class that was scored, by bin of the score.
    pub positive: [u32; SCORE_BINS],
    /// All other labels.
    pub negative: [u32; SCORE_BINS],
    /// Labels for predictions that are not, or no longer, remembered.
    pub unknown: u32,
    /// Labels for predictions of a bundle that does not serve any more.
    pub stale: u32,
}

impl LabelCounts {
    /// Counts one label; a bin that does not exist is ignored.
    pub fn fold(&mut self, bin: u8, outcome: Outcome) {
        let side = match outcome {
            Outcome::Positive => &mut self.positive,
            Outcome::Negative => &mut self.negative,
        };
        if let Some(count) = side.get_mut(usize::from(bin)) {
            *count = count.saturating_add(1);
        }
    }

    /// Labels that have a bin.
    #[must_use]
    pub fn n(&self) -> u64 {
        let both = self.positive.iter().chain(&self.negative);
        both.map(|count| u64::from(*count)).sum()
    }

    /// Whether nothing at all was counted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Adds the counts of `other`; counts stop at their maximum instead of wrapping.
    pub fn merge(&mut self, other: &Self) {
        let positive = self.positive.iter_mut().zip(other.positive);
        let negative = self.negative.iter_mut().zip(other.negative);
        for (mine, theirs) in positive.chain(negative) {
            *mine = mine.saturating_add(theirs);
        }
        self.unknown = self.unknown.saturating_add(other.unknown);
        self.stale = self.stale.saturating_add(other.stale);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_add_up_and_a_bin_that_is_none_is_ignored() {
        let mut one = LabelCounts::default();
        one.fold(3, Outcome::Positive);
        one.fold(3, Outcome::Negative);
        one.fold(SCORE_BINS as u8, Outcome::Positive);
        assert_eq!((one.n(), one.positive[3], one.negative[3]), (2, 1, 1));
        let other = LabelCounts {
            unknown: u32::MAX,
            stale: 1,
            ..one
        };
        one.unknown = 1;
        one.merge(&other);
        assert_eq!((one.n(), one.unknown, one.stale), (4, u32::MAX, 1));
    }
}
