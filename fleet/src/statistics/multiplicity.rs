//! Many tests at once: adjusted p, combined p, and whether a fleet has too many small ones.
//!
//! A p that is not a number counts as 1. Never rejects anything itself.

use super::{Rate, Test, tail};

/// p times their number, at most 1 (Bonferroni): controls the chance of any false finding, whatever
/// depends on what.
#[must_use]
pub fn bonferroni(p: &[f64]) -> Vec<f64> {
    let n = p.len() as f64;
    p.iter().map(|p| (known(*p) * n).min(1.0)).collect()
}

/// Adjusted p of Benjamini and Hochberg (1995): those at most q have a share of false findings of at
/// most q, for independent tests and those that depend positively.
#[must_use]
pub fn benjamini_hochberg(p: &[f64]) -> Vec<f64> {
    stepped_up(p, 1.0)
}

/// As [`benjamini_hochberg`], whatever depends on what (Benjamini and Yekutieli 2001).
#[must_use]
pub fn benjamini_yekutieli(p: &[f64]) -> Vec<f64> {
    stepped_up(p, (1..=p.len()).map(|i| 1.0 / i as f64).sum())
}

/// Fisher's combination (1932) of independent p: −2 Σ ln p is χ² with two degrees of freedom each.
#[must_use]
pub fn fisher(p: &[f64]) -> Test {
    // A p of zero was too small to be written.
    let ln = |p: &f64| known(*p).max(f64::MIN_POSITIVE).ln();
    let statistic = -2.0 * p.iter().map(ln).sum::<f64>();
    let df = 2.0 * p.len() as f64;
    Test {
        statistic,
        df,
        p: tail::chi_squared(statistic, df),
    }
}

/// Higher criticism (Donoho and Jin 2004): the largest standardised excess of small p over what is
/// expected, among the smaller half and those above 1/n. Sees a few affected devices among many.
/// Without difference it grows as √(2 ln ln n): some 2 to 4. None of fewer than two p.
#[must_use]
pub fn higher_criticism(p: &[f64]) -> Option<f64> {
    let n = p.len() as f64;
    let mut sorted: Vec<f64> = p.iter().map(|p| known(*p)).collect();
    sorted.sort_unstable_by(f64::total_cmp);
    let half = sorted.iter().take(p.len() / 2).enumerate();
    let inner = half.filter(|(_, p)| **p > 1.0 / n && **p < 1.0);
    let excess = inner.map(|(i, p)| n.sqrt() * ((i + 1) as f64 / n - p) / (p * (1.0 - p)).sqrt());
    // With all p below 1/n, the count of those is what is left to say.
    let few = sorted.iter().filter(|p| **p <= 1.0 / n).count() as f64;
    let at_first = (few - 1.0) / (1.0 - 1.0 / n).sqrt();
    (p.len() > 1).then(|| excess.fold(at_first, f64::max))
}

/// How often as many p, or more, are at most `level` if nothing differs and they are independent:
/// the binomial tail. 1 for a level that is no probability.
#[must_use]
pub fn p_of_count(p: &[f64], level: f64) -> f64 {
    let hits = p.iter().filter(|p| **p <= level).count() as u64;
    let rate = Rate::new(hits, p.len() as u64);
    rate.map_or(1.0, |rate| rate.upper_tail(level))
}

fn known(p: f64) -> f64 {
    if p.is_nan() { 1.0 } else { p.clamp(0.0, 1.0) }
}

/// p · factor · n / rank, made monotonous from the largest down.
fn stepped_up(p: &[f64], factor: f64) -> Vec<f64> {
    let mut order: Vec<usize> = (0..p.len()).collect();
    order.sort_by(|a, b| known(p[*a]).total_cmp(&known(p[*b])));
    let (mut adjusted, mut smallest) = (vec![1.0; p.len()], 1.0_f64);
    for (rank, index) in order.into_iter().enumerate().rev() {
        let scaled = known(p[index]) * factor * p.len() as f64 / (rank + 1) as f64;
        smallest = smallest.min(scaled);
        adjusted[index] = smallest;
    }
    adjusted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_of_tests_does_not_matter() {
        let (p, turned) = ([0.01, 0.5, 0.03], [0.5, 0.03, 0.01]);
        let (a, b) = (benjamini_hochberg(&p), benjamini_hochberg(&turned));
        assert_eq!([a[0], a[1], a[2]], [b[2], b[0], b[1]]);
        assert!((a[2] - 0.045).abs() < 1e-12 && (a[0] - 0.03).abs() < 1e-12);
    }

    #[test]
    fn a_few_devices_of_many_are_seen_by_their_number() {
        let quiet: Vec<f64> = (1..=1000).map(|i| f64::from(i) / 1001.0).collect();
        let mut moved = quiet.clone();
        (0..15).for_each(|i| moved[900 + i] = 2e-3);
        let (before, after) = (higher_criticism(&quiet), higher_criticism(&moved));
        assert!(before.is_some_and(|hc| hc < 2.0), "{before:?}");
        assert!(after.is_some_and(|hc| hc > 8.0), "{after:?}");
        assert!(p_of_count(&quiet, 2e-3) > 0.3);
        assert!(p_of_count(&moved, 2e-3) < 1e-8);
    }

    #[test]
    fn nothing_is_nothing() {
        assert!(bonferroni(&[]).is_empty() && benjamini_yekutieli(&[]).is_empty());
        assert_eq!(fisher(&[]).p, 1.0);
        assert_eq!(
            (higher_criticism(&[]), higher_criticism(&[0.1])),
            (None, None)
        );
        assert_eq!(p_of_count(&[], 0.1), 1.0);
        assert_eq!(benjamini_hochberg(&[f64::NAN, 0.0]), [1.0, 0.0]);
        assert!(fisher(&[0.0; 3]).statistic.is_finite());
    }
}
