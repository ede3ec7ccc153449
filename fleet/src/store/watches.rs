//! How far the watch over windows has come, and the states of its charts, twice: now, and as they
//! were before the oldest window that is still there. Never judges a window.

use muster_fleet::watch::{
    Cohort, CohortSlots, DeviceWatch, Labels, QualityWatch, Subject, WatchRule,
};
use muster_protocol::digest::Digest;
use muster_protocol::id::{DeviceId, ModelId};
use muster_protocol::time::UnixSeconds;
use rusqlite::types::Type;
use rusqlite::{OptionalExtension, Row, params};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::column;
use super::{StoreError, Tx};

/// How states are written, raised with every change of what they are. States of another format are
/// forgotten, and computed again from the windows that are there.
pub(crate) const FORMAT: u32 = 2;

/// Which of both.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kept {
    /// After the newest window that was looked at.
    Now,
    /// Before the oldest window that is still there.
    Base,
}

/// How far the watch has come; at the beginning by itself.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Position {
    /// The newest window that was looked at; 0 before the first.
    pub(crate) window: i64,
    /// The newest event that was heeded.
    pub(crate) event: i64,
    /// Up to which window what they show has been told.
    pub(crate) told_window: i64,
    /// By what windows are judged.
    pub(crate) rule: WatchRule,
}

/// A window as it was taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TakenWindow {
    /// Its number.
    pub(crate) window: i64,
    /// Whose.
    pub(crate) device: DeviceId,
    /// When it came.
    pub(crate) received_at: UnixSeconds,
    /// Exactly the signed bytes.
    pub(crate) document: Vec<u8>,
}

impl Position {
    /// The newest window that was ever looked at: states of another format are computed again from
    /// older ones, of which the log of events says all that happened.
    pub(crate) fn looked_at(&self) -> i64 {
        self.window.max(self.told_window)
    }
}

impl Kept {
    const fn number(self) -> i64 {
        match self {
            Self::Now => 0,
            Self::Base => 1,
        }
    }
}

const DEVICE: i64 = 0;
const COHORT: i64 = 1;
const QUALITY: i64 = 2;

