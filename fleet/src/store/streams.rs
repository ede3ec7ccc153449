//! The streams of each device and how far each is stored without a hole. Never a document.

use muster_protocol::id::{DeviceId, Sequence, StreamId};
use muster_protocol::message::Kind;
use muster_protocol::time::UnixSeconds;
use rusqlite::{OptionalExtension, Row, params};

use super::column::{self, bits};
use super::{StoreError, Tx};

/// A stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StreamRow {
    /// Its id.
    pub(crate) stream: StreamId,
    /// What it carries.
    pub(crate) kind: Kind,
    /// Highest number up to which nothing is missing; zero at first.
    pub(crate) through: Sequence,
    /// Whether another stream has taken its place: it must not speak again.
    pub(crate) superseded: bool,
}

const fn kind_number(kind: Kind) -> u8 {
    match kind {
        Kind::Receipts => 0,
        Kind::Windows => 1,
    }
}

const COLUMNS: &str = "stream, kind, through, superseded";

impl Tx<'_> {
    /// A stream of a device.
    pub(crate) fn stream(
        &self,
        device: &DeviceId,
        stream: StreamId,
    ) -> Result<Option<StreamRow>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM streams WHERE device = ? AND stream = ?");
        let mut statement = self.0.prepare_cached(&sql)?;
        Ok(statement
            .query_row(params![device.as_str(), stream.0], read)
            .optional()?)
    }

    /// The streams of a kind that no other has replaced.
    pub(crate) fn live_streams(
        &self,
        device: &DeviceId,
        kind: Kind,
    ) -> Result<Vec<StreamRow>, StoreError> {
        let mut statement = self.0.prepare_cached(&format!(
            "SELECT {COLUMNS} FROM streams WHERE device = ? AND kind = ? AND superseded = 0"
        ))?;
        let rows = statement.query_map(params![device.as_str(), kind_number(kind)], read)?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// Opens a stream.
    pub(crate) fn open_stream(
        &self,
        device: &DeviceId,
        stream: StreamId,
        kind: Kind,
        predecessor: Option<StreamId>,
        now: UnixSeconds,
    ) -> Result<StreamRow, StoreError> {
        self.0.execute(
            "INSERT INTO streams (device, stream, kind, predecessor, opened_at)
             VALUES (?, ?, ?, ?, ?)",
            params![
                device.as_str(),
                stream.0,
                kind_number(kind),
                predecessor.map(|stream| stream.0),
                bits(now.0),
            ],
        )?;
        Ok(StreamRow {
            stream,
            kind,
            through: Sequence(0),
            superseded: false,
        })
    }

    /// Another stream has taken the place of this one.
    pub(crate) fn supersede(&self, device: &DeviceId, stream: StreamId) -> Result<(), StoreError> {
        self.0.execute(
            "UPDATE streams SET superseded = 1 WHERE device = ? AND stream = ?",
            params![device.as_str(), stream.0],
        )?;
        Ok(())
    }

    /// Everything up to `through` is stored, rejected or reported as lost.
    pub(crate) fn set_through(
        &self,
        device: &DeviceId,
        stream: StreamId,
        through: Sequence,
    ) -> Result<(), StoreError> {
        let mut update = self
            .0
            .prepare_cached("UPDATE streams SET through = ?3 WHERE device = ?1 AND stream = ?2")?;
        update.execute(params![device.as_str(), stream.0, bits(through.0)])?;
        Ok(())
    }

    /// The device no longer keeps these numbers, and the fleet does not have them.
    pub(crate) fn add_reported_gap(
        &self,
        device: &DeviceId,
        stream: StreamId,
        first: Sequence,
        through: Sequence,
        now: UnixSeconds,
    ) -> Result<(), StoreError> {
        self.0.execute(
            "INSERT INTO reported_gaps (device, stream, first, through, reported_at)
             VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
            params![
                device.as_str(),
                stream.0,
                bits(first.0),
                bits(through.0),
                bits(now.0)
            ],
        )?;
        Ok(())
    }
}

fn read(row: &Row<'_>) -> rusqlite::Result<StreamRow> {
    let kind = if row.get::<_, u8>(1)? == 0 {
        Kind::Receipts
    } else {
        Kind::Windows
    };
    Ok(StreamRow {
        stream: column::stream(row, 0)?,
        kind,
        through: Sequence(column::number(row, 2)?),
        superseded: row.get(3)?,
    })
}
