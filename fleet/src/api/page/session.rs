//! Who is signed in: random ids in cookies, kept as digests, in memory only.
//!
//! A session opens pages and nothing else; it never stands in for the token of the API.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use axum::http::{HeaderMap, header};
use muster_protocol::digest::{Digest, Hex};
use muster_protocol::time::UnixSeconds;

/// How long a session lasts.
const SESSION_S: u64 = 12 * 3600;
/// Sessions at a time; the one that ends first makes room.
const SESSIONS_MAX: usize = 64;
/// Cookies that a request may carry before the rest is not looked at.
const COOKIES_MAX: usize = 64;

/// The id of a session, as the browser has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SessionId(String);

/// Open sessions: the sha256 of each id, and when it ends.
#[derive(Debug)]
pub(super) struct Sessions {
    cookie: String,
    ends: Mutex<BTreeMap<[u8; 32], UnixSeconds>>,
}

impl Sessions {
    /// None yet. Cookies do not know ports: the name of ours keeps two controllers of one machine
    /// apart.
    pub(super) fn new(port: u16) -> Self {
        Self {
            cookie: format!("muster-{port}"),
            ends: Mutex::default(),
        }
    }

    /// Opens a session.
    ///
    /// # Errors
    /// The system gives no randomness.
    pub(super) fn open(&self, now: UnixSeconds) -> Result<SessionId, getrandom::Error> {
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes)?;
        let id = SessionId(Hex(&bytes).to_string());
        let mut ends = self.ends.lock().unwrap_or_else(PoisonError::into_inner);
        ends.retain(|_, end| *end > now);
        if ends.len() >= SESSIONS_MAX {
            let first = ends.iter().min_by_key(|(_, end)| **end);
            if let Some(key) = first.map(|(key, _)| *key) {
                ends.remove(&key);
            }
        }
        ends.insert(id.digest(), UnixSeconds(now.0.saturating_add(SESSION_S)));
        Ok(id)
    }

    /// The session of a request, while it lasts.
    pub(super) fn of(&self, headers: &HeaderMap, now: UnixSeconds) -> Option<SessionId> {
        let cookies = headers.get_all(header::COOKIE).iter();
        let lines = cookies.filter_map(|line| line.to_str().ok());
        let pairs = lines.flat_map(|line| line.split(';')).take(COOKIES_MAX);
        let own = pairs.filter_map(|pair| pair.trim().split_once('='));
        let mut ids = own.filter(|(name, _)| *name == self.cookie);
        ids.find_map(|(_, id)| {
            let id = SessionId(id.to_owned());
            self.is_open(&id, now).then_some(id)
        })
    }

    /// Whether it lasts still.
    pub(super) fn is_open(&self, id: &SessionId, now: UnixSeconds) -> bool {
        let ends = self.ends.lock().unwrap_or_else(PoisonError::into_inner);
        ends.get(&id.digest()).is_some_and(|end| now < *end)
    }

    /// Ends a session.
    pub(super) fn close(&self, id: &SessionId) {
        let mut ends = self.ends.lock().unwrap_or_else(PoisonError::into_inner);
        ends.remove(&id.digest());
    }

    /// The cookie that hands a session to the browser. Not `Secure`: the API speaks plain HTTP on
    /// loopback, where not every browser would send such a cookie back.
    pub(super) fn cookie(&self, id: &SessionId) -> String {
        let (name, id) = (&self.cookie, &id.0);
        format!("{name}={id}; Path=/; Max-Age={SESSION_S}; HttpOnly; SameSite=Strict")
    }

    /// The cookie that takes it away.
    pub(super) fn no_cookie(&self) -> String {
        format!(
            "{}=; Path=/; Max-Age=0; HttpOnly; SameSite=Strict",
            self.cookie
        )
    }
}

impl SessionId {
    fn digest(&self) -> [u8; 32] {
        Digest::of(self.0.as_bytes()).0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixSeconds = UnixSeconds(1_800_000_000);

    fn later(seconds: u64) -> UnixSeconds {
        UnixSeconds(NOW.0 + seconds)
    }

    #[test]
    fn a_session_lasts_twelve_hours_or_until_it_is_closed() {
        let sessions = Sessions::new(8080);
        let id = sessions.open(NOW).expect("randomness");
        assert!(sessions.is_open(&id, later(12 * 3600 - 1)));
        assert!(!sessions.is_open(&id, later(12 * 3600)));
        sessions.close(&id);
        assert!(!sessions.is_open(&id, NOW));
    }

    #[test]
    fn when_there_are_too_many_the_oldest_ends() {
        let sessions = Sessions::new(8080);
        let open = |at| sessions.open(at).expect("randomness");
        let ids: Vec<_> = (0..=SESSIONS_MAX as u64)
            .map(|at| open(later(at)))
            .collect();
        let open: Vec<_> = ids
            .iter()
            .map(|id| sessions.is_open(id, later(100)))
            .collect();
        assert!(!open[0] && open[1..].iter().all(|open| *open), "{open:?}");
    }

    #[test]
    fn only_the_cookie_of_this_port_counts() {
        let sessions = Sessions::new(8080);
        let id = sessions.open(NOW).expect("randomness");
        let check = |cookie: String, expect: bool| {
            let value = cookie.parse().expect("a header");
            let headers = HeaderMap::from_iter([(header::COOKIE, value)]);
            assert_eq!(sessions.of(&headers, NOW).is_some(), expect, "{cookie}");
        };
        check(format!("muster-8080={}", id.0), true);
        check(format!("a=b; muster-8080=00; muster-8080={}", id.0), true);
        check(format!("muster-8081={}", id.0), false);
        check(format!("muster-8080={}0", id.0), false);
        check(format!("muster-8080={}", Hex(&id.digest())), false);
        check("muster-8080=".to_owned(), false);
        check("; =;;".to_owned(), false);
    }
}
