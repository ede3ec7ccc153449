//! Ctrl-C, and the only waiting of the demo: pauses that Ctrl-C ends.
//! Never ends the process: who waits here cleans up first.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use crate::clock;

/// How fast Ctrl-C is heard.
const STEP: Duration = Duration::from_millis(20);

/// Whether everything shall end; copies are one and the same.
#[derive(Clone, Default)]
pub(super) struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    /// Raised by Ctrl-C, SIGTERM, and a terminal that goes away.
    ///
    /// # Errors
    /// The system refuses the handlers.
    pub(super) fn on_signals() -> io::Result<Self> {
        let interrupt = Self::default();
        for signal in [SIGINT, SIGTERM, SIGHUP] {
            signal_hook::flag::register(signal, Arc::clone(&interrupt.0))?;
        }
        Ok(interrupt)
    }

    /// Raises it.
    pub(super) fn raise(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether it was raised.
    pub(super) fn is_raised(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// Waits until `due`, or until it is raised.
    pub(super) fn rest_until(&self, due: Instant) {
        while !self.is_raised() {
            let left = due.saturating_duration_since(clock::now());
            if left.is_zero() {
                return;
            }
            thread::sleep(left.min(STEP));
        }
    }

    /// Waits so long, or until it is raised.
    pub(super) fn rest(&self, pause: Duration) {
        self.rest_until(clock::now() + pause);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_raised_interrupt_ends_every_pause() {
        let (interrupt, copy) = (Interrupt::default(), Interrupt::default());
        interrupt.clone().raise();
        interrupt.rest(Duration::from_secs(3_600));
        assert!(interrupt.is_raised());
        copy.rest(Duration::from_millis(1));
        assert!(!copy.is_raised());
    }
}
