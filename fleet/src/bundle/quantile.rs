//! Edges of bins between quantiles of the reference, and the scale of its moments.
//!
//! `docs/bundle-format.md` section 6. All in binary64 with one rounding to binary32 at the end, so
//! that the same values give the same bits everywhere.

use muster_protocol::limits::EDGES_MAX;
use muster_protocol::stats::Transform;

/// The tails: what lies below, and above, one value in two thousand.
pub(super) const TAIL: f64 = 0.0005;
/// Bins between the tails.
const BINS: usize = EDGES_MAX - 1;
/// A positive distribution whose largest value is this many medians is judged by its logarithm.
const SPREAD: f32 = 100.0;

/// Ascending edges between the bins of `sorted`, which is not empty and holds finite values only.
///
/// Ties make fewer bins. The last edge is the least number above its quantile, so that a value
/// on it, as in a constant column, is in range.
pub(super) fn edges(sorted: &[f32]) -> Vec<f32> {
    let inner = (1..BINS).map(|bin| bin as f64 / BINS as f64);
    let lower = [TAIL].into_iter().chain(inner).map(|q| quantile(sorted, q));
    let last = quantile(sorted, 1.0 - TAIL);
    let above = Some(last.next_up())
        .filter(|edge| edge.is_finite())
        .unwrap_or(last);
    let mut edges: Vec<f32> = Vec::with_capacity(EDGES_MAX);
    for edge in lower.chain([above]) {
        if edges.last().is_none_or(|last| *last < edge) {
            edges.push(edge);
        }
    }
    edges
}

/// Linear interpolation between order statistics, as numpy does by default; -0 becomes 0.
fn quantile(sorted: &[f32], q: f64) -> f32 {
    let place = q * (sorted.len() - 1) as f64;
    let (below, above) = (place.floor() as usize, place.ceil() as usize);
    let (low, high) = (f64::from(sorted[below]), f64::from(sorted[above]));
    (low + (high - low) * (place - place.floor()) + 0.0) as f32
}

/// What moments are taken of.
pub(super) fn transform(sorted: &[f32]) -> Transform {
    let (least, most) = (sorted[0], sorted[sorted.len() - 1]);
    let median = quantile(sorted, 0.5);
    match least >= 0.0 && median > 0.0 && most / median > SPREAD {
        true => Transform::SignedLog,
        false => Transform::Identity,
    }
}

/// Mean and deviation of the transformed values; a deviation of zero is replaced by a thousandth
/// of the mean, and at least by a millionth.
pub(super) fn moments(values: &[f32], transform: Transform) -> (f32, f32) {
    let seen = || {
        values
            .iter()
            .map(|value| f64::from(transform.apply(*value)))
    };
    let count = values.len() as f64;
    let mean = seen().sum::<f64>() / count;
    let variance = seen()
        .map(|value| (value - mean) * (value - mean))
        .sum::<f64>()
        / count;
    let deviation = variance.sqrt() as f32;
    let mean = mean as f32;
    let constant = values.windows(2).all(|pair| pair[0] == pair[1]);
    match !constant && deviation > 0.0 && deviation.is_finite() {
        true => (mean, deviation),
        false => (mean, (mean.abs() * 1e-3).max(1e-6)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_edges(values: &[f32], expect: &[f32]) {
        assert_eq!(edges(values), expect, "{values:?}");
    }

    #[test]
    fn edges_of_a_ramp_are_its_quantiles() {
        let ramp: Vec<f32> = (0..=16_000).map(|value| value as f32).collect();
        let edges = edges(&ramp);
        assert_eq!(edges.len(), EDGES_MAX);
        assert_eq!(edges[..3], [8.0, 1000.0, 2000.0]);
        assert_eq!(edges[15], 15_000.0);
        assert_eq!(edges[16], 15_992f32.next_up());
    }

    #[test]
    fn ties_make_fewer_bins() {
        check_edges(&[3.0; 200], &[3.0, 3f32.next_up()]);
        check_edges(&[-0.0; 200], &[0.0, 0f32.next_up()]);
        check_edges(&[f32::MAX; 200], &[f32::MAX]);
        let halves = [[0.0; 100], [1.0; 100]].concat();
        check_edges(&halves, &[0.0, 0.5, 1.0, 1f32.next_up()]);
    }

    fn check_moments(values: &[f32], expect: (Transform, f32, f32)) {
        let transform = transform(values);
        let (mean, deviation) = moments(values, transform);
        assert_eq!((transform, mean, deviation), expect, "{values:?}");
    }

    #[test]
    fn a_deviation_is_never_zero() {
        check_moments(&[1.0, 3.0], (Transform::Identity, 2.0, 1.0));
        check_moments(&[0.1; 300], (Transform::Identity, 0.1, 0.1 * 1e-3));
        check_moments(&[0.0; 300], (Transform::Identity, 0.0, 1e-6));
        check_moments(&[-5.0; 300], (Transform::Identity, -5.0, 5.0 * 1e-3));
    }

    #[test]
    fn only_wide_positive_distributions_are_logarithmic() {
        assert_eq!(transform(&[1.0, 1.0, 101.0]), Transform::SignedLog);
        assert_eq!(transform(&[1.0, 1.0, 100.0]), Transform::Identity);
        assert_eq!(transform(&[-1.0, 1.0, 1000.0]), Transform::Identity);
        assert_eq!(transform(&[0.0, 0.0, 1000.0]), Transform::Identity);
    }
}
