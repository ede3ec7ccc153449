//! Scores of a classifier: by bin with the sums of their probabilities and of their squares, and
//! by predicted class.
//!
//! Probabilities are counted in steps of 2^-16, and the bin follows from the steps, so sums are
//! exact and every device puts the same score in the same bin. Never keeps a score.

use super::Outcome;
use crate::limits::{SCORE_BINS, SCORE_CLASSES_MAX, SCORE_EDGES_MAX, SCORES_MAX};

/// Steps of a probability of one.
pub const STEPS_PER_ONE: u32 = 1 << 16;
/// From here on the positive one of two classes is predicted.
pub const HALF: u32 = STEPS_PER_ONE / 2;
/// Where predictions of classes beyond the list are counted.
pub const OTHER: u8 = SCORE_CLASSES_MAX as u8 - 1;
/// How far a score may lie outside 0 to 1, and the scores of a row from one in sum: what
/// rounding of halves and of thousands of classes explains.
pub const TOLERANCE: f32 = 0.01;

/// How the scores of a row are read, and where bins end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ScoreScale {
    form: Form,
    /// The first `bins - 1` count, ascending.
    edges: [u32; SCORE_EDGES_MAX],
    bins: u8,
}

/// What a row of scores is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
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
    /// Edges are not ascending steps between 0 and 1, too many, or of two classes none is [`HALF`].
    Edges,
}

/// The score of one row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Score {
    /// Probability in steps of [`STEPS_PER_ONE`]: of two classes that of the positive one, of more
    /// that of the predicted one.
    pub steps: u32,
    /// Its bin.
    pub bin: u8,
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
    /// Σ of the squares of their steps above the lower end of the bin.
    pub squares: [u64; SCORE_BINS],
    /// Rows by predicted class; the last place is [`OTHER`].
    pub classes: [u32; SCORE_CLASSES_MAX],
    /// Rows whose scores are no probabilities.
    pub improper: u32,
}

impl ScoreScale {
    /// The scale of rows of so many scores; `positive` is the class of two that is looked at,
    /// `edges` are where bins end, in steps: a score on an edge belongs to the bin above.
    ///
    /// # Errors
    /// [`BadScores`].
    pub fn new(
        scores: u32,
        positive: Option<u8>,
        edges: impl IntoIterator<Item = u32>,
    ) -> Result<Self, BadScores> {
        let form = Form::new(scores, positive)?;
        let (mut kept, mut bins, mut below) = ([0; SCORE_EDGES_MAX], 1, 0);
        for edge in edges {
            let place = kept.get_mut(usize::from(bins) - 1);
            let place = place.filter(|_| edge > below && edge < STEPS_PER_ONE);
            *place.ok_or(BadScores::Edges)? = edge;
            (bins, below) = (bins + 1, edge);
        }
        let scale = Self {
            form,
            edges: kept,
            bins,
        };
        let divides = scale.edges().contains(&HALF);
        (divides || scale.positive().is_none())
            .then_some(scale)
            .ok_or(BadScores::Edges)
    }

    /// The same with as many bins of equal width as there may be.
    ///
    /// # Errors
    /// [`BadScores`], never of edges.
    pub fn even(scores: u32, positive: Option<u8>) -> Result<Self, BadScores> {
        let bins = SCORE_BINS as u32;
        let edge = |place| (place * STEPS_PER_ONE + bins / 2) / bins;
        Self::new(scores, positive, (1..bins).map(edge))
    }

    /// Where bins end, in steps.
    #[must_use]
    pub fn edges(&self) -> &[u32] {
        &self.edges[..usize::from(self.bins) - 1]
    }

    /// Scores in a row.
    #[must_use]
    pub const fn scores(&self) -> u32 {
        match self.form {
            Form::Positive => 1,
            Form::Two(_) => 2,
            Form::Many(scores) => scores,
        }
    }

