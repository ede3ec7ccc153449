//! Growing, jittered delays between attempts.
//!
//! Never waits: whoever asks does.

use std::time::Duration;

/// Delays that double from the first to the longest, each drawn from its upper half.
#[derive(Debug)]
pub(super) struct Backoff {
    first: Duration,
    longest: Duration,
    attempt: u32,
}

impl Backoff {
    /// Starts at the shortest delay.
    pub(super) const fn new(first: Duration, longest: Duration) -> Self {
        Self {
            first,
            longest,
            attempt: 0,
        }
    }

    /// The next delay, for a number drawn by chance.
    pub(super) fn next(&mut self, chance: u8) -> Duration {
        let growth = 1_u32 << self.attempt.min(16);
        let ceiling = self.first.saturating_mul(growth).min(self.longest);
        self.attempt = self.attempt.saturating_add(1);
        ceiling / 2 + ceiling / 2 * u32::from(chance) / u32::from(u8::MAX)
    }

    /// Something worked: start again at the shortest delay.
    pub(super) const fn reset(&mut self) {
        self.attempt = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_double_within_their_upper_half_and_stop_at_the_longest() {
        let second = Duration::from_secs(1);
        for chance in [0, 1, 128, 255] {
            let mut backoff = Backoff::new(second, 5 * second);
            for ceiling in [1, 2, 4, 5, 5] {
                let (delay, ceiling) = (backoff.next(chance), ceiling * second);
                assert!(
                    (ceiling / 2..=ceiling).contains(&delay),
                    "{delay:?} {ceiling:?}"
                );
            }
            for _ in 0..100 {
                backoff.next(chance);
            }
            backoff.reset();
            assert!(backoff.next(chance) <= second);
        }
    }
}
