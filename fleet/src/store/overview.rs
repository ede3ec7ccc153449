//! What one look at the whole fleet asks for: counts over all devices, and the newest of a few.
//!
//! Rows that are kept with each document are added up here; no window is read but the newest few
//! of one device.

use std::collections::BTreeMap;

use muster_protocol::id::DeviceId;
use muster_protocol::message::Kind;
use muster_protocol::stats::LatencyFold;
use muster_protocol::time::UnixSeconds;
use rusqlite::{Row, params};

use super::column::{self, bits};
use super::incidents::{COLUMNS as INCIDENT_COLUMNS, Incident};
use super::windows::read_latency;
use super::{StoreError, Tx};

/// Devices by what is known of their connection; each is in one of the four.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Presences {
    /// The broker has their connection.
    pub(crate) connected: u64,
    /// Not connected, and heard since the moment that was asked for.
    pub(crate) offline: u64,
    /// Not connected, and not heard since.
    pub(crate) stale: u64,
    /// Enrolled, and never heard.
    pub(crate) never_seen: u64,
}

impl Presences {
    /// All devices.
    pub(crate) const fn total(&self) -> u64 {
        self.connected + self.offline + self.stale + self.never_seen
    }
}

/// Devices on which a model stands the same.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct StandingCount {
    /// The model.
    pub(crate) model: String,
    /// What the newest rollout wants.
    pub(crate) desired_version: Option<String>,
    /// What serves, by the receipts.
    pub(crate) active_version: Option<String>,
    /// The version that the last receipt is about.
    pub(crate) step_version: Option<String>,
    /// Its step.
    pub(crate) step: Option<String>,
    /// How many.
    pub(crate) devices: u64,
}

/// Sums of a model over all devices.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct ModelSums {
    /// Rows predicted.
    pub(crate) predictions: u64,
    /// Requests that failed.
    pub(crate) errors: u64,
    /// Latencies of all of them.
    pub(crate) latency: LatencyFold,
}

/// A window that a device sent lately.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RecentWindow {
    /// The model.
    pub(crate) model: String,
    /// Rows predicted.
    pub(crate) calls: u64,
    /// Unix seconds.
    pub(crate) received_at: u64,
}

impl Tx<'_> {
    /// A number that is another one after each change of the store.
    pub(crate) fn changes(&self) -> Result<i64, StoreError> {
        Ok(self
            .0
            .pragma_query_value(None, "data_version", |row| row.get(0))?)
    }

    /// Every device, by what is known of its connection.
    pub(crate) fn presences(&self, heard_since: UnixSeconds) -> Result<Presences, StoreError> {
        let sql = "SELECT count(*) FILTER (WHERE connected = 1),
                          count(*) FILTER (WHERE connected = 0 AND last_seen >= ?1),
                          count(*) FILTER (WHERE connected = 0 AND last_seen < ?1),
                          count(*) FILTER (WHERE connected = 0 AND last_seen IS NULL)
                   FROM devices";
        let row = |row: &Row<'_>| {
            Ok(Presences {
                connected: column::number(row, 0)?,
                offline: column::number(row, 1)?,
                stale: column::number(row, 2)?,
                never_seen: column::number(row, 3)?,
            })
        };
        Ok(self.0.query_row(sql, [bits(heard_since.0)], row)?)
    }

    /// How models stand on devices, counted; models that are wanted, or that were reported.
    pub(crate) fn standings(&self) -> Result<Vec<StandingCount>, StoreError> {
        let mut statement = self.0.prepare_cached(
            "SELECT coalesce(d.model, m.model), d.version, m.active_version, m.version, m.step,
             count(*) FROM (SELECT * FROM desired WHERE role = 0) d
             FULL JOIN (SELECT * FROM device_models WHERE role = 0) m
             ON d.device = m.device AND d.model = m.model
             GROUP BY 1, 2, 3, 4, 5 ORDER BY 1, 2, 3",
        )?;
        let rows = statement.query_map([], |row| {
            Ok(StandingCount {
                model: row.get(0)?,
                desired_version: row.get(1)?,
                active_version: row.get(2)?,
                step_version: row.get(3)?,
                step: row.get(4)?,
                devices: column::number(row, 5)?,
            })
        })?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// What was predicted with each model, on all devices together.
    pub(crate) fn model_sums(&self) -> Result<BTreeMap<String, ModelSums>, StoreError> {
        let mut sums = BTreeMap::<String, ModelSums>::new();
        let sql = "SELECT model, calls, errors, latency FROM counters";
        let mut statement = self.0.prepare_cached(sql)?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let sum = sums.entry(row.get(0)?).or_default();
            sum.predictions = sum.predictions.saturating_add(column::number(row, 1)?);
            sum.errors = sum.errors.saturating_add(column::number(row, 2)?);
            let more = read_latency(&row.get::<_, Vec<u8>>(3)?);
            more.iter()
                .for_each(|(bucket, count)| sum.latency.add(bucket, count));
        }
        Ok(sums)
    }

    /// The ids of all devices, in order.
    pub(crate) fn device_names(&self) -> Result<Vec<String>, StoreError> {
        let mut statement = self
            .0
            .prepare_cached("SELECT device FROM devices ORDER BY device")?;
        let rows = statement.query_map([], |row| row.get(0))?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// The newest windows of a device, the newest first.
    pub(crate) fn recent_windows(
        &self,
        device: &DeviceId,
        count_max: u32,
    ) -> Result<Vec<RecentWindow>, StoreError> {
        let mut statement = self.0.prepare_cached(
            "SELECT model, calls, received_at FROM windows
             WHERE device = ? AND stream = ? AND shadow IS NULL ORDER BY sequence DESC LIMIT ?",
        )?;
        let mut windows = Vec::new();
        for stream in self.live_streams(device, Kind::Windows)? {
            let key = params![device.as_str(), stream.stream.0, count_max];
            let rows = statement.query_map(key, |row| {
                Ok(RecentWindow {
                    model: row.get(0)?,
                    calls: column::number(row, 1)?,
                    received_at: column::number(row, 2)?,
                })
            })?;
            windows.extend(rows.collect::<rusqlite::Result<Vec<_>>>()?);
        }
        Ok(windows)
    }

    /// How many incidents there are, and the newest of them, the newest first.
    pub(crate) fn newest_incidents(
        &self,
        count_max: u32,
    ) -> Result<(u64, Vec<Incident>), StoreError> {
        let sql = "SELECT count(*) FROM incidents";
        let total = self.0.query_row(sql, [], |row| column::number(row, 0))?;
        let sql =
            format!("SELECT {INCIDENT_COLUMNS} FROM incidents ORDER BY incident DESC LIMIT ?");
        let mut statement = self.0.prepare_cached(&sql)?;
        let rows = statement.query_map([count_max], Incident::read)?;
        Ok((total, rows.collect::<rusqlite::Result<_>>()?))
    }
}
