//! Assignments as they were signed, their entries, and what a device may fetch because of them.
//! Never composes one.

use muster_protocol::digest::Digest;
use muster_protocol::id::{DeviceId, EpochGeneration, ModelId};
use muster_protocol::message::Entry;
use muster_protocol::time::UnixSeconds;
use rusqlite::{OptionalExtension, Row, params};

use super::column::{self, bits};
use super::{StoreError, StoredEntry, Tx};

/// The newest assignment of a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StoredAssignment {
    /// Its place in the order.
    pub(crate) at: EpochGeneration,
    /// When it was made.
    pub(crate) issued_at: UnixSeconds,
    /// Until when it can be taken up.
    pub(crate) accept_by: UnixSeconds,
    /// Exactly the signed bytes.
    pub(crate) document: Vec<u8>,
}

/// Which assignments count for what a device may fetch: the newest and the accepted one.
const IN_FORCE: &str = "(e.epoch = d.epoch AND e.generation = d.generation
     OR e.epoch = d.accepted_epoch AND e.generation = d.accepted_generation)";

impl Tx<'_> {
    /// Place of the newest assignment of a device; zero before the first, none for a device
    /// that is not there.
    pub(crate) fn newest_at(
        &self,
        device: &DeviceId,
    ) -> Result<Option<EpochGeneration>, StoreError> {
        let sql = "SELECT epoch, generation FROM devices WHERE device = ?";
        Ok(self
            .0
            .query_row(sql, [device.as_str()], |row| column::pair(row, 0))
            .optional()?)
    }

    /// Place of the assignment that a device said it has accepted.
    pub(crate) fn accepted_at(
        &self,
        device: &DeviceId,
    ) -> Result<Option<EpochGeneration>, StoreError> {
        let sql = "SELECT accepted_epoch, accepted_generation FROM devices
                   WHERE device = ? AND accepted_epoch IS NOT NULL";
        Ok(self
            .0
            .query_row(sql, [device.as_str()], |row| column::pair(row, 0))
            .optional()?)
    }

    /// Records the place of the assignment that a device has accepted; its digest comes with the
    /// next hello.
    pub(crate) fn set_accepted(
        &self,
        device: &DeviceId,
        at: EpochGeneration,
    ) -> Result<(), StoreError> {
        self.0.execute(
            "UPDATE devices SET accepted_epoch = ?2, accepted_generation = ?3,
             accepted_digest = NULL WHERE device = ?1",
            params![device.as_str(), bits(at.epoch.0), bits(at.generation.0)],
        )?;
        Ok(())
    }

    /// The newest assignment of a device.
    pub(crate) fn newest_assignment(
        &self,
        device: &DeviceId,
    ) -> Result<Option<StoredAssignment>, StoreError> {
        let mut statement = self.0.prepare_cached(
            "SELECT a.epoch, a.generation, a.issued_at, a.accept_by, a.document
             FROM assignments a JOIN devices d USING (device, epoch, generation)
             WHERE a.device = ?",
        )?;
        let row = |row: &Row<'_>| {
            Ok(StoredAssignment {
                at: column::pair(row, 0)?,
                issued_at: UnixSeconds(column::number(row, 2)?),
                accept_by: UnixSeconds(column::number(row, 3)?),
                document: row.get(4)?,
            })
        };
        Ok(statement.query_row([device.as_str()], row).optional()?)
    }

    /// Entries of the newest assignment of a device, by model and role.
    pub(crate) fn newest_entries(&self, device: &DeviceId) -> Result<Vec<StoredEntry>, StoreError> {
        let mut statement = self.0.prepare_cached(
            "SELECT e.model, e.version, e.statement, e.statement_size, e.since_epoch,
             e.since_generation, e.settings, e.attempt, e.role
             FROM entries e JOIN devices d USING (device, epoch, generation)
             WHERE e.device = ? ORDER BY e.model, e.role",
        )?;
        let rows = statement.query_map([device.as_str()], read_entry)?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// Makes an assignment the newest of its device. Forgets all but it and the accepted one.
    pub(crate) fn add_assignment(
        &self,
        device: &DeviceId,
        assignment: &StoredAssignment,
        entries: &[StoredEntry],
    ) -> Result<(), StoreError> {
        let (epoch, generation) = (
            bits(assignment.at.epoch.0),
            bits(assignment.at.generation.0),
        );
        self.0.execute(
            "INSERT INTO assignments
             (device, epoch, generation, digest, issued_at, accept_by, document)
             VALUES (?, ?, ?, ?, ?, ?, ?)",
            params![
                device.as_str(),
                epoch,
                generation,
                Digest::of(&assignment.document).0,
                bits(assignment.issued_at.0),
                bits(assignment.accept_by.0),
                assignment.document,
            ],
        )?;
        for stored in entries {
            self.add_entry(device, assignment.at, stored)?;
        }
        self.0.execute(
            "UPDATE devices SET epoch = ?2, generation = ?3 WHERE device = ?1",
            params![device.as_str(), epoch, generation],
        )?;
        self.forget_assignments(device)
    }

    /// Makes an assignment that a device showed the newest of it, in the place of another with the
    /// same number.
    pub(crate) fn adopt_assignment(
        &self,
        device: &DeviceId,
        assignment: &StoredAssignment,
        entries: &[StoredEntry],
    ) -> Result<(), StoreError> {
        for table in ["assignments", "entries"] {
            let sql =
                format!("DELETE FROM {table} WHERE device = ? AND epoch = ? AND generation = ?");
            self.0.execute(
                &sql,
                params![
                    device.as_str(),
                    bits(assignment.at.epoch.0),
                    bits(assignment.at.generation.0)
                ],
            )?;
        }
        self.add_assignment(device, assignment, entries)
    }

    fn add_entry(
        &self,
        device: &DeviceId,
        at: EpochGeneration,
        stored: &StoredEntry,
    ) -> Result<(), StoreError> {
        let entry = &stored.entry;
        let mut insert = self.0.prepare_cached(
            "INSERT INTO entries (device, epoch, generation, model, role, version, statement,
             statement_size, since_epoch, since_generation, settings, attempt)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        )?;
        insert.execute(params![
            device.as_str(),
            bits(at.epoch.0),
            bits(at.generation.0),
            entry.model.as_str(),
            column::role_number(entry.role),
            entry.version.as_str(),
            entry.statement.0,
            entry.statement_size,
            bits(entry.since.epoch.0),
            bits(entry.since.generation.0),
            column::to_cbor(&entry.settings),
            stored.attempt,
        ])?;
        Ok(())
    }

    fn forget_assignments(&self, device: &DeviceId) -> Result<(), StoreError> {
        for table in ["assignments", "entries"] {
            let sql = format!(
                "DELETE FROM {table} AS e WHERE device = ?1 AND NOT EXISTS
                 (SELECT 1 FROM devices d WHERE d.device = ?1 AND {IN_FORCE})"
            );
            self.0.prepare_cached(&sql)?.execute([device.as_str()])?;
        }
        Ok(())
    }

    /// Whether the newest or the accepted assignment of a device reaches a blob.
    pub(crate) fn reaches_blob(
        &self,
        device: &DeviceId,
        digest: Digest,
    ) -> Result<bool, StoreError> {
        let sql = format!(
            "SELECT EXISTS (SELECT 1 FROM devices d JOIN entries e USING (device)
             JOIN release_blobs b USING (statement)
             WHERE d.device = ? AND b.digest = ? AND {IN_FORCE})"
        );
        let mut statement = self.0.prepare_cached(&sql)?;
        Ok(statement.query_row(params![device.as_str(), digest.0], |row| row.get(0))?)
    }

    /// Every blob that the newest assignment of a device reaches.
    pub(crate) fn reached_blobs(&self, device: &DeviceId) -> Result<Vec<Digest>, StoreError> {
        let mut statement = self.0.prepare_cached(
            "SELECT DISTINCT b.digest FROM devices d
             JOIN entries e USING (device, epoch, generation)
             JOIN release_blobs b USING (statement) WHERE d.device = ? ORDER BY b.digest",
        )?;
        let rows = statement.query_map([device.as_str()], |row| column::digest(row, 0))?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// Whether the newest or the accepted assignment of a device names a model.
    pub(crate) fn reaches_model(
        &self,
        device: &DeviceId,
        model: &ModelId,
    ) -> Result<bool, StoreError> {
        let sql = format!(
            "SELECT EXISTS (SELECT 1 FROM devices d JOIN entries e USING (device)
             WHERE d.device = ? AND e.model = ? AND {IN_FORCE})"
        );
        let mut statement = self.0.prepare_cached(&sql)?;
        Ok(statement.query_row([device.as_str(), model.as_str()], |row| row.get(0))?)
    }
}

fn read_entry(row: &Row<'_>) -> rusqlite::Result<StoredEntry> {
    let entry = Entry {
        model: column::id(row, 0)?,
        version: column::id(row, 1)?,
        statement: column::digest(row, 2)?,
        statement_size: row.get(3)?,
        role: column::role(row, 8)?,
        since: column::pair(row, 4)?,
        settings: column::from_cbor(row, 6)?,
    };
    Ok(StoredEntry {
        entry,
        attempt: row.get(7)?,
    })
}
