//! One feature over one window: bins between reference quantiles and integer moments.
//!
//! Design section 8. Merging is addition, so it is exact, commutative and associative. A fold
//! keeps counts only; it never remembers a value.

use crate::limits::{BINS_MAX, EDGES_MAX};

/// Steps of the standardised moment scale to one standard deviation of the reference.
const STEPS_PER_SIGMA: f32 = 256.0;

/// What a value goes through before its moments are taken; bins see the value itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
#[cbor(index_only)]
pub enum Transform {
    /// The value.
    #[n(0)]
    Identity,
    /// `sign(x) · ln(1 + |x|)`, for values that span orders of magnitude.
    #[n(1)]
    SignedLog,
}

impl Transform {
    /// The transformed value.
    #[must_use]
    pub fn apply(self, x: f32) -> f32 {
        match self {
            Self::Identity => x,
            Self::SignedLog => libm::copysignf(libm::log1pf(libm::fabsf(x)), x),
        }
    }
}

/// How one feature is counted: edges of its bins, scale of its moments.
#[derive(Debug, Clone, PartialEq)]
pub struct Scale {
    edges: heapless::Vec<f32, EDGES_MAX>,
    transform: Transform,
    mean: f32,
    deviation: f32,
}

/// Why numbers do not make a [`Scale`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BadScale {
    /// No edge, or more than [`EDGES_MAX`].
    EdgeCount,
    /// Edges are not finite and strictly ascending.
    EdgeOrder,
    /// Mean is not finite, or deviation is not finite and positive.
    Moments,
}

impl Scale {
    /// Checks and keeps the numbers.
    ///
    /// # Errors
    /// [`BadScale`], which names what is wrong.
    pub fn new(
        edges: impl IntoIterator<Item = f32>,
        transform: Transform,
        mean: f32,
        deviation: f32,
    ) -> Result<Self, BadScale> {
        let mut checked = heapless::Vec::<f32, EDGES_MAX>::new();
        for edge in edges {
            let ascends = checked.last().is_none_or(|last| *last < edge);
            if !(edge.is_finite() && ascends) {
                return Err(BadScale::EdgeOrder);
            }
            checked.push(edge).map_err(|_| BadScale::EdgeCount)?;
        }
        if checked.is_empty() {
            return Err(BadScale::EdgeCount);
        }
        if !(mean.is_finite() && deviation.is_finite() && deviation > 0.0) {
            return Err(BadScale::Moments);
        }
        Ok(Self {
            edges: checked,
            transform,
            mean,
            deviation,
        })
    }

    /// Number of bins: one more than edges.
    #[must_use]
    pub fn bins(&self) -> usize {
        self.edges.len() + 1
    }

    /// The bin of a finite value: `edge[i-1] ≤ x < edge[i]`, compared in binary32.
    #[must_use]
    pub fn bin(&self, x: f32) -> usize {
        self.edges.partition_point(|edge| *edge <= x)
    }

    /// The standardised value in steps of 1/256 σ, clamped to 16 bits.
    #[must_use]
    pub fn step(&self, x: f32) -> i16 {
        let standard = (self.transform.apply(x) - self.mean) / self.deviation;
        let step = libm::roundf(STEPS_PER_SIGMA * standard);
        step.clamp(f32::from(i16::MIN), f32::from(i16::MAX)) as i16
    }
}

/// The counts of one feature: what a window carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FeatureCounts {
    /// Values in each bin.
    pub bins: [u32; BINS_MAX],
    /// Rows in which the feature was absent.
    pub missing: u32,
    /// Values that were NaN or infinite.
    pub non_finite: u32,
    /// Values in one of the two tail bins.
    pub out_of_range: u32,
    /// Σ of the steps of the finite values.
    pub sum: i64,
    /// Σ of their squares.
    pub sum_of_squares: u64,
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
    }
}

/// A feature that is being counted.
#[derive(Debug, Clone)]
pub struct FeatureFold {
    scale: Scale,
    counts: FeatureCounts,
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
        };
        Self { scale, counts }
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
                if bin == 0 || bin + 1 == self.scale.bins() {
                    counts.out_of_range = counts.out_of_range.saturating_add(1);
                }
                counts.sum = counts.sum.wrapping_add(step);
                let square = step.unsigned_abs().pow(2);
                counts.sum_of_squares = counts.sum_of_squares.saturating_add(square);
            }
        }
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
    }
}

#[cfg(test)]
mod tests {
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
    fn a_value_on_an_edge_belongs_to_the_bin_above() {
        for (x, bin, step) in [
            (-2.0, 0, -512),
            (-1.0, 1, -256),
            (-0.5, 1, -128),
            (0.0, 2, 0),
            (1.0, 3, 256),
            (1e30, 3, i16::MAX),
            (-1e30, 0, i16::MIN),
        ] {
            assert_eq!((scale().bin(x), scale().step(x)), (bin, step), "{x}");
        }
    }

    #[test]
    fn what_is_not_a_number_never_enters_a_bin() {
        let counts = folded(&[None, Some(f32::NAN), Some(f32::INFINITY), Some(0.5)]);
        assert_eq!((counts.missing, counts.non_finite, counts.n()), (1, 2, 1));
    }

    #[test]
    fn a_scale_says_what_is_wrong_with_it() {
        let scale = |edges: &[f32], mean, deviation| {
            Scale::new(edges.iter().copied(), Transform::Identity, mean, deviation).err()
        };
        assert_eq!(scale(&[], 0.0, 1.0), Some(BadScale::EdgeCount));
        assert_eq!(scale(&[0.0, 0.0], 0.0, 1.0), Some(BadScale::EdgeOrder));
        assert_eq!(scale(&[f32::NAN], 0.0, 1.0), Some(BadScale::EdgeOrder));
        assert_eq!(scale(&[0.0], 0.0, 0.0), Some(BadScale::Moments));
        let many: [f32; EDGES_MAX + 1] = core::array::from_fn(|i| i as f32);
        assert_eq!(scale(&many, 0.0, 1.0), Some(BadScale::EdgeCount));
        assert_eq!(scale(&many[1..], 0.0, 1.0), None);
    }

    proptest! {
        #[test]
        fn merging_parts_in_any_order_is_folding_the_whole(
            values in proptest::collection::vec(proptest::option::of(-1e3f32..1e3), 0..200),
            cut in 0usize..200,
        ) {
            let cut = cut.min(values.len());
            let (a, b) = (folded(&values[..cut]), folded(&values[cut..]));
            let (mut ab, mut ba) = (a, b);
            ab.merge(&b);
            ba.merge(&a);
            prop_assert_eq!(ab, folded(&values));
            prop_assert_eq!(ab, ba);
        }
    }
}
