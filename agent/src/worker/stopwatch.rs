//! Elapsed time inside the worker.
//!
//! Never tells the time of day; the worker has no other use for a clock.

use crate::clock;

/// Runs from its making.
pub(super) struct Stopwatch(u64);

impl Stopwatch {
    pub(super) fn start() -> Stopwatch {
        Stopwatch(clock::monotonic_us())
    }

    pub(super) fn elapsed_us(&self) -> u64 {
        clock::monotonic_us().saturating_sub(self.0)
    }
}
