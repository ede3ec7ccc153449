//! Figures with their intervals, and how far they fell from those of the reference.
//!
//! Never a figure without the number of predictions or labels behind it.

use crate::statistics::quality::{self, Labelled, Scored, accuracy_interval, auc_interval};
use crate::statistics::{Confidence, Interval};
use muster_protocol::stats::ScoreScale;
use serde::{Deserialize, Serialize};

/// Figures of one kind, all estimated or all measured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Figures {
    /// Predictions that were estimated, or labels that were measured with.
    pub n: u64,
    /// The share that is predicted rightly.
    pub accuracy: Option<Figure>,
    /// The area under the curve; of two classes only, and only where both are seen.
    pub auc: Option<Figure>,
    /// The harmonic mean of precision and recall, of two classes.
    pub f1: Option<f64>,
}

/// A share from 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Figure {
    /// The figure.
    pub value: f64,
    /// Lower end of its 95 % interval. That of an estimate is where a measurement with as many
    /// labels would lie if the estimate held.
    pub low: f64,
    /// Upper end.
    pub high: f64,
    /// The same figure of the bundle's reference.
    pub reference: Option<f64>,
    /// How far it fell from that.
    pub drop: Option<Drop>,
}

/// How far a figure fell: above 0, it was better before.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Drop {
    /// The difference.
    pub value: f64,
    /// Lower end of its 95 % interval.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

impl Figures {
    /// Without labels, by the probabilities alone.
    #[must_use]
    pub fn estimated(scale: ScoreScale, bins: &[Scored]) -> Self {
        let figures = quality::estimated(bins, scale.positive_from());
        // As if each bin had the labels that its probabilities promise.
        let promised: Vec<Labelled> = bins.iter().map(promised).collect();
        let n = bins
            .iter()
            .fold(0, |n, bin| u64::saturating_add(n, bin.count));
        Self::of(scale, n, &figures, &promised, Confidence::P95)
    }

    /// With labels.
    #[must_use]
    pub fn measured(scale: ScoreScale, bins: &[Labelled]) -> Self {
        Self::measured_at(scale, bins, Confidence::P95)
    }

    /// The same with intervals of another confidence than 95 %.
    #[must_use]
    pub fn measured_at(scale: ScoreScale, bins: &[Labelled], confidence: Confidence) -> Self {
        let figures = quality::measured(bins, scale.positive_from());
        let each = |bin: &Labelled| bin.positive.saturating_add(bin.negative);
        let n = bins.iter().map(each).fold(0, u64::saturating_add);
        Self::of(scale, n, &figures, bins, confidence)
    }

    /// The same, with the figures of the reference beside them.
    #[must_use]
    pub fn beside(self, reference: Option<&Self>) -> Self {
        let beside = |now: Option<Figure>, then: Option<Figure>| {
            now.map(|now| then.map_or(now, |then| now.beside(then)))
        };
        Self {
            accuracy: beside(self.accuracy, reference.and_then(|r| r.accuracy)),
            auc: beside(self.auc, reference.and_then(|r| r.auc)),
            ..self
        }
    }

    fn of(
        scale: ScoreScale,
        n: u64,
        figures: &quality::Quality,
        labels: &[Labelled],
        confidence: Confidence,
    ) -> Self {
        let two = scale.positive().is_some();
        let accuracy = accuracy_interval(labels, scale.positive_from(), confidence);
        let auc = auc_interval(labels, confidence);
        Self {
            n,
            accuracy: Figure::of(figures.accuracy, accuracy),
            auc: Figure::of(figures.auc.filter(|_| two), auc),
            f1: figures.f1.filter(|_| two),
        }
    }
}

impl Figure {
    fn of(value: Option<f64>, interval: Option<Interval>) -> Option<Self> {
        let (value, interval) = value.zip(interval)?;
        Some(Self {
            value,
            // What was rounded to whole labels may lie a little beside it.
            low: interval.low.min(value),
            high: interval.high.max(value),
            reference: None,
            drop: None,
        })
    }

    /// The interval of the difference of two independent shares, from the intervals of both
    /// (Newcombe 1998, method 10).
    fn beside(self, then: Self) -> Self {
        let value = then.value - self.value;
        let down = (then.value - then.low).hypot(self.high - self.value);
        let up = (then.high - then.value).hypot(self.value - self.low);
        let drop = Drop {
            value,
            low: value - down,
            high: value + up,
        };
        Self {
            reference: Some(then.value),
            drop: Some(drop),
            ..self
        }
    }
}

fn promised(bin: &Scored) -> Labelled {
    let positive = (bin.sum_p.round() as u64).min(bin.count);
    Labelled {
        positive,
        negative: bin.count - positive,
    }
}
