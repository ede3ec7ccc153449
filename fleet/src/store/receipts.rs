//! Receipts as they were signed, and where each model stands because of them. Never decides what
//! a step means.

use muster_protocol::digest::Hex;
use muster_protocol::id::{DeviceId, EpochGeneration, ModelId, Sequence, StreamId, Version};
use muster_protocol::message::{Receipt, Role, Step};
use muster_protocol::time::UnixSeconds;
use rusqlite::{OptionalExtension, Row, params};
use serde::Serialize;
use serde_json::{Value, json};

use super::column::{self, bits};
use super::{ListFilter, Page, Paged, StoreError, Tx};

/// A receipt with its number and its signed bytes.
#[derive(Debug, Clone)]
pub(crate) struct ReceiptToStore<'a> {
    /// Whose.
    pub(crate) device: &'a DeviceId,
    /// Its stream.
    pub(crate) stream: StreamId,
    /// Its number there.
    pub(crate) sequence: Sequence,
    /// What it says.
    pub(crate) receipt: &'a Receipt<'a>,
    /// Exactly the signed bytes.
    pub(crate) document: &'a [u8],
}

/// A receipt as lists show it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct ReceiptRow {
    /// Number of the row.
    pub(crate) receipt: i64,
    /// Whose.
    pub(crate) device: String,
    /// Its number in the stream.
    pub(crate) sequence: u64,
    /// The model.
    pub(crate) model: String,
    /// The version.
    pub(crate) version: String,
    /// The bundle, once it was known.
    pub(crate) bundle: Option<String>,
    /// `since` of the entry, `epoch.generation`.
    pub(crate) since: String,
    /// What the release is there for: `serve` or `shadow`.
    pub(crate) role: &'static str,
    /// The step.
    pub(crate) step: String,
    /// Why.
    pub(crate) reason: Option<String>,
    /// Why, in a sentence.
    pub(crate) detail: Option<String>,
    /// Trusted time of the device, unix seconds.
    pub(crate) unix: Option<u64>,
    /// Unix seconds.
    pub(crate) received_at: u64,
    /// What was measured on the way.
    pub(crate) measured: Value,
}

/// A receipt as it is exported: nothing in it but what the device signed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct SignedReceipt {
    #[serde(skip)]
    row: i64,
    /// Exactly the signed bytes, in hexadecimal digits.
    pub(crate) receipt: String,
}

/// The name of a step, as lists show it.
pub(crate) fn step_name(step: Step) -> String {
    snake_case(&format!("{step:?}"))
}

fn snake_case(name: &str) -> String {
    let mut text = String::with_capacity(name.len() + 4);
    for letter in name.chars() {
        if letter.is_ascii_uppercase() && !text.is_empty() {
            text.push('_');
        }
        text.push(letter.to_ascii_lowercase());
    }
    text
}

