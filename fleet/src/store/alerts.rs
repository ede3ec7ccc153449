//! The outbox: alerts that are to be sent, written in the transaction of what they tell of, and
//! what became of them.
//!
//! Sends nothing, and never changes a body.

use muster_fleet::incident::{Event, Next, Person, Tries};
use muster_protocol::time::UnixSeconds;
use rusqlite::{OptionalExtension as _, Row, params};
use serde::Serialize;

use super::column::{self, bits};
use super::{Page, Paged, StoreError, Tx};

/// An alert as lists show it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct AlertRow {
    /// Its number.
    pub(crate) alert: i64,
    /// Id of the event, and of the message.
    pub(crate) event: String,
    /// Whom it goes to.
    pub(crate) webhook: String,
    /// What happened.
    #[serde(rename = "type")]
    pub(crate) kind: String,
    /// The incident.
    pub(crate) incident: Option<i64>,
    /// The request for a retrain.
    pub(crate) request: Option<i64>,
    /// Unix seconds.
    pub(crate) made_at: u64,
    /// `pending`, `delivered` or `given_up`.
    pub(crate) state: String,
    /// Tries that failed since it was made or replayed.
    pub(crate) failed: u32,
    /// The next try.
    pub(crate) next_at: Option<u64>,
    /// The last try.
    pub(crate) tried_at: Option<u64>,
    /// Why that failed.
    pub(crate) problem: Option<String>,
}

/// An alert that is due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DueAlert {
    /// Its number.
    pub(crate) alert: i64,
    /// Id of the message.
    pub(crate) event: String,
    /// What is sent.
    pub(crate) body: String,
    /// Its tries so far.
    pub(crate) tries: Tries,
}

/// Which alerts are sent once more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Replay {
    /// This one.
    One(i64),
    /// Every one that was made since.
    Since(UnixSeconds),
}

/// What a replay came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) struct Replayed {
    /// Alerts that go out once more.
    pub(crate) replayed: usize,
    /// Alerts to webhooks that there are no longer: they stay as they are.
    pub(crate) left_out: u64,
}

const COLUMNS: &str = "alert, event, webhook, type, incident, request, made_at, state, failed, \
     next_at, tried_at, problem";

