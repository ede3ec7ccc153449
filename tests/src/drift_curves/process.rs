//! A sensor that is made up: a first-order process, sample by sample or window by window.
//!
//! x(t) = ρ x(t−1) + √(1 − ρ²) e(t), e standard normal, so that x is standard normal; a drift is added to
//! it. Everything comes from the seed.

use muster_protocol::stats::{FeatureCounts, FeatureFold, FeatureSum, Scale, Transform};

use crate::random::Random;

/// Edges of a reference that is standard normal: quantiles 0.0005, 1/16 to 15/16, 0.9995.
pub(super) const EDGES: [f32; 17] = [
    -3.290_527, -1.534_121, -1.150_349, -0.887_147, -0.674_490, -0.488_776, -0.318_639, -0.157_311,
    0.0, 0.157_311, 0.318_639, 0.488_776, 0.674_490, 0.887_147, 1.150_349, 1.534_121, 3.290_527,
];
/// Rows of that reference in each bin, of 1,600,000.
pub(super) const REFERENCE: [u64; 18] = {
    let mut rows = [100_000; 18];
    rows[0] = 800;
    rows[1] = 99_200;
    rows[16] = 99_200;
    rows[17] = 800;
    rows
};
/// Steps of a standard deviation, as devices count.
pub(super) const STEPS: f64 = 256.0;

/// Standard normal numbers from a seed (Box and Muller 1958).
#[derive(Debug, Clone)]
pub(crate) struct Normals {
    random: Random,
    spare: Option<f64>,
}

impl Normals {
    pub(crate) fn new(seed: u64) -> Self {
        let mut random = Random(seed);
        // Neighbouring seeds begin far apart.
        let random = Random(random.draw());
        Self {
            random,
            spare: None,
        }
    }

    pub(crate) fn draw(&mut self) -> f64 {
        if let Some(spare) = self.spare.take() {
            return spare;
        }
        let radius = (-2.0 * self.uniform().ln()).sqrt();
        let (sine, cosine) = (std::f64::consts::TAU * self.uniform()).sin_cos();
        self.spare = Some(radius * sine);
        radius * cosine
    }

    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.random.below(end)
    }

    /// Strictly between 0 and 1.
    pub(crate) fn uniform(&mut self) -> f64 {
        ((self.random.draw() >> 11) as f64 + 0.5) / (1_u64 << 53) as f64
    }
}

/// What is added to the process.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Drift {
    /// The mean moves by this, in standard deviations.
    pub shift: f64,
    /// The values are spread by this factor.
    pub stretch: f64,
}

impl Drift {
    /// Nothing changes.
    pub const NONE: Self = Self {
        shift: 0.0,
        stretch: 1.0,
    };
}

/// The process, counted as a device counts, sample by sample.
pub(super) struct Samples {
    normals: Normals,
    correlation: f64,
    noise: f64,
    value: f64,
    fold: FeatureFold,
}

impl Samples {
    pub(super) fn new(correlation: f64, seed: u64) -> Self {
        let mut normals = Normals::new(seed);
        let scale = Scale::new(EDGES, Transform::Identity, 0.0, 1.0);
        let scale = scale.expect("invariant: the edges ascend");
        Self {
            value: normals.draw(),
            normals,
            correlation,
            noise: (1.0 - correlation * correlation).sqrt(),
            fold: FeatureFold::new(scale),
        }
    }

    /// The next window: first samples as they were, then samples that drift.
    pub(super) fn window(&mut self, before: u64, after: u64, drift: Drift) -> FeatureSum {
        for at in 0..before + after {
            self.value = self.correlation * self.value + self.noise * self.normals.draw();
            let seen = if at < before {
                self.value
            } else {
                drift.stretch * self.value + drift.shift
            };
            self.fold.fold(Some(seen as f32));
        }
        let sum = FeatureSum::of(self.fold.counts(), EDGES.len() + 1);
        self.fold.reset();
        sum
    }

    pub(super) fn below(&mut self, end: u64) -> u64 {
        self.normals.below(end)
    }
}