impl Tx<'_> {
    /// Adds a receipt.
    pub(crate) fn add_receipt(
        &self,
        stored: &ReceiptToStore<'_>,
        now: UnixSeconds,
    ) -> Result<(), StoreError> {
        let receipt = stored.receipt;
        let mut insert = self.0.prepare_cached(
            "INSERT INTO receipts (device, stream, sequence, model, version, bundle, since_epoch,
             since_generation, step, reason, detail, unix, received_at, measured, document, role)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        )?;
        insert.execute(params![
            stored.device.as_str(),
            stored.stream.0,
            bits(stored.sequence.0),
            receipt.model.as_str(),
            receipt.version.as_str(),
            receipt.bundle.map(|digest| digest.0),
            bits(receipt.since.epoch.0),
            bits(receipt.since.generation.0),
            step_name(receipt.step),
            receipt
                .reason
                .map(|reason| snake_case(&format!("{reason:?}"))),
            receipt.detail,
            receipt.unix.map(|unix| bits(unix.0)),
            bits(now.0),
            column::to_json(&measured(receipt))?,
            stored.document,
            column::role_number(receipt.role.unwrap_or(Role::Serve)),
        ])?;
        Ok(())
    }

    /// The signed receipts with numbers above `after`, up to `through`, in order.
    pub(crate) fn receipt_documents(
        &self,
        device: &DeviceId,
        stream: StreamId,
        after: Sequence,
        through: Sequence,
    ) -> Result<Vec<Vec<u8>>, StoreError> {
        let mut statement = self.0.prepare_cached(
            "SELECT document FROM receipts WHERE device = ? AND stream = ?
             AND sequence > ? AND sequence <= ? ORDER BY sequence",
        )?;
        let key = params![device.as_str(), stream.0, bits(after.0), bits(through.0)];
        let rows = statement.query_map(key, |row| row.get(0))?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// Receipts exactly as they were signed, in the order in which they came, from `since` on.
    pub(crate) fn signed_receipts(
        &self,
        filter: &ListFilter,
        since: UnixSeconds,
        page: &Page,
    ) -> Result<Paged<SignedReceipt>, StoreError> {
        let sql = "SELECT receipt, document FROM receipts
                   WHERE receipt > ?1 AND (?3 IS NULL OR device = ?3) AND (?4 IS NULL OR model = ?4)
                   AND received_at >= CAST(?5 AS INTEGER) ORDER BY receipt LIMIT ?2";
        let ([device, model], since) = (filter.values(), bits(since.0).to_string());
        let filters = [device, model, Some(since.as_str())];
        self.list(sql, &filters, page, read_signed, |receipt| receipt.row)
    }

    /// The version that serves and the one that passed its probation last.
    pub(crate) fn serving(
        &self,
        device: &DeviceId,
        model: &ModelId,
    ) -> Result<(Option<Version>, Option<Version>), StoreError> {
        let sql = "SELECT active_version, committed_version FROM device_models
                   WHERE device = ? AND model = ? AND role = 0";
        let version = |row: &Row<'_>, index| {
            let text: Option<String> = row.get(index)?;
            text.map(|_| column::id(row, index)).transpose()
        };
        let row = |row: &Row<'_>| Ok((version(row, 0)?, version(row, 1)?));
        let found = self
            .0
            .query_row(sql, [device.as_str(), model.as_str()], row)
            .optional()?;
        Ok(found.unwrap_or_default())
    }

    /// Where a model stands, by its last receipt.
    pub(crate) fn set_device_model(
        &self,
        device: &DeviceId,
        receipt: &Receipt<'_>,
        active: Option<&Version>,
        committed: Option<&Version>,
        now: UnixSeconds,
    ) -> Result<(), StoreError> {
        self.0.execute(
            "INSERT OR REPLACE INTO device_models (device, model, role, version, since_epoch,
             since_generation, step, reason, detail, active_version, committed_version, updated_at)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            params![
                device.as_str(),
                receipt.model.as_str(),
                column::role_number(receipt.role.unwrap_or(Role::Serve)),
                receipt.version.as_str(),
                bits(receipt.since.epoch.0),
                bits(receipt.since.generation.0),
                step_name(receipt.step),
                receipt
                    .reason
                    .map(|reason| snake_case(&format!("{reason:?}"))),
                receipt.detail,
                active.map(Version::as_str),
                committed.map(Version::as_str),
                bits(now.0),
            ],
        )?;
        Ok(())
    }

    /// Receipts in the order in which they came.
    pub(crate) fn receipts(
        &self,
        filter: &ListFilter,
        page: &Page,
    ) -> Result<Paged<ReceiptRow>, StoreError> {
        let sql = "SELECT receipt, device, sequence, model, version, bundle, since_epoch,
                   since_generation, step, reason, detail, unix, received_at, measured, role
                   FROM receipts
                   WHERE receipt > ?1 AND (?3 IS NULL OR device = ?3) AND (?4 IS NULL OR model = ?4)
                   ORDER BY receipt LIMIT ?2";
        self.list(sql, &filter.values(), page, read, |row| row.receipt)
    }
}

fn read(row: &Row<'_>) -> rusqlite::Result<ReceiptRow> {
    let since: EpochGeneration = column::pair(row, 6)?;
    Ok(ReceiptRow {
        receipt: row.get(0)?,
        device: row.get(1)?,
        sequence: column::number(row, 2)?,
        model: row.get(3)?,
        version: row.get(4)?,
        bundle: column::maybe_digest(row, 5)?.map(|digest| digest.to_string()),
        since: since.to_string(),
        role: column::role_name(row, 14)?,
        step: row.get(8)?,
        reason: row.get(9)?,
        detail: row.get(10)?,
        unix: column::maybe_number(row, 11)?,
        received_at: column::number(row, 12)?,
        measured: column::from_json(row, 13)?,
    })
}

fn read_signed(row: &Row<'_>) -> rusqlite::Result<SignedReceipt> {
    let document: Vec<u8> = row.get(1)?;
    Ok(SignedReceipt {
        row: row.get(0)?,
        receipt: Hex(&document).to_string(),
    })
}

fn measured(receipt: &Receipt<'_>) -> Value {
    let measured = receipt.measured;
    json!({
        "load_ms": measured.load_ms,
        "latency_us": measured.latency_us,
        "peak_memory_bytes": measured.peak_memory_bytes,
        "fetched_bytes": measured.fetched_bytes,
        "written_bytes": measured.written_bytes,
    })
}
