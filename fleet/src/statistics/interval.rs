//! Intervals that hold a number with a stated confidence.
//!
//! Wilson's is here, once for all; never a test.

use super::tail;

/// The share of intervals that hold what they are for, strictly between 0 and 1.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub struct Confidence(f64);

impl Confidence {
    /// 95 %.
    pub const P95: Self = Self(0.95);

    /// None when it is not strictly between 0 and 1.
    #[must_use]
    pub fn new(share: f64) -> Option<Self> {
        (share > 0.0 && share < 1.0).then_some(Self(share))
    }

    /// What lies outside, on one side of two.
    pub(super) fn half_outside(self) -> f64 {
        0.5 * (1.0 - self.0)
    }

    /// How many standard errors a two-sided interval reaches.
    pub(super) fn z(self) -> f64 {
        tail::normal_quantile(self.half_outside())
    }
}

/// From `low` to `high`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Interval {
    /// Its lower end.
    pub low: f64,
    /// Its upper end.
    pub high: f64,
}

impl Interval {
    /// All shares.
    pub(super) const WHOLE: Self = Self {
        low: 0.0,
        high: 1.0,
    };
}

/// Wilson's interval (1927) of a share that was `mean` over `n` independent trials, which need not
/// be whole; `z` is how many standard errors it reaches to each side. All shares for no trials.
#[must_use]
pub fn wilson(mean: f64, n: f64, z: f64) -> Interval {
    if !(n > 0.0 && n.is_finite() && mean.is_finite() && z.is_finite()) {
        return Interval::WHOLE;
    }
    let square = z * z;
    let centre = mean + square / (2.0 * n);
    let spread = mean * (1.0 - mean) / n + square / (4.0 * n * n);
    let reach = z * spread.max(0.0).sqrt();
    let end = |x: f64| (x / (1.0 + square / n)).clamp(0.0, 1.0);
    Interval {
        low: end(centre - reach),
        high: end(centre + reach),
    }
}
