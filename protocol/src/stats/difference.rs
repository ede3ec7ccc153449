//! How far two scores lie apart, in buckets of one power of two each.
//!
//! The bits of the difference decide, never a logarithm.

use crate::limits::DIFFERENCE_BUCKETS;

/// Exponent of the smallest difference that is told apart from a smaller one, negated.
const SMALLEST: i32 = 20;
/// The bucket of scores of which at least one is no number, and of differences beyond all others.
pub const BEYOND: u8 = DIFFERENCE_BUCKETS as u8 - 1;

/// Counts of differences by bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DifferenceFold {
    buckets: [u32; DIFFERENCE_BUCKETS],
}

impl DifferenceFold {
    /// Counts one difference.
    pub fn fold(&mut self, bucket: u8) {
        if let Some(mine) = self.buckets.get_mut(usize::from(bucket)) {
            *mine = mine.saturating_add(1);
        }
    }

    /// The buckets that are not empty, ascending, with their counts.
    pub fn iter(&self) -> impl Iterator<Item = (u8, u32)> + '_ {
        (0..).zip(self.buckets).filter(|(_, count)| *count > 0)
    }
}

/// The bucket of two scores: 0 for equal ones, 1 for differences below 2⁻²⁰, then one for each
/// power of two; [`BEYOND`] from 2⁹ on, and where one of them is no number.
#[must_use]
pub fn bucket(serving: f32, shadow: f32) -> u8 {
    if serving == shadow {
        return 0;
    }
    let difference = (serving - shadow).abs();
    if !difference.is_finite() {
        return BEYOND;
    }
    let exponent = (difference.to_bits() >> 23) as i32 - 127;
    let bucket = (exponent + SMALLEST + 2).clamp(1, i32::from(BEYOND));
    u8::try_from(bucket).unwrap_or(BEYOND)
}

/// The difference at which a bucket begins; none below the first that has one.
#[must_use]
pub fn lower(bucket: u8) -> Option<f32> {
    let exponent = i32::from(bucket) - SMALLEST - 2;
    let bits = u32::try_from(exponent + 127).ok()? << 23;
    (2..=BEYOND).contains(&bucket).then(|| f32::from_bits(bits))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_holds_what_lies_between_its_bound_and_the_next() {
        for bucket_ in 2..BEYOND {
            let (lower, upper) = (lower(bucket_), lower(bucket_ + 1));
            let (lower, upper) = (lower.expect("bound"), upper.expect("bound"));
            assert_eq!(bucket(lower, 0.0), bucket_, "{lower}");
            assert_eq!(bucket(0.0, upper.next_down()), bucket_, "{upper}");
            assert_eq!(upper, 2.0 * lower);
        }
    }

    #[test]
    fn ends_have_buckets_of_their_own() {
        for (serving, shadow, expect) in [
            (0.5, 0.5, 0),
            (0.0, -0.0, 0),
            (0.0, f32::from_bits(1), 1),
            (0.0, 0.000_000_9, 1),
            (0.25, 0.75, 21),
            (0.0, 511.9, BEYOND - 1),
            (0.0, 512.0, BEYOND),
            (f32::MAX, f32::MIN, BEYOND),
            (f32::NAN, 0.0, BEYOND),
            (f32::NAN, f32::NAN, BEYOND),
            (f32::INFINITY, 0.0, BEYOND),
            (f32::INFINITY, f32::INFINITY, 0),
        ] {
            assert_eq!(bucket(serving, shadow), expect, "{serving} {shadow}");
        }
        assert_eq!((lower(0), lower(1)), (None, None));
    }
}
