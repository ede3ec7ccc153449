//! Quality of a classifier of two classes from counts by bin of its score: *estimated*, without
//! labels, and *measured*, with them.
//!
//! An estimate holds if scores are calibrated and what they mean has not changed; it never
//! replaces a measurement.

use super::{Confidence, Interval, Rate};

/// Predictions in one bin of the score, without labels.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Scored {
    /// Predictions.
    pub count: u64,
    /// The sum of their calibrated probabilities of the positive class.
    pub sum_p: f64,
    /// How these vary in the bin, as a standard deviation; 0 where they are equal or nobody knows:
    /// then they rank as equal.
    pub deviation: f64,
}

/// Predictions in one bin of the score, with labels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Labelled {
    /// Of the positive class.
    pub positive: u64,
    /// Of the other one.
    pub negative: u64,
}

/// Shares from 0 to 1. A share of nothing is none.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Quality {
    /// Of all, those predicted rightly.
    pub accuracy: Option<f64>,
    /// Of those predicted positive, those that are.
    pub precision: Option<f64>,
    /// Of those that are positive, those predicted so.
    pub recall: Option<f64>,
    /// The harmonic mean of both.
    pub f1: Option<f64>,
    /// The chance that a positive one scores above a negative one, half counted in the same bin.
    pub auc: Option<f64>,
}

/// The mean difference of two numbers, in standard deviations: 1.128 of the normal distribution,
/// 1.155 of the uniform one.
const MEAN_DIFFERENCE: f64 = 1.14;

/// Estimated without labels: each prediction counts as positive with its calibrated probability
/// (Kivimäki, Białek, Kuberski and Nurminen 2025). Bins ascend; those from `positive_from` on
/// are predicted positive.
#[must_use]
pub fn estimated(bins: &[Scored], positive_from: usize) -> Quality {
    let masses = bins.iter().map(|bin| {
        let count = bin.count as f64;
        // Not a number: nothing known, so half.
        let positive = if bin.sum_p.is_nan() {
            0.5 * count
        } else {
            bin.sum_p.clamp(0.0, count)
        };
        (positive, count - positive)
    });
    let found = of_masses(&masses.collect::<Vec<_>>(), positive_from);
    Quality {
        auc: found
            .auc
            .map(|auc| (auc + ranked_in_bins(bins)).clamp(0.0, 1.0)),
        ..found
    }
}

/// What ranks within bins add to the AUC of bins. Of two predictions in a bin, by rows the one of
/// larger p wins, by half the difference of both p more than equal ones do; the mean difference
/// is taken for that of the standard deviation.
fn ranked_in_bins(bins: &[Scored]) -> f64 {
    let (mut positive, mut all, mut wins) = (0.0, 0.0, 0.0);
    for bin in bins {
        let count = bin.count as f64;
        (positive, all) = (positive + bin.sum_p, all + count);
        wins += 0.25 * count * count * MEAN_DIFFERENCE * bin.deviation;
    }
    let share = wins / (positive * (all - positive));
    if share.is_finite() {
        share.max(0.0)
    } else {
        0.0
    }
}

/// Measured with labels; bins as in [`estimated`].
#[must_use]
pub fn measured(bins: &[Labelled], positive_from: usize) -> Quality {
    of_masses(&masses(bins), positive_from)
}

/// Wilson's interval of the accuracy; none of nothing.
#[must_use]
pub fn accuracy_interval(
    bins: &[Labelled],
    positive_from: usize,
    confidence: Confidence,
) -> Option<Interval> {
    let right = bins.iter().enumerate().map(|(at, bin)| {
        if at >= positive_from {
            bin.positive
        } else {
            bin.negative
        }
    });
    let right = right.fold(0, u64::saturating_add);
    let all = bins.iter().fold(0, |sum, bin| {
        u64::saturating_add(sum, bin.positive.saturating_add(bin.negative))
    });
    let rate = Rate::new(right, all).filter(|rate| rate.trials() > 0)?;
    Some(rate.wilson(confidence))
}

/// The interval of the AUC by the variance of placements (DeLong, DeLong and Clarke-Pearson 1988),
/// with ties in a bin counted half; never narrower than by that of Hanley and McNeil (1982). An
/// AUC of 0 or 1 has no variance: then it is the exact interval of as many trials as the rarer
/// class has. None when a class is absent.
#[must_use]
pub fn auc_interval(bins: &[Labelled], confidence: Confidence) -> Option<Interval> {
    let masses = masses(bins);
    let auc = auc(&masses)?;
    let (positive, negative) = totals(&masses);
    if auc <= 0.0 || auc >= 1.0 {
        let trials = positive.min(negative) as u64;
        let hits = if auc <= 0.0 { 0 } else { trials };
        return Some(Rate::new(hits, trials)?.clopper_pearson(confidence));
    }
    let variance = delong(&masses, auc).max(hanley_mcneil(auc, positive, negative));
    let reach = confidence.z() * variance.sqrt();
    Some(Interval {
        low: (auc - reach).clamp(0.0, 1.0),
        high: (auc + reach).clamp(0.0, 1.0),
    })
}

