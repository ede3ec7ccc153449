//! How many times as long something may take, kept in thousandths so that policies compare exactly.
//!
//! Never a share: it may lie above one.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Largest ratio.
const MAX: f64 = 1000.0;

/// A ratio of two latencies; policy files write it as a number (`1.5`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "f64", into = "f64")]
pub struct Ratio {
    per_mille: u32,
}

/// A number that is no ratio.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
#[error(
    "{0} is no ratio of latencies: because it lies outside 1 and 1000: hint: half as long again is \
     written 1.5"
)]
pub struct RatioError(pub f64);

impl Ratio {
    /// Whether `one` is more than this many times `other`.
    #[must_use]
    pub fn is_exceeded(self, one: u32, other: u32) -> bool {
        u64::from(one) * 1000 > u64::from(other) * u64::from(self.per_mille)
    }
}

impl TryFrom<f64> for Ratio {
    type Error = RatioError;

    fn try_from(number: f64) -> Result<Self, RatioError> {
        if !(1.0..=MAX).contains(&number) {
            return Err(RatioError(number));
        }
        let per_mille = (number * 1000.0).round() as u32;
        Ok(Self { per_mille })
    }
}

impl From<Ratio> for f64 {
    fn from(ratio: Ratio) -> Self {
        f64::from(ratio.per_mille) / 1000.0
    }
}

impl fmt::Display for Ratio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f64::from(*self).fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_ratios_are_ratios() {
        for (number, expect) in [
            (1.0, Some("1")),
            (1.5, Some("1.5")),
            (1000.0, Some("1000")),
            (0.5, None),
            (1000.1, None),
            (f64::NAN, None),
        ] {
            let ratio = Ratio::try_from(number);
            let shown = ratio.map(|ratio| ratio.to_string());
            assert_eq!(shown.ok().as_deref(), expect, "{number}");
        }
    }

    #[test]
    fn a_ratio_is_exceeded_by_more_than_it() {
        let ratio = Ratio::try_from(1.5).expect("a ratio");
        for (one, other, expect) in [
            (15, 10, false),
            (16, 10, true),
            (0, 0, false),
            (1, 0, true),
            (u32::MAX, u32::MAX, false),
        ] {
            assert_eq!(ratio.is_exceeded(one, other), expect, "{one} {other}");
        }
    }
}
