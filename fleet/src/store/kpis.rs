//! Counts that say how well alerts and rollouts did, and those that metrics show. Never of one
//! device: series stay few, however many devices there are.

use muster_fleet::incident::Precision;
use muster_fleet::planner::{Rollout, State};
use muster_protocol::time::UnixSeconds;
use rusqlite::{Row, params};

use super::column::{self, bits};
use super::{StoreError, Tx};

/// What was counted since some moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct KpiCounts {
    /// Incidents of windows that were raised, but for the next ones: told, if anybody listened.
    pub(crate) told: u64,
    /// Incidents of windows that were silenced, or lost in a storm.
    pub(crate) untold: u64,
    /// How people judged them.
    pub(crate) precision: Precision,
    /// Incidents that somebody has looked at.
    pub(crate) acknowledged: u64,
    /// Seconds until then, of all of them together.
    pub(crate) acknowledged_s: u64,
    /// Rollouts by policy that have ended, but for those that a newer one replaced.
    pub(crate) rollouts_ended: u64,
    /// Of those, rollouts whose every ring has passed.
    pub(crate) rollouts_completed: u64,
}

/// One number of a metric, with the values of its labels.
pub(crate) type Counted = (Vec<String>, u64);

/// Counts of the whole fleet.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct FleetCounts {
    /// Documents taken, by kind.
    pub(crate) documents: Vec<Counted>,
    /// Windows, by model and version; empty for bundles that were not released here.
    pub(crate) windows: Vec<Counted>,
    /// Rows predicted, likewise.
    pub(crate) predictions: Vec<Counted>,
    /// Incidents that have not closed, by cause: those of `muster incident list --open`.
    pub(crate) incidents_open: Vec<Counted>,
    /// Alerts, by state.
    pub(crate) alerts: Vec<Counted>,
    /// Requests for a retrain, by model and state.
    pub(crate) retrain_requests: Vec<Counted>,
    /// Rollouts, by model and state, and the ring of those that go on.
    pub(crate) rollouts: Vec<Counted>,
}

