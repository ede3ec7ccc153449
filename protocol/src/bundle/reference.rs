//! The reference: how the features of a model were distributed when it was made.
//!
//! It travels in the bundle, and every window names its digest: counts made against different
//! references never merge. Floats travel as their bits.

use super::variation::{FeatureLimits, Variation};
use crate::cbor::List;
use crate::limits::{BINS_MAX, EDGES_MAX, FEATURES_MAX};
use crate::stats::critical::{BadLimits, Limits};
use crate::stats::feature::{BadScale, Scale, Transform};
use minicbor::{Decode, Encode};

/// Longest name of a feature, bytes.
pub const NAME_BYTES_MAX: usize = 64;

mod probabilities;

pub use probabilities::Probabilities;

/// The reference of one model.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Reference<'b> {
    /// Rows that it was made from.
    #[n(0)]
    pub rows: u64,
    /// The features, in the order in which windows count them.
    #[b(1)]
    pub features: List<'b, FeatureReference<'b>, FEATURES_MAX>,
    /// Which output holds probabilities of classes, and how they were distributed.
    #[b(8)]
    pub probabilities: Option<Probabilities<'b>>,
    /// How blocks of its rows vary; absent where they were too few, or nobody asked.
    #[n(2)]
    pub variation: Option<Variation>,
}

/// On which side of the model a feature lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum Source {
    /// An element of an input.
    #[n(0)]
    Input,
    /// An element of an output.
    #[n(1)]
    Output,
}

/// The reference of one feature.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct FeatureReference<'b> {
    /// Its name, for people.
    #[n(0)]
    pub name: &'b str,
    /// Input or output.
    #[n(1)]
    pub source: Source,
    /// Which tensor of that side.
    #[n(2)]
    pub tensor: u8,
    /// Which element of a row of that tensor, in row-major order.
    #[n(3)]
    pub element: u32,
    /// What moments are taken of.
    #[n(4)]
    pub transform: Transform,
    /// Mean of the transformed values, bits of a binary32.
    #[n(5)]
    pub mean: u32,
    /// Standard deviation of the transformed values, or the scale that replaces a zero one; bits
    /// of a binary32.
    #[n(6)]
    pub deviation: u32,
    /// Edges of the bins, bits of a binary32 each, strictly ascending; none with categories, so
    /// that a reader which does not know those counts nothing.
    #[b(7)]
    pub edges: List<'b, u32, EDGES_MAX>,
    /// Rows of the reference in each bin.
    #[b(8)]
    pub counts: List<'b, u32, BINS_MAX>,
    /// Rows in which the feature was absent or not finite.
    #[n(9)]
    pub missing: u32,
    /// Critical values of its blocks; absent without [`Reference::variation`].
    #[n(10)]
    pub limits: Option<FeatureLimits>,
    /// Declared categories instead of edges, bits of a binary32 each, strictly ascending: a bin
    /// for each, and a last one for all other values.
    #[b(11)]
    pub categories: Option<List<'b, u32, EDGES_MAX>>,
}

/// Why a feature of a reference cannot be counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BadFeature {
    /// The name is empty or too long.
    Name,
    /// Its numbers make no scale.
    Scale(BadScale),
    /// There is not one count for each bin.
    Counts,
    /// Its critical values make no limits, or it has some and the reference has no blocks.
    Limits(Option<BadLimits>),
}

