//! How long a chart of cumulative sums runs until it alarms, on average, and the threshold for a
//! wanted average.
//!
//! The integral equation decides; Siegmund's formula is a check on it, and is used where thousands
//! of them are averaged. Both are for independent values.

use statrs::distribution::{Continuous, ContinuousCDF, Normal};

/// Nodes for one unit of the threshold, and at least and at most.
const NODES_PER_UNIT: f64 = 4.0;
const NODES_MIN: f64 = 24.0;
const NODES_MAX: f64 = 160.0;
/// Siegmund's correction for what is above the threshold when it is passed, in standard deviations
/// of a normal value: twice 0.583.
const OVERSHOOT: f64 = 1.166;
/// Halvings that bring a threshold to the last digit that matters.
const HALVINGS: u32 = 50;
/// The largest threshold that is looked at.
const THRESHOLD_MAX: f64 = 1e4;

/// Values on average until a one-sided chart that begins at zero alarms, values of the
/// distribution `of` being independent (Page 1954): the equation
/// L(s) = 1 + L(0) F(k − s) + ∫₀ʰ L(u) f(u + k − s) du, solved at Gauss's nodes (Nyström 1930).
/// Infinite when it is too long for double precision (some 10¹⁵), or the threshold is no number.
#[must_use]
pub fn exact<D>(of: &D, allowance: f64, threshold: f64) -> f64
where
    D: Continuous<f64, f64> + ContinuousCDF<f64, f64>,
{
    if !(allowance.is_finite() && threshold.is_finite()) {
        return f64::INFINITY;
    }
    if threshold <= 0.0 {
        return 1.0 / of.sf(allowance).max(f64::MIN_POSITIVE);
    }
    let nodes = gauss_legendre((NODES_PER_UNIT * threshold).clamp(NODES_MIN, NODES_MAX) as usize);
    let states: Vec<(f64, f64)> = std::iter::once((0.0, 0.0))
        .chain(
            nodes
                .into_iter()
                .map(|(x, w)| (0.5 * threshold * (x + 1.0), 0.5 * threshold * w)),
        )
        .collect();
    // One row a state: what it goes over into, less itself; the last column is the one step.
    let row = |(i, &(from, _)): (usize, &(f64, f64))| {
        let to = states.iter().enumerate().map(|(j, &(to, weight))| {
            let stays = if j == 0 {
                of.cdf(allowance - from)
            } else {
                weight * of.pdf(to + allowance - from)
            };
            f64::from(u8::from(i == j)) - stays
        });
        to.chain([1.0]).collect()
    };
    let equations = states.iter().enumerate().map(row).collect();
    let length = first_unknown(equations);
    if length.is_finite() && length >= 1.0 {
        length
    } else {
        f64::INFINITY
    }
}

/// [`exact`] for standard normal values.
#[must_use]
pub fn exact_normal(allowance: f64, threshold: f64) -> f64 {
    exact(&Normal::standard(), allowance, threshold)
}

/// Siegmund's corrected approximation (1985, formula 2.58) for normal values of variance 1 and the
/// mean `drift` less the allowance: (exp(−2Δb) + 2Δb − 1) / 2Δ², Δ that drift, b = h + 1.166.
#[must_use]
pub fn siegmund(drift: f64, threshold: f64) -> f64 {
    let b = threshold.max(0.0) + OVERSHOOT;
    let x = 2.0 * drift * b;
    if x.is_nan() || x < -700.0 {
        return f64::INFINITY;
    }
    if x == f64::INFINITY {
        return b / drift;
    }
    // Near zero both halves cancel: b² is the limit.
    if x.abs() < 1e-4 {
        return b * b;
    }
    ((-x).exp_m1() + x) / (2.0 * drift * drift)
}

/// Average run length of a two-sided chart from those of its sides (Kemp 1961).
#[must_use]
pub fn two_sided(above: f64, below: f64) -> f64 {
    1.0 / (1.0 / above + 1.0 / below)
}

/// The threshold at which a one-sided chart of standard normal values runs for `wanted` values on
/// average, by [`exact`]; where that has no digits left (beyond 10¹²), by Siegmund's formula.
#[must_use]
pub fn threshold(allowance: f64, wanted: f64) -> f64 {
    let reliable = wanted < 1e12;
    let length = |threshold: f64| {
        if reliable {
            exact_normal(allowance, threshold)
        } else {
            siegmund(-allowance, threshold)
        }
    };
    // The formula says where to look.
    let about = smallest(0.0, THRESHOLD_MAX, |h| siegmund(-allowance, h) >= wanted);
    if !reliable {
        return about;
    }
    smallest((about - 1.0).max(0.0), about + 1.0, |h| length(h) >= wanted)
}

