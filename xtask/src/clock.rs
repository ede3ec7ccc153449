//! The only place where xtask reads the clock.
//! Values go from here as arguments; it never waits.

use std::time::Instant;

/// The monotonic clock, for durations shown to people and for deadlines.
pub(crate) fn now() -> Instant {
    Instant::now()
}
