//! The only place where xtask reads the clock.
//! Values go from here as arguments; it never waits.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// The monotonic clock, for durations shown to people and for deadlines.
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// The wall clock in unix seconds; zero before 1970. Read from the system's library, so that
/// `faketime` can set it.
pub(crate) fn unix_s() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs())
}
