//! How long a look has to be, so that looks are nearly independent and nearly normal.
//!
//! The first stage of a calibration, from the device's own windows. What it has seen decides the length
//! and where the mean about is, and is then forgotten: a variance that helped to choose would be too
//! small. Never judges drift.

use serde::{Deserialize, Serialize};

use super::look::{Open, Spread};
use super::signal::DEVIATION_MIN;

/// Independent values that a look is worth at least. Under a first-order process its neighbours then
/// correlate by less than 1 %, and its average is nearly normal.
pub(super) const WORTH_MIN: f64 = 32.0;
/// Looks by which a length is judged.
const LOOKS: u32 = 128;
/// Looks after which a length that is clearly too short is given up.
const LOOKS_EARLY: u32 = 32;
/// Values in a look at first, and doublings of that after which it stays as it is.
const SAMPLES_FIRST: u64 = 32;
const DOUBLINGS_MAX: u32 = 16;

/// What is known of the length so far.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Sizing {
    doublings: u32,
    open: Open,
    looks: Spread,
    windows: u32,
    samples: u64,
    #[serde(with = "crate::statistics::exact")]
    sum: f64,
    #[serde(with = "crate::statistics::exact")]
    sum_of_squares: f64,
}

/// The length that was found.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(super) struct Length {
    /// Values in a look at least.
    pub(super) samples_min: u64,
    /// The mean of the feature, in standard deviations of the reference.
    #[serde(with = "crate::statistics::exact")]
    pub(super) centre: f64,
}

impl Sizing {
    /// With nothing seen.
    pub(super) fn new() -> Self {
        Self::at(0)
    }

    /// Takes one more window in, its mean, variance and number of values; the length once it is known. Looks
    /// of so many windows are long enough, whatever they are worth.
    pub(super) fn take(
        &mut self,
        mean: f64,
        variance: f64,
        samples: u64,
        windows_max: u32,
    ) -> Option<Length> {
        let n = samples as f64;
        self.windows = self.windows.saturating_add(1);
        self.samples = self.samples.saturating_add(samples);
        self.sum += n * mean;
        self.sum_of_squares += n * (variance + mean * mean);
        let samples_min = self.samples_min();
        let look = self.open.take([mean; 4], samples, samples_min)?;
        self.looks.add(look.values[0]);
        let may_grow = self.windows / self.looks.n.max(1) < windows_max;
        if may_grow && self.is_too_short() {
            *self = Self::at(self.doublings + 1);
            return None;
        }
        (self.looks.n >= LOOKS).then(|| Length {
            samples_min,
            centre: self.centre(),
        })
    }

    fn at(doublings: u32) -> Self {
        Self {
            doublings,
            open: Open::default(),
            looks: Spread::default(),
            windows: 0,
            samples: 0,
            sum: 0.0,
            sum_of_squares: 0.0,
        }
    }

    fn samples_min(&self) -> u64 {
        SAMPLES_FIRST << self.doublings.min(DOUBLINGS_MAX)
    }

    fn is_too_short(&self) -> bool {
        let worth_min = match self.looks.n {
            LOOKS_EARLY => 0.5 * WORTH_MIN,
            LOOKS.. => WORTH_MIN,
            _ => return false,
        };
        self.worth() < worth_min && self.doublings < DOUBLINGS_MAX
    }

    /// How many independent values a look is worth: the variance of values over that of looks.
    fn worth(&self) -> f64 {
        let n = (self.samples as f64).max(1.0);
        let variance = self.sum_of_squares / n - self.centre().powi(2);
        let of_looks = self.looks.variance();
        if of_looks > 0.0 {
            variance.max(DEVIATION_MIN.powi(2)) / of_looks
        } else {
            f64::MAX
        }
    }

    fn centre(&self) -> f64 {
        self.sum / (self.samples as f64).max(1.0)
    }
}
