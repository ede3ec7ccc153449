//! When quality asks for a retrain, without any feature: what is estimated on each day, what is measured
//! over all of them. Never one for the other.

use serde::{Deserialize, Serialize};

use super::{Day, RetrainRule};
use crate::quality::{
    Drop, ESTIMATE_ASSUMES, Figure, Figures, Quality, ReferenceScores, ScoreSums,
};

/// Labels of each class below which a measure asks for nothing.
const LABELS_MIN: u64 = 100;

/// How well a classifier did on one day, on all devices of a cohort together.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct QualityDay {
    /// Without labels, beside the reference; none below 200 predictions. 95 % intervals.
    pub estimated: Option<Figures>,
    /// Rows in each bin of the score.
    pub bins: Vec<u64>,
    /// Sums of their probabilities in each bin, in steps of 1/65536.
    pub steps: Vec<u64>,
    /// Sums of the squares of their steps above the lower end of the bin.
    pub squares: Vec<u64>,
    /// Labels of the class that was scored, by bin.
    pub positive: Vec<u64>,
    /// All other labels, by bin.
    pub negative: Vec<u64>,
}

/// How well it did on several days together.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct QualitySpan {
    /// Without labels, beside the reference; none below 200 predictions. 95 % intervals.
    pub estimated: Option<Figures>,
    /// With labels, beside those of the reference; none without any. 95 % intervals.
    pub measured: Option<Figures>,
    /// Labels of the class that was scored.
    pub positive: u64,
    /// All other labels.
    pub negative: u64,
}

impl QualityDay {
    /// Of the sums of a day.
    #[must_use]
    pub fn of(reference: &ReferenceScores, sums: &ScoreSums) -> Self {
        let bins = reference.scale.edges().len() + 1;
        let list = |of: &[u64]| of.iter().take(bins).copied().collect();
        Self {
            estimated: Quality::of(reference, sums).estimated,
            bins: list(&sums.bins),
            steps: list(&sums.steps),
            squares: list(&sums.squares),
            positive: list(&sums.positive),
            negative: list(&sums.negative),
        }
    }

    /// The sums again, as far as figures are made of them.
    fn sums(&self) -> ScoreSums {
        let mut sums = ScoreSums::default();
        for (into, from) in [
            (&mut sums.bins, &self.bins),
            (&mut sums.steps, &self.steps),
            (&mut sums.squares, &self.squares),
            (&mut sums.positive, &self.positive),
            (&mut sums.negative, &self.negative),
        ] {
            let each = into.iter_mut().zip(from);
            each.for_each(|(into, from)| *into = *from);
        }
        sums
    }
}

impl QualitySpan {
    /// Of all days together; none where none of them has a score or a label.
    #[must_use]
    pub fn of(reference: &ReferenceScores, days: &[Day]) -> Option<Self> {
        let mut total: Option<ScoreSums> = None;
        for day in days.iter().filter_map(|day| day.quality.as_ref()) {
            total.get_or_insert_default().merge(&day.sums());
        }
        let total = total?;
        let of = |labels: &[u64]| labels.iter().copied().fold(0, u64::saturating_add);
        let quality = Quality::of(reference, &total);
        Some(Self {
            estimated: quality.estimated,
            measured: quality.measured,
            positive: of(&total.positive),
            negative: of(&total.negative),
        })
    }

    /// Whether it has what a measure must rest on.
    fn has_labels(&self) -> bool {
        self.positive.min(self.negative) >= LABELS_MIN
    }
}

impl Day {
    /// What was estimated on it, for whoever wonders why nothing is asked for.
    pub(super) fn nearest_quality(&self) -> String {
        let told = |name: &str, figure: Option<Figure>| {
            let drop = figure?.drop?.value;
            Some(format!("; the estimated {name} fell by {drop:.4}"))
        };
        let figures = self.quality.as_ref().and_then(|day| day.estimated.as_ref());
        figures.map_or_else(String::new, |figures| {
            let parts = [told("AUC", figures.auc), told("accuracy", figures.accuracy)];
            parts.into_iter().flatten().collect()
        })
    }
}

impl RetrainRule {
    /// What of quality asks for a retrain, a sentence each.
    pub(super) fn fell(&self, days: &[Day], span: Option<&QualitySpan>) -> Vec<String> {
        let auc = |figures: &Figures| figures.auc;
        let accuracy = |figures: &Figures| figures.accuracy;
        let all = [
            self.estimated("AUC", self.estimated_auc_drop, days, auc),
            self.estimated("accuracy", self.estimated_accuracy_drop, days, accuracy),
            measured("AUC", self.measured_auc_drop, span, auc),
            measured("accuracy", self.measured_accuracy_drop, span, accuracy),
        ];
        all.into_iter().flatten().collect()
    }

    /// On each day, over as many predictions as features need.
    fn estimated(
        &self,
        name: &str,
        drop_min: Option<f64>,
        days: &[Day],
        of: fn(&Figures) -> Option<Figure>,
    ) -> Option<String> {
        let drop_min = drop_min?;
        let (mut least, mut n) = (f64::INFINITY, 0_u64);
        for day in days {
            let figures = day.quality.as_ref()?.estimated.as_ref()?;
            let drop = of(figures)?.drop?.value;
            if figures.n < self.samples_min || drop < drop_min {
                return None;
            }
            (least, n) = (least.min(drop), n.saturating_add(figures.n));
        }
        (n > 0).then(|| {
            format!(
                "on each of {} days, the estimated {name} lies {least:.4} or more below that of the \
                 reference, at least {drop_min} wanted, n = {n}: {ESTIMATE_ASSUMES}",
                days.len()
            )
        })
    }
}

/// Over all days together: labels come late and are few.
fn measured(
    name: &str,
    drop_min: Option<f64>,
    span: Option<&QualitySpan>,
    of: fn(&Figures) -> Option<Figure>,
) -> Option<String> {
    let (drop_min, span) = drop_min.zip(span)?;
    let figures = span.measured.as_ref()?;
    let Drop { value, low, .. } = of(figures)?.drop?;
    (span.has_labels() && value >= drop_min && low > 0.0).then(|| {
        format!(
            "over all days, the measured {name} lies {value:.4} below that of the reference, {low:.4} \
             or more with 95 % confidence, at least {drop_min} wanted, {} labels",
            figures.n
        )
    })
}
