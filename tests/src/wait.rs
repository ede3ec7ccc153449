//! Waiting for a condition, with a deadline: the only place of the tests that sleeps.
//!
//! Never waits for a while; a condition that does not come true fails with what was seen last.

use std::fmt::Display;
use std::thread;
use std::time::{Duration, Instant};

/// Pause between two looks.
const PAUSE: Duration = Duration::from_millis(20);

/// A deadline for what takes moments on an idle machine; this one may be busy.
pub const SOON: Duration = Duration::from_secs(30);
/// A deadline for what downloads, tries or retries with pauses.
pub const LATER: Duration = Duration::from_secs(90);

/// Looks until `condition` gives a value; its error says what is the case instead.
///
/// # Panics
/// After the deadline.
pub fn until<T, E: Display>(
    what: impl Display,
    deadline: Duration,
    mut condition: impl FnMut() -> Result<T, E>,
) -> T {
    let started = Instant::now();
    loop {
        match condition() {
            Ok(value) => return value,
            Err(seen) => assert!(
                started.elapsed() < deadline,
                "waited {} s in vain for {what}; seen last: {seen}",
                deadline.as_secs()
            ),
        }
        thread::sleep(PAUSE);
    }
}

/// Looks until `condition` holds.
///
/// # Panics
/// After the deadline.
pub fn until_true(what: impl Display, deadline: Duration, mut condition: impl FnMut() -> bool) {
    until(what, deadline, || {
        if condition() {
            Ok(())
        } else {
            Err("it is not so")
        }
    });
}
