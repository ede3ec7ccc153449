//! Counts of one feature over many windows and devices: wide enough that a fleet's day does not
//! reach their end.
//!
//! Merging is addition, and the larger of two runs, so it is exact, commutative and associative. Never adds counts of other
//! bins: that is refused, and nothing is changed.

use crate::limits::BINS_MAX;
use crate::stats::FeatureCounts;
use core::fmt;

/// Counts of one feature, summed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FeatureSum {
    /// Values in each bin of the reference.
    pub bins: heapless::Vec<u64, BINS_MAX>,
    /// See [`FeatureCounts::missing`].
    pub missing: u64,
    /// See [`FeatureCounts::non_finite`].
    pub non_finite: u64,
    /// See [`FeatureCounts::out_of_range`].
    pub out_of_range: u64,
    /// See [`FeatureCounts::sum`].
    pub sum: i64,
    /// See [`FeatureCounts::sum_of_squares`].
    pub sum_of_squares: u64,
    /// See [`FeatureCounts::repeats`].
    pub repeats: u64,
    /// See [`FeatureCounts::longest_run`].
    pub longest_run: u64,
}

/// Counts over different bins, which have no sum.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OtherBins;

impl fmt::Display for OtherBins {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the counts are over different bins")
    }
}

impl FeatureSum {
    /// The counts of one window, over its first `bins` bins.
    #[must_use]
    pub fn of(counts: &FeatureCounts, bins: usize) -> Self {
        let bins = counts.bins.iter().take(bins);
        Self {
            bins: bins.map(|count| u64::from(*count)).collect(),
            missing: u64::from(counts.missing),
            non_finite: u64::from(counts.non_finite),
            out_of_range: u64::from(counts.out_of_range),
            sum: counts.sum,
            sum_of_squares: counts.sum_of_squares,
            repeats: u64::from(counts.repeats),
            longest_run: u64::from(counts.longest_run),
        }
    }

    /// Finite values counted.
    #[must_use]
    pub fn n(&self) -> u64 {
        self.bins
            .iter()
            .fold(0, |n, count| u64::saturating_add(n, *count))
    }

    /// Adds the counts of `other`; counts stop at their maximum instead of wrapping. The sum of
    /// steps wraps: it goes both ways, and one that stops would depend on the order.
    ///
    /// # Errors
    /// [`OtherBins`].
    pub fn merge(&mut self, other: &Self) -> Result<(), OtherBins> {
        if self.bins.len() != other.bins.len() {
            return Err(OtherBins);
        }
        add(&mut self.bins, &other.bins);
        self.missing = self.missing.saturating_add(other.missing);
        self.non_finite = self.non_finite.saturating_add(other.non_finite);
        self.out_of_range = self.out_of_range.saturating_add(other.out_of_range);
        self.sum = self.sum.wrapping_add(other.sum);
        self.sum_of_squares = self.sum_of_squares.saturating_add(other.sum_of_squares);
        self.repeats = self.repeats.saturating_add(other.repeats);
        self.longest_run = self.longest_run.max(other.longest_run);
        Ok(())
    }
}

/// Adds counts one by one; each stops at its maximum.
fn add(mine: &mut [u64], theirs: &[u64]) {
    let all = mine.iter().chain(theirs).fold(0, |all, count| all | count);
    let pairs = mine.iter_mut().zip(theirs);
    if all >> 63 == 0 {
        // Two counts below 2^63 have room, and adding without a check is several times faster.
        pairs.for_each(|(mine, theirs)| *mine += theirs);
    } else {
        pairs.for_each(|(mine, theirs)| *mine = mine.saturating_add(*theirs));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sum(bins: &[u32], missing: u32) -> FeatureSum {
        let mut counts = FeatureCounts {
            missing,
            ..FeatureCounts::default()
        };
        counts.bins[..bins.len()].copy_from_slice(bins);
        FeatureSum::of(&counts, bins.len())
    }

    #[test]
    fn counts_of_other_bins_are_refused_and_nothing_is_changed() {
        let mut mine = sum(&[1, 2], 3);
        assert_eq!(mine.merge(&sum(&[1, 2, 3], 0)), Err(OtherBins));
        assert_eq!(mine, sum(&[1, 2], 3));
    }

    #[test]
    fn full_windows_add_up_beyond_32_bits() {
        let mut many = sum(&[u32::MAX, 1], u32::MAX);
        many.merge(&many.clone()).expect("the same bins");
        assert_eq!((many.bins[0], many.n()), (8_589_934_590, 8_589_934_592));
        assert_eq!(many.missing, 8_589_934_590);
    }

    #[test]
    fn counts_end_at_their_maximum() {
        let check = |mine: u64, theirs: u64, expect: u64| {
            let mut sums = [mine, 1];
            add(&mut sums, &[theirs, 2]);
            assert_eq!(sums, [expect, 3], "{mine} + {theirs}");
        };
        check(i64::MAX as u64, i64::MAX as u64, u64::MAX - 1);
        check(1 << 63, 1, (1 << 63) + 1);
        check(1 << 63, 1 << 63, u64::MAX);
        check(1, u64::MAX, u64::MAX);
    }

    proptest! {
        #[test]
        fn the_order_of_merging_does_not_show(
            windows in proptest::collection::vec(proptest::array::uniform5(any::<u32>()), 1..20),
            turn in any::<prop::sample::Index>(),
        ) {
            let all = |windows: &[[u32; 5]]| {
                let mut total = sum(&[0; 3], 0);
                for [a, b, c, missing, run] in windows {
                    let mut one = sum(&[*a, *b, *c], *missing);
                    (one.repeats, one.longest_run) = (u64::from(*run), u64::from(run / 2));
                    total.merge(&one).expect("the same bins");
                }
                total
            };
            let mut turned = windows.clone();
            turned.rotate_left(turn.index(windows.len()));
            turned.reverse();
            prop_assert_eq!(all(&windows), all(&turned));
        }
    }
}
