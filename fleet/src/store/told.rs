//! Whom a rollout has told something, and what each device of the fleet has said: the facts from
//! which rollouts go on.
//!
//! Never says what follows from them.

use std::collections::BTreeMap;

use muster_fleet::planner::{Said, Told, ToldBack};
use muster_fleet::selector::Serving;
use muster_protocol::id::{DeviceId, EpochGeneration, ModelId, Version};
use muster_protocol::message::Role;
use muster_protocol::time::UnixSeconds;
use rusqlite::{OptionalExtension, Row, params};

use super::column::{self, bits};
use super::{StoreError, Tx};

/// What is known of one device, for one rollout.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct FactRow {
    /// The device.
    pub(crate) device: DeviceId,
    /// Its labels.
    pub(crate) labels: BTreeMap<String, String>,
    /// Version of its agent.
    pub(crate) agent: Option<Version>,
    /// When anything came that it has signed.
    pub(crate) last_contact: Option<UnixSeconds>,
    /// Whether nothing is composed for it.
    pub(crate) held: bool,
    /// What it shall run of the model in the role of the rollout, and which rollout has the say.
    pub(crate) desired: Option<(i64, Version)>,
    /// Which rollout has the say over what serves there.
    pub(crate) serving_by: Option<i64>,
    /// What this rollout has told it.
    pub(crate) told: Option<Told>,
    /// Its last receipt of the model in that role.
    pub(crate) said: Option<Said>,
    /// The assignment that it has accepted.
    pub(crate) accepted: Option<EpochGeneration>,
    /// What serves there, by its receipts.
    pub(crate) serving: Vec<Serving>,
    /// Whether one of its models fails with nothing to go back to.
    pub(crate) degraded: bool,
    /// Another rollout by policy that is changing it.
    pub(crate) other_change: Option<i64>,
}

impl Tx<'_> {
    /// Notes that something came which a device has signed.
    pub(crate) fn note_contact(
        &self,
        device: &DeviceId,
        now: UnixSeconds,
    ) -> Result<(), StoreError> {
        let values = params![device.as_str(), bits(now.0)];
        for sql in [
            "UPDATE devices SET last_contact = ?2 WHERE device = ?1",
            "UPDATE told SET contact_at = ?2 WHERE device = ?1 AND contact_at IS NULL",
            "UPDATE told SET back_contact_at = ?2
             WHERE device = ?1 AND back_at IS NOT NULL AND back_contact_at IS NULL",
        ] {
            self.0.prepare_cached(sql)?.execute(values)?;
        }
        Ok(())
    }

    /// Keeps what a rollout has told a device.
    pub(crate) fn set_told(
        &self,
        rollout: i64,
        device: &DeviceId,
        model: &ModelId,
        told: &Told,
    ) -> Result<(), StoreError> {
        let mut statement = self.0.prepare_cached(
            "INSERT OR REPLACE INTO told (rollout, device, model, ring, told_at, contact_at,
             since_epoch, since_generation, retries, previous, back_at, back_contact_at,
             back_epoch, back_generation) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        )?;
        statement.execute(params![
            rollout,
            device.as_str(),
            model.as_str(),
            told.ring,
            bits(told.at.0),
            told.contact_at.map(|at| bits(at.0)),
            bits(told.since.epoch.0),
            bits(told.since.generation.0),
            told.retries,
            told.previous.as_ref().map(Version::as_str),
            told.back.map(|back| bits(back.at.0)),
            told.back
                .and_then(|back| back.contact_at)
                .map(|at| bits(at.0)),
            told.back.map(|back| bits(back.since.epoch.0)),
            told.back.map(|back| bits(back.since.generation.0)),
        ])?;
        Ok(())
    }

    /// What a rollout has told a device.
    pub(crate) fn told(&self, rollout: i64, device: &DeviceId) -> Result<Option<Told>, StoreError> {
        let sql = format!("SELECT {TOLD} FROM told t WHERE rollout = ? AND device = ?");
        let found = self
            .0
            .prepare_cached(&sql)?
            .query_row(params![rollout, device.as_str()], |row| told_at(row, 0));
        Ok(found.optional()?.flatten())
    }

    /// Facts of every device, by id.
    pub(crate) fn facts(
        &self,
        rollout: i64,
        model: &ModelId,
        role: Role,
    ) -> Result<Vec<FactRow>, StoreError> {
        let mut serving = self.all_serving()?;
        let changing = self.changing_elsewhere(rollout)?;
        let sql = format!(
            "SELECT d.device, d.labels, d.agent, max(d.last_contact, ifnull(d.last_seen, 0)),
             d.last_seen, h.device IS NOT NULL, w.rollout, w.version, d.accepted_epoch,
             d.accepted_generation, m.version, m.step, m.reason, m.since_epoch,
             m.since_generation, s.rollout, {TOLD}
             FROM devices d
             LEFT JOIN held h ON h.device = d.device
             LEFT JOIN desired w ON w.device = d.device AND w.model = ?2 AND w.role = ?3
             LEFT JOIN desired s ON s.device = d.device AND s.model = ?2 AND s.role = 0
             LEFT JOIN told t ON t.device = d.device AND t.rollout = ?1
             LEFT JOIN device_models m ON m.device = d.device AND m.model = ?2 AND m.role = ?3
             ORDER BY d.device"
        );
        let mut statement = self.0.prepare_cached(&sql)?;
        let key = params![rollout, model.as_str(), column::role_number(role)];
        let rows = statement.query_map(key, read)?;
        let rows = rows.map(|row| {
            let mut row = row?;
            (row.serving, row.degraded) = serving.remove(&row.device).unwrap_or_default();
            row.other_change = changing.get(&row.device).copied();
            Ok(row)
        });
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// What serves on each device, and whether anything there is degraded.
    fn all_serving(&self) -> Result<BTreeMap<DeviceId, (Vec<Serving>, bool)>, StoreError> {
        let mut statement = self.0.prepare_cached(
            "SELECT m.device, m.model, m.active_version, r.rank, m.step = 'degraded'
             FROM device_models m
             LEFT JOIN releases r ON r.model = m.model AND r.version = m.active_version
             WHERE m.role = 0",
        )?;
        let mut all: BTreeMap<DeviceId, (Vec<Serving>, bool)> = BTreeMap::new();
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let entry = all.entry(column::id(row, 0)?).or_default();
            if row.get::<_, Option<String>>(2)?.is_some() {
                entry.0.push(Serving {
                    model: column::id(row, 1)?,
                    version: column::id(row, 2)?,
                    rank: row.get(3)?,
                });
            }
            entry.1 |= row.get::<_, bool>(4)?;
        }
        Ok(all)
    }

    /// Devices that another rollout by policy has told something which has not ended.
    fn changing_elsewhere(&self, rollout: i64) -> Result<BTreeMap<DeviceId, i64>, StoreError> {
        let mut statement = self.0.prepare_cached(
            "SELECT t.device, max(t.rollout) FROM told t
             JOIN rollouts r ON r.rollout = t.rollout AND r.ended = 0
             LEFT JOIN device_models m ON m.device = t.device AND m.model = t.model
                 AND m.role = r.role
             WHERE t.rollout <> ?1 AND NOT (
                 m.step IS NOT NULL AND m.step IN
                     ('committed', 'recovered', 'shadowing', 'refused', 'reverted')
                 AND (m.since_epoch, m.since_generation) >=
                     (ifnull(t.back_epoch, t.since_epoch),
                      ifnull(t.back_generation, t.since_generation)))
             GROUP BY t.device",
        )?;
        let rows = statement.query_map([rollout], |row| Ok((column::id(row, 0)?, row.get(1)?)))?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }
}

