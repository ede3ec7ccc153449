//! How well alerts and rollouts did, and the counts of the whole fleet that metrics show.
//!
//! Counts what is there; judges nothing.

use muster_fleet::incident::Share;
use muster_protocol::time::UnixSeconds;
use serde::Serialize;

use super::overview::STALE_AFTER_S;
use super::{Controller, Error};
use crate::clock;
use crate::store::{FleetCounts, KpiCounts, Presences, Tx};

const WEEK_S: f64 = 7.0 * 86_400.0;

/// How well alerts and rollouts did.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Kpis {
    /// Since then, unix seconds.
    pub(crate) since_at: u64,
    /// Until then.
    pub(crate) until_at: u64,
    /// Incidents of windows that were raised, but for those that were silenced or lost in a storm.
    pub(crate) alerts: u64,
    /// Of a week.
    pub(crate) alerts_per_week: f64,
    /// Incidents of windows that were silenced, or lost in a storm.
    pub(crate) untold: u64,
    /// Confirmed of those that were judged, with its 95 % interval.
    pub(crate) alert_precision: Share,
    /// Rollouts by policy that completed, of those that ended, likewise.
    pub(crate) canary_success: Share,
    /// Incidents that somebody has looked at.
    pub(crate) acknowledged: u64,
    /// Seconds until then, on average; none without any.
    pub(crate) mean_time_to_acknowledge_s: Option<f64>,
}

impl Kpis {
    fn of(counts: &KpiCounts, since: UnixSeconds, now: UnixSeconds) -> Self {
        let weeks = now.0.saturating_sub(since.0) as f64 / WEEK_S;
        let acknowledged = counts.acknowledged;
        Self {
            since_at: since.0,
            until_at: now.0,
            alerts: counts.told,
            alerts_per_week: match weeks > 0.0 {
                true => counts.told as f64 / weeks,
                false => 0.0,
            },
            untold: counts.untold,
            alert_precision: counts.precision.share(),
            canary_success: Share::new(counts.rollouts_completed, counts.rollouts_ended),
            acknowledged,
            mean_time_to_acknowledge_s: (acknowledged > 0)
                .then(|| counts.acknowledged_s as f64 / acknowledged as f64),
        }
    }
}

impl Controller {
    /// How well alerts and rollouts did in the last `since_s` seconds.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub(crate) async fn kpis(&self, since_s: u64) -> Result<Kpis, Error> {
        let now = clock::now();
        let since = UnixSeconds(now.0.saturating_sub(since_s));
        let work = move |tx: &Tx<'_>| Ok(Kpis::of(&tx.kpi_counts(since)?, since, now));
        self.store.survey(work).await
    }

    /// What metrics show.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub(crate) async fn fleet_counts(&self) -> Result<(Presences, FleetCounts), Error> {
        let heard_since = UnixSeconds(clock::now().0.saturating_sub(STALE_AFTER_S));
        let work = move |tx: &Tx<'_>| Ok((tx.presences(heard_since)?, tx.fleet_counts()?));
        self.store.survey(work).await
    }
}
