//! The only place of this program that reads a clock.
//!
//! Never decides anything by time: whoever does takes `now` as an argument.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use muster_protocol::time::UnixSeconds;

/// The time now; zero for a machine whose clock stands before 1970.
#[must_use]
pub(crate) fn now() -> UnixSeconds {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    UnixSeconds(since.map_or(0, |since| since.as_secs()))
}

/// A moment to measure spans from.
#[must_use]
pub(crate) fn monotonic() -> Instant {
    Instant::now()
}