impl Tx<'_> {
    /// What is known of incidents and rollouts that began since.
    pub(crate) fn kpi_counts(&self, since: UnixSeconds) -> Result<KpiCounts, StoreError> {
        let sql = "SELECT count(*) FILTER (WHERE told IN ('told', 'nobody')),
                   count(*) FILTER (WHERE told NOT IN ('told', 'nobody')),
                   count(*) FILTER (WHERE state = 'confirmed'),
                   count(*) FILTER (WHERE state = 'dismissed'),
                   count(*) FILTER (WHERE acknowledged_at IS NOT NULL),
                   coalesce(sum(max(acknowledged_at - raised_at, 0)), 0)
                   FROM incidents WHERE model IS NOT NULL AND raised_at >= ?";
        let read = |row: &Row<'_>| {
            Ok(KpiCounts {
                told: column::number(row, 0)?,
                untold: column::number(row, 1)?,
                precision: Precision {
                    confirmed: column::number(row, 2)?,
                    dismissed: column::number(row, 3)?,
                },
                acknowledged: column::number(row, 4)?,
                acknowledged_s: column::number(row, 5)?,
                ..KpiCounts::default()
            })
        };
        let mut counts = self.0.query_row(sql, [bits(since.0)], read)?;
        self.count_rollouts(since, &mut counts)?;
        Ok(counts)
    }

    fn count_rollouts(&self, since: UnixSeconds, counts: &mut KpiCounts) -> Result<(), StoreError> {
        let mut statement = self.0.prepare_cached(
            "SELECT standing FROM rollouts WHERE standing IS NOT NULL AND ended = 1
             AND created_at >= ?",
        )?;
        let mut rows = statement.query(params![bits(since.0)])?;
        while let Some(row) = rows.next()? {
            match column::from_json::<Rollout>(row, 0)?.state {
                State::Completed => {
                    counts.rollouts_ended += 1;
                    counts.rollouts_completed += 1;
                }
                State::RolledBack | State::Aborted => counts.rollouts_ended += 1,
                // A newer one took its place: no verdict on the release.
                _ => {}
            }
        }
        Ok(())
    }

    /// Counts of the whole fleet, each of few labels.
    pub(crate) fn fleet_counts(&self) -> Result<FleetCounts, StoreError> {
        const BY_BUNDLE: &str = "FROM counters c LEFT JOIN releases r ON r.model = c.model
             AND r.bundle = c.bundle GROUP BY 1, 2 ORDER BY 1, 2";
        Ok(FleetCounts {
            documents: self.counted(
                "SELECT CASE kind WHEN 0 THEN 'receipts' ELSE 'windows' END, sum(through)
                 FROM streams GROUP BY 1 ORDER BY 1",
            )?,
            windows: self.counted(&format!(
                "SELECT c.model, coalesce(r.version, ''), sum(c.closed_windows) {BY_BUNDLE}"
            ))?,
            predictions: self.counted(&format!(
                "SELECT c.model, coalesce(r.version, ''), sum(c.calls) {BY_BUNDLE}"
            ))?,
            incidents_open: self.counted(
                "SELECT kind, count(*) FROM incidents WHERE closed_at IS NULL
                 GROUP BY 1 ORDER BY 1",
            )?,
            alerts: self.counted("SELECT state, count(*) FROM alerts GROUP BY 1 ORDER BY 1")?,
            retrain_requests: self.counted(
                "SELECT model, state, count(*) FROM retrain_requests GROUP BY 1, 2 ORDER BY 1, 2",
            )?,
            rollouts: self.rollouts_counted()?,
        })
    }

    /// Rows of texts with a number at their end.
    fn counted(&self, sql: &str) -> Result<Vec<Counted>, StoreError> {
        let mut statement = self.0.prepare_cached(sql)?;
        let labels = statement.column_count().saturating_sub(1);
        let rows = statement.query_map([], |row| {
            let texts = (0..labels).map(|at| row.get(at));
            let texts = texts.collect::<rusqlite::Result<Vec<String>>>()?;
            Ok((texts, column::number(row, labels)?))
        })?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    fn rollouts_counted(&self) -> Result<Vec<Counted>, StoreError> {
        let mut counted = std::collections::BTreeMap::<Vec<String>, u64>::new();
        let mut statement = self
            .0
            .prepare_cached("SELECT model, standing FROM rollouts")?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let (state, ring) = match row.get::<_, Option<String>>(1)? {
                None => ("without_policy", String::new()),
                Some(_) => {
                    let state = column::from_json::<Rollout>(row, 1)?.state;
                    (state.name(), ring_of(state))
                }
            };
            let labels = vec![row.get(0)?, state.to_owned(), ring];
            *counted.entry(labels).or_default() += 1;
        }
        Ok(counted.into_iter().collect())
    }
}

/// The ring of a rollout that goes on.
fn ring_of(state: State) -> String {
    match state {
        State::Running { ring, .. }
        | State::Paused { ring, .. }
        | State::Halted { ring, .. }
        | State::RollingBack { ring } => ring.to_string(),
        State::Draft
        | State::RolledBack
        | State::Aborted
        | State::Completed
        | State::Superseded => String::new(),
    }
}

#[cfg(test)]
impl Tx<'_> {
    /// For tests: a device that has sent one window of a model.
    pub(crate) fn put_counts(
        &self,
        device: &muster_protocol::id::DeviceId,
        model: &str,
    ) -> Result<(), StoreError> {
        self.0.execute(
            "INSERT OR REPLACE INTO streams (device, stream, kind, through, opened_at)
             VALUES (?, x'00', 1, 1, 0)",
            [device.as_str()],
        )?;
        self.0.execute(
            "INSERT OR REPLACE INTO counters (device, model, bundle, calls, closed_windows, errors,
             latency) VALUES (?, ?, x'01', 10, 1, 0, x'')",
            [device.as_str(), model],
        )?;
        Ok(())
    }
}
