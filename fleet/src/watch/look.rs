//! A look: windows averaged until they hold enough values to be judged.
//!
//! Windows weigh as the values in them. Never divides what it was given: a window belongs to one look.

use serde::{Deserialize, Serialize};

use super::signal::Values;

/// What is averaged so far.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub(super) struct Open {
    #[serde(with = "bits")]
    sums: Values,
    samples: u64,
}

/// A whole look.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Look {
    /// The signals.
    pub(super) values: Values,
    /// Values in it.
    pub(super) samples: u64,
}

impl Open {
    /// Takes one more window in; a look once there are `samples_min` values in it.
    pub(super) fn take(&mut self, values: Values, samples: u64, samples_min: u64) -> Option<Look> {
        for (sum, value) in self.sums.iter_mut().zip(values) {
            *sum += value * samples as f64;
        }
        self.samples = self.samples.saturating_add(samples);
        if self.samples < samples_min {
            return None;
        }
        let whole = std::mem::take(self);
        Some(Look {
            values: whole.sums.map(|sum| sum / (whole.samples as f64).max(1.0)),
            samples: whole.samples,
        })
    }
}

/// As [`crate::statistics::exact`], for all signals.
pub(super) mod bits {
    use serde::{Deserialize, Deserializer, Serialize as _, Serializer};

    use crate::watch::signal::Values;

    pub(in crate::watch) fn serialize<S: Serializer>(
        values: &Values,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        values.map(f64::to_bits).serialize(to)
    }

    pub(in crate::watch) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Values, D::Error> {
        <[u64; 4]>::deserialize(from).map(|bits| bits.map(f64::from_bits))
    }
}

/// Mean and variance of looks (Welford 1962).
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub(super) struct Spread {
    /// Looks.
    pub(super) n: u32,
    /// Their mean.
    #[serde(with = "crate::statistics::exact")]
    pub(super) mean: f64,
    #[serde(with = "crate::statistics::exact")]
    squares: f64,
}

impl Spread {
    /// With one more.
    pub(super) fn add(&mut self, value: f64) {
        self.n = self.n.saturating_add(1);
        let before = value - self.mean;
        self.mean += before / f64::from(self.n);
        self.squares += before * (value - self.mean);
    }

    /// The variance, with n − 1; zero of fewer than two.
    pub(super) fn variance(&self) -> f64 {
        self.squares.max(0.0) / f64::from(self.n.saturating_sub(1).max(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_look_is_an_average_by_values() {
        let mut open = Open::default();
        assert_eq!(open.take([1.0; 4], 10, 40), None);
        let look = open.take([4.0; 4], 30, 40).expect("full");
        assert_eq!((look.values, look.samples), ([3.25; 4], 40));
        assert_eq!(open, Open::default());
    }

    #[test]
    fn spread_by_hand() {
        let mut spread = Spread::default();
        assert_eq!(spread.variance(), 0.0);
        [2.0, 4.0, 9.0].iter().for_each(|x| spread.add(*x));
        assert_eq!((spread.mean, spread.variance()), (5.0, 13.0));
    }
}
