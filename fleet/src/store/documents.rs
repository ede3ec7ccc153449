//! The numbers that were taken, so that each counts once; what could not be read; what is lost.
//! Never the content: see `receipts` and `windows`.

use muster_protocol::digest::Digest;
use muster_protocol::id::{DeviceId, Sequence, StreamId};
use muster_protocol::message::{Gap, GapReason, RejectReason, Rejected};
use muster_protocol::time::UnixSeconds;
use rusqlite::{OptionalExtension, params};

use super::column::{self, bits};
use super::{StoreError, Tx};

/// What is known of a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Known {
    /// Nothing.
    Not,
    /// This document.
    Same,
    /// Another document.
    Other,
}

const fn reason_number(reason: RejectReason) -> u8 {
    match reason {
        RejectReason::Malformed => 0,
        RejectReason::UnknownBody => 1,
        RejectReason::WrongStream => 2,
    }
}

const fn reason(number: u8) -> RejectReason {
    match number {
        1 => RejectReason::UnknownBody,
        2 => RejectReason::WrongStream,
        _ => RejectReason::Malformed,
    }
}

const fn gap_reason(reason: GapReason) -> u8 {
    match reason {
        GapReason::PowerCut => 0,
        GapReason::Damaged => 1,
        GapReason::StoreFull => 2,
    }
}

impl Tx<'_> {
    /// Whether a number was taken, and by the document with this digest.
    pub(crate) fn known(
        &self,
        device: &DeviceId,
        stream: StreamId,
        sequence: Sequence,
        digest: Digest,
    ) -> Result<Known, StoreError> {
        let mut statement = self.0.prepare_cached(
            "SELECT digest FROM documents WHERE device = ? AND stream = ? AND sequence = ?",
        )?;
        let key = params![device.as_str(), stream.0, bits(sequence.0)];
        let found = statement
            .query_row(key, |row| column::digest(row, 0))
            .optional()?;
        Ok(match found {
            None => Known::Not,
            Some(found) if found == digest => Known::Same,
            Some(_) => Known::Other,
        })
    }

    /// Takes a number.
    pub(crate) fn add_document(
        &self,
        device: &DeviceId,
        stream: StreamId,
        sequence: Sequence,
        digest: Digest,
        rejected: Option<RejectReason>,
    ) -> Result<(), StoreError> {
        let mut insert = self.0.prepare_cached(
            "INSERT INTO documents (device, stream, sequence, digest, rejected)
             VALUES (?, ?, ?, ?, ?)",
        )?;
        insert.execute(params![
            device.as_str(),
            stream.0,
            bits(sequence.0),
            digest.0,
            rejected.map(reason_number),
        ])?;
        Ok(())
    }

    /// Keeps a document that could not be read.
    pub(crate) fn quarantine(
        &self,
        device: &DeviceId,
        stream: StreamId,
        rejected: Rejected,
        document: &[u8],
        now: UnixSeconds,
    ) -> Result<(), StoreError> {
        self.0.execute(
            "INSERT INTO quarantine (device, stream, sequence, reason, received_at, document)
             VALUES (?, ?, ?, ?, ?, ?)",
            params![
                device.as_str(),
                stream.0,
                bits(rejected.sequence.0),
                reason_number(rejected.reason),
                bits(now.0),
                document,
            ],
        )?;
        Ok(())
    }

    /// The highest number up to which none is missing, from `through` on.
    pub(crate) fn contiguous(
        &self,
        device: &DeviceId,
        stream: StreamId,
        through: Sequence,
    ) -> Result<Sequence, StoreError> {
        let mut statement = self.0.prepare_cached(
            "SELECT sequence FROM documents WHERE device = ? AND stream = ? AND sequence > ?
             ORDER BY sequence",
        )?;
        let mut rows = statement.query(params![device.as_str(), stream.0, bits(through.0)])?;
        let mut through = through;
        while let Some(row) = rows.next()? {
            if Some(column::number(row, 0)?) != through.0.checked_add(1) {
                break;
            }
            through.0 += 1;
        }
        Ok(through)
    }

    /// Numbers above `after` that were rejected, at most `limit` of them.
    pub(crate) fn rejected(
        &self,
        device: &DeviceId,
        stream: StreamId,
        after: Sequence,
        limit: usize,
    ) -> Result<Vec<Rejected>, StoreError> {
        let mut statement = self.0.prepare_cached(
            "SELECT sequence, rejected FROM documents WHERE device = ? AND stream = ?
             AND sequence > ? AND rejected IS NOT NULL ORDER BY sequence LIMIT ?",
        )?;
        let key = params![device.as_str(), stream.0, bits(after.0), bits(limit as u64)];
        let rows = statement.query_map(key, |row| {
            let (sequence, reason) = (Sequence(column::number(row, 0)?), reason(row.get(1)?));
            Ok(Rejected { sequence, reason })
        })?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// Keeps what a device counted as lost.
    pub(crate) fn add_gap(
        &self,
        device: &DeviceId,
        stream: StreamId,
        sequence: Sequence,
        gap: &Gap,
        now: UnixSeconds,
    ) -> Result<(), StoreError> {
        self.0.execute(
            "INSERT INTO gaps (device, stream, sequence, model, reason, closed_windows, calls,
             received_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            params![
                device.as_str(),
                stream.0,
                bits(sequence.0),
                gap.model.as_ref().map(|model| model.as_str()),
                gap_reason(gap.reason),
                gap.closed_windows,
                bits(gap.calls),
                bits(now.0),
            ],
        )?;
        Ok(())
    }
}
