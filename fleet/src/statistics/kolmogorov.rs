//! How often the distance of Kolmogorov and Smirnov is that large by chance.
//!
//! Four answers, for values or for bins, small or large; each says when it is exact. Never an
//! answer that is too small for bins: what bins hide makes the distance smaller, not larger.

use muster_protocol::stats::comparison::Cell;

use super::two_sample::{Distances, totals};

/// Steps that an exact answer may take: the product of the sizes.
const STEPS_MAX: u128 = 4_000_000;
/// Distances that differ by less are equal: they were rounded.
const ROUNDED: f64 = 1e-12;
/// Effective samples up to which [`p_effective`] is computed.
const EFFECTIVE_MAX: f64 = 300.0;

/// The distance of two samples over bins, with the best p there is: exact for small samples
/// ([`p_binned`]), else Smirnov's limit, which is cautious. 1 when a sample is empty.
#[must_use]
pub fn p_value(cells: &[Cell]) -> f64 {
    let Some(distances) = Distances::of(cells) else {
        return 1.0;
    };
    let (m, n) = totals(cells);
    let limit = || p_limit(distances.kolmogorov_smirnov, m as f64, n as f64);
    p_binned(cells).unwrap_or_else(limit)
}

/// Exact for bins, given how many of both samples together lie in each (Schröer and Trenkler
/// 1995). None when a sample is empty, or m · n is above 4,000,000.
#[must_use]
pub fn p_binned(cells: &[Cell]) -> Option<f64> {
    let distance = Distances::of(cells)?.kolmogorov_smirnov;
    let (m, n) = small(totals(cells))?;
    let mut ends = vec![false; m + n + 1];
    let mut end = 0;
    for cell in cells {
        end += usize::try_from(cell.reference + cell.observed).ok()?;
        ends[end] = true;
    }
    Some(p_of_paths(distance, m, n, &|at| ends[at]))
}

/// Exact for `m` and `n` values that all differ (Hodges 1957); cautious with ties and bins. None
/// when a sample is empty, or m · n is above 4,000,000.
#[must_use]
pub fn p_exact(distance: f64, m: u64, n: u64) -> Option<f64> {
    let (m, n) = small((u128::from(m), u128::from(n)))?;
    Some(p_of_paths(distance, m, n, &|_| true))
}

/// Smirnov's limit for large samples (1939): 2 Σ (−1)^(j−1) exp(−2 j² λ²), λ² = d² m n / (m + n).
/// Too large for small samples, thus cautious. 1 when a sample is empty.
#[must_use]
pub fn p_limit(distance: f64, m: f64, n: f64) -> f64 {
    let square = distance * distance * effective(m, n);
    // The alternating series needs many terms there, and p is 1 to sixteen digits.
    if square.is_nan() || square < 0.04 {
        return 1.0;
    }
    let term = |j: i32| {
        let sign = if j % 2 == 1 { 2.0 } else { -2.0 };
        sign * (-2.0 * f64::from(j * j) * square).exp()
    };
    (1..=30).map(term).sum::<f64>().clamp(0.0, 1.0)
}

/// Kolmogorov's exact distribution for one sample of m n / (m + n) values, rounded, against a known
/// continuous distribution (Marsaglia, Tsang and Wang 2003): closer than the limit. None above 300
/// such values.
#[must_use]
pub fn p_effective(distance: f64, m: f64, n: f64) -> Option<f64> {
    let size = effective(m, n).round();
    let fits = (1.0..=EFFECTIVE_MAX).contains(&size) && distance.is_finite();
    fits.then(|| p_one_sample(distance.clamp(0.0, 1.0), size))
}

fn effective(m: f64, n: f64) -> f64 {
    if m > 0.0 && n > 0.0 {
        m / (m + n) * n
    } else {
        0.0
    }
}

fn small((m, n): (u128, u128)) -> Option<(usize, usize)> {
    let fits = m > 0 && n > 0 && m.checked_mul(n)? <= STEPS_MAX;
    fits.then_some((m as usize, n as usize))
}

/// The probability that a path from (0, 0) to (m, n), every order of the values being equally
/// likely, is ever `distance` away from the diagonal where `is_seen`. What strays is added up as
/// it strays, so a small p is exact as well.
fn p_of_paths(distance: f64, m: usize, n: usize, is_seen: &dyn Fn(usize) -> bool) -> f64 {
    let (mut at, mut strayed) = (vec![0.0; m + 1], 0.0);
    at[0] = 1.0;
    for length in 1..=m + n {
        let left = (m + n - length + 1) as f64;
        let (low, high) = (length.saturating_sub(n), length.min(m));
        for i in (low..=high).rev() {
            let j = length - i;
            let from_below = if i > 0 {
                at[i - 1] * (m - i + 1) as f64
            } else {
                0.0
            };
            let from_left = if j > 0 {
                at[i] * (n - j + 1) as f64
            } else {
                0.0
            };
            at[i] = (from_below + from_left) / left;
            let away = (i as f64 / m as f64 - j as f64 / n as f64).abs();
            if is_seen(length) && away >= distance - ROUNDED {
                strayed += at[i];
                at[i] = 0.0;
            }
        }
        if low > 0 {
            at[low - 1] = 0.0;
        }
    }
    strayed.clamp(0.0, 1.0)
}

