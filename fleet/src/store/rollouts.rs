//! Rollouts, whom they reach, and what each device shall run because of the newest of them.
//! Never an assignment: that is composed from the rows here.

use std::collections::BTreeMap;

use muster_fleet::planner::Rollout;
use muster_protocol::id::{DeviceId, ModelId, Version};
use muster_protocol::message::{Entry, Role, Settings};
use muster_protocol::time::UnixSeconds;
use rusqlite::{OptionalExtension, Row, params};
use serde::Serialize;

use super::column::{self, bits};
use super::{DesiredRow, Page, Paged, StoreError, Tx};

/// In the place of a rollout: what a device showed after a restore.
pub(crate) const ADOPTED: i64 = 0;

/// A rollout that begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RolloutToStore {
    /// The model.
    pub(crate) model: ModelId,
    /// The version.
    pub(crate) version: Version,
    /// What it is there for.
    pub(crate) role: Role,
    /// Which devices, as it was written.
    pub(crate) selector: String,
    /// How many of them.
    pub(crate) percent: u8,
    /// Tightened limits.
    pub(crate) settings: Settings,
}

/// A rollout as lists show it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct RolloutRow {
    /// Its number.
    pub(crate) rollout: i64,
    /// The model.
    pub(crate) model: String,
    /// The version.
    pub(crate) version: String,
    /// What it is there for.
    pub(crate) role: &'static str,
    /// Which devices, as it was written.
    pub(crate) selector: String,
    /// How many of them.
    pub(crate) percent: u8,
    /// Unix seconds.
    pub(crate) created_at: u64,
    /// Where it stands, in a word or two; none for one without a policy.
    pub(crate) stands: Option<&'static str>,
    /// Devices by their last step with it; `unheard` without a receipt, `superseded` when a
    /// newer rollout of the model has the say, `unassigned` when the model was taken off, `held`
    /// when nothing is composed for the device.
    pub(crate) steps: BTreeMap<String, u64>,
}

