//! What happened to the watch over windows, what alarmed, and what that was found to be.
//!
//! Rows are written once. Never a state: those are in `watches`.

use std::collections::BTreeSet;

use muster_fleet::finding::{Cause, Finding, Scope};
use muster_fleet::watch::{Alarmed, WatchEvent, What};
use muster_protocol::digest::Digest;
use muster_protocol::id::{DeviceId, ModelId};
use muster_protocol::time::UnixSeconds;
use rusqlite::{Row, params};
use serde::{Deserialize, Serialize};

use super::column::{self, bits};
use super::watches::FORMAT;
use super::{Page, Paged, StoreError, Tx};

/// An event, and from where on it holds.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct NewEvent {
    /// Its number.
    pub(crate) event: i64,
    /// It holds for later windows than this.
    pub(crate) after_window: i64,
    /// What.
    pub(crate) what: WatchEvent,
}

/// An alarm.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct AlarmRow {
    /// Its number.
    pub(crate) alarm: i64,
    /// The window that completed it.
    pub(crate) window: i64,
    /// The model.
    pub(crate) model: String,
    /// The bundle that served.
    pub(crate) bundle: Digest,
    /// The device; none of a cohort.
    pub(crate) device: Option<String>,
    /// When that window came, unix seconds.
    pub(crate) at: u64,
    /// What alarmed.
    pub(crate) what: What,
}

/// A finding as it is kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct KeptFinding {
    /// Where.
    pub(crate) scope: Scope,
    /// In which feature.
    pub(crate) feature: Option<String>,
    /// Why.
    pub(crate) cause: Cause,
    /// Which devices show it.
    pub(crate) devices: Vec<String>,
    /// A sentence.
    pub(crate) because: String,
}

/// A finding as lists show it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct PlacingRow {
    /// Its number.
    pub(crate) placing: i64,
    /// The window that completed it.
    pub(crate) window: i64,
    /// The model.
    pub(crate) model: String,
    /// The bundle that served.
    pub(crate) bundle: String,
    /// Unix seconds.
    pub(crate) at: u64,
    /// What was found.
    #[serde(flatten)]
    pub(crate) found: KeptFinding,
}

impl KeptFinding {
    /// What of a finding is kept beside its model and time.
    pub(crate) fn of(finding: &Finding) -> Self {
        Self {
            scope: finding.scope.clone(),
            feature: finding.feature.clone(),
            cause: finding.cause,
            devices: finding.devices.iter().map(DeviceId::to_string).collect(),
            because: finding.because.clone(),
        }
    }
}

