//! Elapsed time inside the worker.
//!
//! Never tells the time of day; the worker has no other use for a clock.

use std::time::Instant;

/// Runs from its making.
pub(super) struct Stopwatch(Instant);

impl Stopwatch {
    pub(super) fn start() -> Stopwatch {
        Stopwatch(Instant::now())
    }

    pub(super) fn elapsed_us(&self) -> u64 {
        u64::try_from(self.0.elapsed().as_micros()).unwrap_or(u64::MAX)
    }
}