impl Tx<'_> {
    /// Adds a rollout and gives its number.
    pub(crate) fn add_rollout(
        &self,
        rollout: &RolloutToStore,
        now: UnixSeconds,
    ) -> Result<i64, StoreError> {
        self.0.execute(
            "INSERT INTO rollouts (model, version, role, selector, percent, settings, created_at)
             VALUES (?, ?, ?, ?, ?, ?, ?)",
            params![
                rollout.model.as_str(),
                rollout.version.as_str(),
                column::role_number(rollout.role),
                rollout.selector,
                rollout.percent,
                column::to_cbor(&rollout.settings),
                bits(now.0),
            ],
        )?;
        Ok(self.0.last_insert_rowid())
    }

    /// Gives a rollout the say over its model, in its role, on a device.
    pub(crate) fn set_desired(
        &self,
        device: &DeviceId,
        rollout: i64,
        wanted: &RolloutToStore,
        attempt: u32,
    ) -> Result<(), StoreError> {
        self.0.execute(
            "INSERT OR IGNORE INTO rollout_devices (rollout, device) VALUES (?, ?)",
            params![rollout, device.as_str()],
        )?;
        self.0.execute(
            "INSERT INTO desired (device, model, role, version, settings, attempt, rollout)
             VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (device, model, role) DO UPDATE SET
             version = excluded.version, settings = excluded.settings,
             attempt = excluded.attempt, rollout = excluded.rollout,
             statement = NULL, statement_size = NULL",
            params![
                device.as_str(),
                wanted.model.as_str(),
                column::role_number(wanted.role),
                wanted.version.as_str(),
                column::to_cbor(&wanted.settings),
                attempt,
                rollout,
            ],
        )?;
        Ok(())
    }

    /// A device shall no longer run a model in a role; whether it should have.
    pub(crate) fn remove_desired(
        &self,
        device: &DeviceId,
        model: &ModelId,
        role: Role,
    ) -> Result<bool, StoreError> {
        let sql = "DELETE FROM desired WHERE device = ? AND model = ? AND role = ?";
        let key = params![device.as_str(), model.as_str(), column::role_number(role)];
        Ok(self.0.execute(sql, key)? == 1)
    }

    /// A device shall run what it showed: exactly this release, whether it is in this store or
    /// not.
    pub(crate) fn set_adopted(
        &self,
        device: &DeviceId,
        entry: &Entry,
        attempt: u32,
    ) -> Result<(), StoreError> {
        self.0.execute(
            "INSERT INTO desired (device, model, role, version, settings, attempt, rollout,
             statement, statement_size) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
             ON CONFLICT (device, model, role) DO UPDATE SET
             version = excluded.version, settings = excluded.settings,
             attempt = excluded.attempt, rollout = excluded.rollout,
             statement = excluded.statement, statement_size = excluded.statement_size",
            params![
                device.as_str(),
                entry.model.as_str(),
                column::role_number(entry.role),
                entry.version.as_str(),
                column::to_cbor(&entry.settings),
                attempt,
                ADOPTED,
                entry.statement.0,
                entry.statement_size,
            ],
        )?;
        Ok(())
    }

    /// What a device shall run, by model and role.
    pub(crate) fn desired(&self, device: &DeviceId) -> Result<Vec<DesiredRow>, StoreError> {
        let mut statement = self.0.prepare_cached(
            "SELECT d.model, d.version, COALESCE(d.statement, r.statement),
             COALESCE(d.statement_size, r.statement_size), d.settings, d.attempt, d.rollout, d.role
             FROM desired d LEFT JOIN releases r USING (model, version)
             WHERE d.device = ? AND COALESCE(d.statement, r.statement) IS NOT NULL
             ORDER BY d.model, d.role",
        )?;
        let rows = statement.query_map([device.as_str()], |row| {
            Ok(DesiredRow {
                model: column::id(row, 0)?,
                version: column::id(row, 1)?,
                statement: column::digest(row, 2)?,
                statement_size: row.get(3)?,
                settings: column::from_cbor(row, 4)?,
                attempt: row.get(5)?,
                rollout: row.get(6)?,
                role: column::role(row, 7)?,
            })
        })?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// One rollout.
    pub(crate) fn rollout(&self, rollout: i64) -> Result<Option<RolloutRow>, StoreError> {
        let sql =
            "SELECT rollout, model, version, selector, percent, created_at, standing, role FROM rollouts
                   WHERE rollout = ?";
        let found = self.0.query_row(sql, [rollout], read).optional()?;
        found.map(|row| self.with_steps(row)).transpose()
    }

    /// Rollouts in the order in which they were made.
    pub(crate) fn rollouts(&self, page: &Page) -> Result<Paged<RolloutRow>, StoreError> {
        let mut statement = self.0.prepare_cached(
            "SELECT rollout, model, version, selector, percent, created_at, standing, role FROM rollouts
             WHERE rollout > ? ORDER BY rollout LIMIT ?",
        )?;
        let rows = statement.query_map(params![page.after_row(), page.limit()], read)?;
        let rows: Vec<RolloutRow> = rows.collect::<rusqlite::Result<_>>()?;
        let rows = rows.into_iter().map(|row| self.with_steps(row));
        let items = rows.collect::<Result<_, StoreError>>()?;
        Ok(Paged::of(items, page, |row: &RolloutRow| {
            row.rollout.to_string()
        }))
    }

    fn with_steps(&self, mut row: RolloutRow) -> Result<RolloutRow, StoreError> {
        let mut statement = self.0.prepare_cached(
            "SELECT CASE WHEN d.rollout IS NULL THEN 'unassigned'
                         WHEN d.rollout <> r.rollout THEN 'superseded'
                         WHEN h.device IS NOT NULL THEN 'held'
                         WHEN m.step IS NULL THEN 'unheard' ELSE m.step END AS state, COUNT(*)
             FROM rollout_devices r
             JOIN devices v ON v.device = r.device
             LEFT JOIN held h ON h.device = r.device
             JOIN rollouts o ON o.rollout = r.rollout
             LEFT JOIN desired d ON d.device = r.device AND d.model = ?2 AND d.role = o.role
             LEFT JOIN entries e ON e.device = r.device AND e.model = ?2 AND e.role = o.role
                 AND e.epoch = v.epoch AND e.generation = v.generation
             LEFT JOIN device_models m ON m.device = r.device AND m.model = ?2 AND m.role = o.role
                 AND m.since_epoch = e.since_epoch AND m.since_generation = e.since_generation
             WHERE r.rollout = ?1 GROUP BY state",
        )?;
        let steps = statement.query_map(params![row.rollout, row.model], |found| {
            Ok((found.get(0)?, column::number(found, 1)?))
        })?;
        row.steps = steps.collect::<rusqlite::Result<_>>()?;
        Ok(row)
    }
}

fn read(row: &Row<'_>) -> rusqlite::Result<RolloutRow> {
    Ok(RolloutRow {
        rollout: row.get(0)?,
        model: row.get(1)?,
        version: row.get(2)?,
        role: column::role_name(row, 7)?,
        selector: row.get(3)?,
        percent: row.get(4)?,
        created_at: column::number(row, 5)?,
        stands: match row.get::<_, Option<String>>(6)? {
            Some(_) => Some(column::from_json::<Rollout>(row, 6)?.state.name()),
            None => None,
        },
        steps: BTreeMap::new(),
    })
}
