//! The counts that a judgement is made from: sums over one or more windows, bins left out.
//!
//! Seven numbers for each feature. Never a verdict.

use crate::stats::scale::STEPS_PER_SIGMA;
use crate::stats::{FeatureCounts, FeatureSum};
use minicbor::{Decode, Encode};

/// Counts of one feature over a block of rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Encode, Decode)]
pub struct Block {
    /// Finite values.
    #[n(0)]
    pub n: u64,
    /// Rows without one: missing, or not finite.
    #[n(1)]
    pub absent: u64,
    /// See [`FeatureCounts::out_of_range`].
    #[n(2)]
    pub out_of_range: u64,
    /// See [`FeatureCounts::repeats`].
    #[n(3)]
    pub repeats: u64,
    /// See [`FeatureCounts::longest_run`].
    #[n(4)]
    pub longest_run: u64,
    /// See [`FeatureCounts::sum`].
    #[n(5)]
    pub sum: i64,
    /// See [`FeatureCounts::sum_of_squares`].
    #[n(6)]
    pub sum_of_squares: u64,
}

impl From<&FeatureCounts> for Block {
    fn from(counts: &FeatureCounts) -> Self {
        Self {
            n: counts.n(),
            absent: u64::from(counts.missing) + u64::from(counts.non_finite),
            out_of_range: u64::from(counts.out_of_range),
            repeats: u64::from(counts.repeats),
            longest_run: u64::from(counts.longest_run),
            sum: counts.sum,
            sum_of_squares: counts.sum_of_squares,
        }
    }
}

impl From<&FeatureSum> for Block {
    fn from(sum: &FeatureSum) -> Self {
        Self {
            n: sum.n(),
            absent: sum.missing.saturating_add(sum.non_finite),
            out_of_range: sum.out_of_range,
            repeats: sum.repeats,
            longest_run: sum.longest_run,
            sum: sum.sum,
            sum_of_squares: sum.sum_of_squares,
        }
    }
}

impl Block {
    /// Rows counted, absent ones as well.
    #[must_use]
    pub const fn rows(&self) -> u64 {
        self.n.saturating_add(self.absent)
    }

    /// Adds the counts of `other`, as [`FeatureCounts::merge`] does.
    pub fn merge(&mut self, other: &Self) {
        self.n = self.n.saturating_add(other.n);
        self.absent = self.absent.saturating_add(other.absent);
        self.out_of_range = self.out_of_range.saturating_add(other.out_of_range);
        self.repeats = self.repeats.saturating_add(other.repeats);
        self.longest_run = self.longest_run.max(other.longest_run);
        self.sum = self.sum.wrapping_add(other.sum);
        self.sum_of_squares = self.sum_of_squares.saturating_add(other.sum_of_squares);
    }

    /// Whether mean and spread may be compared with those of blocks of `block_rows` rows: half of
    /// that, and two, have a value.
    #[must_use]
    pub fn has_values_for(&self, block_rows: u32) -> bool {
        self.n >= u64::from(block_rows).div_ceil(2).max(2)
    }

    /// The mean, in standard deviations of the reference; none without values.
    #[must_use]
    pub fn mean(&self) -> Option<f64> {
        let steps = f64::from(STEPS_PER_SIGMA);
        (self.n > 0).then(|| self.sum as f64 / self.n as f64 / steps)
    }

    /// The standard deviation (n − 1), in that of the reference; none of fewer than two values.
    /// Sums that no values have count as zero.
    #[must_use]
    pub fn deviation(&self) -> Option<f64> {
        let others = self.n.checked_sub(1).filter(|others| *others > 0)?;
        // n Σq² − (Σq)²: neither product can leave 128 bits.
        let square = u128::from(self.sum.unsigned_abs()).pow(2);
        let scaled = u128::from(self.n) * u128::from(self.sum_of_squares);
        let scaled = scaled.saturating_sub(square) as f64;
        let variance = scaled / self.n as f64 / others as f64;
        Some(libm::sqrt(variance) / f64::from(STEPS_PER_SIGMA))
    }
}
