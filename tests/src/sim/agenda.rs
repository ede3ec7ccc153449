//! What will happen, in order of time: the only clock of the simulated world.
//!
//! Two things at one moment happen in the order in which they were put here, so that equal seeds
//! give equal runs.

use muster_protocol::time::Millis;
use std::collections::BTreeMap;

/// Events by their time.
#[derive(Debug)]
pub(super) struct Agenda<E> {
    now: Millis,
    put: u64,
    events: BTreeMap<(Millis, u64), E>,
}

impl<E> Agenda<E> {
    pub(super) const fn new() -> Self {
        Self {
            now: Millis(0),
            put: 0,
            events: BTreeMap::new(),
        }
    }

    /// The time of the event that happens.
    pub(super) const fn now(&self) -> Millis {
        self.now
    }

    /// Puts an event `delay_ms` from now.
    pub(super) fn after(&mut self, delay_ms: u64, event: E) {
        self.put += 1;
        let at = self.now.plus(delay_ms);
        self.events.insert((at, self.put), event);
    }

    /// The next event; its time is now.
    pub(super) fn next(&mut self) -> Option<E> {
        let ((at, _), event) = self.events.pop_first()?;
        self.now = at;
        Some(event)
    }
}
