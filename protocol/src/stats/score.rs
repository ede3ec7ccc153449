//! Scores of a classifier: by bin with the sum of their probabilities, and by predicted class.
//!
//! Probabilities are counted in steps of 2^-16, and the bin follows from the steps, so sums are
//! exact and every device puts the same score in the same bin. Never keeps a score.

use super::Outcome;
use crate::limits::{SCORE_BINS, SCORE_CLASSES_MAX, SCORES_MAX};

/// Steps of a probability of one.
pub const STEPS_PER_ONE: u32 = 1 << 16;
/// The bin from which on the positive one of two classes is predicted: half and above.
pub const POSITIVE_FROM: usize = SCORE_BINS / 2;
/// Where predictions of classes beyond the list are counted.
pub const OTHER: u8 = SCORE_CLASSES_MAX as u8 - 1;
/// How far a score may lie outside 0 to 1, and the scores of a row from one in sum: what
/// rounding of halves and of thousands of classes explains.
pub const TOLERANCE: f32 = 0.01;

/// How the scores of a row are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScoreScale {
    /// One score: the probability of the positive class, which is class 1.
    Positive,
    /// Two scores, one for each class; this one, 0 or 1, is the positive.
    Two(u8),
    /// As many scores as classes, at least three: the highest is looked at.
    Many(u32),
}

/// Scores that cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BadScores {
    /// None in a row, or more than [`SCORES_MAX`].
    Number,
    /// There is no such class, or with one score or with many none can be chosen.
    Positive,
}

/// The score of one row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Score {
    /// Probability in steps of [`STEPS_PER_ONE`]: of two classes that of the positive one, of more
    /// that of the predicted one.
    pub steps: u32,
    /// The predicted class.
    pub class: u16,
}

/// The scores of one model: what a window carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ScoreCounts {
    /// Rows in each bin.
    pub bins: [u32; SCORE_BINS],
    /// Σ of the steps of the rows in each bin.
    pub sums: [u64; SCORE_BINS],
    /// Rows by predicted class; the last place is [`OTHER`].
    pub classes: [u32; SCORE_CLASSES_MAX],
    /// Rows whose scores are no probabilities.
    pub improper: u32,
}

impl ScoreScale {
    /// The scale of rows of so many scores; `positive` is the class of two that is looked at.
    ///
    /// # Errors
    /// [`BadScores`].
    pub const fn new(scores: u32, positive: Option<u8>) -> Result<Self, BadScores> {
        match (scores, positive) {
            (0, _) => Err(BadScores::Number),
            (1, None | Some(1)) => Ok(Self::Positive),
            (2, None) => Ok(Self::Two(1)),
            (2, Some(class @ (0 | 1))) => Ok(Self::Two(class)),
            (3..=SCORES_MAX, None) => Ok(Self::Many(scores)),
            (1..=SCORES_MAX, Some(_)) => Err(BadScores::Positive),
            (_, _) => Err(BadScores::Number),
        }
    }

    /// Scores in a row.
    #[must_use]
    pub const fn scores(&self) -> u32 {
        match self {
            Self::Positive => 1,
            Self::Two(_) => 2,
            Self::Many(scores) => *scores,
        }
    }

    /// The positive one of two classes.
    #[must_use]
    pub const fn positive(&self) -> Option<u8> {
        match self {
            Self::Positive => Some(1),
            Self::Two(class) => Some(*class),
            Self::Many(_) => None,
        }
    }

    /// The classes that a label can name.
    #[must_use]
    pub const fn classes(&self) -> u32 {
        match self {
            Self::Positive | Self::Two(_) => 2,
            Self::Many(scores) => *scores,
        }
    }

    /// The score of a row; none where its values are no probabilities: not as many as there
    /// are classes, no numbers, outside 0 to 1, or not one in sum.
    #[must_use]
    pub fn read(&self, row: impl IntoIterator<Item = f32>) -> Option<Score> {
        let (mut seen, mut sum, mut looked_at) = (0, 0.0, (0, f32::NEG_INFINITY));
        for (class, score) in (0_u32..).zip(row) {
            let is_one = score >= -TOLERANCE && score <= 1.0 + TOLERANCE;
            if !is_one || class >= self.scores() {
                return None;
            }
            (seen, sum) = (class + 1, sum + score);
            let chosen = match self {
                Self::Positive => true,
                Self::Two(positive) => class == u32::from(*positive),
                // The first of equal ones.
                Self::Many(_) => score > looked_at.1,
            };
            if chosen {
                looked_at = (class, score);
            }
        }
        let is_whole = self.scores() == 1 || libm::fabsf(sum - 1.0) <= TOLERANCE;
        if seen != self.scores() || !is_whole {
            return None;
        }
        let steps = libm::roundf(looked_at.1.clamp(0.0, 1.0) * STEPS_PER_ONE as f32) as u32;
        let class = match self.positive() {
            Some(positive) if 2 * steps >= STEPS_PER_ONE => u32::from(positive),
            Some(positive) => 1 - u32::from(positive),
            None => looked_at.0,
        };
        let class = class as u16;
        Some(Score { steps, class })
    }

    /// What a label says of the score that predicted `class`; none for a class that there is not.
    #[must_use]
    pub fn outcome(&self, class: u16, label: u32) -> Option<Outcome> {
        let of = self.positive().map_or(u32::from(class), u32::from);
        (label < self.classes()).then_some(match label == of {
            true => Outcome::Positive,
            false => Outcome::Negative,
        })
    }
}

impl Score {
    /// Its bin, by its steps: one that rounds to an edge belongs to the bin above.
    #[must_use]
    pub const fn bin(&self) -> u8 {
        let bin = (self.steps as u64 * SCORE_BINS as u64) >> 16;
        let last = SCORE_BINS as u64 - 1;
        (if bin < last { bin } else { last }) as u8
    }
}

impl Default for ScoreCounts {
    fn default() -> Self {
        Self {
            bins: [0; SCORE_BINS],
            sums: [0; SCORE_BINS],
            classes: [0; SCORE_CLASSES_MAX],
            improper: 0,
        }
    }
}

impl ScoreCounts {
    /// Counts one row; `None` is one whose scores are no probabilities.
    pub fn fold(&mut self, score: Option<Score>) {
        let Some(score) = score else {
            self.improper = self.improper.saturating_add(1);
            return;
        };
        let (bin, class) = (
            usize::from(score.bin()),
            usize::from(score.class.min(u16::from(OTHER))),
        );
        self.bins[bin] = self.bins[bin].saturating_add(1);
        self.sums[bin] = self.sums[bin].saturating_add(u64::from(score.steps));
        self.classes[class] = self.classes[class].saturating_add(1);
    }

    /// Rows that have a score.
    #[must_use]
    pub fn n(&self) -> u64 {
        self.bins.iter().map(|count| u64::from(*count)).sum()
    }

    /// Adds the counts of `other`; counts stop at their maximum instead of wrapping.
    pub fn merge(&mut self, other: &Self) {
        let bins = self.bins.iter_mut().zip(other.bins);
        let classes = self.classes.iter_mut().zip(other.classes);
        for (mine, theirs) in bins.chain(classes) {
            *mine = mine.saturating_add(theirs);
        }
        for (mine, theirs) in self.sums.iter_mut().zip(other.sums) {
            *mine = mine.saturating_add(theirs);
        }
        self.improper = self.improper.saturating_add(other.improper);
    }
}

#[cfg(test)]
mod tests;
