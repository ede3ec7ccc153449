//! How often the token may be guessed: a few times a second, by all together.
//!
//! A token has more bits than anyone guesses; this keeps guessing from costing the machine much.

use std::sync::{Mutex, PoisonError};

use muster_protocol::time::UnixSeconds;

/// Tries in one second.
const PER_SECOND_MAX: u32 = 5;

/// Tries of the running second.
#[derive(Debug, Default)]
pub(super) struct Tries(Mutex<(UnixSeconds, u32)>);

impl Tries {
    /// Counts one; whether it may be judged.
    pub(super) fn may_try(&self, now: UnixSeconds) -> bool {
        let mut tries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if tries.0 != now {
            *tries = (now, 0);
        }
        tries.1 = tries.1.saturating_add(1);
        tries.1 <= PER_SECOND_MAX
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_has_five_tries() {
        let tries = Tries::default();
        let now = |second: u64| UnixSeconds(1_800_000_000 + second);
        let tried: Vec<_> = (0..7).map(|_| tries.may_try(now(0))).collect();
        assert_eq!(tried, [true, true, true, true, true, false, false]);
        assert!(tries.may_try(now(1)));
    }
}
