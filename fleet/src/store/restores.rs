//! Restores that this store went through, and what they raised. Never unpacks a backup.

use muster_protocol::id::DeviceId;
use muster_protocol::time::UnixSeconds;
use rusqlite::{OptionalExtension, Row, params};
use serde::Serialize;

use super::column::{self, bits};
use super::{HoldReason, StoreError, Tx};

/// A restore as lists show it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct RestoreRow {
    /// Its number.
    pub(crate) restore: i64,
    /// When the backup was made, unix seconds.
    pub(crate) backup_at: u64,
    /// When it was restored, unix seconds.
    pub(crate) restored_at: u64,
    /// No metadata but root gets a lower version from then on.
    pub(crate) version_floor: u64,
}

impl Tx<'_> {
    /// Restores, in their order.
    pub(crate) fn restores(&self) -> Result<Vec<RestoreRow>, StoreError> {
        let mut statement = self.0.prepare_cached(
            "SELECT restore, backup_at, restored_at, version_floor FROM restores ORDER BY restore",
        )?;
        let rows = statement.query_map([], |row| {
            Ok(RestoreRow {
                restore: row.get(0)?,
                backup_at: column::number(row, 1)?,
                restored_at: column::number(row, 2)?,
                version_floor: column::number(row, 3)?,
            })
        })?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// The lowest version that new metadata may have, but for root; one before any restore.
    pub(crate) fn version_floor(&self) -> Result<u64, StoreError> {
        let floors = self.restores()?.into_iter().map(|row| row.version_floor);
        Ok(floors.max().unwrap_or(1))
    }

    /// After a restore, a device that is new here may be one whose enrolment was lost.
    pub(super) fn distrust_new(
        &self,
        device: &DeviceId,
        now: UnixSeconds,
    ) -> Result<(), StoreError> {
        if let Some(floor) = self.new_device_floor()? {
            self.raise_generation_floor(device, floor)?;
            self.hold(device, HoldReason::Restored, now)?;
        }
        Ok(())
    }

    /// From where the generations of a device count that is enrolled now; none before any restore.
    fn new_device_floor(&self) -> Result<Option<u64>, StoreError> {
        let sql = "SELECT generation_floor FROM restores ORDER BY restore DESC LIMIT 1";
        let newest = self.0.query_row(sql, [], |row| column::number(row, 0));
        Ok(newest.optional()?)
    }

    /// Raises every number by `step` over the highest that is known of it here, holds every device
    /// and ends tokens that the lost controller may have taken; how many devices that are.
    ///
    /// A device that was enrolled after the backup began where all new ones did: what others say
    /// of their own generations does not count for it, or one of them could use them up for all.
    pub(super) fn resume(
        &self,
        backup_at: UnixSeconds,
        now: UnixSeconds,
        step: u64,
    ) -> Result<u64, StoreError> {
        let devices = self.generations()?;
        for (device, generation) in &devices {
            self.raise_generation_floor(device, generation.saturating_add(step))?;
            self.hold(device, HoldReason::Restored, now)?;
        }
        let new_device = self.new_device_floor()?.unwrap_or(0);
        let floors = (
            new_device.saturating_add(step),
            self.highest_version()?.saturating_add(step),
        );
        self.0.execute(
            "INSERT INTO restores (backup_at, restored_at, generation_floor, version_floor)
             VALUES (?, ?, ?, ?)",
            params![
                bits(backup_at.0),
                bits(now.0),
                bits(floors.0),
                bits(floors.1)
            ],
        )?;
        self.0.execute(
            "UPDATE tokens SET expires = 0 WHERE document_key IS NULL",
            [],
        )?;
        Ok(devices.len() as u64)
    }

    /// The highest generation of each device that was composed, accepted or promised.
    fn generations(&self) -> Result<Vec<(DeviceId, u64)>, StoreError> {
        let mut statement = self.0.prepare_cached(
            "SELECT device, generation, generation_floor, COALESCE(accepted_generation, 0)
             FROM devices",
        )?;
        let row = |row: &Row<'_>| {
            let highest = column::number(row, 1)?
                .max(column::number(row, 2)?)
                .max(column::number(row, 3)?);
            Ok((column::id(row, 0)?, highest))
        };
        let rows = statement.query_map([], row)?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// The highest version of metadata but root, whose versions follow each other without a gap.
    fn highest_version(&self) -> Result<u64, StoreError> {
        let sql = "SELECT COALESCE(MAX(version), 0) FROM metadata WHERE role <> 'root'";
        let published = self.0.query_row(sql, [], |row| column::number(row, 0))?;
        Ok(published.max(self.version_floor()?))
    }
}
