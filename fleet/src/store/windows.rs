//! Windows as they were signed, and sums over them that each window adds to. Never a judgement.

use muster_fleet::gate::Compared;
use muster_protocol::digest::Digest;
use muster_protocol::id::{BootId, DeviceId, Sequence, StreamId};
use muster_protocol::message::{Shadow, Window};
use muster_protocol::stats::LatencyFold;
use muster_protocol::time::UnixSeconds;
use rusqlite::{OptionalExtension, params};
use serde::{Deserialize, Serialize};

use super::column::{self, bits};
use super::{ListFilter, Page, Paged, StoreError, Tx};

/// A window with its number and its signed bytes.
#[derive(Debug, Clone)]
pub(crate) struct WindowToStore<'a> {
    /// Whose.
    pub(crate) device: &'a DeviceId,
    /// Its stream.
    pub(crate) stream: StreamId,
    /// Its number there.
    pub(crate) sequence: Sequence,
    /// The boot that stamped it.
    pub(crate) boot: BootId,
    /// What it says.
    pub(crate) window: &'a Window<'a>,
    /// Exactly the signed bytes.
    pub(crate) document: &'a [u8],
}

/// A window as lists show it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct WindowRow {
    /// Number of the row.
    pub(crate) window: i64,
    /// Whose.
    pub(crate) device: String,
    /// Its stream.
    pub(crate) stream: String,
    /// Its number there.
    pub(crate) sequence: u64,
    /// The model.
    pub(crate) model: String,
    /// The bundle.
    pub(crate) bundle: String,
    /// Monotonic start, milliseconds.
    pub(crate) started_ms: u64,
    /// Monotonic end, milliseconds.
    pub(crate) ended_ms: u64,
    /// Trusted time of the end, unix seconds.
    pub(crate) unix: Option<u64>,
    /// Windows that were merged into it.
    pub(crate) closed_windows: u64,
    /// Rows predicted.
    pub(crate) calls: u64,
    /// Requests that failed.
    pub(crate) errors: u64,
    /// How it compared, of the window of a shadow.
    pub(crate) shadow: Option<ComparedRow>,
    /// Unix seconds.
    pub(crate) received_at: u64,
}

/// How a shadow compared, in short.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ComparedRow {
    /// The bundle that served.
    pub(crate) beside: String,
    /// Rows that it answered while the shadow ran.
    pub(crate) served: u64,
    /// Rows that the shadow answered as well.
    pub(crate) compared: u64,
    /// Of those, the ones to which it gave another class.
    pub(crate) disagreed: u64,
}

impl ComparedRow {
    fn of(window: &Window<'_>, shadow: &Shadow<'_>) -> Self {
        let counts = Compared::of(window, shadow);
        Self {
            beside: shadow.beside.to_string(),
            served: counts.served,
            compared: counts.compared,
            disagreed: counts.classified().1,
        }
    }
}

