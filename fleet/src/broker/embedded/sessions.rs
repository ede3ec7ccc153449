//! Which session of each device is the newest, so that the end of an older one is not taken
//! for the device's absence: the broker may report it after the new one began.
//!
//! Never ends a session and never calls a handler outside the order of events.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use super::Presence;

/// The newest session of each connected device, by an identity `I` that no two sessions share.
#[derive(Debug)]
pub(super) struct Sessions<I> {
    newest: Mutex<HashMap<String, I>>,
}

impl<I: PartialEq> Sessions<I> {
    pub(super) fn new() -> Self {
        Self {
            newest: Mutex::new(HashMap::new()),
        }
    }

    /// Notes that `session` began, and reports it while no other event can pass it.
    pub(super) fn begin(&self, device: &str, session: I, report: impl FnOnce(Presence)) {
        let mut newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
        newest.insert(device.to_owned(), session);
        report(Presence::Connected);
    }

    /// Notes that `session` ended, and reports it if it was the newest.
    pub(super) fn end(&self, device: &str, session: &I, report: impl FnOnce(Presence)) {
        let mut newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
        if newest.get(device) == Some(session) {
            newest.remove(device);
            report(Presence::Disconnected);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_an_older_session_is_not_reported() {
        let sessions = Sessions::new();
        let mut heard = Vec::new();
        sessions.begin("a", 1, |presence| heard.push(presence));
        sessions.begin("a", 2, |presence| heard.push(presence));
        sessions.end("a", &1, |presence| heard.push(presence));
        sessions.end("a", &2, |presence| heard.push(presence));
        sessions.end("a", &2, |presence| heard.push(presence));
        use Presence::{Connected, Disconnected};
        assert_eq!(heard, [Connected, Connected, Disconnected]);
    }
}
