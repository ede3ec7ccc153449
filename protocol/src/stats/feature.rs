//! One feature over one window: bins of its scale, integer moments, and values that repeat.
//!
//! Design section 8. Merging is addition, and the larger of two runs, so it is exact, commutative
//! and associative. Counts hold no value; a fold remembers the last one of its window, to see it
//! repeated, and no other.

use crate::limits::BINS_MAX;

pub use super::scale::{BadScale, STEPS_PER_SIGMA, Scale, Transform};

/// The counts of one feature: what a window carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FeatureCounts {
    /// Values in each bin.
    pub bins: [u32; BINS_MAX],
    /// Rows in which the feature was absent.
    pub missing: u32,
    /// Values that were NaN or infinite.
    pub non_finite: u32,
    /// Values in one of the two tail bins, or in no category.
    pub out_of_range: u32,
    /// Σ of the steps of the finite values.
    pub sum: i64,
    /// Σ of their squares.
    pub sum_of_squares: u64,
    /// Finite values equal to the last bit to the finite one before them in the same window.
    pub repeats: u32,
    /// Most of those in a row.
    pub longest_run: u32,
}

impl FeatureCounts {
    /// Finite values counted.
    #[must_use]
    pub fn n(&self) -> u64 {
        self.bins.iter().map(|count| u64::from(*count)).sum()
    }

    /// Adds the counts of `other`; counts stop at their maximum instead of wrapping. The sum of
    /// steps wraps: it goes both ways, and one that stops would depend on the order. Values that
    /// were counted never bring it that far.
    pub fn merge(&mut self, other: &Self) {
        for (mine, theirs) in self.bins.iter_mut().zip(other.bins) {
            *mine = mine.saturating_add(theirs);
        }
        self.missing = self.missing.saturating_add(other.missing);
        self.non_finite = self.non_finite.saturating_add(other.non_finite);
        self.out_of_range = self.out_of_range.saturating_add(other.out_of_range);
        self.sum = self.sum.wrapping_add(other.sum);
        self.sum_of_squares = self.sum_of_squares.saturating_add(other.sum_of_squares);
        self.repeats = self.repeats.saturating_add(other.repeats);
        self.longest_run = self.longest_run.max(other.longest_run);
    }
}

/// A feature that is being counted.
#[derive(Debug, Clone)]
pub struct FeatureFold {
    scale: Scale,
    counts: FeatureCounts,
    /// Bits of the last finite value of this window.
    last: Option<u32>,
    /// Repeats in a row that end with it.
    run: u32,
}

impl FeatureFold {
    /// Counts from nothing.
    #[must_use]
    pub const fn new(scale: Scale) -> Self {
        let counts = FeatureCounts {
            bins: [0; BINS_MAX],
            missing: 0,
            non_finite: 0,
            out_of_range: 0,
            sum: 0,
            sum_of_squares: 0,
            repeats: 0,
            longest_run: 0,
        };
        Self {
            scale,
            counts,
            last: None,
            run: 0,
        }
    }

    /// Counts one value; `None` is a missing one.
    pub fn fold(&mut self, value: Option<f32>) {
        let counts = &mut self.counts;
        match value {
            None => counts.missing = counts.missing.saturating_add(1),
            Some(x) if !x.is_finite() => counts.non_finite = counts.non_finite.saturating_add(1),
            Some(x) => {
                let (bin, step) = (self.scale.bin(x), i64::from(self.scale.step(x)));
                counts.bins[bin] = counts.bins[bin].saturating_add(1);
                if self.scale.is_outside(bin) {
                    counts.out_of_range = counts.out_of_range.saturating_add(1);
                }
                counts.sum = counts.sum.wrapping_add(step);
                let square = step.unsigned_abs().pow(2);
                counts.sum_of_squares = counts.sum_of_squares.saturating_add(square);
                self.follow(x.to_bits());
            }
        }
    }

