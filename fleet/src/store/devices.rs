//! Devices and the keys with which they sign. Never a certificate: see `enrolment`.

use std::collections::BTreeMap;

use muster_protocol::digest::Digest;
use muster_protocol::id::{BootId, DeviceId, EpochGeneration, Version};
use muster_protocol::key::PublicKey;
use muster_protocol::time::{Millis, UnixSeconds};
use rusqlite::{OptionalExtension, Row, params};
use serde::Serialize;
use serde_json::Value;

use super::column::{self, bits};
use super::held::{self, Held};
use super::{Page, Paged, StoreError, Tx};
use crate::rollout::Labelled;

/// A device as lists show it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct DeviceRow {
    /// Its id.
    pub(crate) device: String,
    /// Its labels.
    pub(crate) labels: BTreeMap<String, String>,
    /// When it was enrolled, unix seconds.
    pub(crate) enrolled_at: u64,
    /// When its last signed hello came, unix seconds.
    pub(crate) last_seen: Option<u64>,
    /// A hint of the broker.
    pub(crate) connected: bool,
    /// Version of its agent.
    pub(crate) agent: Option<String>,
    /// Its health at the last hello.
    pub(crate) health: Value,
    /// Versions of the metadata that it trusts.
    pub(crate) metadata: Value,
    /// The assignment that it accepted, `epoch.generation`.
    pub(crate) accepted: Option<String>,
    /// The newest assignment that was composed for it, `epoch.generation`.
    pub(crate) assigned: Option<String>,
    /// None of its keys counts any more: it is enrolled anew, or stays away.
    pub(crate) revoked: bool,
    /// Why nothing is composed for it, if so.
    pub(crate) held: Option<Held>,
}

/// What a hello changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HelloRecord {
    /// What the device accepted.
    pub(crate) accepted: Option<EpochGeneration>,
    /// Digest of that assignment.
    pub(crate) digest: Option<Digest>,
    /// Version of the agent.
    pub(crate) agent: Version,
    /// Its boot.
    pub(crate) boot: BootId,
    /// Monotonic time of the hello.
    pub(crate) at: Millis,
    /// Health, as JSON.
    pub(crate) health: Value,
    /// Metadata versions, as JSON.
    pub(crate) metadata: Value,
}

/// Columns of [`read`], and where they come from.
fn rows() -> String {
    format!(
        "SELECT device, labels, enrolled_at, last_seen, connected, agent, health, metadata,
         accepted_epoch, accepted_generation, epoch, generation,
         NOT EXISTS (SELECT 1 FROM device_keys k
                     WHERE k.device = devices.device AND k.retired_at IS NULL), {}
         FROM devices LEFT JOIN held h USING (device)",
        held::COLUMNS
    )
}