impl Tx<'_> {
    /// The number of the newest event.
    pub(crate) fn newest_watch_event(&self) -> Result<i64, StoreError> {
        let sql = "SELECT ifnull(max(event), 0) FROM watch_events";
        Ok(self.0.query_row(sql, [], |row| row.get(0))?)
    }

    /// Writes an event down; its number.
    pub(crate) fn add_watch_event(
        &self,
        after_window: i64,
        what: &WatchEvent,
        now: UnixSeconds,
    ) -> Result<i64, StoreError> {
        self.0.execute(
            "INSERT INTO watch_events (after_window, at, what) VALUES (?, ?, ?)",
            params![after_window, bits(now.0), column::to_json(what)?],
        )?;
        Ok(self.0.last_insert_rowid())
    }

    /// Events after `event`, in their order.
    pub(crate) fn watch_events(&self, event: i64) -> Result<Vec<NewEvent>, StoreError> {
        let sql =
            "SELECT event, after_window, what FROM watch_events WHERE event > ? ORDER BY event";
        let mut statement = self.0.prepare_cached(sql)?;
        let rows = statement.query_map([event], |row| {
            Ok(NewEvent {
                event: row.get(0)?,
                after_window: row.get(1)?,
                what: column::from_json(row, 2)?,
            })
        })?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// Writes an alarm down.
    pub(crate) fn add_alarm(&self, alarmed: &Alarmed, at: UnixSeconds) -> Result<(), StoreError> {
        let device = match &alarmed.what {
            What::Device(device, _) => Some(device.as_str()),
            What::Cohort(..) => None,
        };
        self.0.execute(
            "INSERT INTO alarms (window, format, model, bundle, device, at, what)
             VALUES (?, ?, ?, ?, ?, ?, ?)",
            params![
                alarmed.window,
                FORMAT,
                alarmed.subject.model.as_str(),
                alarmed.subject.bundle.0,
                device,
                bits(at.0),
                column::to_json(&alarmed.what)?,
            ],
        )?;
        Ok(())
    }

    /// Writes a finding down.
    pub(crate) fn add_placing(&self, window: i64, finding: &Finding) -> Result<(), StoreError> {
        self.0.execute(
            "INSERT INTO placings (window, format, model, bundle, at, cause, what)
             VALUES (?, ?, ?, ?, ?, ?, ?)",
            params![
                window,
                FORMAT,
                finding.model.as_str(),
                finding.bundle.0,
                bits(finding.at.0),
                column::to_json(&finding.cause)?,
                column::to_json(&KeptFinding::of(finding))?,
            ],
        )?;
        Ok(())
    }

    /// What alarmed in windows after `window`, by window, as it was written: what is computed
    /// again has to be the same.
    pub(crate) fn alarms_after(&self, window: i64) -> Result<Vec<(i64, String)>, StoreError> {
        self.written(
            "SELECT window, what FROM alarms WHERE window > ? AND format = ? ORDER BY alarm",
            window,
        )
    }

    /// What was found in windows after `window`, in the same way.
    pub(crate) fn placings_after(&self, window: i64) -> Result<Vec<(i64, String)>, StoreError> {
        self.written(
            "SELECT window, what FROM placings WHERE window > ? AND format = ? ORDER BY placing",
            window,
        )
    }

    /// Alarms of a model, or of all, in their order.
    pub(crate) fn alarms(
        &self,
        model: Option<&ModelId>,
        page: &Page,
    ) -> Result<Paged<AlarmRow>, StoreError> {
        let sql = "SELECT alarm, window, model, bundle, device, at, what FROM alarms
                   WHERE alarm > ?1 AND (?3 IS NULL OR model = ?3) ORDER BY alarm LIMIT ?2";
        let read = |row: &Row<'_>| {
            Ok(AlarmRow {
                alarm: row.get(0)?,
                window: row.get(1)?,
                model: row.get(2)?,
                bundle: column::digest(row, 3)?,
                device: row.get(4)?,
                at: column::number(row, 5)?,
                what: column::from_json(row, 6)?,
            })
        };
        self.list(sql, &[model.map(ModelId::as_str)], page, read, |row| {
            row.alarm
        })
    }

    /// Findings of a model, or of all, in their order.
    pub(crate) fn placings(
        &self,
        model: Option<&ModelId>,
        page: &Page,
    ) -> Result<Paged<PlacingRow>, StoreError> {
        let sql = "SELECT placing, window, model, bundle, at, what FROM placings
                   WHERE placing > ?1 AND (?3 IS NULL OR model = ?3) ORDER BY placing LIMIT ?2";
        let read = |row: &Row<'_>| {
            Ok(PlacingRow {
                placing: row.get(0)?,
                window: row.get(1)?,
                model: row.get(2)?,
                bundle: column::digest(row, 3)?.to_string(),
                at: column::number(row, 4)?,
                found: column::from_json(row, 5)?,
            })
        };
        self.list(sql, &[model.map(ModelId::as_str)], page, read, |row| {
            row.placing
        })
    }

    /// Devices that findings of a bundle name since a rollout of it was made. What is benign is none.
    pub(crate) fn drifted(
        &self,
        rollout: i64,
        bundle: Digest,
    ) -> Result<BTreeSet<DeviceId>, StoreError> {
        let mut statement = self.0.prepare_cached(
            "SELECT DISTINCT each.value
             FROM rollouts o JOIN placings p ON p.model = o.model AND p.at >= o.created_at,
             json_each(p.what, '$.devices') each
             WHERE o.rollout = ? AND p.bundle = ? AND p.cause <> ?",
        )?;
        let benign = column::to_json(&Cause::Benign)?;
        let named = params![rollout, bundle.0, benign];
        let rows = statement.query_map(named, |row| column::id(row, 0))?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    fn written(&self, sql: &str, window: i64) -> Result<Vec<(i64, String)>, StoreError> {
        let mut statement = self.0.prepare_cached(sql)?;
        let rows = statement.query_map(params![window, FORMAT], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }
}
