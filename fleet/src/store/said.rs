//! What people decided, by whom, when and why. Only ever appended to.

use muster_fleet::incident::Person;
use muster_protocol::time::UnixSeconds;
use rusqlite::params;
use serde::Serialize;

use super::column::{self, bits};
use super::{StoreError, Tx};

/// One decision.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Said {
    /// What it was.
    pub(crate) command: String,
    /// By whom.
    pub(crate) operator: String,
    /// Why.
    pub(crate) reason: String,
    /// Unix seconds.
    pub(crate) said_at: u64,
}

impl Tx<'_> {
    /// Keeps a decision about something and its number.
    pub(super) fn say(
        &self,
        about: &str,
        number: i64,
        command: &str,
        person: &Person,
        now: UnixSeconds,
    ) -> Result<(), StoreError> {
        self.0.execute(
            "INSERT INTO said (about, number, command, operator, reason, said_at)
             VALUES (?, ?, ?, ?, ?, ?)",
            params![
                about,
                number,
                command,
                person.name(),
                person.reason(),
                bits(now.0)
            ],
        )?;
        Ok(())
    }

    /// Decisions about something, in their order.
    pub(super) fn said_about(&self, about: &str, number: i64) -> Result<Vec<Said>, StoreError> {
        let mut statement = self.0.prepare_cached(
            "SELECT command, operator, reason, said_at FROM said
             WHERE about = ? AND number = ? ORDER BY said",
        )?;
        let rows = statement.query_map(params![about, number], |row| {
            Ok(Said {
                command: row.get(0)?,
                operator: row.get(1)?,
                reason: row.get(2)?,
                said_at: column::number(row, 3)?,
            })
        })?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }
}
