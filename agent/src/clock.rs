//! The only place of this program that reads a clock.
//!
//! Never decides anything by time: whoever does takes `now` as an argument.

use muster_protocol::time::{Millis, UnixSeconds};
use rustix::time::{ClockId, clock_gettime};
use std::time::{SystemTime, UNIX_EPOCH};

/// Milliseconds since this boot. Time that the machine was suspended counts, so that nothing
/// seems fresh after waking up.
#[must_use]
pub fn monotonic() -> Millis {
    #[cfg(test)]
    if let Some(set) = stopped::now() {
        return set;
    }
    let now = clock_gettime(ClockId::Boottime);
    let seconds = u64::try_from(now.tv_sec).unwrap_or(0);
    let milliseconds = u64::try_from(now.tv_nsec).unwrap_or(0) / 1_000_000;
    Millis(seconds.saturating_mul(1000).saturating_add(milliseconds))
}

/// Microseconds of the same clock, for latencies.
#[must_use]
pub fn monotonic_us() -> u64 {
    let now = clock_gettime(ClockId::Boottime);
    let seconds = u64::try_from(now.tv_sec).unwrap_or(0);
    let microseconds = u64::try_from(now.tv_nsec).unwrap_or(0) / 1000;
    seconds
        .saturating_mul(1_000_000)
        .saturating_add(microseconds)
}

/// What the machine believes the time to be; zero before 1970. For logs and hints: edge clocks
/// lie, so nothing is accepted or refused by it.
#[must_use]
pub fn wall() -> UnixSeconds {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    UnixSeconds(since.map_or(0, |since| since.as_secs()))
}

/// A clock that tests of one thread set themselves.
#[cfg(test)]
pub mod stopped {
    use muster_protocol::time::Millis;
    use std::cell::Cell;

    thread_local! {
        static NOW: Cell<Option<Millis>> = const { Cell::new(None) };
    }

    /// What the clock of this thread shows, if it was set.
    pub fn now() -> Option<Millis> {
        NOW.get()
    }

    /// Sets the clock of this thread; it stands still until it is set again.
    pub fn set(now: Millis) {
        NOW.set(Some(now));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_since_boot_does_not_go_back_and_is_not_the_date() {
        let first = monotonic();
        assert!(monotonic() >= first);
        assert!(first.0 > 0 && first.0 / 1000 < wall().0);
    }
}