const TOLD: &str = "t.ring, t.told_at, t.contact_at, t.since_epoch, t.since_generation, t.retries,
    t.previous, t.back_at, t.back_contact_at, t.back_epoch, t.back_generation";

fn told_at(row: &Row<'_>, first: usize) -> rusqlite::Result<Option<Told>> {
    let Some(ring) = row.get::<_, Option<u32>>(first)? else {
        return Ok(None);
    };
    let unix = |index| -> rusqlite::Result<Option<UnixSeconds>> {
        Ok(column::maybe_number(row, first + index)?.map(UnixSeconds))
    };
    let back = match unix(7)? {
        Some(at) => Some(ToldBack {
            at,
            contact_at: unix(8)?,
            since: column::pair(row, first + 9)?,
        }),
        None => None,
    };
    let previous: Option<String> = row.get(first + 6)?;
    Ok(Some(Told {
        ring,
        at: UnixSeconds(column::number(row, first + 1)?),
        contact_at: unix(2)?,
        since: column::pair(row, first + 3)?,
        retries: row.get(first + 5)?,
        previous: match previous {
            Some(_) => Some(column::id(row, first + 6)?),
            None => None,
        },
        back,
    }))
}

fn read(row: &Row<'_>) -> rusqlite::Result<FactRow> {
    let contact = column::maybe_number(row, 3)?.or(column::maybe_number(row, 4)?);
    let said = match row.get::<_, Option<String>>(11)? {
        Some(step) => Some(Said {
            version: column::id(row, 10)?,
            step,
            reason: row.get(12)?,
            since: column::pair(row, 13)?,
        }),
        None => None,
    };
    let desired: Option<i64> = row.get(6)?;
    let accepted = column::maybe_number(row, 8)?.zip(column::maybe_number(row, 9)?);
    let agent: Option<String> = row.get(2)?;
    Ok(FactRow {
        device: column::id(row, 0)?,
        labels: column::from_json(row, 1)?,
        agent: agent.and_then(|agent| Version::parse(&agent).ok()),
        last_contact: contact.map(UnixSeconds),
        held: row.get(5)?,
        desired: match desired {
            Some(rollout) => Some((rollout, column::id(row, 7)?)),
            None => None,
        },
        serving_by: row.get(15)?,
        told: told_at(row, 16)?,
        said,
        accepted: accepted.map(|(epoch, generation)| EpochGeneration::new(epoch, generation)),
        serving: Vec::new(),
        degraded: false,
        other_change: None,
    })
}
