//! How a feature is counted: the bins of its values, and the scale of its moments.
//!
//! Never counts, and never keeps a value that it has placed.

use crate::limits::EDGES_MAX;

/// Steps of the standardised moment scale to one standard deviation of the reference.
pub const STEPS_PER_SIGMA: f32 = 256.0;

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

/// What decides the bin of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cut {
    /// Between which edges it lies; the outer bins are the tails.
    Edges,
    /// Which category it equals; the last bin holds what equals none, `__other__`.
    Categories,
}

/// How one feature is counted: edges of its bins or its categories, and the scale of its moments.
#[derive(Debug, Clone, PartialEq)]
pub struct Scale {
    cut: Cut,
    cuts: heapless::Vec<f32, EDGES_MAX>,
    transform: Transform,
    mean: f32,
    deviation: f32,
}

/// Why numbers do not make a [`Scale`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BadScale {
    /// No edge and no category, or more than [`EDGES_MAX`].
    EdgeCount,
    /// Edges, or categories, are not finite and strictly ascending.
    EdgeOrder,
    /// Both edges and categories.
    Both,
    /// Mean is not finite, or deviation is not finite and positive.
    Moments,
}

impl Scale {
    /// Bins between `edges`.
    ///
    /// # Errors
    /// [`BadScale`], which names what is wrong.
    pub fn new(
        edges: impl IntoIterator<Item = f32>,
        transform: Transform,
        mean: f32,
        deviation: f32,
    ) -> Result<Self, BadScale> {
        Self::cut(Cut::Edges, edges, transform, (mean, deviation))
    }

    /// One bin for each of `categories`, in ascending order, and a last one for all other values.
    /// Moments are taken of the values as they are.
    ///
    /// # Errors
    /// [`BadScale`], which names what is wrong.
    pub fn of_categories(
        categories: impl IntoIterator<Item = f32>,
        mean: f32,
        deviation: f32,
    ) -> Result<Self, BadScale> {
        let as_is = Transform::Identity;
        Self::cut(Cut::Categories, categories, as_is, (mean, deviation))
    }

    fn cut(
        cut: Cut,
        cuts: impl IntoIterator<Item = f32>,
        transform: Transform,
        (mean, deviation): (f32, f32),
    ) -> Result<Self, BadScale> {
        let mut checked = heapless::Vec::<f32, EDGES_MAX>::new();
        for value in cuts {
            let ascends = checked.last().is_none_or(|last| *last < value);
            if !(value.is_finite() && ascends) {
                return Err(BadScale::EdgeOrder);
            }
            checked.push(value).map_err(|_| BadScale::EdgeCount)?;
        }
        if checked.is_empty() {
            return Err(BadScale::EdgeCount);
        }
        if !(mean.is_finite() && deviation.is_finite() && deviation > 0.0) {
            return Err(BadScale::Moments);
        }
        Ok(Self {
            cut,
            cuts: checked,
            transform,
            mean,
            deviation,
        })
    }

    /// Number of bins: one more than edges, or categories.
    #[must_use]
    pub fn bins(&self) -> usize {
        self.cuts.len() + 1
    }

    /// The bin of a finite value: `edge[i-1] ≤ x < edge[i]`, or the category that it equals,
    /// compared in binary32.
    #[must_use]
    pub fn bin(&self, x: f32) -> usize {
        let above = self.cuts.partition_point(|cut| *cut <= x);
        match self.cut {
            Cut::Edges => above,
            Cut::Categories => {
                let equal = above.checked_sub(1).filter(|at| self.cuts[*at] == x);
                equal.unwrap_or(self.cuts.len())
            }
        }
    }

    /// The least value above the lower tail, and the least of the upper one; none of categories,
    /// which have no tails.
    #[must_use]
    pub fn range(&self) -> Option<(f32, f32)> {
        let ends = self.cuts.first().zip(self.cuts.last());
        ends.filter(|_| self.cut == Cut::Edges)
            .map(|(first, last)| (*first, *last))
    }

    /// Whether values of a bin are out of range: it is a tail, or no category.
    #[must_use]
    pub fn is_outside(&self, bin: usize) -> bool {
        let last = self.cuts.len();
        bin == last || (bin == 0 && self.cut == Cut::Edges)
    }

    /// The standardised value in steps of 1/256 σ, clamped to 16 bits.
    #[must_use]
    pub fn step(&self, x: f32) -> i16 {
        let standard = (self.transform.apply(x) - self.mean) / self.deviation;
        let step = libm::roundf(STEPS_PER_SIGMA * standard);
        step.clamp(f32::from(i16::MIN), f32::from(i16::MAX)) as i16
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_on_an_edge_belongs_to_the_bin_above() {
        let scale = Scale::new([-1.0, 0.0, 1.0], Transform::Identity, 0.0, 1.0).expect("valid");
        for (x, bin, step) in [
            (-2.0, 0, -512),
            (-1.0, 1, -256),
            (-0.5, 1, -128),
            (0.0, 2, 0),
            (1.0, 3, 256),
            (1e30, 3, i16::MAX),
            (-1e30, 0, i16::MIN),
        ] {
            assert_eq!((scale.bin(x), scale.step(x)), (bin, step), "{x}");
        }
        let outside = (0..4).map(|bin| scale.is_outside(bin));
        assert!(outside.eq([true, false, false, true]));
        assert_eq!(scale.range(), Some((-1.0, 1.0)));
    }

    #[test]
    fn a_value_is_its_category_or_another() {
        let scale = Scale::of_categories([0.0, 1.0, 7.5], 1.0, 1.0).expect("valid");
        for (x, bin) in [
            (0.0, 0),
            (-0.0, 0),
            (1.0, 1),
            (1.0_f32.next_up(), 3),
            (7.5, 2),
            (-1.0, 3),
            (f32::MAX, 3),
        ] {
            assert_eq!(scale.bin(x), bin, "{x}");
        }
        let outside = (0..4).map(|bin| scale.is_outside(bin));
        assert!(outside.eq([false, false, false, true]));
        assert_eq!(scale.range(), None);
    }

    #[test]
    fn a_scale_says_what_is_wrong_with_it() {
        let check = |cuts: &[f32], moments: (f32, f32), expect| {
            let (cuts, (mean, deviation)) = (|| cuts.iter().copied(), moments);
            let edges = Scale::new(cuts(), Transform::Identity, mean, deviation);
            assert_eq!(edges.err(), expect);
            let categories = Scale::of_categories(cuts(), mean, deviation);
            assert_eq!(categories.err(), expect);
        };
        check(&[], (0.0, 1.0), Some(BadScale::EdgeCount));
        check(&[0.0, 0.0], (0.0, 1.0), Some(BadScale::EdgeOrder));
        check(&[f32::NAN], (0.0, 1.0), Some(BadScale::EdgeOrder));
        check(&[0.0], (0.0, 0.0), Some(BadScale::Moments));
        let many: [f32; EDGES_MAX + 1] = core::array::from_fn(|i| i as f32);
        check(&many, (0.0, 1.0), Some(BadScale::EdgeCount));
        check(&many[1..], (0.0, 1.0), None);
    }
}