impl Tx<'_> {
    /// Adds a window and counts it; one of a shadow counts in no sum of what serves.
    pub(crate) fn add_window(
        &self,
        stored: &WindowToStore<'_>,
        now: UnixSeconds,
    ) -> Result<(), StoreError> {
        let window = stored.window;
        let mut insert = self.0.prepare_cached(
            "INSERT INTO windows (device, stream, sequence, model, bundle, boot, started_ms,
             ended_ms, unix, closed_windows, calls, errors, received_at, document, shadow)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        )?;
        let shadow = window.shadow.as_ref();
        let shadow = shadow.map(|shadow| ComparedRow::of(window, shadow));
        insert.execute(params![
            stored.device.as_str(),
            stored.stream.0,
            bits(stored.sequence.0),
            window.model.as_str(),
            window.bundle.0,
            stored.boot.0,
            bits(window.started.0),
            bits(window.ended.0),
            window.unix.map(|unix| bits(unix.0)),
            window.closed_windows,
            bits(window.calls),
            bits(errors(window)),
            bits(now.0),
            stored.document,
            shadow.as_ref().map(column::to_json).transpose()?,
        ])?;
        if shadow.is_some() {
            return Ok(());
        }
        self.count_window(stored.device, window)?;
        self.sum_window(stored.device, window, now)?;
        self.sum_scores(stored.device, window, now)
    }

    fn count_window(&self, device: &DeviceId, window: &Window<'_>) -> Result<(), StoreError> {
        let key = (device.as_str(), window.model.as_str(), window.bundle.0);
        let mut select = self.0.prepare_cached(
            "SELECT calls, closed_windows, errors, latency FROM counters
             WHERE device = ? AND model = ? AND bundle = ?",
        )?;
        let before = select.query_row(key, |row| {
            let numbers = (
                column::number(row, 0)?,
                column::number(row, 1)?,
                column::number(row, 2)?,
            );
            Ok((numbers, read_latency(&row.get::<_, Vec<u8>>(3)?)))
        });
        let ((calls, closed, failed), mut latency) = before.optional()?.unwrap_or_default();
        window
            .latency
            .iter()
            .for_each(|count| latency.add(count.bucket, count.count));
        let mut upsert = self.0.prepare_cached(
            "INSERT INTO counters (device, model, bundle, calls, closed_windows, errors, latency)
             VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET calls = excluded.calls,
             closed_windows = excluded.closed_windows, errors = excluded.errors,
             latency = excluded.latency",
        )?;
        upsert.execute(params![
            key.0,
            key.1,
            key.2,
            bits(calls.saturating_add(window.calls)),
            bits(closed.saturating_add(u64::from(window.closed_windows))),
            bits(failed.saturating_add(errors(window))),
            write_latency(&latency),
        ])?;
        Ok(())
    }

    /// Windows in the order in which they came.
    pub(crate) fn windows(
        &self,
        filter: &ListFilter,
        page: &Page,
    ) -> Result<Paged<WindowRow>, StoreError> {
        let sql =
            "SELECT window, device, stream, sequence, model, bundle, started_ms, ended_ms, unix,
                   closed_windows, calls, errors, received_at, shadow FROM windows
                   WHERE window > ?1 AND (?3 IS NULL OR device = ?3) AND (?4 IS NULL OR model = ?4)
                   ORDER BY window LIMIT ?2";
        self.list(sql, &filter.values(), page, read, |row| row.window)
    }
}

fn read(row: &rusqlite::Row<'_>) -> rusqlite::Result<WindowRow> {
    Ok(WindowRow {
        window: row.get(0)?,
        device: row.get(1)?,
        stream: column::stream(row, 2)?.to_string(),
        sequence: column::number(row, 3)?,
        model: row.get(4)?,
        bundle: column::digest(row, 5).map(|digest: Digest| digest.to_string())?,
        started_ms: column::number(row, 6)?,
        ended_ms: column::number(row, 7)?,
        unix: column::maybe_number(row, 8)?,
        closed_windows: column::number(row, 9)?,
        calls: column::number(row, 10)?,
        errors: column::number(row, 11)?,
        received_at: column::number(row, 12)?,
        shadow: match row.get::<_, Option<String>>(13)? {
            Some(_) => Some(column::from_json(row, 13)?),
            None => None,
        },
    })
}

fn errors(window: &Window<'_>) -> u64 {
    window
        .errors
        .iter()
        .map(|error| u64::from(error.count))
        .sum()
}

/// Five bytes for each bucket that is not empty: bucket, count.
fn write_latency(latency: &LatencyFold) -> Vec<u8> {
    let entry = |(bucket, count): (u8, u32)| {
        let mut bytes = [bucket, 0, 0, 0, 0];
        bytes[1..].copy_from_slice(&count.to_le_bytes());
        bytes
    };
    latency.iter().flat_map(entry).collect()
}

/// Reads what [`write_latency`] wrote.
pub(super) fn read_latency(bytes: &[u8]) -> LatencyFold {
    let mut latency = LatencyFold::default();
    for entry in bytes.as_chunks::<5>().0 {
        latency.add(
            entry[0],
            u32::from_le_bytes([entry[1], entry[2], entry[3], entry[4]]),
        );
    }
    latency
}
