//! From when on a fall of quality is found: data that people write.
//!
//! Never a figure.

use muster_protocol::stats::ScoreScale;
use serde::{Deserialize, Serialize};

use crate::quality::ScoreSums;

/// Looks of a year: one each slot of six hours.
const LOOKS_PER_YEAR: f64 = 4.0 * 365.25;
/// The part of what is allowed that looks get: a fifth is kept for what theory leaves out, as charts do.
const SPENT: f64 = 0.8;
/// What is looked at: accuracy and AUC, each estimated and measured.
const FIGURES: f64 = 4.0;

/// When a fall of quality is found; `docs/quality.md` says it in words.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QualityRule {
    /// Least fall from the figure of the reference.
    pub drop_min: f64,
    /// Of an estimate: least fall from what is usual, in standard deviations of the cohort's days.
    pub deviations_min: f64,
    /// Of an estimate: least predictions.
    pub predictions_min: u64,
    /// Of an estimate: days from which it is learnt what is usual.
    pub baseline_days: u32,
    /// Of a measure: least labels of each of two classes, and twice as many of more.
    pub labels_min: u64,
    /// Falls by chance that are allowed of a cohort in a year, over all figures.
    pub per_cohort_year: f64,
}

impl QualityRule {
    /// How often one figure of one look may be that low by chance. The looks of a year add up to what
    /// is allowed, whatever depends on what (Boole's inequality).
    #[must_use]
    pub fn level(&self) -> f64 {
        SPENT * self.per_cohort_year / (LOOKS_PER_YEAR * FIGURES)
    }

    pub(super) fn has_labels(&self, sums: &ScoreSums, scale: ScoreScale) -> bool {
        let of = |labels: &[u64]| labels.iter().copied().fold(0, u64::saturating_add);
        let (positive, negative) = (of(&sums.positive), of(&sums.negative));
        match scale.positive() {
            Some(_) => positive.min(negative) >= self.labels_min,
            None => positive.saturating_add(negative) >= self.labels_min.saturating_mul(2),
        }
    }
}

impl Default for QualityRule {
    fn default() -> Self {
        Self {
            drop_min: 0.03,
            deviations_min: 3.0,
            predictions_min: 200,
            baseline_days: 14,
            labels_min: 100,
            per_cohort_year: 0.1,
        }
    }
}
