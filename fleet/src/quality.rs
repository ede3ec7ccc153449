//! How well a classifier does, from counts by bin of its score: *estimated* without labels,
//! *measured* with those that came, each beside what the bundle's own reference gives.
//!
//! Pure: sums come in, figures go out. Never a verdict, and never one for the other: an estimate
//! holds if scores are calibrated and what they mean has not changed.

mod edges;
mod figures;
mod sums;
#[cfg(test)]
mod tests;

pub use edges::edges;
pub use figures::{Drop, Figure, Figures};
pub use sums::ScoreSums;

use muster_protocol::stats::ScoreScale;
use serde::Serialize;

/// Predictions below which nothing is estimated.
pub const ESTIMATED_MIN: u64 = 200;

/// What whoever reads an estimate must know.
pub const ESTIMATE_ASSUMES: &str =
    "an estimate assumes calibrated scores and that what they mean has not changed";

/// What the reference of a bundle says of its scores.
#[derive(Debug, Clone, PartialEq)]
pub struct ReferenceScores {
    /// How rows are read.
    pub scale: ScoreScale,
    /// Its own rows and labels.
    pub sums: ScoreSums,
}

/// How well a classifier does.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Quality {
    /// Classes that labels can name.
    pub classes: u32,
    /// Rows that have a score.
    pub predictions: u64,
    /// Rows whose scores are no probabilities: they are in no figure.
    pub improper: u64,
    /// Rows by predicted class; the last place stands for those beyond the list.
    pub predicted: Vec<u64>,
    /// Labels that count.
    pub labels: u64,
    /// Labels for predictions that the device did not remember.
    pub labels_unknown: u64,
    /// Labels for predictions of a bundle that did not serve any more.
    pub labels_stale: u64,
    /// Without labels; none below [`ESTIMATED_MIN`] predictions.
    pub estimated: Option<Figures>,
    /// From labels; none without any.
    pub measured: Option<Figures>,
}

impl Quality {
    /// Of what devices counted, beside the reference of their bundle.
    #[must_use]
    pub fn of(reference: &ReferenceScores, observed: &ScoreSums) -> Self {
        let scale = reference.scale;
        let (predictions, labels) = (observed.predictions(), observed.labels());
        let estimated = (predictions >= ESTIMATED_MIN).then(|| {
            let before = (reference.sums.predictions() > 0)
                .then(|| Figures::estimated(scale, &reference.sums.scored(scale)));
            Figures::estimated(scale, &observed.scored(scale)).beside(before.as_ref())
        });
        let measured = (labels > 0).then(|| {
            let before = (reference.sums.labels() > 0)
                .then(|| Figures::measured(scale, &reference.sums.labelled(scale)));
            Figures::measured(scale, &observed.labelled(scale)).beside(before.as_ref())
        });
        Self {
            classes: scale.classes(),
            predictions,
            improper: observed.improper,
            predicted: observed.predicted(scale),
            labels,
            labels_unknown: observed.unknown,
            labels_stale: observed.stale,
            estimated,
            measured,
        }
    }
}
