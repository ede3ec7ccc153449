//! Random numbers that are the same everywhere: SplitMix64, and a bell curve made of its words.
//! Never seeds itself.

/// SplitMix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators, 2014).
pub(super) struct Rng(u64);

impl Rng {
    /// Nearby seeds give unrelated sequences: the first word is mixed already.
    pub(super) fn new(seed: u64) -> Self {
        let mut rng = Self(seed);
        Self(rng.next_u64())
    }

    /// A generator of its own for one part, so that parts do not disturb each other.
    pub(super) fn split(&mut self) -> Self {
        Self(self.next_u64())
    }

    /// Uniform in `[0, 1)`.
    pub(super) fn uniform(&mut self) -> f64 {
        (self.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Mean 0, variance 1: the sum of four 16-bit uniforms. Exact arithmetic, tails end at 3.5.
    pub(super) fn normal(&mut self) -> f64 {
        const MEAN: f64 = 2.0 * 65_535.0;
        // sqrt(12 / 4) / 65,536
        const INVERSE_DEVIATION: f64 = 1.732_050_807_568_877_2 / 65_536.0;
        let word = self.next_u64();
        let sum = (word & 0xffff) + (word >> 16 & 0xffff) + (word >> 32 & 0xffff) + (word >> 48);
        (sum as f64 - MEAN) * INVERSE_DEVIATION
    }

    fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn normal_has_mean_0_and_variance_1() {
        let mut rng = Rng::new(1);
        let count = 100_000;
        let values: Vec<f64> = (0..count).map(|_| rng.normal()).collect();
        let mean = values.iter().sum::<f64>() / f64::from(count);
        let variance = values.iter().map(|value| value * value).sum::<f64>() / f64::from(count);
        assert!(mean.abs() < 0.01, "mean {mean}");
        assert!((variance - 1.0).abs() < 0.02, "variance {variance}");
    }

    #[test]
    fn uniform_fills_its_interval() {
        let mut rng = Rng::new(2);
        let values: Vec<f64> = (0..10_000).map(|_| rng.uniform()).collect();
        assert!(values.iter().all(|value| (0.0..1.0).contains(value)));
        assert!(values.iter().any(|&value| value < 0.01));
        assert!(values.iter().any(|&value| value > 0.99));
    }
}
