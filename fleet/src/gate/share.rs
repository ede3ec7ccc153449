//! A share between 0 and 1, kept in millionths so that policies compare exactly.
//!
//! Never a count: what was observed stays in integers elsewhere.

use std::fmt;

use serde::{Deserialize, Serialize};

const ONE_PPM: u32 = 1_000_000;

/// A share between 0 and 1; policy files write it as a number (`0.05`), people read percent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "f64", into = "f64")]
pub struct Share {
    ppm: u32,
}

/// A number that is no share.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
#[error("{0} is not a share: because shares lie between 0 and 1: hint: 5 % is written 0.05")]
pub struct ShareError(pub f64);

impl Share {
    /// Nothing.
    pub const ZERO: Self = Self { ppm: 0 };
    /// All.
    pub const ONE: Self = Self { ppm: ONE_PPM };

    /// The share as a number between 0 and 1.
    #[must_use]
    pub fn get(self) -> f64 {
        f64::from(self.ppm) / f64::from(ONE_PPM)
    }

    /// Whether `part` of `whole` reaches this share, exactly. Nothing of nothing reaches only zero.
    #[must_use]
    pub fn is_reached(self, part: u64, whole: u64) -> bool {
        let needed = u128::from(whole) * u128::from(self.ppm);
        u128::from(part) * u128::from(ONE_PPM) >= needed && (whole > 0 || self == Self::ZERO)
    }
}

impl TryFrom<f64> for Share {
    type Error = ShareError;

    fn try_from(number: f64) -> Result<Self, ShareError> {
        if !(0.0..=1.0).contains(&number) {
            return Err(ShareError(number));
        }
        let ppm = (number * f64::from(ONE_PPM)).round() as u32;
        // What is not zero is not rounded to it: a limit of zero means another thing.
        let least = u32::from(number > 0.0);
        Ok(Self {
            ppm: ppm.max(least),
        })
    }
}

impl From<Share> for f64 {
    fn from(share: Share) -> Self {
        share.get()
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        percent(self.get()).fmt(f)
    }
}

/// A share as people read it: two significant digits and more, `3.1 %`, `0.0042 %`.
pub(super) fn percent(share: f64) -> String {
    let percent = share * 100.0;
    let size = percent.abs();
    match size {
        0.0 => "0 %".to_owned(),
        _ if size >= 1.0 => format!("{percent:.1} %"),
        _ if size >= 0.01 => format!("{percent:.2} %"),
        _ => format!("{percent:.4} %"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_shares_are_shares() {
        for (number, expect) in [
            (0.0, Ok("0 %")),
            (1.0, Ok("100.0 %")),
            (0.05, Ok("5.0 %")),
            (0.000_000_1, Ok("0.0001 %")),
            (-0.1, Err("-0.1 is not a share")),
            (5.0, Err("5 is not a share")),
            (f64::NAN, Err("NaN is not a share")),
        ] {
            match (Share::try_from(number), expect) {
                (Ok(share), Ok(text)) => assert_eq!(share.to_string(), text),
                (Err(error), Err(text)) => assert!(error.to_string().starts_with(text), "{error}"),
                (got, _) => panic!("{number}: {got:?}, expected {expect:?}"),
            }
        }
    }

    #[test]
    fn shares_are_reached_exactly() {
        let share = |number: f64| Share::try_from(number).expect("a share");
        for (number, part, whole, expect) in [
            (0.9, 9, 10, true),
            (0.9, 8, 10, false),
            (1.0, u64::MAX, u64::MAX, true),
            (1.0, u64::MAX - 1, u64::MAX, false),
            (0.9, 0, 0, false),
            (0.0, 0, 0, true),
        ] {
            let reached = share(number).is_reached(part, whole);
            assert_eq!(reached, expect, "{part} of {whole}, {number}");
        }
    }
}