    /// The positive one of two classes.
    #[must_use]
    pub const fn positive(&self) -> Option<u8> {
        match self.form {
            Form::Positive => Some(1),
            Form::Two(class) => Some(class),
            Form::Many(_) => None,
        }
    }

    /// The bin from which on the positive one of two classes is predicted; of more classes each
    /// score is that of the predicted one.
    #[must_use]
    pub fn positive_from(&self) -> usize {
        self.positive().map_or(0, |_| usize::from(self.bin(HALF)))
    }

    /// The classes that a label can name.
    #[must_use]
    pub const fn classes(&self) -> u32 {
        match self.form {
            Form::Positive | Form::Two(_) => 2,
            Form::Many(scores) => scores,
        }
    }

    /// The lower end of a bin, in steps.
    #[must_use]
    pub fn low(&self, bin: usize) -> u32 {
        let edge = bin.checked_sub(1).and_then(|place| self.edges.get(place));
        edge.copied().unwrap_or(0)
    }

    fn bin(&self, steps: u32) -> u8 {
        let bin = self.edges().partition_point(|edge| *edge <= steps);
        bin as u8
    }

    /// The score of a row; none where its values are no probabilities: not as many as there
    /// are classes, no numbers, outside 0 to 1, or not one in sum.
    #[must_use]
    pub fn read(&self, row: impl IntoIterator<Item = f32>) -> Option<Score> {
        let (mut seen, mut sum, mut looked_at) = (0, 0.0, (0, f32::NEG_INFINITY));
        for (class, score) in (0_u32..).zip(row) {
            let is_one = (-TOLERANCE..=1.0 + TOLERANCE).contains(&score);
            if !is_one || class >= self.scores() {
                return None;
            }
            (seen, sum) = (class + 1, sum + score);
            let chosen = match self.form {
                Form::Positive => true,
                Form::Two(positive) => class == u32::from(positive),
                // The first of equal ones.
                Form::Many(_) => score > looked_at.1,
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
            Some(positive) if steps >= HALF => u32::from(positive),
            Some(positive) => 1 - u32::from(positive),
            None => looked_at.0,
        };
        Some(Score {
            steps,
            bin: self.bin(steps),
            class: class as u16,
        })
    }

    /// A score that another scale has read, in the bin of this one.
    #[must_use]
    pub fn placed(&self, score: Score) -> Score {
        let bin = self.bin(score.steps);
        Score { bin, ..score }
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

impl Form {
    const fn new(scores: u32, positive: Option<u8>) -> Result<Self, BadScores> {
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
}

impl Default for ScoreCounts {
    fn default() -> Self {
        Self {
            bins: [0; SCORE_BINS],
            sums: [0; SCORE_BINS],
            squares: [0; SCORE_BINS],
            classes: [0; SCORE_CLASSES_MAX],
            improper: 0,
        }
    }
}

impl ScoreCounts {
    /// Counts one row that was read by `scale`; `None` is one whose scores are no probabilities.
    pub fn fold(&mut self, scale: &ScoreScale, score: Option<Score>) {
        let Some(score) = score else {
            self.improper = self.improper.saturating_add(1);
            return;
        };
        let bin = usize::from(score.bin).min(SCORE_BINS - 1);
        let class = usize::from(score.class.min(u16::from(OTHER)));
        let above = u64::from(score.steps.saturating_sub(scale.low(bin)));
        self.bins[bin] = self.bins[bin].saturating_add(1);
        self.sums[bin] = self.sums[bin].saturating_add(u64::from(score.steps));
        self.squares[bin] = self.squares[bin].saturating_add(above * above);
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
        let sums = self.sums.iter_mut().zip(other.sums);
        let squares = self.squares.iter_mut().zip(other.squares);
        for (mine, theirs) in sums.chain(squares) {
            *mine = mine.saturating_add(theirs);
        }
        self.improper = self.improper.saturating_add(other.improper);
    }
}

#[cfg(test)]
mod tests;
