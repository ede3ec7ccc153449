//! Two samples of counts over the same bins: tests and distances.
//!
//! X² and PSI are those of [`muster_protocol::stats::comparison`], which devices compute as well;
//! here they get their probabilities. Never a verdict.

use muster_protocol::stats::Measures;
use muster_protocol::stats::comparison::Cell;

use super::{Test, tail};

/// Distances between two samples, all of the shares of their bins.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Distances {
    /// Kolmogorov's and Smirnov's: the largest difference of the shares below an edge, 0 to 1.
    pub kolmogorov_smirnov: f64,
    /// Half of the sum of the differences, 0 to 1.
    pub total_variation: f64,
    /// The largest difference of one bin, 0 to 1.
    pub largest: f64,
    /// Jensen's and Shannon's *divergence* in nats, 0 to ln 2 (Lin 1991). Its root is a distance.
    pub jensen_shannon: f64,
}

impl Distances {
    /// The distances; none when a sample is empty.
    #[must_use]
    pub fn of(cells: &[Cell]) -> Option<Self> {
        let (m, n) = totals(cells);
        if m == 0 || n == 0 {
            return None;
        }
        let mut found = Self {
            kolmogorov_smirnov: 0.0,
            total_variation: 0.0,
            largest: 0.0,
            jensen_shannon: 0.0,
        };
        let mut below = 0.0_f64;
        for cell in cells {
            let (q, p) = (share(cell.reference, m), share(cell.observed, n));
            below += p - q;
            found.kolmogorov_smirnov = found.kolmogorov_smirnov.max(below.abs());
            found.total_variation += 0.5 * (p - q).abs();
            found.largest = found.largest.max((p - q).abs());
            let middle = 0.5 * (p + q);
            found.jensen_shannon += 0.5 * (entropy(p, middle) + entropy(q, middle));
        }
        found.jensen_shannon = found.jensen_shannon.max(0.0);
        Some(found)
    }
}

/// Pearson's X² of two samples (Pearson 1911), with its p. `measures` are those of
/// [`muster_protocol::stats::comparison::compare`].
#[must_use]
pub fn pearson(measures: &Measures) -> Test {
    let df = f64::from(measures.df);
    Test {
        statistic: measures.x2,
        df,
        p: tail::chi_squared(measures.x2, df),
    }
}

/// How often PSI is that large if nothing has changed: divided by its scale 1/m + 1/n it is χ² with
/// one degree of freedom less than cells (Yurdakul 2018). Good from six samples a cell on;
/// cautious below.
#[must_use]
pub fn psi_p(measures: &Measures, cells: &[Cell]) -> f64 {
    let df = cells.len().saturating_sub(1) as f64;
    if measures.psi_expected <= 0.0 {
        return 1.0;
    }
    tail::chi_squared(measures.psi * df / measures.psi_expected, df)
}

/// The likelihood ratio G (Wilks 1938; Woolf 1957), over cells that either sample has. Without
/// samples it is 0, and p is 1.
#[must_use]
pub fn likelihood_ratio(cells: &[Cell]) -> Test {
    let (m, n) = totals(cells);
    let used = cells.iter().filter(|c| c.reference > 0 || c.observed > 0);
    let df = used.clone().count().saturating_sub(1) as f64;
    let (m, n) = (m as f64, n as f64);
    let both = |cell: &Cell| {
        let in_both = cell.reference as f64 + cell.observed as f64;
        let of = |count: u64, size: f64| deviance(count as f64, in_both * (size / (m + n)));
        of(cell.reference, m) + of(cell.observed, n)
    };
    let statistic = if m > 0.0 && n > 0.0 {
        (2.0 * used.map(both).sum::<f64>()).max(0.0)
    } else {
        0.0
    };
    Test {
        statistic,
        df,
        p: tail::chi_squared(statistic, df),
    }
}

/// Samples of the reference and observed.
pub(super) fn totals(cells: &[Cell]) -> (u128, u128) {
    cells.iter().fold((0, 0), |(m, n), cell| {
        (
            m + u128::from(cell.reference),
            n + u128::from(cell.observed),
        )
    })
}

pub(super) fn share(count: u64, of: u128) -> f64 {
    count as f64 / of as f64
}

/// `count · ln(count / expected)`, less what adds up to nothing over all cells: then no term is
/// negative, and nothing cancels.
fn deviance(count: f64, expected: f64) -> f64 {
    let log = if count > 0.0 {
        count * (count / expected).ln()
    } else {
        0.0
    };
    log - count + expected
}

fn entropy(p: f64, middle: f64) -> f64 {
    if p > 0.0 { p * (p / middle).ln() } else { 0.0 }
}
