//! How far two scores may lie apart: where a bucket of differences begins, so that policies ask
//! only for what windows count.

use std::fmt;

use muster_protocol::stats::difference::{BEYOND, lower};
use serde::{Deserialize, Serialize};

/// A difference of scores; policy files write it as a number (`0.25`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "f64", into = "f64")]
pub struct Gap {
    bucket: u8,
}

/// A number that no bucket begins with.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
#[error(
    "{0} is no difference of scores that is counted: because only powers of two are: hint: write {1}"
)]
pub struct GapError(pub f64, f64);

impl Gap {
    /// The first bucket of differences that are as large.
    #[must_use]
    pub const fn bucket(self) -> u8 {
        self.bucket
    }
}

fn bounds() -> impl Iterator<Item = (u8, f64)> {
    (2..=BEYOND).filter_map(|bucket| Some((bucket, f64::from(lower(bucket)?))))
}

impl TryFrom<f64> for Gap {
    type Error = GapError;

    fn try_from(number: f64) -> Result<Self, GapError> {
        let found = bounds().find(|(_, bound)| *bound == number);
        let nearest = || {
            let below = bounds().filter(|(_, bound)| *bound <= number).last();
            below.or(bounds().next()).map_or(1.0, |(_, bound)| bound)
        };
        let bucket = found.map(|(bucket, _)| bucket);
        bucket
            .map(|bucket| Self { bucket })
            .ok_or_else(|| GapError(number, nearest()))
    }
}

impl From<Gap> for f64 {
    fn from(gap: Gap) -> Self {
        lower(gap.bucket).map_or(0.0, Self::from)
    }
}

impl fmt::Display for Gap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f64::from(*self).fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_bounds_of_buckets_are_differences() {
        let check = |number: f64, expect: Result<u8, f64>| {
            let gap = Gap::try_from(number);
            let seen = gap.map(Gap::bucket).map_err(|error| error.1);
            assert_eq!(seen, expect, "{number}");
            if let Ok(gap) = gap {
                assert_eq!(f64::from(gap), number);
            }
        };
        check(0.25, Ok(20));
        check(1.0, Ok(22));
        check(512.0, Ok(BEYOND));
        check(0.3, Err(0.25));
        check(1e9, Err(512.0));
        check(0.0, Err(f64::from(2_f32.powi(-20))));
        check(-1.0, Err(f64::from(2_f32.powi(-20))));
        check(f64::NAN, Err(f64::from(2_f32.powi(-20))));
    }
}