/// 1 − P(D < d): the middle of the n-th power of a matrix, times n! / nⁿ. Only its middle row is
/// ever needed.
fn p_one_sample(distance: f64, n: f64) -> f64 {
    let nd = n * distance;
    // Every sample is farther away.
    if nd <= 0.5 {
        return 1.0;
    }
    // The difference to one would be lost: twice the probability of one side, in the limit.
    if nd * distance > 12.0 {
        return (2.0 * (-2.0 * nd * distance).exp()).min(1.0);
    }
    let k = nd.floor() as usize + 1;
    let size = 2 * k - 1;
    let steps = steps(size, k as f64 - nd);
    let mut row = vec![0.0; size];
    row[k - 1] = 1.0;
    for count in 1..=n as u32 {
        row = times(&row, &steps);
        let shrink = f64::from(count) / n;
        row.iter_mut().for_each(|entry| *entry *= shrink);
    }
    (1.0 - row[k - 1]).clamp(0.0, 1.0)
}

/// Durbin's matrix, row after row: entries 1/(i − j + 1)! up to the first upper diagonal, corrected
/// at the rim by the overhang h = k − n d.
fn steps(size: usize, overhang: f64) -> Vec<Vec<f64>> {
    let factorial = |n: usize| (1..=n).map(|i| i as f64).product::<f64>();
    let entry = |i: usize, j: usize| {
        if j > i + 1 {
            return 0.0;
        }
        let mut entry = 1.0;
        if j == 0 {
            entry -= overhang.powi(i as i32 + 1);
        }
        if i == size - 1 {
            entry -= overhang.powi((size - j) as i32);
        }
        if i == size - 1 && j == 0 && overhang > 0.5 {
            entry += (2.0 * overhang - 1.0).powi(size as i32);
        }
        entry / factorial(i + 1 - j)
    };
    let row = |i| (0..size).map(|j| entry(i, j)).collect();
    (0..size).map(row).collect()
}

fn times(row: &[f64], matrix: &[Vec<f64>]) -> Vec<f64> {
    let mut product = vec![0.0; row.len()];
    for (left, line) in row.iter().zip(matrix) {
        for (sum, right) in product.iter_mut().zip(line) {
            *sum += left * right;
        }
    }
    product
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cells(pairs: &[(u64, u64)]) -> Vec<Cell> {
        let cells = pairs.iter().map(|&(reference, observed)| Cell {
            reference,
            observed,
        });
        cells.collect()
    }

    #[test]
    fn small_samples_by_hand() {
        // Of the 6 orders of 2 and 2 values, 2 have all of one first; 4 reach one half or more
        // before that, all do.
        for (distance, m, n, expect) in [
            (1.0, 2, 2, 2.0 / 6.0),
            (0.5, 2, 2, 1.0),
            (1.0, 1, 1, 1.0),
            (1.0, 3, 2, 2.0 / 10.0),
        ] {
            let found = p_exact(distance, m, n).expect("small");
            assert!((found - expect).abs() < 1e-12, "{distance}: {found}");
        }
        assert_eq!(p_exact(0.5, 0, 3), None);
        assert_eq!(p_exact(0.5, u64::MAX, u64::MAX), None);
    }

    /// Two bins are a table of two by two, whose exact test is Fisher's.
    #[test]
    fn two_bins_are_a_table_of_four() {
        // Orders in which all three of the first lie in a bin of three: 1 of 20; by symmetry 2.
        let found = p_binned(&cells(&[(3, 0), (0, 3)])).expect("small");
        assert!((found - 0.1).abs() < 1e-12, "{found}");
        let found = p_binned(&cells(&[(2, 1), (1, 2)])).expect("small");
        assert!((found - 1.0).abs() < 1e-12, "{found}");
    }

    #[test]
    fn what_bins_hide_is_never_counted() {
        let shared = cells(&[(10, 4), (12, 20), (9, 11), (20, 3)]);
        let exact = p_binned(&shared).expect("small");
        let distance = Distances::of(&shared).expect("counts").kolmogorov_smirnov;
        let of_values = p_exact(distance, 51, 38).expect("small");
        let limit = p_limit(distance, 51.0, 38.0);
        assert!(
            exact < of_values && of_values < limit,
            "{exact} {of_values} {limit}"
        );
    }
}
