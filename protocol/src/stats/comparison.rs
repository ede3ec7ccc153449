//! How far counts lie from those of the reference: Pearson's X² of two samples, and the
//! population stability index (PSI) as a size of effect.
//!
//! `docs/decisions/0009-comparing-counts.md` gives the rules. Counts in, numbers out: never a
//! verdict, never a probability (tails of distributions are the caller's).

use super::FeatureSum;
use crate::limits::BINS_MAX;

/// Samples below which counts are not compared: with fewer, PSI is mostly noise.
pub const SAMPLES_MIN: u64 = 200;
/// Cells of one feature: its bins, and one for what is missing.
pub const CELLS_MAX: usize = BINS_MAX + 1;

/// Added to each count before PSI takes its logarithm (Jeffreys' prior): no cell is empty.
const PSEUDO_COUNT: f64 = 0.5;

/// The counts of one cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cell {
    /// Rows of the reference.
    pub reference: u64,
    /// Samples observed.
    pub observed: u64,
}

/// The cells of one feature.
pub type Cells = heapless::Vec<Cell, CELLS_MAX>;

/// What can be said of counts beside their reference.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Comparison {
    /// The reference has no counts: there is nothing to compare with.
    NoReference,
    /// Too few samples to say anything.
    TooFew {
        /// Samples observed.
        n: u64,
        /// Samples that it takes.
        n_min: u64,
    },
    /// Numbers.
    Measured(Measures),
}

/// Measures of how far two samples lie from each other.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Measures {
    /// Samples observed.
    pub n: u64,
    /// Pearson's X² of the two samples.
    pub x2: f64,
    /// Its degrees of freedom: cells that either sample has, less one. Zero when both lie in one
    /// cell: then X² is zero and says nothing.
    pub df: u32,
    /// PSI, natural logarithm, with half a sample added to each cell.
    pub psi: f64,
    /// What PSI is on average when nothing has changed: its bias, from the sizes of the samples.
    pub psi_expected: f64,
}

impl Measures {
    /// PSI less its bias, at least zero.
    #[must_use]
    pub fn psi_corrected(&self) -> f64 {
        (self.psi - self.psi_expected).max(0.0)
    }
}

/// The cells of a feature, bin by bin; `None` when there are not as many counts as bins. What is
/// missing is a cell when the reference has some of it: absent and not finite together, as the
/// reference counts them.
pub fn cells(
    reference_bins: impl ExactSizeIterator<Item = u64>,
    reference_missing: u64,
    observed: &FeatureSum,
) -> Option<Cells> {
    if reference_bins.len() != observed.bins.len() {
        return None;
    }
    let bins = reference_bins.zip(&observed.bins);
    let mut cells: Cells = bins
        .map(|(reference, observed)| Cell {
            reference,
            observed: *observed,
        })
        .collect();
    if reference_missing > 0 {
        let missing = Cell {
            reference: reference_missing,
            observed: observed.missing.saturating_add(observed.non_finite),
        };
        cells.push(missing).ok()?;
    }
    Some(cells)
}

/// Compares the observed counts with those of the reference, from `n_min` samples on.
#[must_use]
pub fn compare(cells: &[Cell], n_min: u64) -> Comparison {
    let total = |count: fn(&Cell) -> u64| {
        cells
            .iter()
            .fold(0, |sum, cell| u64::saturating_add(sum, count(cell)))
    };
    let (m, n) = (total(|cell| cell.reference), total(|cell| cell.observed));
    if m == 0 {
        return Comparison::NoReference;
    }
    if n < n_min.max(1) {
        return Comparison::TooFew { n, n_min };
    }
    let used = cells.iter().filter(|cell| !cell.is_empty()).count();
    let others = cells.len().saturating_sub(1) as f64;
    Comparison::Measured(Measures {
        n,
        x2: x2(cells, m as f64, n as f64),
        df: used.saturating_sub(1) as u32,
        psi: psi(cells, m as f64, n as f64),
        psi_expected: others * (1.0 / m as f64 + 1.0 / n as f64),
    })
}

impl Cell {
    /// Neither sample has it: its expectation is zero, and it says nothing.
    const fn is_empty(self) -> bool {
        self.reference == 0 && self.observed == 0
    }
}

/// Σ over both samples of (count - expectation)² / expectation, where the expectation is the
/// share of the cell in both samples together. In shares, both terms of a cell are one.
fn x2(cells: &[Cell], m: f64, n: f64) -> f64 {
    let used = cells.iter().filter(|cell| !cell.is_empty());
    used.map(|cell| {
        let (reference, observed) = (cell.reference as f64, cell.observed as f64);
        let difference = observed / n - reference / m;
        difference * difference * m / (reference + observed) * n
    })
    .sum()
}

/// Σ (p - q) ln(p / q), every cell of the reference counted, empty or not.
fn psi(cells: &[Cell], m: f64, n: f64) -> f64 {
    let pseudo = PSEUDO_COUNT * cells.len() as f64;
    let term = |cell: &Cell| {
        let q = (cell.reference as f64 + PSEUDO_COUNT) / (m + pseudo);
        let p = (cell.observed as f64 + PSEUDO_COUNT) / (n + pseudo);
        (p - q) * libm::log(p / q)
    };
    cells.iter().map(term).sum()
}

#[cfg(test)]
mod tests;
