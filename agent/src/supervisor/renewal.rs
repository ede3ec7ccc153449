//! When the device's certificate is renewed: in good time, when its CA is trusted no longer, or
//! when nothing has connected for long.
//!
//! Never ends a link that works: the next certificate is on disk before the link is led anew.

use super::{Effect, Supervisor};
use crate::clock;
use crate::enroll::{self, Renewing};
use crate::tls::{Anchors, Credentials, TrustedTime};
use muster_device::backoff::Backoff;
use muster_protocol::time::{Millis, UnixSeconds};
use std::sync::{Arc, PoisonError};

/// Between two looks whether it is time.
const LOOK_MS: u64 = 10_000;
/// The shortest pause between two attempts.
const RETRY_FIRST_MS: u64 = 30_000;
/// The longest.
const RETRY_LONGEST_MS: u64 = 3_600_000;
/// A link that is down for so long may be so because of the certificate.
const DOWN_MS: u64 = 900_000;

/// What is known of the certificate and its renewal.
pub(super) struct Renewal {
    validity: Option<(UnixSeconds, UnixSeconds)>,
    running: bool,
    /// When to look again.
    look_at: Millis,
    backoff: Backoff,
    /// When the last one was had: what it does not mend in one outage, another would not either,
    /// and each makes the list of replaced ones longer.
    had_at: Option<Millis>,
    /// A renewed certificate that the link does not show yet.
    renewed: Option<Credentials>,
    because: Option<String>,
}

/// What decides.
struct Sight {
    validity: Option<(UnixSeconds, UnixSeconds)>,
    /// Trusted time. While nothing connects, it may have stood still with the machine: then the
    /// wall clock is heard as well, since a wrong one only asks too early, and the fleet decides.
    now: UnixSeconds,
    under_a_trusted_ca: bool,
    /// Milliseconds of an outage in which none was had yet.
    down_ms: u64,
}

impl Renewal {
    pub(super) fn new(credentials: &Credentials) -> Self {
        Self {
            validity: credentials.validity(),
            running: false,
            look_at: clock::monotonic(),
            backoff: Backoff::new(RETRY_FIRST_MS, RETRY_LONGEST_MS, clock::monotonic_us()),
            had_at: None,
            renewed: None,
            because: None,
        }
    }

    /// When to look again; never while it runs, since its end is an event.
    pub(super) fn next_due(&self) -> Option<Millis> {
        (!self.running).then_some(self.look_at)
    }

    /// How long an outage has lasted in which no certificate was had yet.
    fn unmended_ms(&self, down_since: Option<Millis>, now: Millis) -> u64 {
        let unmended = down_since.filter(|since| self.had_at.is_none_or(|had| had < *since));
        unmended.map_or(0, |since| now.since(since))
    }

    /// As `muster-agent status` shows it.
    pub(super) fn picture(&self) -> serde_json::Value {
        let ends = self.validity.map(|(_, ends)| ends.0);
        serde_json::json!({ "ends": ends, "not_renewed": self.because })
    }
}

/// Why it is time, if it is.
fn due(sight: &Sight) -> Option<&'static str> {
    let (from, until) = sight.validity?;
    let life = until.0.saturating_sub(from.0);
    if sight.now.0 >= from.0.saturating_add(life / 3 * 2) {
        return Some("two thirds of its life are over");
    }
    if !sight.under_a_trusted_ca {
        return Some("its CA is not named any more");
    }
    (sight.down_ms >= DOWN_MS).then_some("nothing has connected for long")
}

impl Supervisor {
    /// A renewed certificate for the link, said once.
    pub fn renewed_credentials(&mut self) -> Option<Credentials> {
        self.renewal.renewed.take()
    }