/// The smallest number between `low` and `high` for which `holds`, which holds for all above it.
pub(crate) fn smallest(low: f64, high: f64, holds: impl Fn(f64) -> bool) -> f64 {
    let (mut low, mut high) = (low, high);
    for _ in 0..HALVINGS {
        let middle = 0.5 * (low + high);
        if holds(middle) {
            high = middle;
        } else {
            low = middle;
        }
    }
    high
}

/// Nodes and weights on [−1, 1]: the roots of Legendre's polynomial, by Newton's method.
fn gauss_legendre(n: usize) -> Vec<(f64, f64)> {
    let size = n as f64;
    let node = |i: usize| {
        let mut x = (std::f64::consts::PI * (i as f64 + 0.75) / (size + 0.5)).cos();
        let mut slope = 1.0;
        for _ in 0..100 {
            let (mut before, mut value) = (1.0, x);
            for k in 2..=n {
                let k = k as f64;
                (before, value) = (
                    value,
                    ((2.0 * k - 1.0) * x * value - (k - 1.0) * before) / k,
                );
            }
            slope = size * (x * value - before) / (x * x - 1.0);
            let step = value / slope;
            x -= step;
            if step.abs() < 1e-15 {
                break;
            }
        }
        (x, 2.0 / ((1.0 - x * x) * slope * slope))
    };
    (0..n).map(node).collect()
}

/// Gauss's elimination with the largest pivot; the last column is the right side.
fn first_unknown(mut rows: Vec<Vec<f64>>) -> f64 {
    let n = rows.len();
    for at in (1..n).rev() {
        let largest = (0..=at).max_by(|a, b| rows[*a][at].abs().total_cmp(&rows[*b][at].abs()));
        rows.swap(at, largest.unwrap_or(at));
        let (rest, pivot) = rows.split_at_mut(at);
        let Some(pivot) = pivot.first() else {
            return f64::NAN;
        };
        for row in rest {
            let factor = row[at] / pivot[at];
            for column in 0..at {
                row[column] -= factor * pivot[column];
            }
            row[n] -= factor * pivot[n];
        }
    }
    rows.first().map_or(f64::NAN, |row| row[n] / row[0])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Published: Hawkins and Olwell 1998 for one side, Montgomery 2009 for the thresholds, to two
    /// decimals, at which both sides together run for 370 values.
    #[test]
    fn run_lengths_are_those_of_others() {
        for (threshold, expect) in [(3.0, 117.6), (4.0, 335.4), (5.0, 930.9)] {
            let found = exact_normal(0.5, threshold);
            assert!((found / expect - 1.0).abs() < 1e-3, "{threshold}: {found}");
        }
        for (allowance, threshold) in [
            (0.25, 8.01),
            (0.5, 4.77),
            (0.75, 3.34),
            (1.0, 2.52),
            (1.5, 1.61),
        ] {
            let side = exact_normal(allowance, threshold);
            let both = two_sided(side, side);
            assert!(
                (both / 370.0 - 1.0).abs() < 0.03,
                "{allowance} {threshold}: {both}"
            );
        }
    }

    #[test]
    fn formula_and_equation_agree() {
        for allowance in [0.2, 0.5, 0.8, 1.2] {
            for wanted in [1e3, 1e5, 1e7, 1e9] {
                let h = threshold(allowance, wanted);
                let exact = exact_normal(allowance, h);
                assert!(
                    (exact / wanted - 1.0).abs() < 1e-3,
                    "{allowance} {wanted}: {exact}"
                );
                let ratio = siegmund(-allowance, h) / exact;
                assert!(
                    (0.8..1.25).contains(&ratio),
                    "{allowance} {wanted}: {ratio}"
                );
            }
        }
    }

    #[test]
    fn anything_has_an_answer() {
        for allowance in [0.0, -1.0, f64::NAN, 1e300] {
            for threshold in [0.0, -1.0, f64::NAN, 1e300] {
                assert!(exact_normal(allowance, threshold) >= 1.0);
                assert!(siegmund(-allowance, threshold) >= 0.0);
            }
        }
    }
}
