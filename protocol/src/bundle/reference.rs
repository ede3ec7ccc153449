//! The reference: how the features of a model were distributed when it was made.
//!
//! It travels in the bundle, and every window names its digest: counts made against different
//! references never merge. Floats travel as their bits.

use crate::cbor::List;
use crate::limits::{BINS_MAX, EDGES_MAX, FEATURES_MAX};
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
    /// Edges of the bins, bits of a binary32 each, strictly ascending.
    #[b(7)]
    pub edges: List<'b, u32, EDGES_MAX>,
    /// Rows of the reference in each bin.
    #[b(8)]
    pub counts: List<'b, u32, BINS_MAX>,
    /// Rows in which the feature was absent or not finite.
    #[n(9)]
    pub missing: u32,
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
        let scale =
            Scale::new(edges, self.transform, mean, deviation).map_err(BadFeature::Scale)?;
        if self.counts.len() == scale.bins() {
            Ok(scale)
        } else {
            Err(BadFeature::Counts)
        }
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
}