impl FeatureReference<'_> {
    /// The scale that a device counts this feature on.
    ///
    /// # Errors
    /// [`BadFeature`].
    pub fn scale(&self) -> Result<Scale, BadFeature> {
        if self.name.is_empty() || self.name.len() > NAME_BYTES_MAX {
            return Err(BadFeature::Name);
        }
        let edges = self.edges.iter().map(f32::from_bits);
        let (mean, deviation) = (f32::from_bits(self.mean), f32::from_bits(self.deviation));
        let scale = match self.categories {
            None => Scale::new(edges, self.transform, mean, deviation),
            Some(_) if !self.edges.is_empty() => Err(BadScale::Both),
            Some(categories) => {
                Scale::of_categories(categories.iter().map(f32::from_bits), mean, deviation)
            }
        };
        let scale = scale.map_err(BadFeature::Scale)?;
        if self.counts.len() == scale.bins() {
            Ok(scale)
        } else {
            Err(BadFeature::Counts)
        }
    }

    /// Beyond what a block of this feature is a breach; none where the reference does not say.
    ///
    /// # Errors
    /// [`BadFeature::Limits`].
    pub fn limits(&self, variation: Option<Variation>) -> Result<Option<Limits>, BadFeature> {
        let Some(limits) = self.limits else {
            return Ok(None);
        };
        let variation = variation.ok_or(BadFeature::Limits(None))?;
        let limits = limits.limits(variation.block_rows);
        limits
            .map(Some)
            .map_err(|bad| BadFeature::Limits(Some(bad)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn feature<'b>(name: &'b str, edges: &'b [u32], counts: &'b [u32]) -> FeatureReference<'b> {
        FeatureReference {
            name,
            source: Source::Input,
            tensor: 0,
            element: 0,
            transform: Transform::Identity,
            mean: 0f32.to_bits(),
            deviation: 1f32.to_bits(),
            edges: List::of(edges),
            counts: List::of(counts),
            missing: 0,
            limits: None,
            categories: None,
        }
    }

    fn check(name: &str, edges: &[f32], counts: usize, expect: Option<BadFeature>) {
        let mut bits = [0; EDGES_MAX];
        bits.iter_mut()
            .zip(edges)
            .for_each(|(bits, edge)| *bits = edge.to_bits());
        let feature = feature(name, &bits[..edges.len()], &[0; BINS_MAX][..counts]);
        assert_eq!(feature.scale().err(), expect);
    }

    #[test]
    fn a_reference_that_cannot_be_counted_says_why() {
        check("x", &[0.0, 1.0], 3, None);
        check("", &[0.0, 1.0], 3, Some(BadFeature::Name));
        check("x", &[0.0, 1.0], 2, Some(BadFeature::Counts));
        check(
            "x",
            &[1.0, 0.0],
            3,
            Some(BadFeature::Scale(BadScale::EdgeOrder)),
        );
        check("x", &[], 1, Some(BadFeature::Scale(BadScale::EdgeCount)));
    }

    #[test]
    fn categories_stand_in_for_edges() {
        let categories = [0.0_f32, 1.0, 2.0].map(f32::to_bits);
        let check = |edges: &[u32], counts: usize, expect: Option<BadFeature>| {
            let feature = FeatureReference {
                categories: Some(List::of(&categories)),
                ..feature("x", edges, &[0; BINS_MAX][..counts])
            };
            assert_eq!(feature.scale().err(), expect);
        };
        check(&[], 4, None);
        check(&[], 3, Some(BadFeature::Counts));
        check(&categories, 4, Some(BadFeature::Scale(BadScale::Both)));
    }

    #[test]
    fn limits_need_blocks() {
        let bad = |block_rows| Variation {
            block_rows,
            blocks: 8,
            false_alarm: 0,
        };
        let limits = FeatureLimits {
            mean: None,
            distance: None,
            spread_low: None,
            spread_high: None,
            absent: 0,
            out_of_range: 0,
            repeats: 0,
            longest_run: 0,
        };
        let none = feature("x", &[0], &[1, 2]);
        assert_eq!(none.limits(Some(bad(1))), Ok(None));
        let limited = FeatureReference {
            limits: Some(limits),
            ..none
        };
        assert_eq!(limited.limits(None), Err(BadFeature::Limits(None)));
        let short = BadFeature::Limits(Some(BadLimits::BlockRows));
        assert_eq!(limited.limits(Some(bad(1))), Err(short));
        assert!(
            limited
                .limits(Some(bad(20)))
                .is_ok_and(|found| found.is_some())
        );
    }
}