impl Tx<'_> {
    /// Adds a device that is not there yet.
    pub(crate) fn add_device(&self, device: &DeviceId, now: UnixSeconds) -> Result<(), StoreError> {
        let added = self.0.execute(
            "INSERT INTO devices (device, enrolled_at) VALUES (?, ?) ON CONFLICT DO NOTHING",
            params![device.as_str(), bits(now.0)],
        )?;
        if added == 1 {
            self.distrust_new(device, now)?;
        }
        Ok(())
    }

    /// Makes `key` the device's document key; earlier ones are retired.
    pub(crate) fn set_document_key(
        &self,
        device: &DeviceId,
        key: PublicKey,
        now: UnixSeconds,
    ) -> Result<(), StoreError> {
        self.0.execute(
            "UPDATE device_keys SET retired_at = ?2
             WHERE device = ?1 AND retired_at IS NULL AND document_key <> ?3",
            params![device.as_str(), bits(now.0), key.0],
        )?;
        self.0.execute(
            "INSERT INTO device_keys (device, document_key, added_at) VALUES (?1, ?2, ?3)
             ON CONFLICT DO UPDATE SET retired_at = NULL",
            params![device.as_str(), key.0, bits(now.0)],
        )?;
        Ok(())
    }

    /// The key that signs now; none for a device that is not enrolled.
    pub(crate) fn document_key(&self, device: &DeviceId) -> Result<Option<PublicKey>, StoreError> {
        let sql = "SELECT document_key FROM device_keys WHERE device = ? AND retired_at IS NULL";
        let key = self
            .0
            .query_row(sql, [device.as_str()], |row| row.get(0).map(PublicKey));
        Ok(key.optional()?)
    }

    /// Lets no key of a device count from now on; whether one did.
    pub(crate) fn revoke_device(
        &self,
        device: &DeviceId,
        now: UnixSeconds,
    ) -> Result<bool, StoreError> {
        let sql = "UPDATE device_keys SET retired_at = ?2 WHERE device = ?1 AND retired_at IS NULL";
        let revoked = self.0.execute(sql, params![device.as_str(), bits(now.0)])?;
        Ok(revoked > 0)
    }

    /// The key that signs now and retired ones: frozen documents keep their signature. None of a
    /// device that was revoked.
    pub(crate) fn document_keys(&self, device: &DeviceId) -> Result<Vec<PublicKey>, StoreError> {
        let sql = "SELECT document_key FROM device_keys WHERE device = ?1
                   AND EXISTS (SELECT 1 FROM device_keys WHERE device = ?1 AND retired_at IS NULL)
                   ORDER BY added_at DESC";
        let mut statement = self.0.prepare_cached(sql)?;
        let keys = statement.query_map([device.as_str()], |row| row.get(0).map(PublicKey))?;
        Ok(keys.collect::<rusqlite::Result<_>>()?)
    }

    /// Replaces the labels; whether there is such a device.
    pub(crate) fn set_labels(
        &self,
        device: &DeviceId,
        labels: &BTreeMap<String, String>,
    ) -> Result<bool, StoreError> {
        let sql = "UPDATE devices SET labels = ?2 WHERE device = ?1";
        let labels = column::to_json(labels)?;
        Ok(self.0.execute(sql, params![device.as_str(), labels])? == 1)
    }

    /// The labels of a device, and the version of its agent as `agent`, unless a label is called
    /// so; none of one that is not there.
    pub(crate) fn watched_labels(
        &self,
        device: &DeviceId,
    ) -> Result<BTreeMap<String, String>, StoreError> {
        let sql = "SELECT labels, agent FROM devices WHERE device = ?";
        let mut statement = self.0.prepare_cached(sql)?;
        let row = |row: &Row<'_>| {
            let mut labels: BTreeMap<String, String> = column::from_json(row, 0)?;
            if let Some(agent) = row.get(1)? {
                labels.entry("agent".to_owned()).or_insert(agent);
            }
            Ok(labels)
        };
        let found = statement.query_row([device.as_str()], row).optional()?;
        Ok(found.unwrap_or_default())
    }

    /// Every device with its labels, by name.
    pub(crate) fn inventory(&self) -> Result<Vec<Labelled>, StoreError> {
        let mut statement = self
            .0
            .prepare_cached("SELECT device, labels FROM devices ORDER BY device")?;
        let row = |row: &Row<'_>| Ok((column::id(row, 0)?, column::from_json(row, 1)?));
        let rows = statement.query_map([], row)?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// One device.
    pub(crate) fn device(&self, device: &DeviceId) -> Result<Option<DeviceRow>, StoreError> {
        let sql = format!("{} WHERE device = ?", rows());
        Ok(self.0.query_row(&sql, [device.as_str()], read).optional()?)
    }

    /// Devices by name.
    pub(crate) fn devices(&self, page: &Page) -> Result<Paged<DeviceRow>, StoreError> {
        let sql = format!("{} WHERE device > ? ORDER BY device LIMIT ?", rows());
        let mut statement = self.0.prepare_cached(&sql)?;
        let rows = statement.query_map(params![page.after_name(), page.limit()], read)?;
        let items = rows.collect::<rusqlite::Result<_>>()?;
        Ok(Paged::of(items, page, |row: &DeviceRow| row.device.clone()))
    }

    /// Boot and monotonic time of the last hello.
    pub(crate) fn last_hello(
        &self,
        device: &DeviceId,
    ) -> Result<Option<(BootId, Millis)>, StoreError> {
        let sql = "SELECT boot, at_ms FROM devices WHERE device = ? AND boot IS NOT NULL";
        let row = |row: &Row<'_>| Ok((BootId(row.get(0)?), Millis(column::number(row, 1)?)));
        Ok(self.0.query_row(sql, [device.as_str()], row).optional()?)
    }

    /// Records a hello.
    pub(crate) fn record_hello(
        &self,
        device: &DeviceId,
        hello: &HelloRecord,
        now: UnixSeconds,
    ) -> Result<(), StoreError> {
        self.0.execute(
            "UPDATE devices SET last_seen = ?2, agent = ?3, boot = ?4, at_ms = ?5, health = ?6,
             metadata = ?7, accepted_epoch = ?8, accepted_generation = ?9, accepted_digest = ?10
             WHERE device = ?1",
            params![
                device.as_str(),
                bits(now.0),
                hello.agent.as_str(),
                hello.boot.0,
                bits(hello.at.0),
                column::to_json(&hello.health)?,
                column::to_json(&hello.metadata)?,
                hello.accepted.map(|at| bits(at.epoch.0)),
                hello.accepted.map(|at| bits(at.generation.0)),
                hello.digest.map(|digest| digest.0),
            ],
        )?;
        Ok(())
    }

    /// Records what the broker says of a connection.
    pub(crate) fn set_connected(
        &self,
        device: &DeviceId,
        connected: bool,
    ) -> Result<(), StoreError> {
        let sql = "UPDATE devices SET connected = ?2 WHERE device = ?1";
        self.0.execute(sql, params![device.as_str(), connected])?;
        Ok(())
    }

    /// Nobody is connected: what a controller that starts knows.
    pub(crate) fn set_none_connected(&self) -> Result<(), StoreError> {
        self.0
            .execute("UPDATE devices SET connected = 0 WHERE connected = 1", [])?;
        Ok(())
    }
}

fn read(row: &Row<'_>) -> rusqlite::Result<DeviceRow> {
    let pair = |index| -> rusqlite::Result<Option<String>> {
        let (epoch, generation) = (
            column::maybe_number(row, index)?,
            column::maybe_number(row, index + 1)?,
        );
        let pair = epoch.zip(generation).filter(|(epoch, _)| *epoch > 0);
        Ok(pair.map(|(epoch, generation)| EpochGeneration::new(epoch, generation).to_string()))
    };
    let json = |index| -> rusqlite::Result<Value> {
        let text: Option<String> = row.get(index)?;
        text.map_or(Ok(Value::Null), |_| column::from_json(row, index))
    };
    Ok(DeviceRow {
        device: row.get(0)?,
        labels: column::from_json(row, 1)?,
        enrolled_at: column::number(row, 2)?,
        last_seen: column::maybe_number(row, 3)?,
        connected: row.get(4)?,
        agent: row.get(5)?,
        health: json(6)?,
        metadata: json(7)?,
        accepted: pair(8)?,
        assigned: pair(10)?,
        revoked: row.get(12)?,
        held: held::read(row, 13)?,
    })
}
