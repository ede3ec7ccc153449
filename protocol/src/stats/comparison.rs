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
    reference_bins: impl ExactSizeIterator<Item = u64> + Clone,
    reference_missing: u64,
    observed: &FeatureSum,
) -> Option<Cells> {
    Some(each_cell(reference_bins, reference_missing, observed)?.collect())
}

/// [`cells`] one after the other, for who needs them once.
pub fn each_cell(
    reference_bins: impl ExactSizeIterator<Item = u64> + Clone,
    reference_missing: u64,
    observed: &FeatureSum,
) -> Option<impl Iterator<Item = Cell> + Clone> {
    if reference_bins.len() != observed.bins.len() {
        return None;
    }
    let bins = reference_bins.zip(&observed.bins);
    let bins = bins.map(|(reference, observed)| Cell {
        reference,
        observed: *observed,
    });
    let missing = (reference_missing > 0).then(|| Cell {
        reference: reference_missing,
        observed: observed.missing.saturating_add(observed.non_finite),
    });
    Some(bins.chain(missing))
}

/// Compares the observed counts with those of the reference, from `n_min` samples on.
#[must_use]
pub fn compare(cells: &[Cell], n_min: u64) -> Comparison {
    let (m, n) = totals(cells);
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
        x2: x2(cells.iter().copied(), m as f64, n as f64),
        df: used.saturating_sub(1) as u32,
        psi: psi(cells, m as f64, n as f64),
        psi_expected: others * (1.0 / m as f64 + 1.0 / n as f64),
    })
}

/// X² and its degrees of freedom alone, as [`compare`] gives them, whatever the sizes of the
/// samples. Zero when one of them is empty.
#[must_use]
pub fn pearson(cells: impl Iterator<Item = Cell> + Clone) -> (f64, u32) {
    let none = (0.0, 0.0, 0_u32);
    let (m, n, used) = cells.clone().fold(none, |(m, n, used), cell| {
        let used = used + u32::from(!cell.is_empty());
        (m + real(cell.reference), n + real(cell.observed), used)
    });
    if m > 0.0 && n > 0.0 {
        (x2(cells, m, n), used.saturating_sub(1))
    } else {
        (0.0, 0)
    }
}

/// Rows of the reference, and samples observed.
fn totals(cells: &[Cell]) -> (u64, u64) {
    cells.iter().fold((0, 0), |(m, n), cell| {
        (
            u64::saturating_add(m, cell.reference),
            u64::saturating_add(n, cell.observed),
        )
    })
}

impl Cell {
    /// Neither sample has it: its expectation is zero, and it says nothing.
    const fn is_empty(self) -> bool {
        self.reference == 0 && self.observed == 0
    }
}

/// Σ over both samples of (count - expectation)² / expectation, where the expectation is the
/// share of the cell in both samples together. Both terms of a cell are one, and multiplied out it
/// takes one division; equal shares differ by nothing, whatever is rounded.
fn x2(cells: impl Iterator<Item = Cell>, m: f64, n: f64) -> f64 {
    let term = |cell: Cell| {
        let (reference, observed) = (real(cell.reference), real(cell.observed));
        let difference = observed * m - reference * n;
        // An empty cell has no difference: any divisor will do.
        difference * difference / (reference + observed).max(1.0)
    };
    cells.map(term).sum::<f64>() / m / n
}

/// A count as a real number. None reaches 2^63, and processors convert signed integers in one step.
fn real(count: u64) -> f64 {
    count.min(i64::MAX as u64) as f64
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
