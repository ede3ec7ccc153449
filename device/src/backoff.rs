//! Growing, jittered delays from a seed.
//!
//! Never reads a random source: equal seeds wait equally, and devices differ by their seeds.

/// Delays that double from `first_ms` to `longest_ms`, each drawn from its upper half.
#[derive(Debug, Clone)]
pub struct Backoff {
    first_ms: u64,
    longest_ms: u64,
    attempt: u32,
    state: u64,
}

impl Backoff {
    /// Starts at the shortest delay.
    #[must_use]
    pub const fn new(first_ms: u64, longest_ms: u64, seed: u64) -> Self {
        Self {
            first_ms,
            longest_ms,
            attempt: 0,
            state: seed,
        }
    }

    /// The next delay in milliseconds.
    pub fn next_ms(&mut self) -> u64 {
        let ceiling = self
            .first_ms
            .saturating_mul(1 << self.attempt.min(32))
            .min(self.longest_ms);
        self.attempt = self.attempt.saturating_add(1);
        let half = ceiling / 2;
        half + self.random() % (ceiling - half + 1)
    }

    /// Delays asked for since the last success.
    #[must_use]
    pub const fn attempts(&self) -> u32 {
        self.attempt
    }

    /// Something worked: start again at the shortest delay.
    pub const fn reset(&mut self) {
        self.attempt = 0;
    }

    /// `SplitMix64` (Steele, Lea and Flood, 2014): small, and good enough to spread devices.
    const fn random(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_double_within_their_upper_half_and_stop_at_the_longest() {
        for seed in 0..100 {
            let mut backoff = Backoff::new(1000, 60_000, seed);
            for ceiling in [1000, 2000, 4000, 8000, 16_000, 32_000, 60_000, 60_000] {
                let delay = backoff.next_ms();
                assert!(
                    (ceiling / 2..=ceiling).contains(&delay),
                    "{seed}: {delay} of {ceiling}"
                );
            }
            backoff.reset();
            assert!(backoff.next_ms() <= 1000);
        }
    }

    #[test]
    fn seeds_spread() {
        let mut first = [1, 2].map(|seed| Backoff::new(1_000_000, 1_000_000, seed).next_ms());
        first.sort_unstable();
        assert_ne!(first[0], first[1]);
    }
}
