//! When to look next whether the broker that is meant answers, while another stands in for it.
//!
//! Looks at nothing itself, and waits for nothing: the keeper does both.

use muster_device::backoff::Backoff;
use muster_protocol::time::Millis;

/// Looks of one leg, with growing pauses between them.
#[derive(Debug, Clone)]
pub(super) struct Looks {
    pauses: Backoff,
    /// When the next one is due. It outlives connections: a broker that ends them again and again
    /// must not put the look off for ever.
    due: Option<Millis>,
}

impl Looks {
    pub(super) const fn new(pauses: Backoff) -> Self {
        Self { pauses, due: None }
    }

    /// How long to wait for the next one.
    pub(super) fn wait_ms(&mut self, now: Millis) -> u64 {
        let pauses = &mut self.pauses;
        let due = *self.due.get_or_insert_with(|| now.plus(pauses.next_ms()));
        due.since(now)
    }

    /// One has come to its end, however it went.
    pub(super) const fn looked(&mut self) {
        self.due = None;
    }

    /// Another broker is meant.
    pub(super) const fn reset(&mut self) {
        self.pauses.reset();
        self.due = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_that_ends_early_does_not_put_the_next_look_off() {
        let mut looks = Looks::new(Backoff::new(30_000, 3_600_000, 1));
        let first_ms = looks.wait_ms(Millis(0));
        assert!((15_000..=30_000).contains(&first_ms), "{first_ms}");
        for now in [5_000, 10_000] {
            assert_eq!(looks.wait_ms(Millis(now)), first_ms - now, "the same look");
        }
        assert_eq!(looks.wait_ms(Millis(first_ms + 1)), 0, "it is overdue");
        looks.looked();
        let second_ms = looks.wait_ms(Millis(40_000));
        assert!((30_000..=60_000).contains(&second_ms), "{second_ms}");
        looks.reset();
        let anew_ms = looks.wait_ms(Millis(40_000));
        assert!((15_000..=30_000).contains(&anew_ms), "{anew_ms}");
    }
}
