//! Charts as paths of SVG: numbers only, so that nothing in them needs to be escaped.
//!
//! Never a scale of its own for two things that are compared.

use std::fmt::Write as _;

/// Width of one bar with its gap, in units of the drawing.
const STEP: usize = 8;
/// Height of a histogram.
pub(super) const HISTOGRAM_HEIGHT: u32 = 32;
/// Size of a sparkline.
const SPARK: (f64, f64) = (96.0, 20.0);
/// Bars of a sparkline; fewer stand at its right end.
const SPARK_BARS: usize = 24;

/// Observed shares as bars, reference shares as an outline over the same bins and one scale.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct HistogramPaths {
    /// Bars.
    pub(super) observed: String,
    /// Outline.
    pub(super) reference: String,
    /// Width of the drawing.
    pub(super) width: usize,
}

/// Draws counts of the same bins as shares of their sums.
pub(super) fn histogram(reference: &[u64], observed: &[u64]) -> HistogramPaths {
    let (reference, observed) = (shares(reference), shares(observed));
    let all = reference.iter().chain(&observed);
    let highest = all.copied().fold(0.0, f64::max).max(f64::MIN_POSITIVE);
    let base = f64::from(HISTOGRAM_HEIGHT);
    let top = |share: f64| base - share / highest * (base - 1.0);
    let mut paths = HistogramPaths {
        observed: String::new(),
        reference: format!("M0 {base}"),
        width: reference.len() * STEP,
    };
    for (at, share) in observed
        .iter()
        .enumerate()
        .filter(|(_, share)| **share > 0.0)
    {
        bar(
            &mut paths.observed,
            (at * STEP) as f64 + 1.0,
            STEP as f64 - 2.0,
            top(*share),
            base,
        );
    }
    for (at, share) in reference.iter().enumerate() {
        let (y, right) = (top(*share), (at + 1) * STEP);
        let _infallible = write!(paths.reference, "V{y:.1}H{right}");
    }
    let _infallible = write!(paths.reference, "V{base}");
    paths
}

fn shares(counts: &[u64]) -> Vec<f64> {
    let sum = counts.iter().fold(0.0, |sum, count| sum + *count as f64);
    let share = |count: &u64| if sum > 0.0 { *count as f64 / sum } else { 0.0 };
    counts.iter().map(share).collect()
}

/// The newest values as bars, the newest at the right end.
pub(super) fn sparkline(values: &[u64]) -> String {
    let newest = &values[values.len().saturating_sub(SPARK_BARS)..];
    let highest = newest.iter().copied().max().unwrap_or(0).max(1) as f64;
    let (width, height) = SPARK;
    let step = width / SPARK_BARS as f64;
    let mut path = String::new();
    for (at, value) in newest.iter().enumerate().filter(|(_, value)| **value > 0) {
        let x = width - (newest.len() - at) as f64 * step;
        bar(
            &mut path,
            x,
            step - 1.0,
            height - *value as f64 / highest * (height - 1.0),
            height,
        );
    }
    path
}

fn bar(path: &mut String, x: f64, width: f64, top: f64, base: f64) {
    let _infallible = write!(path, "M{x:.0} {base:.0}V{top:.1}h{width:.0}V{base:.0}z");
}

/// Parts of a bar that is 1000 wide: where each begins, and its width. A part that is not
/// nothing can be seen.
pub(super) fn parts(counts: &[u64]) -> Vec<(u64, u64)> {
    const WIDTH: u128 = 1000;
    const SEEN: u128 = 4;
    let sum: u128 = counts.iter().map(|count| u128::from(*count)).sum();
    let width = |count: &u64| match u128::from(*count) {
        0 => 0,
        count => (count * WIDTH / sum).max(SEEN),
    };
    let mut widths: Vec<_> = counts.iter().map(width).collect();
    let others = widths.iter().sum::<u128>() - widths.iter().max().copied().unwrap_or_default();
    // What rounding and the small ones cost or leave is the widest's.
    if let Some(widest) = widths.iter_mut().rev().max().filter(|width| **width > 0) {
        *widest = WIDTH.saturating_sub(others);
    }
    let mut x = 0;
    let mut place = |width: u128| {
        let at = x;
        x += width;
        (at as u64, width as u64)
    };
    widths.into_iter().map(&mut place).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_histograms_have_one_scale_and_the_same_bins() {
        let paths = histogram(&[1, 1, 2], &[0, 30, 10]);
        assert_eq!(paths.width, 24);
        // 30 of 40 is the highest share and reaches up to 1; the reference's half stands lower.
        assert_eq!(paths.observed, "M9 32V1.0h6V32zM17 32V21.7h6V32z");
        assert_eq!(paths.reference, "M0 32V21.7H8V21.7H16V11.3H24V32");
    }

    #[test]
    fn nothing_is_drawn_of_nothing() {
        assert_eq!(histogram(&[], &[]).observed, "");
        assert_eq!(
            histogram(&[0, 0], &[0, 0]).reference,
            "M0 32V32.0H8V32.0H16V32"
        );
        assert_eq!(sparkline(&[]), "");
        assert_eq!(sparkline(&[0, 0]), "");
        assert_eq!(parts(&[0, 0, 0, 0]), [(0, 0); 4]);
    }

    #[test]
    fn the_newest_bars_stand_at_the_right_end() {
        assert_eq!(sparkline(&[5, 10]), "M88 20V10.5h3V20zM92 20V1.0h3V20z");
        let many: Vec<u64> = (1..=100).collect();
        assert!(sparkline(&many).starts_with("M0 20"));
    }

    #[test]
    fn parts_fill_the_bar_and_few_can_be_seen() {
        let check = |counts: &[u64], expect: &[(u64, u64)]| assert_eq!(parts(counts), expect);
        check(&[3, 0, 1, 0], &[(0, 750), (750, 0), (750, 250), (1000, 0)]);
        check(&[1, 1, 1], &[(0, 334), (334, 333), (667, 333)]);
        check(&[99_999, 1], &[(0, 996), (996, 4)]);
        check(&[1, 99_999], &[(0, 4), (4, 996)]);
        check(&[u64::MAX, u64::MAX], &[(0, 500), (500, 500)]);
    }
}