impl Tx<'_> {
    /// How far the watch has come; at the beginning when states were written in another format.
    pub(crate) fn watching(&self, kept: Kept) -> Result<Position, StoreError> {
        let sql = "SELECT window, event, told_window, rule, format FROM watching WHERE kept = ?";
        let row = |row: &Row<'_>| {
            let format: u32 = row.get(4)?;
            let found = Position {
                window: row.get(0)?,
                event: row.get(1)?,
                told_window: row.get(2)?,
                rule: column::from_json(row, 3)?,
            };
            let begun_anew = Position {
                told_window: found.told_window.max(found.window),
                ..Position::default()
            };
            Ok(if format == FORMAT { found } else { begun_anew })
        };
        let found = self.0.query_row(sql, [kept.number()], row).optional()?;
        Ok(found.unwrap_or_default())
    }

    /// Whether the states that are kept are written as this program writes them.
    pub(crate) fn watches_hold(&self, kept: Kept) -> Result<bool, StoreError> {
        let sql = "SELECT 1 FROM watching WHERE kept = ? AND format = ?";
        let key = params![kept.number(), FORMAT];
        Ok(self.0.query_row(sql, key, |_| Ok(())).optional()?.is_some())
    }

    /// Writes down how far it has come; states of another format go.
    pub(crate) fn set_watching(&self, kept: Kept, position: &Position) -> Result<(), StoreError> {
        if !self.watches_hold(kept)? {
            for table in ["watches", "watch_labels"] {
                let sql = format!("DELETE FROM {table} WHERE kept = ?");
                self.0.execute(&sql, [kept.number()])?;
            }
        }
        self.0.execute(
            "INSERT OR REPLACE INTO watching (kept, window, event, format, told_window, rule)
             VALUES (?, ?, ?, ?, ?, ?)",
            params![
                kept.number(),
                position.window,
                position.event,
                FORMAT,
                position.told_window,
                column::to_json(&position.rule)?,
            ],
        )?;
        Ok(())
    }

    /// Windows above `after` in their order, at most `limit`; those of shadows are not watched.
    pub(crate) fn taken_windows(
        &self,
        after: i64,
        limit: u32,
    ) -> Result<Vec<TakenWindow>, StoreError> {
        let mut statement = self.0.prepare_cached(
            "SELECT window, device, received_at, document FROM windows
             WHERE window > ? AND shadow IS NULL ORDER BY window LIMIT ?",
        )?;
        let rows = statement.query_map(params![after, limit], |row| {
            Ok(TakenWindow {
                window: row.get(0)?,
                device: column::id(row, 1)?,
                received_at: UnixSeconds(column::number(row, 2)?),
                document: row.get(3)?,
            })
        })?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// The charts of a device.
    pub(crate) fn device_watch(
        &self,
        kept: Kept,
        subject: &Subject,
        device: &DeviceId,
    ) -> Result<Option<DeviceWatch>, StoreError> {
        self.state(kept, subject, DEVICE, device.as_str())
    }

    /// The charts of a cohort.
    pub(crate) fn cohort_watch(
        &self,
        kept: Kept,
        subject: &Subject,
        cohort: &Cohort,
    ) -> Result<Option<CohortSlots>, StoreError> {
        self.state(kept, subject, COHORT, &cohort.to_string())
    }

    /// The charts of all devices of a bundle.
    pub(crate) fn device_watches(
        &self,
        kept: Kept,
        subject: &Subject,
    ) -> Result<Vec<(DeviceId, DeviceWatch)>, StoreError> {
        let mut statement = self.0.prepare_cached(
            "SELECT name, state FROM watches
             WHERE kept = ? AND model = ? AND bundle = ? AND kind = ?",
        )?;
        let key = params![
            kept.number(),
            subject.model.as_str(),
            subject.bundle.0,
            DEVICE
        ];
        let rows =
            statement.query_map(key, |row| Ok((column::id(row, 0)?, from_state(row, 1)?)))?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// How well the classifier of a bundle does in a cohort.
    pub(crate) fn quality_watch(
        &self,
        kept: Kept,
        subject: &Subject,
        cohort: &Cohort,
    ) -> Result<Option<QualityWatch>, StoreError> {
        self.state(kept, subject, QUALITY, &cohort.to_string())
    }

    /// The same of all cohorts.
    pub(crate) fn quality_watches(
        &self,
        kept: Kept,
        subject: &Subject,
    ) -> Result<Vec<(Cohort, QualityWatch)>, StoreError> {
        let mut statement = self.0.prepare_cached(
            "SELECT name, state FROM watches
             WHERE kept = ? AND model = ? AND bundle = ? AND kind = ?",
        )?;
        let model = subject.model.as_str();
        let key = params![kept.number(), model, subject.bundle.0, QUALITY];
        let named = |row: &Row<'_>| Ok((row.get::<_, String>(0)?, from_state(row, 1)?));
        let rows = statement.query_map(key, named)?;
        let rows = rows.collect::<rusqlite::Result<Vec<_>>>()?;
        let known = rows
            .into_iter()
            .filter_map(|(name, state)| Some((Cohort::read(&name)?, state)));
        Ok(known.collect())
    }

    /// Keeps it; `window` is the newest in it.
    pub(crate) fn keep_quality_watch(
        &self,
        kept: Kept,
        (subject, cohort): (&Subject, &Cohort),
        window: i64,
        watch: &QualityWatch,
    ) -> Result<(), StoreError> {
        self.keep_state(kept, subject, (QUALITY, &cohort.to_string()), window, watch)
    }

    /// What is watched of a model.
    pub(crate) fn watched_bundles(&self, model: &ModelId) -> Result<Vec<Digest>, StoreError> {
        let mut statement = self.0.prepare_cached(
            "SELECT DISTINCT bundle FROM watches WHERE kept = 0 AND model = ? ORDER BY bundle",
        )?;
        let rows = statement.query_map([model.as_str()], |row| column::digest(row, 0))?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// Keeps the charts of a device, in which `window` is the newest.
    pub(crate) fn keep_device_watch(
        &self,
        kept: Kept,
        (subject, device): (&Subject, &DeviceId),
        window: i64,
        watch: &DeviceWatch,
    ) -> Result<(), StoreError> {
        self.keep_state(kept, subject, (DEVICE, device.as_str()), window, watch)
    }

    /// Keeps the charts of a cohort, in which `window` is the newest.
    pub(crate) fn keep_cohort_watch(
        &self,
        kept: Kept,
        (subject, cohort): (&Subject, &Cohort),
        window: i64,
        watch: &CohortSlots,
    ) -> Result<(), StoreError> {
        self.keep_state(kept, subject, (COHORT, &cohort.to_string()), window, watch)
    }

    /// Forgets the charts of a model: of one device, or of all devices and cohorts.
    pub(crate) fn forget_watches(
        &self,
        kept: Kept,
        model: &ModelId,
        device: Option<&DeviceId>,
    ) -> Result<usize, StoreError> {
        let sql = "DELETE FROM watches WHERE kept = ?1 AND model = ?2
                   AND (?3 IS NULL OR (kind = 0 AND name = ?3))";
        let device = device.map(DeviceId::as_str);
        Ok(self
            .0
            .execute(sql, params![kept.number(), model.as_str(), device])?)
    }

    /// The labels by which a device was put into cohorts.
    pub(crate) fn watch_labels(&self, kept: Kept, device: &DeviceId) -> Result<Labels, StoreError> {
        let sql = "SELECT labels FROM watch_labels WHERE kept = ? AND device = ?";
        let key = params![kept.number(), device.as_str()];
        let row = |row: &Row<'_>| column::from_json(row, 0);
        Ok(self
            .0
            .query_row(sql, key, row)
            .optional()?
            .unwrap_or_default())
    }

    /// Keeps them.
    pub(crate) fn keep_watch_labels(
        &self,
        kept: Kept,
        device: &DeviceId,
        labels: &Labels,
    ) -> Result<(), StoreError> {
        self.0.execute(
            "INSERT OR REPLACE INTO watch_labels (kept, device, labels) VALUES (?, ?, ?)",
            params![kept.number(), device.as_str(), column::to_json(labels)?],
        )?;
        Ok(())
    }

    fn state<T: DeserializeOwned>(
        &self,
        kept: Kept,
        subject: &Subject,
        kind: i64,
        name: &str,
    ) -> Result<Option<T>, StoreError> {
        let mut statement = self.0.prepare_cached(
            "SELECT state FROM watches
             WHERE kept = ? AND model = ? AND bundle = ? AND kind = ? AND name = ?",
        )?;
        let key = params![
            kept.number(),
            subject.model.as_str(),
            subject.bundle.0,
            kind,
            name
        ];
        Ok(statement
            .query_row(key, |row| from_state(row, 0))
            .optional()?)
    }

    fn keep_state<T: Serialize>(
        &self,
        kept: Kept,
        subject: &Subject,
        (kind, name): (i64, &str),
        window: i64,
        state: &T,
    ) -> Result<(), StoreError> {
        let bytes = postcard::to_stdvec(state)
            .map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))?;
        let mut statement = self.0.prepare_cached(
            "INSERT OR REPLACE INTO watches (kept, model, bundle, kind, name, window, state)
             VALUES (?, ?, ?, ?, ?, ?, ?)",
        )?;
        statement.execute(params![
            kept.number(),
            subject.model.as_str(),
            subject.bundle.0,
            kind,
            name,
            window,
            bytes,
        ])?;
        Ok(())
    }
}

fn from_state<T: DeserializeOwned>(row: &Row<'_>, index: usize) -> rusqlite::Result<T> {
    let bytes: Vec<u8> = row.get(index)?;
    let read = postcard::from_bytes(&bytes);
    read.map_err(|error| {
        rusqlite::Error::FromSqlConversionFailure(index, Type::Blob, Box::new(error))
    })
}