    /// Whether a value repeats the one before.
    fn follow(&mut self, bits: u32) {
        if self.last.replace(bits) != Some(bits) {
            self.run = 0;
            return;
        }
        self.run = self.run.saturating_add(1);
        self.counts.repeats = self.counts.repeats.saturating_add(1);
        self.counts.longest_run = self.counts.longest_run.max(self.run);
    }

    /// What was counted so far.
    #[must_use]
    pub const fn counts(&self) -> &FeatureCounts {
        &self.counts
    }

    /// How many bins this feature has.
    #[must_use]
    pub fn bins(&self) -> usize {
        self.scale.bins()
    }

    /// The bin that a value would be counted in; none for what is no finite number.
    #[must_use]
    pub fn bin_of(&self, value: f32) -> Option<usize> {
        value.is_finite().then(|| self.scale.bin(value))
    }

    /// Starts the next window.
    pub fn reset(&mut self) {
        self.counts = FeatureCounts::default();
        self.last = None;
        self.run = 0;
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use super::*;
    use proptest::prelude::*;

    fn scale() -> Scale {
        Scale::new([-1.0, 0.0, 1.0], Transform::Identity, 0.0, 1.0).expect("valid")
    }

    fn folded(values: &[Option<f32>]) -> FeatureCounts {
        let mut fold = FeatureFold::new(scale());
        values.iter().for_each(|value| fold.fold(*value));
        *fold.counts()
    }

    #[test]
    fn what_is_not_a_number_never_enters_a_bin() {
        let counts = folded(&[None, Some(f32::NAN), Some(f32::INFINITY), Some(0.5)]);
        assert_eq!((counts.missing, counts.non_finite, counts.n()), (1, 2, 1));
    }

    #[test]
    fn a_value_repeats_the_finite_one_before() {
        let check = |values: &[Option<f32>], expect: (u32, u32)| {
            let counts = folded(values);
            let got = (counts.repeats, counts.longest_run);
            assert_eq!(got, expect, "{values:?}");
        };
        let (a, b) = (Some(0.5), Some(0.25));
        check(&[], (0, 0));
        check(&[a, b, a, b], (0, 0));
        check(&[a, a, a, b, b, a], (3, 2));
        // What is absent between two values does not tell them apart.
        check(&[a, None, Some(f32::NAN), a], (1, 1));
        check(&[Some(0.0), Some(-0.0)], (0, 0));
    }

    #[test]
    fn a_window_does_not_repeat_the_one_before() {
        let mut fold = FeatureFold::new(scale());
        [0.5, 0.5].iter().for_each(|value| fold.fold(Some(*value)));
        fold.reset();
        fold.fold(Some(0.5));
        assert_eq!((fold.counts().repeats, fold.counts().longest_run), (0, 0));
    }

    /// Windows of one fold, each of which begins anew.
    fn windows(parts: &[&[Option<f32>]]) -> FeatureCounts {
        let mut fold = FeatureFold::new(scale());
        let mut total = FeatureCounts::default();
        for part in parts {
            fold.reset();
            part.iter().for_each(|value| fold.fold(*value));
            total.merge(fold.counts());
        }
        total
    }

    proptest! {
        #[test]
        fn merging_parts_in_any_order_is_folding_them_one_by_one(
            values in proptest::collection::vec(proptest::option::of(-3i8..3), 0..200),
            cut in 0usize..200,
        ) {
            let number = |value: Option<i8>| value.map(|value| f32::from(value) * 0.5);
            let values: std::vec::Vec<_> = values.into_iter().map(number).collect();
            let (one, other) = values.split_at(cut.min(values.len()));
            let (a, b) = (folded(one), folded(other));
            let (mut ab, mut ba) = (a, b);
            ab.merge(&b);
            ba.merge(&a);
            prop_assert_eq!(ab, windows(&[one, other]));
            prop_assert_eq!(ab, ba);
            // One window of all counts the same, but for a repeat over the cut.
            let whole = folded(&values);
            let over = whole.repeats - ab.repeats;
            prop_assert!(over <= 1 && whole.longest_run >= ab.longest_run);
            ab.repeats = whole.repeats;
            ab.longest_run = whole.longest_run;
            prop_assert_eq!(ab, whole);
        }
    }
}