    pub(super) fn renewal_tick(&mut self, now: Millis) {
        if self.renewal.running || now < self.renewal.look_at {
            return;
        }
        self.renewal.look_at = now.plus(LOOK_MS);
        let Some(url) = self
            .fleet
            .as_ref()
            .map(|fleet| fleet.endpoints.enroll.clone())
        else {
            return;
        };
        let anchors = self.link_target().anchors.clone();
        let Some(because) = due(&self.sight(now, &anchors)) else {
            return;
        };
        tracing::info!("renewing the device's certificate: because {because}");
        self.renewal.running = true;
        let with = Renewing {
            state: self.store.folder().to_owned(),
            device: self.identity.device.clone(),
            document_key: self.identity.document_key.clone(),
            url,
            anchors,
            time: self.time_for_tls(),
            in_use: self.identity.credentials.clone(),
        };
        let effects = self.effects.clone();
        tokio::spawn(async move {
            let result = enroll::renew(&with)
                .await
                .map_err(|error| error.to_string());
            // The receiver lives as long as the agent.
            let _ = effects.send(Effect::Renewed { result }).await;
        });
    }

    pub(super) fn renewed(&mut self, result: Result<Credentials, String>) {
        let renewal = &mut self.renewal;
        renewal.running = false;
        match result {
            Ok(credentials) => {
                tracing::info!("the device's certificate is renewed");
                renewal.validity = credentials.validity();
                renewal.because = None;
                renewal.backoff.reset();
                renewal.had_at = Some(clock::monotonic());
                renewal.look_at = clock::monotonic().plus(RETRY_LONGEST_MS);
                renewal.renewed = Some(credentials.clone());
                self.identity.credentials = credentials;
            }
            Err(because) => {
                tracing::warn!("{because}");
                renewal.because = Some(because);
                let pause_ms = renewal.backoff.next_ms();
                renewal.look_at = clock::monotonic().plus(pause_ms);
            }
        }
    }

    fn sight(&self, now: Millis, anchors: &Anchors) -> Sight {
        let trusted = (self.time_for_tls())().unwrap_or(UnixSeconds(0));
        let down_ms = self.renewal.unmended_ms(self.wire.down_since(), now);
        Sight {
            validity: self.renewal.validity,
            now: match down_ms {
                0 => trusted,
                _ => trusted.max(clock::wall()),
            },
            under_a_trusted_ca: self.identity.credentials.is_under(anchors),
            down_ms,
        }
    }

    fn time_for_tls(&self) -> TrustedTime {
        let time = Arc::clone(&self.time);
        Arc::new(move || {
            let time = time.lock().unwrap_or_else(PoisonError::into_inner);
            time.unix(clock::monotonic())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_outage_costs_one_certificate() {
        let check = |had_at: Option<u64>, down_since: Option<u64>, expect: u64| {
            let mut renewal =
                Renewal::new(&crate::tls::sample::Ca::new().device("a").credentials());
            renewal.had_at = had_at.map(Millis);
            let unmended_ms = renewal.unmended_ms(down_since.map(Millis), Millis(1000));
            assert_eq!(unmended_ms, expect, "{had_at:?} {down_since:?}");
        };
        check(None, None, 0);
        check(None, Some(100), 900);
        check(Some(500), Some(100), 0);
        check(Some(50), Some(100), 900);
        check(Some(500), None, 0);
    }

    #[test]
    fn a_certificate_is_renewed_in_good_time_and_when_it_no_longer_helps() {
        let check = |now: u64, under_a_trusted_ca: bool, down_ms: u64, expect: Option<&str>| {
            let sight = Sight {
                validity: Some((UnixSeconds(1000), UnixSeconds(1300))),
                now: UnixSeconds(now),
                under_a_trusted_ca,
                down_ms,
            };
            let why = due(&sight);
            assert_eq!(why.is_some(), expect.is_some(), "{now} {down_ms}: {why:?}");
            if let (Some(why), Some(part)) = (why, expect) {
                assert!(why.contains(part), "{why}");
            }
        };
        check(1000, true, 0, None);
        check(1199, true, 0, None);
        check(1200, true, 0, Some("two thirds"));
        check(9999, true, 0, Some("two thirds"));
        check(1000, false, 0, Some("CA"));
        check(1000, true, DOWN_MS - 1, None);
        check(1000, true, DOWN_MS, Some("connected"));
        check(0, true, 0, None);
    }
}
