//! The versions of the rules. Kept for ever: an old alert names the one that judged it.

use muster_fleet::incident::{AppliedRules, Person};
use muster_protocol::time::UnixSeconds;
use rusqlite::{OptionalExtension as _, Row, params};
use serde::Serialize;

use super::column::{self, bits};
use super::{Page, Paged, Said, StoreError, Tx};

/// A version as lists show it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct RulesRow {
    /// Its number.
    pub(crate) number: u32,
    /// The digest of its text.
    pub(crate) digest: String,
    /// Unix seconds; none of the rules that come with the program.
    pub(crate) applied_at: Option<u64>,
    /// The text.
    pub(crate) text: String,
    /// Who applied it, and why.
    pub(crate) orders: Vec<Said>,
}

impl Tx<'_> {
    /// The rules that hold: the newest version, or those that come with the program.
    pub(crate) fn applied_rules(&self) -> Result<AppliedRules, StoreError> {
        let sql = "SELECT number, text FROM rules ORDER BY number DESC LIMIT 1";
        let mut statement = self.0.prepare_cached(sql)?;
        let row = |row: &Row<'_>| Ok((row.get::<_, u32>(0)?, row.get::<_, String>(1)?));
        let Some((number, text)) = statement.query_row([], row).optional()? else {
            return Ok(AppliedRules::default());
        };
        // They were read before they were kept.
        AppliedRules::read(number, &text).map_err(|error| StoreError::Failed {
            because: format!("version {number} of the rules is not understood: {error}"),
        })
    }

    /// Keeps a next version, with who applied it and why.
    pub(crate) fn add_rules(
        &self,
        applied: &AppliedRules,
        text: &str,
        person: &Person,
        now: UnixSeconds,
    ) -> Result<(), StoreError> {
        self.0.execute(
            "INSERT INTO rules (number, digest, text, applied_at) VALUES (?, ?, ?, ?)",
            params![applied.number, applied.digest.0, text, bits(now.0)],
        )?;
        self.say("rules", i64::from(applied.number), "apply", person, now)
    }

    /// One version.
    pub(crate) fn rules(&self, number: u32) -> Result<Option<RulesRow>, StoreError> {
        let sql = "SELECT number, digest, applied_at, text FROM rules WHERE number = ?";
        let found = self.0.query_row(sql, [number], read).optional()?;
        found.map(|row| self.with_who(row)).transpose()
    }

    /// All versions, the oldest first.
    pub(crate) fn all_rules(&self, page: &Page) -> Result<Paged<RulesRow>, StoreError> {
        let sql = "SELECT number, digest, applied_at, text FROM rules
                   WHERE number > ?1 ORDER BY number LIMIT ?2";
        let mut rows = self.list(sql, &[], page, read, |row| i64::from(row.number))?;
        let items = std::mem::take(&mut rows.items).into_iter();
        rows.items = items
            .map(|row| self.with_who(row))
            .collect::<Result<_, _>>()?;
        Ok(rows)
    }

    fn with_who(&self, mut row: RulesRow) -> Result<RulesRow, StoreError> {
        row.orders = self.said_about("rules", i64::from(row.number))?;
        Ok(row)
    }
}

fn read(row: &Row<'_>) -> rusqlite::Result<RulesRow> {
    Ok(RulesRow {
        number: row.get(0)?,
        digest: column::digest(row, 1)?.to_string(),
        applied_at: column::maybe_number(row, 2)?,
        text: row.get(3)?,
        orders: Vec::new(),
    })
}
