//! What a reference knows of its own variation: critical values of blocks of its rows, as they
//! travel.
//!
//! `docs/bundle-format.md` section 6. Floats travel as their bits; [`FeatureLimits::limits`] makes
//! numbers of them. How they were computed is the builder's.

use crate::stats::critical::{BadLimits, Limits, Location, Spread};
use minicbor::{Decode, Encode};

/// What all features of a reference were cut into, and how often they breach by chance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Variation {
    /// Rows of a block.
    #[n(0)]
    pub block_rows: u32,
    /// Blocks that the reference was cut into.
    #[n(1)]
    pub blocks: u32,
    /// Probability that one more block breaches one limit of one feature by chance, which bounds
    /// that of two in a row; bits of a binary64.
    #[n(2)]
    pub false_alarm: u64,
}

/// Critical values of one feature. See [`Limits`] for their meaning; bits of a binary32 each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct FeatureLimits {
    /// See [`Location::mean`]; there with the distance, or not at all.
    #[n(0)]
    pub mean: Option<u32>,
    /// See [`Location::distance`].
    #[n(1)]
    pub distance: Option<u32>,
    /// See [`Spread::low`]; there with the high one, or not at all.
    #[n(2)]
    pub spread_low: Option<u32>,
    /// See [`Spread::high`].
    #[n(3)]
    pub spread_high: Option<u32>,
    /// See [`Limits::absent`].
    #[n(4)]
    pub absent: u32,
    /// See [`Limits::out_of_range`].
    #[n(5)]
    pub out_of_range: u32,
    /// See [`Limits::repeats`].
    #[n(6)]
    pub repeats: u32,
    /// See [`Limits::longest_run`]; a number, no float.
    #[n(7)]
    pub longest_run: u32,
}

impl FeatureLimits {
    /// The limits, as they travel.
    #[must_use]
    pub fn of(limits: &Limits) -> Self {
        Self {
            mean: limits.location.map(|location| location.mean.to_bits()),
            distance: limits.location.map(|location| location.distance.to_bits()),
            spread_low: limits.spread.map(|spread| spread.low.to_bits()),
            spread_high: limits.spread.map(|spread| spread.high.to_bits()),
            absent: limits.absent.to_bits(),
            out_of_range: limits.out_of_range.to_bits(),
            repeats: limits.repeats.to_bits(),
            longest_run: limits.longest_run,
        }
    }

    /// The limits of blocks of `block_rows` rows. One of a pair alone is taken as none.
    ///
    /// # Errors
    /// [`BadLimits`].
    pub fn limits(&self, block_rows: u32) -> Result<Limits, BadLimits> {
        let pair = |one: Option<u32>, other: Option<u32>| {
            let (one, other) = one.zip(other)?;
            Some((f32::from_bits(one), f32::from_bits(other)))
        };
        let location = pair(self.mean, self.distance);
        let spread = pair(self.spread_low, self.spread_high);
        let limits = Limits {
            block_rows,
            location: location.map(|(mean, distance)| Location { mean, distance }),
            spread: spread.map(|(low, high)| Spread { low, high }),
            absent: f32::from_bits(self.absent),
            out_of_range: f32::from_bits(self.out_of_range),
            repeats: f32::from_bits(self.repeats),
            longest_run: self.longest_run,
        };
        limits.checked()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits {
        block_rows: 20,
        location: Some(Location {
            mean: -0.25,
            distance: 1.5,
        }),
        spread: None,
        absent: 0.1,
        out_of_range: 0.2,
        repeats: 1.0,
        longest_run: 9,
    };

    #[test]
    fn limits_are_what_they_were() {
        let check = |limits: Limits| {
            let sent = FeatureLimits::of(&limits);
            assert_eq!(sent.limits(limits.block_rows), Ok(limits));
        };
        check(LIMITS);
        let (low, high) = (0.0, 3.5);
        check(Limits {
            block_rows: 100_000,
            spread: Some(Spread { low, high }),
            location: None,
            ..LIMITS
        });
    }

    #[test]
    fn what_makes_no_limits_is_refused() {
        let sent = FeatureLimits::of(&LIMITS);
        assert_eq!(sent.limits(0), Err(BadLimits::BlockRows));
        let absent = f32::NAN.to_bits();
        let bad = FeatureLimits { absent, ..sent };
        assert_eq!(bad.limits(20), Err(BadLimits::Share));
        let alone = FeatureLimits {
            distance: None,
            ..sent
        };
        assert_eq!(alone.limits(20).map(|limits| limits.location), Ok(None));
    }
}
