//! What changes slowly: a quantity that wanders around its mean and remembers where it was.
//! Never leaves a few deviations.

use super::rng::Rng;

/// First-order autoregression with a stationary deviation, started in its stationary state.
pub(super) struct Drift {
    rng: Rng,
    memory: f64,
    deviation: f64,
    value: f64,
}

impl Drift {
    /// `memory` in `[0, 1)` is the correlation of one interval with the next.
    pub(super) fn new(mut rng: Rng, memory: f64, deviation: f64) -> Self {
        let value = deviation * rng.normal();
        Self {
            rng,
            memory,
            deviation,
            value,
        }
    }

    /// The value of the next interval.
    pub(super) fn step(&mut self) -> f64 {
        let fresh = (1.0 - self.memory * self.memory).sqrt() * self.deviation;
        self.value = self.memory * self.value + fresh * self.rng.normal();
        self.value
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_its_deviation_and_its_memory() {
        let mut drift = Drift::new(Rng::new(3), 0.9, 2.0);
        let values: Vec<f64> = (0..50_000).map(|_| drift.step()).collect();
        let square = |pair: &[f64]| pair[0] * pair[0];
        let neighbours = |pair: &[f64]| pair[0] * pair[1];
        let variance = values.windows(2).map(square).sum::<f64>() / 49_999.0;
        let covariance = values.windows(2).map(neighbours).sum::<f64>() / 49_999.0;
        assert!((variance.sqrt() - 2.0).abs() < 0.1, "variance {variance}");
        assert!(
            (covariance / variance - 0.9).abs() < 0.02,
            "covariance {covariance}"
        );
    }
}