/// The same process, window by window: sum and last value of a window given the last one before are
/// jointly normal, so nothing is lost but what the samples are within the window. Means are exact; how
/// far samples lie around the mean of their window is that of an average one, and bins are not drawn.
pub(super) struct Windows {
    normals: Normals,
    samples: u64,
    last: f64,
    /// Of the sum and the next last, on the last before.
    slopes: (f64, f64),
    /// Of the sum; of the last on the sum's own noise; of what remains.
    noise: (f64, f64, f64),
    /// Variance of samples around the mean of their window, on average.
    pub(super) within: f64,
}

impl Windows {
    pub(super) fn new(correlation: f64, samples: u64, seed: u64) -> Self {
        let mut normals = Normals::new(seed);
        let (mut of_sum, mut power) = (0.0, 1.0);
        let (mut var_sum, mut cov, mut var_last) = (0.0, 0.0, 0.0);
        let innovation = 1.0 - correlation * correlation;
        for _ in 0..samples {
            power *= correlation;
            of_sum += power;
            // x' = ρx + e; S' = S + x'.
            let var_next = correlation * correlation * var_last + innovation;
            let cov_next = correlation * cov;
            var_sum += 2.0 * cov_next + var_next;
            cov = cov_next + var_next;
            var_last = var_next;
        }
        let deviation = f64::sqrt(var_sum);
        let shared = cov / deviation;
        let n = samples as f64;
        Self {
            within: 1.0 - (of_sum * of_sum + var_sum) / (n * n),
            last: normals.draw(),
            normals,
            samples,
            slopes: (of_sum, power),
            noise: (
                deviation,
                shared,
                (var_last - shared * shared).max(0.0).sqrt(),
            ),
        }
    }

    /// The sum of the next window.
    pub(super) fn sum(&mut self) -> f64 {
        let (a, b) = (self.normals.draw(), self.normals.draw());
        let sum = self.slopes.0 * self.last + self.noise.0 * a;
        self.last = self.slopes.1 * self.last + self.noise.1 * a + self.noise.2 * b;
        sum
    }

    pub(super) fn below(&mut self, end: u64) -> u64 {
        self.normals.below(end)
    }

    /// The next window as a device would send it.
    pub(super) fn window(&mut self) -> FeatureSum {
        let sum = self.sum();
        counted(sum, self.samples, self.within)
    }
}

/// A window with this sum, whose samples have the variance `within` around their mean.
pub(super) fn counted(sum: f64, samples: u64, within: f64) -> FeatureSum {
    let mut counts = FeatureCounts::default();
    counts.bins[8] = samples as u32;
    counts.sum = (STEPS * sum).round() as i64;
    let n = samples as f64;
    let squares = sum * sum / n + n * within;
    counts.sum_of_squares = (STEPS * STEPS * squares).ceil() as u64;
    FeatureSum::of(&counts, EDGES.len() + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Means of windows vary and correlate as theory says, drawn either way.
    #[test]
    fn windows_are_those_of_samples() {
        for correlation in [0.0, 0.9] {
            let (mut samples, mut windows) = (
                Samples::new(correlation, 1),
                Windows::new(correlation, 60, 2),
            );
            let mut each = |_| {
                let sampled = samples.window(60, 0, Drift::NONE).sum as f64 / STEPS;
                (sampled, windows.sum())
            };
            let pairs: Vec<(f64, f64)> = (0..20_000).map(&mut each).collect();
            let variance = |of: fn(&(f64, f64)) -> f64| {
                pairs.iter().map(of).map(|x| x * x).sum::<f64>() / pairs.len() as f64
            };
            let (a, b) = (variance(|pair| pair.0), variance(|pair| pair.1));
            let r: f64 = correlation;
            let expect =
                60.0 * (1.0 + r) / (1.0 - r) - 2.0 * r * (1.0 - r.powi(60)) / (1.0 - r).powi(2);
            for found in [a, b] {
                assert!((found / expect - 1.0).abs() < 0.05, "{found} {expect}");
            }
        }
    }
}
