//! Whether a figure has fallen, and the sentence that says so: estimated or measured, with the numbers
//! that it rests on and what it assumes.
//!
//! Never a figure that rests on too little: whoever asks has counted.

use muster_protocol::stats::ScoreScale;
use muster_protocol::time::UnixSeconds;

use super::Look;
use super::rule::QualityRule;
use super::usual::Usual;
use crate::finding::Cause;
use crate::quality::{ESTIMATE_ASSUMES, Figure, Figures, ReferenceScores, ScoreSums};
use crate::statistics::Confidence;
use crate::statistics::quality::{self, Quality};

/// Quality that has fallen.
#[derive(Debug, Clone, PartialEq)]
pub struct Fell {
    /// How that is known.
    pub how: How,
    /// The end of the slot that showed it.
    pub at: UnixSeconds,
    /// Which figures have fallen; at least one.
    pub figures: Vec<FellFigure>,
    /// Predictions or labels.
    pub n: u64,
    /// Of so many hours before.
    pub hours: u64,
}

/// How quality is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    /// From scores alone.
    Estimated,
    /// From labels.
    Measured,
}

/// A figure that has fallen.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FellFigure {
    /// `accuracy` or `AUC`.
    pub name: &'static str,
    /// What it is.
    pub value: f64,
    /// What it is in the reference.
    pub reference: f64,
    /// Beside what that is no chance.
    pub against: Against,
}

/// Beside what a fall is no chance.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Against {
    /// The cohort's own days.
    Usual {
        /// Their mean.
        mean: f64,
        /// How many standard deviations of them it lies below.
        deviations: f64,
        /// How often one day does.
        p: f64,
        /// How often it may.
        level: f64,
        /// How many there were.
        days: u32,
    },
    /// It has been so since it was watched: these days fell short of the reference as well.
    Always {
        /// Their mean.
        mean: f64,
        /// How many there were.
        days: u32,
    },
    /// The interval of the fall.
    Interval {
        /// Its lower end.
        low: f64,
        /// How often it holds the fall.
        confidence: f64,
    },
}

impl How {
    /// As a cause of findings.
    #[must_use]
    pub const fn cause(self) -> Cause {
        match self {
            Self::Estimated => Cause::EstimatedQualityDrop,
            Self::Measured => Cause::MeasuredQualityDrop,
        }
    }

    const fn word(self) -> &'static str {
        match self {
            Self::Estimated => "estimated",
            Self::Measured => "measured",
        }
    }
}

impl Fell {
    /// A sentence.
    #[must_use]
    pub fn because(&self) -> String {
        let figures = self.figures.iter().map(|figure| figure.because(self.how));
        let figures = figures.collect::<Vec<String>>().join(", and ");
        let (n, hours) = (self.n, self.hours);
        match self.how {
            How::Estimated => {
                format!(
                    "{figures}; over {n} predictions of {hours} h, without labels: {ESTIMATE_ASSUMES}"
                )
            }
            How::Measured => {
                format!("{figures}; over {n} labels of {hours} h, taking them for independent")
            }
        }
    }
}

impl FellFigure {
    fn because(&self, how: How) -> String {
        let Self {
            name,
            value,
            reference,
            against,
        } = self;
        let fall = points(reference - value);
        let seen = format!(
            "the {} {name} is {value:.4}, {fall} points below the {reference:.4} of the reference",
            how.word()
        );
        match against {
            Against::Usual {
                mean,
                deviations,
                p,
                level,
                days,
            } => format!(
                "{seen} and {deviations:.1} standard deviations below the usual {mean:.4} of \
                 {days} days here (p {p:.0e}, at most {level:.0e})"
            ),
            Against::Always { mean, days } => {
                format!("{seen}, as it has been since it is watched: {mean:.4} on {days} days")
            }
            Against::Interval { low, confidence } => format!(
                "{seen}, and {} or more with {:.3} % confidence",
                points(*low),
                100.0 * confidence
            ),
        }
    }
}

/// Figures without labels.
pub(super) fn figures(sums: &ScoreSums, scale: ScoreScale) -> Quality {
    let found = quality::estimated(&sums.scored(scale), scale.positive_from());
    Quality {
        auc: found.auc.filter(|_| scale.positive().is_some()),
        ..found
    }
}

/// What has fallen without labels.
pub(super) fn estimated(
    look: &Look,
    accuracy: &Usual,
    auc: &Usual,
    reference: &ReferenceScores,
    rule: &QualityRule,
) -> Option<Fell> {
    let (now, then) = (
        figures(&look.sums, reference.scale),
        figures(&reference.sums, reference.scale),
    );
    let n = look.sums.predictions();
    let each = [
        ("AUC", now.auc, then.auc, auc),
        ("accuracy", now.accuracy, then.accuracy, accuracy),
    ];
    let fallen = each.into_iter().filter_map(|(name, now, then, usual)| {
        let (value, reference) = now.zip(then)?;
        let known = usual.is_learnt(rule.baseline_days);
        if !known || reference - value < rule.drop_min {
            return None;
        }
        let against = beside_usual(usual, value, reference, n, rule)?;
        Some(FellFigure {
            name,
            value,
            reference,
            against,
        })
    });
    fell(How::Estimated, look, n, fallen.collect())
}

fn beside_usual(
    usual: &Usual,
    value: f64,
    reference: f64,
    n: u64,
    rule: &QualityRule,
) -> Option<Against> {
    let (mean, days, level) = (usual.mean(), usual.days(), rule.level());
    let below = usual.below(value, n);
    let has_fallen = below.deviations > rule.deviations_min && below.p <= level;
    let always = reference - mean >= rule.drop_min;
    match (has_fallen, always) {
        (true, _) => Some(Against::Usual {
            mean,
            deviations: below.deviations,
            p: below.p,
            level,
            days,
        }),
        (false, true) => Some(Against::Always { mean, days }),
        (false, false) => None,
    }
}

/// What has fallen by labels: by the interval of the fall, as wide as the budget asks and never narrower
/// than that of 95 %.
pub(super) fn measured(
    look: &Look,
    reference: &ReferenceScores,
    rule: &QualityRule,
) -> Option<Fell> {
    let share = (1.0 - 2.0 * rule.level()).max(0.95);
    let confidence = Confidence::new(share).unwrap_or(Confidence::P95);
    let scale = reference.scale;
    let of = |sums: &ScoreSums| Figures::measured_at(scale, &sums.labelled(scale), confidence);
    let then = (reference.sums.labels() > 0).then(|| of(&reference.sums))?;
    let now = of(&look.sums).beside(Some(&then));
    let each = [("AUC", now.auc), ("accuracy", now.accuracy)];
    let fallen = each.into_iter().filter_map(|(name, figure)| {
        let Figure {
            value,
            reference,
            drop,
            ..
        } = figure?;
        let (reference, drop) = reference.zip(drop)?;
        let has_fallen = drop.value >= rule.drop_min && drop.low > 0.0;
        has_fallen.then_some(FellFigure {
            name,
            value,
            reference,
            against: Against::Interval {
                low: drop.low,
                confidence: share,
            },
        })
    });
    fell(How::Measured, look, look.sums.labels(), fallen.collect())
}

fn fell(how: How, look: &Look, n: u64, figures: Vec<FellFigure>) -> Option<Fell> {
    (!figures.is_empty()).then_some(Fell {
        how,
        at: look.at,
        figures,
        n,
        hours: look.hours,
    })
}

fn points(share: f64) -> String {
    format!("{:.1}", 100.0 * share)
}
