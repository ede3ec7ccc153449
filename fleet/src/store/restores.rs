//! Restores that this store went through, and what they raised. Never unpacks a backup.

use muster_protocol::id::{DeviceId, Epoch, EpochGeneration};
use muster_protocol::time::UnixSeconds;
use muster_protocol::tuf::FleetDocument;
use rusqlite::{OptionalExtension, params};
use serde::Serialize;

use super::column::{self, bits};
use super::{HoldReason, StoreError, Tx};
use muster_fleet::compose::higher_floor;

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
            self.raise_generation_floor(device, EpochGeneration::new(0, floor))?;
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
        let (devices, epoch) = (self.all_devices()?, self.director_epoch()?);
        for device in &devices {
            let highest = self.highest_generation(device, epoch)?;
            let floor = EpochGeneration::new(epoch.0, highest.saturating_add(step));
            self.raise_generation_floor(device, floor)?;
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

    fn all_devices(&self) -> Result<Vec<DeviceId>, StoreError> {
        let mut statement = self.0.prepare_cached("SELECT device FROM devices")?;
        let rows = statement.query_map([], |row| column::id(row, 0))?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// The epoch of the director that `fleet.json` names, or that composed last.
    fn director_epoch(&self) -> Result<Epoch, StoreError> {
        let named = self.metadata("fleet.json", None)?;
        let named = named.and_then(|(_, bytes)| FleetDocument::parse(&bytes).ok());
        if let Some(fleet) = named {
            return Ok(Epoch(fleet.director_epoch));
        }
        let sql = "SELECT COALESCE(MAX(epoch), 0) FROM devices";
        let composed = self.0.query_row(sql, [], |row| column::number(row, 0))?;
        Ok(Epoch(composed))
    }

    /// The highest generation of a device that was composed, accepted or promised in an epoch.
    fn highest_generation(&self, device: &DeviceId, epoch: Epoch) -> Result<u64, StoreError> {
        let composed = self.newest_at(device)?.unwrap_or_default();
        let accepted = self.accepted_at(device)?.unwrap_or_default();
        let floor = higher_floor(
            EpochGeneration::new(epoch.0, 0),
            self.generation_floor(device)?,
        );
        let places = [composed, accepted, floor].into_iter();
        let places = places.filter(|at| at.epoch == epoch);
        Ok(places.map(|at| at.generation.0).max().unwrap_or(0))
    }

    /// The highest version of metadata but root, whose versions follow each other without a gap.
    fn highest_version(&self) -> Result<u64, StoreError> {
        let sql = "SELECT COALESCE(MAX(version), 0) FROM metadata WHERE role <> 'root'";
        let published = self.0.query_row(sql, [], |row| column::number(row, 0))?;
        Ok(published.max(self.version_floor()?))
    }
}
