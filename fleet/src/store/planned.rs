//! Rollouts by policy: where each stands, its numbered plans, and the record of every decision.
//!
//! Never decides: what is written here, the planner has decided. A plan is written once.

use muster_fleet::planner::{Plan, PlanNumber, Record, Rollout};
use muster_protocol::id::ModelId;
use muster_protocol::time::UnixSeconds;
use rusqlite::types::Type;
use rusqlite::{OptionalExtension, Row, params};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::column::{self, bits};
use super::{Page, Paged, StoreError, Tx};

/// Level of compression: records are written often and read seldom.
const ZSTD_LEVEL: i32 = 3;
/// Largest plan or record that is read.
const JSON_BYTES_MAX: usize = 512 * 1024 * 1024;

/// A decision as lists show it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct DecisionRow {
    /// Its number.
    pub(crate) decision: i64,
    /// The plan that it follows.
    pub(crate) plan: u32,
    /// Unix seconds.
    pub(crate) decided_at: u64,
    /// `tick`, or the command of an order.
    pub(crate) kind: String,
    /// Why, in a sentence for each change.
    pub(crate) because: String,
}

impl Tx<'_> {
    /// The number that the next rollout will have, unless another one begins before.
    pub(crate) fn next_rollout(&self) -> Result<i64, StoreError> {
        let sql = "SELECT ifnull(max(rollout), 0) + 1 FROM rollouts";
        Ok(self.0.query_row(sql, [], |row| row.get(0))?)
    }

    /// Makes a rollout one of a policy, with its first plan.
    pub(crate) fn begin_planned(&self, plan: &Plan, standing: &Rollout) -> Result<(), StoreError> {
        self.add_plan(plan)?;
        self.set_standing(standing)
    }

    /// Where a rollout by policy stands; none for others.
    pub(crate) fn planned(&self, rollout: i64) -> Result<Option<Rollout>, StoreError> {
        let sql = "SELECT standing FROM rollouts WHERE rollout = ? AND standing IS NOT NULL";
        let row = |row: &Row<'_>| column::from_json(row, 0);
        Ok(self.0.query_row(sql, [rollout], row).optional()?)
    }

    /// Rollouts by policy that have not ended, the oldest first; of one model or of all.
    pub(crate) fn planned_that_go_on(
        &self,
        model: Option<&ModelId>,
    ) -> Result<Vec<Rollout>, StoreError> {
        let mut statement = self.0.prepare_cached(
            "SELECT standing FROM rollouts WHERE ended = 0 AND standing IS NOT NULL
             AND (?1 IS NULL OR model = ?1) ORDER BY rollout",
        )?;
        let rows = statement.query_map([model.map(ModelId::as_str)], |row| {
            column::from_json(row, 0)
        })?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// The newest rollout by policy of each model and role, if it has ended.
    pub(crate) fn planned_that_ended_last(&self) -> Result<Vec<Rollout>, StoreError> {
        let mut statement = self.0.prepare_cached(
            "SELECT standing FROM rollouts WHERE ended = 1 AND rollout IN
             (SELECT max(rollout) FROM rollouts WHERE standing IS NOT NULL GROUP BY model, role)
             ORDER BY rollout",
        )?;
        let rows = statement.query_map([], |row| column::from_json(row, 0))?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// Keeps where a rollout stands.
    pub(crate) fn set_standing(&self, standing: &Rollout) -> Result<(), StoreError> {
        self.0.execute(
            "UPDATE rollouts SET standing = ?2, ended = ?3 WHERE rollout = ?1",
            params![
                bits(standing.id.0),
                column::to_json(standing)?,
                standing.state.is_terminal(),
            ],
        )?;
        Ok(())
    }

    /// Keeps a plan for ever.
    pub(crate) fn add_plan(&self, plan: &Plan) -> Result<(), StoreError> {
        self.0.execute(
            "INSERT INTO plans (rollout, plan, document) VALUES (?, ?, ?)",
            params![bits(plan.rollout.0), plan.number.0, compressed(plan)?],
        )?;
        Ok(())
    }

    /// A plan of a rollout, or the newest.
    pub(crate) fn plan(
        &self,
        rollout: i64,
        number: Option<PlanNumber>,
    ) -> Result<Option<Plan>, StoreError> {
        let sql = "SELECT document FROM plans WHERE rollout = ?1 AND (?2 IS NULL OR plan = ?2)
                   ORDER BY plan DESC LIMIT 1";
        let number = number.map(|number| number.0);
        let row = |row: &Row<'_>| decompressed(row, 0);
        let found = self.0.query_row(sql, params![rollout, number], row);
        Ok(found.optional()?)
    }

    /// Writes a decision down.
    pub(crate) fn add_decision(
        &self,
        rollout: i64,
        kind: &str,
        because: &str,
        record: &Record,
        now: UnixSeconds,
    ) -> Result<(), StoreError> {
        self.0.execute(
            "INSERT INTO decisions (rollout, plan, decided_at, kind, because, record)
             VALUES (?, ?, ?, ?, ?, ?)",
            params![
                rollout,
                record.plan.0,
                bits(now.0),
                kind,
                because,
                compressed(record)?,
            ],
        )?;
        Ok(())
    }

    /// Decisions of a rollout, the oldest first.
    pub(crate) fn decisions(
        &self,
        rollout: i64,
        page: &Page,
    ) -> Result<Paged<DecisionRow>, StoreError> {
        let mut statement = self.0.prepare_cached(
            "SELECT decision, plan, decided_at, kind, because FROM decisions
             WHERE rollout = ?1 AND decision > ?2 ORDER BY decision LIMIT ?3",
        )?;
        let rows =
            statement.query_map(params![rollout, page.after_row(), page.limit()], |row| {
                Ok(DecisionRow {
                    decision: row.get(0)?,
                    plan: row.get(1)?,
                    decided_at: column::number(row, 2)?,
                    kind: row.get(3)?,
                    because: row.get(4)?,
                })
            })?;
        let items = rows.collect::<rusqlite::Result<_>>()?;
        Ok(Paged::of(items, page, |row: &DecisionRow| {
            row.decision.to_string()
        }))
    }

    /// Every record of a rollout that a tick has left, the oldest first.
    pub(crate) fn records(&self, rollout: i64) -> Result<Vec<Record>, StoreError> {
        let mut statement = self.0.prepare_cached(
            "SELECT record FROM decisions WHERE rollout = ? AND kind = 'tick' ORDER BY decision",
        )?;
        let rows = statement.query_map([rollout], |row| decompressed(row, 0))?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }
}

fn compressed<T: Serialize>(value: &T) -> rusqlite::Result<Vec<u8>> {
    let text = column::to_json(value)?;
    zstd::bulk::compress(text.as_bytes(), ZSTD_LEVEL)
        .map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))
}

fn decompressed<T: DeserializeOwned>(row: &Row<'_>, index: usize) -> rusqlite::Result<T> {
    let bytes: Vec<u8> = row.get(index)?;
    let damaged = |error| rusqlite::Error::FromSqlConversionFailure(index, Type::Blob, error);
    let text = zstd::bulk::Decompressor::upper_bound(&bytes)
        .filter(|bound| *bound <= JSON_BYTES_MAX)
        .ok_or_else(|| damaged("it is far too large".into()))?;
    let text = zstd::bulk::decompress(&bytes, text).map_err(|error| damaged(Box::new(error)))?;
    serde_json::from_slice(&text).map_err(|error| damaged(Box::new(error)))
}
