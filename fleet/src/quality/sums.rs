//! Scores and labels over many windows and devices: wide enough that a fleet's day does not
//! reach their end.
//!
//! Merging is addition, so it is exact, commutative and associative.

use crate::statistics::quality::{Labelled, Scored};
use muster_protocol::limits::{SCORE_BINS, SCORE_CLASSES_MAX};
use muster_protocol::message::{Labels, Scores, Window};
use muster_protocol::stats::ScoreScale;
use muster_protocol::stats::score::STEPS_PER_ONE;

/// Scores and labels of one bundle, summed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ScoreSums {
    /// Rows in each bin of the score.
    pub bins: [u64; SCORE_BINS],
    /// Σ of the steps of the probabilities in each bin.
    pub steps: [u64; SCORE_BINS],
    /// Σ of the squares of their steps above the lower end of the bin.
    pub squares: [u64; SCORE_BINS],
    /// Rows by predicted class.
    pub classes: Classes,
    /// Rows whose scores are no probabilities.
    pub improper: u64,
    /// Labels of the class that was scored, by bin.
    pub positive: [u64; SCORE_BINS],
    /// All other labels.
    pub negative: [u64; SCORE_BINS],
    /// Labels for predictions that were not remembered.
    pub unknown: u64,
    /// Labels for predictions of a bundle that did not serve any more.
    pub stale: u64,
}

/// Rows by class.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Classes(pub [u64; SCORE_CLASSES_MAX]);

impl Default for Classes {
    fn default() -> Self {
        Self([0; SCORE_CLASSES_MAX])
    }
}

impl ScoreSums {
    /// The sums of one window; none where it carries neither scores nor labels.
    #[must_use]
    pub fn of_window(window: &Window<'_>) -> Option<Self> {
        let counts = (window.scores.as_ref(), window.labels.as_ref());
        (counts != (None, None)).then(|| Self::of(counts.0, counts.1))
    }

    /// The sums of scores and labels.
    #[must_use]
    pub fn of(scores: Option<&Scores<'_>>, labels: Option<&Labels<'_>>) -> Self {
        let scores = scores.map(Scores::counts).unwrap_or_default();
        let labels = labels.map(Labels::counts).unwrap_or_default();
        Self {
            bins: scores.bins.map(u64::from),
            steps: scores.sums,
            squares: scores.squares,
            classes: Classes(scores.classes.map(u64::from)),
            improper: scores.improper.into(),
            positive: labels.positive.map(u64::from),
            negative: labels.negative.map(u64::from),
            unknown: labels.unknown.into(),
            stale: labels.stale.into(),
        }
    }

    /// Adds others; sums stop at their maximum instead of wrapping.
    pub fn merge(&mut self, other: &Self) {
        let lists = [
            (&mut self.bins[..], &other.bins[..]),
            (&mut self.steps, &other.steps),
            (&mut self.squares, &other.squares),
            (&mut self.classes.0, &other.classes.0),
            (&mut self.positive, &other.positive),
            (&mut self.negative, &other.negative),
            (
                std::slice::from_mut(&mut self.improper),
                std::slice::from_ref(&other.improper),
            ),
            (
                std::slice::from_mut(&mut self.unknown),
                std::slice::from_ref(&other.unknown),
            ),
            (
                std::slice::from_mut(&mut self.stale),
                std::slice::from_ref(&other.stale),
            ),
        ];
        for (mine, theirs) in lists {
            for (mine, theirs) in mine.iter_mut().zip(theirs) {
                *mine = mine.saturating_add(*theirs);
            }
        }
    }

    /// Rows that have a score.
    #[must_use]
    pub fn predictions(&self) -> u64 {
        self.bins.iter().copied().fold(0, u64::saturating_add)
    }

    /// Labels that count.
    #[must_use]
    pub fn labels(&self) -> u64 {
        let both = self.positive.iter().chain(&self.negative);
        both.copied().fold(0, u64::saturating_add)
    }

    /// Rows by predicted class, for as many classes as there are, and those beyond the list.
    #[must_use]
    pub fn predicted(&self, scale: ScoreScale) -> Vec<u64> {
        let classes = (scale.classes() as usize).min(SCORE_CLASSES_MAX);
        self.classes.0[..classes].to_vec()
    }

    /// The scores of as many bins as the scale has, as estimates take them.
    #[must_use]
    pub fn scored(&self, scale: ScoreScale) -> Vec<Scored> {
        let bins = 0..=scale.edges().len();
        bins.map(|bin| self.scored_in(bin, scale.low(bin)))
            .collect()
    }

    fn scored_in(&self, bin: usize, low: u32) -> Scored {
        let one = f64::from(STEPS_PER_ONE);
        let (count, sum) = (self.bins[bin], self.steps[bin] as f64);
        let n = (count as f64).max(1.0);
        let above = sum / n - f64::from(low);
        let variance = self.squares[bin] as f64 / n - above * above;
        Scored {
            count,
            sum_p: sum / one,
            deviation: variance.max(0.0).sqrt() / one,
        }
    }

    /// The labels of as many bins as the scale has, as measures take them.
    #[must_use]
    pub fn labelled(&self, scale: ScoreScale) -> Vec<Labelled> {
        let bins = self.positive.iter().zip(&self.negative);
        let bins = bins.take(scale.edges().len() + 1);
        bins.map(|(positive, negative)| Labelled {
            positive: *positive,
            negative: *negative,
        })
        .collect()
    }
}