fn masses(bins: &[Labelled]) -> Vec<(f64, f64)> {
    let mass = |bin: &Labelled| (bin.positive as f64, bin.negative as f64);
    bins.iter().map(mass).collect()
}

fn of_masses(masses: &[(f64, f64)], positive_from: usize) -> Quality {
    let (below, above) = masses.split_at(positive_from.min(masses.len()));
    let ((missed, rejected), (found, false_alarms)) = (totals(below), totals(above));
    Quality {
        accuracy: share(found + rejected, found + rejected + missed + false_alarms),
        precision: share(found, found + false_alarms),
        recall: share(found, found + missed),
        f1: share(2.0 * found, 2.0 * found + missed + false_alarms),
        auc: auc(masses),
    }
}

fn totals(masses: &[(f64, f64)]) -> (f64, f64) {
    masses
        .iter()
        .fold((0.0, 0.0), |(p, n), mass| (p + mass.0, n + mass.1))
}

fn share(part: f64, whole: f64) -> Option<f64> {
    (whole > 0.0).then(|| part / whole)
}

/// Mann's and Whitney's statistic with midranks.
fn auc(masses: &[(f64, f64)]) -> Option<f64> {
    let (positive, negative) = totals(masses);
    let wins: f64 = placed(masses).map(|(p, _, below, _)| p * below).sum();
    let pairs = positive * negative;
    (pairs > 0.0).then(|| (wins / pairs).clamp(0.0, 1.0))
}

/// Each bin: its positives, its negatives, negatives below it, positives above it; ties half.
fn placed(masses: &[(f64, f64)]) -> impl Iterator<Item = (f64, f64, f64, f64)> + '_ {
    let (all, _) = totals(masses);
    masses
        .iter()
        .scan((0.0, 0.0), move |(seen_p, seen_n), &(p, n)| {
            let placed = (p, n, *seen_n + 0.5 * n, all - *seen_p - 0.5 * p);
            *seen_p += p;
            *seen_n += n;
            Some(placed)
        })
}

fn delong(masses: &[(f64, f64)], auc: f64) -> f64 {
    let (positive, negative) = totals(masses);
    let (mut of_positive, mut of_negative) = (0.0, 0.0);
    for (p, n, below, above) in placed(masses) {
        of_positive += p * (below / negative - auc).powi(2);
        of_negative += n * (above / positive - auc).powi(2);
    }
    let mean = |sum: f64, n: f64| sum / (n - 1.0).max(1.0) / n;
    mean(of_positive, positive) + mean(of_negative, negative)
}

fn hanley_mcneil(auc: f64, positive: f64, negative: f64) -> f64 {
    let (square, both) = (auc * auc, auc * (1.0 - auc));
    let of_positive = (positive - 1.0).max(0.0) * (auc / (2.0 - auc) - square);
    let of_negative = (negative - 1.0).max(0.0) * (2.0 * square / (1.0 + auc) - square);
    ((both + of_positive + of_negative) / positive / negative).max(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bins(counts: &[(u64, u64)]) -> Vec<Labelled> {
        let bins = counts
            .iter()
            .map(|&(positive, negative)| Labelled { positive, negative });
        bins.collect()
    }

    #[test]
    fn labels_by_hand() {
        // Two negatives low, one in the middle with a positive, two positives high.
        let found = measured(&bins(&[(0, 2), (1, 1), (2, 0)]), 1);
        assert_eq!(found.accuracy, Some(5.0 / 6.0));
        assert_eq!((found.precision, found.recall), (Some(0.75), Some(1.0)));
        assert_eq!(found.auc, Some(8.5 / 9.0));
    }

    #[test]
    fn the_interval_of_the_auc_is_that_of_placements() {
        // Placements of positives 2.5/3, 1, 1 and of negatives 1, 1, 2.5/3: variance 1/108 each.
        let found = auc_interval(&bins(&[(0, 2), (1, 1), (2, 0)]), Confidence::P95);
        let found = found.expect("both classes");
        assert!(found.low < 8.5 / 9.0 && found.high == 1.0, "{found:?}");
        // Many values in three bins: DeLong's own, worked out apart.
        let many = bins(&[(100, 400), (200, 200), (400, 100)]);
        let found = auc_interval(&many, Confidence::P95).expect("both classes");
        let auc = measured(&many, 1).auc.expect("both classes");
        let half = 0.5 * (found.high - found.low);
        assert!((0.5 * (found.high + found.low) - auc).abs() < 1e-12);
        assert!((0.02..0.03).contains(&half), "{half}");
    }

    #[test]
    fn perfect_and_absent_classes_have_honest_intervals() {
        let perfect = auc_interval(&bins(&[(0, 50), (50, 0)]), Confidence::P95);
        let perfect = perfect.expect("both classes");
        assert!(perfect.high == 1.0 && perfect.low > 0.9 && perfect.low < 0.95);
        assert_eq!(auc_interval(&bins(&[(0, 50)]), Confidence::P95), None);
        assert_eq!(accuracy_interval(&[], 0, Confidence::P95), None);
        let nothing = measured(&[], 3);
        assert_eq!(
            (nothing.accuracy, nothing.auc, nothing.f1),
            (None, None, None)
        );
    }
}
