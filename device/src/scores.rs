//! Folding the scores of a classifier, and the labels that come for its predictions.
//!
//! Keeps counts, never a score. Labels wait until there are so many that none tells of one row.

use muster_protocol::limits::WINDOW_LABELS_MIN;
use muster_protocol::message::window::{LabelLists, ScoreLists};
use muster_protocol::message::{Labels, Scores};
use muster_protocol::stats::{LabelCounts, Score, ScoreCounts, ScoreScale};

/// The scores and labels of the open window of one model.
#[derive(Debug, Clone)]
pub struct ScoreFold {
    scale: ScoreScale,
    scores: ScoreCounts,
    labels: LabelCounts,
}

/// What a window carries of them.
#[derive(Debug)]
pub struct ScoreFoldLists {
    scores: Option<ScoreLists>,
    labels: Option<LabelLists>,
}

impl ScoreFold {
    /// Counts from nothing.
    #[must_use]
    pub fn new(scale: ScoreScale) -> Self {
        Self {
            scale,
            scores: ScoreCounts::default(),
            labels: LabelCounts::default(),
        }
    }

    /// How rows are read.
    #[must_use]
    pub const fn scale(&self) -> ScoreScale {
        self.scale
    }

    /// Counts the scores of one row, one for each class; gives its score, if it has one.
    pub fn row(&mut self, scores: impl IntoIterator<Item = f32>) -> Option<Score> {
        let score = self.scale.read(scores);
        self.scores.fold(&self.scale, score);
        score
    }

    /// Counts a row that lacks the output.
    pub fn absent(&mut self) {
        self.scores.fold(&self.scale, None);
    }

    /// Counts labels that came in the meantime, by the bin of their prediction's score, and how
    /// many came for predictions that nobody remembers.
    pub fn labels(&mut self, came: &LabelCounts) {
        self.labels.merge(came);
    }

    /// Whether a window would carry nothing of them.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.scores == ScoreCounts::default() && self.shown().is_empty()
    }

    /// What a window carries.
    #[must_use]
    pub fn lists(&self) -> ScoreFoldLists {
        let counted = self.scores != ScoreCounts::default();
        let labels = self.shown();
        ScoreFoldLists {
            scores: counted.then(|| ScoreLists::of(&self.scores)),
            labels: (!labels.is_empty()).then(|| LabelLists::of(&labels)),
        }
    }

    /// Starts the next window; labels that were too few to be shown go into it.
    pub fn reset(&mut self) {
        self.scores = ScoreCounts::default();
        if self.labels.n() < WINDOW_LABELS_MIN {
            (self.labels.unknown, self.labels.stale) = (0, 0);
        } else {
            self.labels = LabelCounts::default();
        }
    }

    /// The labels that may be shown now.
    fn shown(&self) -> LabelCounts {
        if self.labels.n() < WINDOW_LABELS_MIN {
            LabelCounts {
                unknown: self.labels.unknown,
                stale: self.labels.stale,
                ..LabelCounts::default()
            }
        } else {
            self.labels
        }
    }
}

impl ScoreFoldLists {
    /// Scores, if there are any.
    #[must_use]
    pub fn scores(&self) -> Option<Scores<'_>> {
        self.scores.as_ref().map(ScoreLists::scores)
    }

    /// Labels, if there are enough of them.
    #[must_use]
    pub fn labels(&self) -> Option<Labels<'_>> {
        self.labels.as_ref().map(LabelLists::labels)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use muster_protocol::stats::Outcome;

    fn fold() -> ScoreFold {
        ScoreFold::new(ScoreScale::even(2, Some(1)).expect("valid"))
    }

    /// One label comes.
    fn label(fold: &mut ScoreFold, bin: u8, outcome: Outcome) {
        let mut came = LabelCounts::default();
        came.fold(bin, outcome);
        fold.labels(&came);
    }

    /// Rows and labels that a window would carry.
    fn carried(fold: &ScoreFold) -> (Option<u64>, Option<u64>) {
        let lists = fold.lists();
        let scores = lists.scores().map(|scores| scores.counts().n());
        (scores, lists.labels().map(|labels| labels.counts().n()))
    }

    #[test]
    fn rows_are_counted_and_what_is_no_probability_apart() {
        let mut fold = fold();
        assert!(fold.is_empty() && carried(&fold) == (None, None));
        let score = fold.row([0.2, 0.8]).expect("probabilities");
        assert_eq!((score.bin, score.class), (16, 1));
        assert_eq!(fold.row([0.2, 0.9]), None);
        fold.absent();
        let lists = fold.lists();
        let counts = lists.scores().expect("scores").counts();
        assert_eq!((counts.n(), counts.improper, counts.classes[1]), (1, 2, 1));
        fold.reset();
        assert!(fold.is_empty());
    }

    #[test]
    fn few_labels_wait_for_the_next_window() {
        let mut fold = fold();
        (1..WINDOW_LABELS_MIN).for_each(|_| label(&mut fold, 16, Outcome::Positive));
        assert!(fold.is_empty() && carried(&fold) == (None, None));
        fold.reset();
        label(&mut fold, 3, Outcome::Negative);
        assert_eq!(carried(&fold), (None, Some(WINDOW_LABELS_MIN)));
        fold.reset();
        assert!(fold.is_empty());
    }

    #[test]
    fn labels_that_cannot_be_used_are_told_at_once_and_once() {
        let mut fold = fold();
        label(&mut fold, 16, Outcome::Positive);
        fold.labels(&LabelCounts {
            unknown: 2,
            stale: 1,
            ..LabelCounts::default()
        });
        let lists = fold.lists();
        let labels = lists.labels().expect("counted");
        assert_eq!((labels.unknown, labels.stale), (2, 1));
        assert!(labels.bins.is_empty());
        fold.reset();
        assert!(fold.is_empty());
    }
}
