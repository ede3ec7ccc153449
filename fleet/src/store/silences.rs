//! Silences, with who made them and why. Never removed: old incidents name them.

use muster_fleet::incident::{Person, Silence};
use muster_protocol::time::UnixSeconds;
use rusqlite::{OptionalExtension as _, Row, params};
use serde::Serialize;

use super::column::{self, bits};
use super::{Page, Paged, Said, StoreError, Tx};

/// A silence as lists show it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct SilenceRow {
    /// Its number.
    pub(crate) silence: i64,
    /// What it covers.
    pub(crate) selector: Silence,
    /// Unix seconds.
    pub(crate) made_at: u64,
    /// When it ends by itself.
    pub(crate) expires_at: u64,
    /// When a person ended it.
    pub(crate) ended_at: Option<u64>,
    /// Who made and ended it, and why.
    pub(crate) orders: Vec<Said>,
}

impl Tx<'_> {
    /// Makes a silence.
    pub(crate) fn add_silence(
        &self,
        silence: &Silence,
        span_s: u64,
        person: &Person,
        now: UnixSeconds,
    ) -> Result<i64, StoreError> {
        self.0.execute(
            "INSERT INTO silences (selector, made_at, expires_at) VALUES (?, ?, ?)",
            params![
                column::to_json(silence)?,
                bits(now.0),
                bits(now.0.saturating_add(span_s))
            ],
        )?;
        let number = self.0.last_insert_rowid();
        self.say("silence", number, "silence", person, now)?;
        Ok(number)
    }

    /// Ends a silence; whether it had not ended.
    pub(crate) fn end_silence(
        &self,
        silence: i64,
        person: &Person,
        now: UnixSeconds,
    ) -> Result<bool, StoreError> {
        let sql = "UPDATE silences SET ended_at = ?2
                   WHERE silence = ?1 AND ended_at IS NULL AND expires_at > ?2";
        let ended = self.0.execute(sql, params![silence, bits(now.0)])? == 1;
        if ended {
            self.say("silence", silence, "end", person, now)?;
        }
        Ok(ended)
    }

    /// One silence.
    pub(crate) fn silence(&self, silence: i64) -> Result<Option<SilenceRow>, StoreError> {
        let sql = "SELECT silence, selector, made_at, expires_at, ended_at FROM silences
                   WHERE silence = ?";
        let found = self.0.query_row(sql, [silence], read).optional()?;
        found.map(|row| self.with_orders(row)).transpose()
    }

    /// Silences in the order in which they were made.
    pub(crate) fn silences(&self, page: &Page) -> Result<Paged<SilenceRow>, StoreError> {
        let sql = "SELECT silence, selector, made_at, expires_at, ended_at FROM silences
                   WHERE silence > ?1 ORDER BY silence LIMIT ?2";
        let mut rows = self.list(sql, &[], page, read, |row| row.silence)?;
        let items = std::mem::take(&mut rows.items).into_iter();
        rows.items = items
            .map(|row| self.with_orders(row))
            .collect::<Result<_, _>>()?;
        Ok(rows)
    }

    /// The silences that hold now.
    pub(super) fn silences_now(&self, now: UnixSeconds) -> Result<Vec<(i64, Silence)>, StoreError> {
        let sql = "SELECT silence, selector FROM silences
                   WHERE ended_at IS NULL AND expires_at > ? ORDER BY silence";
        let mut statement = self.0.prepare_cached(sql)?;
        let rows = statement.query_map([bits(now.0)], |row| {
            Ok((row.get(0)?, column::from_json(row, 1)?))
        })?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    fn with_orders(&self, mut row: SilenceRow) -> Result<SilenceRow, StoreError> {
        row.orders = self.said_about("silence", row.silence)?;
        Ok(row)
    }
}

fn read(row: &Row<'_>) -> rusqlite::Result<SilenceRow> {
    Ok(SilenceRow {
        silence: row.get(0)?,
        selector: column::from_json(row, 1)?,
        made_at: column::number(row, 2)?,
        expires_at: column::number(row, 3)?,
        ended_at: column::maybe_number(row, 4)?,
        orders: Vec::new(),
    })
}