impl Tx<'_> {
    /// Writes an event for each webhook; once, however often it is asked for.
    pub(super) fn add_alerts(
        &self,
        event: &Event,
        webhooks: &[&str],
        incident: Option<i64>,
        request: Option<i64>,
        now: UnixSeconds,
    ) -> Result<(), StoreError> {
        let mut statement = self.0.prepare_cached(
            "INSERT INTO alerts (event, webhook, type, incident, request, body, made_at, since_at,
             next_at) VALUES (?, ?, ?, ?, ?, ?, ?7, ?7, ?7) ON CONFLICT DO NOTHING",
        )?;
        for webhook in webhooks {
            statement.execute(params![
                event.id,
                webhook,
                event.kind.as_str(),
                incident,
                request,
                event.body,
                bits(now.0)
            ])?;
        }
        Ok(())
    }

    /// Writes an event that tries whether alerts arrive, and gives the number of the alert.
    pub(crate) fn add_test_alert(
        &self,
        event: &Event,
        webhook: &str,
        person: &Person,
        now: UnixSeconds,
    ) -> Result<i64, StoreError> {
        self.add_alerts(event, &[webhook], None, None, now)?;
        let sql = "SELECT alert FROM alerts WHERE event = ? AND webhook = ?";
        let key = params![event.id, webhook];
        let alert = self.0.query_row(sql, key, |row| row.get(0))?;
        self.say("alert", alert, "test", person, now)?;
        Ok(alert)
    }

    /// Alerts of a webhook that are due, in their order.
    pub(crate) fn due_alerts(
        &self,
        webhook: &str,
        now: UnixSeconds,
        count_max: u32,
    ) -> Result<Vec<DueAlert>, StoreError> {
        let mut statement = self.0.prepare_cached(
            "SELECT alert, event, body, failed, since_at FROM alerts
             WHERE state = 'pending' AND webhook = ? AND next_at <= ?
             ORDER BY next_at, alert LIMIT ?",
        )?;
        let rows = statement.query_map(params![webhook, bits(now.0), count_max], |row| {
            Ok(DueAlert {
                alert: row.get(0)?,
                event: row.get(1)?,
                body: row.get(2)?,
                tries: Tries {
                    failed: row.get(3)?,
                    since: UnixSeconds(column::number(row, 4)?),
                },
            })
        })?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// Notes that an alert was taken.
    pub(crate) fn note_delivered(&self, alert: i64, now: UnixSeconds) -> Result<(), StoreError> {
        self.0.execute(
            "UPDATE alerts SET state = 'delivered', tried_at = ?2, problem = NULL
             WHERE alert = ?1",
            params![alert, bits(now.0)],
        )?;
        Ok(())
    }

    /// Notes that an alert was not taken, why, and what follows.
    pub(crate) fn note_failed(
        &self,
        alert: i64,
        problem: &str,
        next: Next,
        now: UnixSeconds,
    ) -> Result<(), StoreError> {
        let (state, next_at) = match next {
            Next::At(at) => ("pending", at),
            Next::GiveUp => ("given_up", now),
        };
        self.0.execute(
            "UPDATE alerts SET state = ?2, failed = failed + 1, tried_at = ?3, next_at = ?4,
             problem = ?5 WHERE alert = ?1",
            params![alert, state, bits(now.0), bits(next_at.0), problem],
        )?;
        Ok(())
    }

    /// Gives up alerts to webhooks that there are no longer; how many.
    pub(crate) fn give_up_strangers(
        &self,
        known: &[String],
        now: UnixSeconds,
    ) -> Result<usize, StoreError> {
        Ok(self.0.execute(
            "UPDATE alerts SET state = 'given_up', tried_at = ?2,
             problem = 'muster.toml names no such webhook'
             WHERE state = 'pending' AND webhook NOT IN (SELECT value FROM json_each(?1))",
            params![column::to_json(&known)?, bits(now.0)],
        )?)
    }

    /// Lets alerts to webhooks that are `known` go out once more, with the same id and body.
    pub(crate) fn replay_alerts(
        &self,
        which: Replay,
        known: &[String],
        person: &Person,
        now: UnixSeconds,
    ) -> Result<Replayed, StoreError> {
        let (of, value, number) = match which {
            Replay::One(alert) => ("alert = ?1", alert, alert),
            Replay::Since(since) => ("made_at >= ?1", bits(since.0), 0),
        };
        let known = column::to_json(&known)?;
        let there = "(SELECT value FROM json_each(?2))";
        let set = format!(
            "UPDATE alerts SET state = 'pending', failed = 0, since_at = ?3, next_at = ?3
             WHERE {of} AND webhook IN {there}"
        );
        let replayed = self.0.execute(&set, params![value, known, bits(now.0)])?;
        let left = format!("SELECT count(*) FROM alerts WHERE {of} AND webhook NOT IN {there}");
        let left_out = self
            .0
            .query_row(&left, params![value, known], |row| column::number(row, 0))?;
        if replayed > 0 {
            self.say("alert", number, "replay", person, now)?;
        }
        Ok(Replayed { replayed, left_out })
    }

    /// One alert.
    pub(crate) fn alert(&self, alert: i64) -> Result<Option<AlertRow>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM alerts WHERE alert = ?");
        Ok(self.0.query_row(&sql, [alert], read).optional()?)
    }

    /// Alerts in the order in which they were made.
    pub(crate) fn alerts(
        &self,
        state: Option<&str>,
        webhook: Option<&str>,
        page: &Page,
    ) -> Result<Paged<AlertRow>, StoreError> {
        let sql = format!(
            "SELECT {COLUMNS} FROM alerts WHERE alert > ?1 AND (?3 IS NULL OR state = ?3)
             AND (?4 IS NULL OR webhook = ?4) ORDER BY alert LIMIT ?2"
        );
        self.list(&sql, &[state, webhook], page, read, |row| row.alert)
    }
}

fn read(row: &Row<'_>) -> rusqlite::Result<AlertRow> {
    let state: String = row.get(7)?;
    let next_at = column::number(row, 9)?;
    Ok(AlertRow {
        alert: row.get(0)?,
        event: row.get(1)?,
        webhook: row.get(2)?,
        kind: row.get(3)?,
        incident: row.get(4)?,
        request: row.get(5)?,
        made_at: column::number(row, 6)?,
        next_at: (state == "pending").then_some(next_at),
        state,
        failed: row.get(8)?,
        tried_at: column::maybe_number(row, 10)?,
        problem: row.get(11)?,
    })
}
