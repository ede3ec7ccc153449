//! How old the newest signed metadata is: whoever withholds it can freeze a device, but not
//! unnoticed.
//!
//! Judges by trusted time only; without it nothing is fresh or stale, and no new model comes
//! anyway. What serves goes on serving, however old.

use super::Supervisor;
use crate::clock;
use muster_protocol::time::UnixSeconds;

const DAY_S: u64 = 86_400;

/// What can be said of the age.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Freshness {
    /// There is no metadata, or no trusted time.
    Unknown,
    Fresh {
        age_s: u64,
    },
    /// Older than it may be: an alarm, and no new models.
    Stale {
        age_s: u64,
    },
}

impl Freshness {
    fn judge(now: Option<UnixSeconds>, issued_at: Option<UnixSeconds>, days_max: u64) -> Self {
        let (Some(now), Some(issued_at)) = (now, issued_at) else {
            return Self::Unknown;
        };
        let age_s = now.0.saturating_sub(issued_at.0);
        if age_s > days_max.saturating_mul(DAY_S) {
            Self::Stale { age_s }
        } else {
            Self::Fresh { age_s }
        }
    }

    pub(super) const fn is_stale(self) -> bool {
        matches!(self, Self::Stale { .. })
    }

    pub(super) const fn age_s(self) -> Option<u64> {
        match self {
            Self::Unknown => None,
            Self::Fresh { age_s } | Self::Stale { age_s } => Some(age_s),
        }
    }
}

impl Supervisor {
    pub(super) fn freshness(&self) -> Freshness {
        let timestamp = self.trusted.timestamp();
        let online = timestamp.and_then(|timestamp| timestamp.document().issued_at_s);
        let offline = self.fleet.as_ref().map(|fleet| fleet.issued_at_s);
        let now = self.time().unix(clock::monotonic());
        let days_max = self.config.freshness_max_days;
        Freshness::judge(now, online.max(offline).map(UnixSeconds), days_max)
    }

    /// Says once that metadata became too old, and once that it is not any more.
    pub(super) fn watch_freshness(&mut self) {
        let freshness = self.freshness();
        if freshness.is_stale() == self.stale_told {
            return;
        }
        self.stale_told = freshness.is_stale();
        if let Freshness::Stale { age_s } = freshness {
            let days = age_s / DAY_S;
            tracing::error!(
                days,
                "no newer metadata came for longer than freshness_max_days: is it withheld? no \
                 new models until it comes"
            );
        } else {
            tracing::info!("metadata is fresh again");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn age_counts_against_trusted_time_only() {
        use Freshness::{Fresh, Stale, Unknown};
        let check = |now: Option<u64>, issued_at: Option<u64>, expect| {
            let (now, issued_at) = (now.map(UnixSeconds), issued_at.map(UnixSeconds));
            assert_eq!(Freshness::judge(now, issued_at, 2), expect, "{now:?}");
        };
        let two_days = 2 * DAY_S;
        check(None, Some(1), Unknown);
        check(Some(1), None, Unknown);
        check(Some(5), Some(9), Fresh { age_s: 0 });
        check(Some(two_days + 5), Some(5), Fresh { age_s: two_days });
        let age_s = two_days + 1;
        check(Some(age_s + 5), Some(5), Stale { age_s });
    }
}
