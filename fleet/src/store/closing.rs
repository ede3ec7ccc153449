//! How incidents close: those of windows when they were quiet, what devices said when a person has
//! judged it.
//!
//! Never reopens one: what comes after that opens the next.

use muster_fleet::incident::{Desk, EventType, Told, closing};
use muster_protocol::time::UnixSeconds;
use rusqlite::params;

use super::column::bits;
use super::{StoreError, Tx};

/// Incidents that close at a time.
const ROUND_MAX: u32 = 200;

/// Incidents of windows without a finding up to here, by the clock of the watch.
pub(super) const QUIET: &str = "SELECT incident FROM incidents WHERE place IS NOT NULL
     AND closed_at IS NULL AND noted_seen_s <= ?1 ORDER BY noted_seen_s LIMIT ?2";

impl Tx<'_> {
    /// Closes incidents of windows without a finding for as long as the rules say; how many.
    pub(super) fn close_quiet(&self, desk: &Desk, now: UnixSeconds) -> Result<usize, StoreError> {
        let Some(before_s) = closing(desk.applied.rules.quiet_s, self.watched_s(now)?) else {
            return Ok(0);
        };
        let quiet = self.incidents_by(QUIET, params![bits(before_s), ROUND_MAX])?;
        for incident in &quiet {
            self.close(*incident, desk, now)?;
        }
        Ok(quiet.len())
    }

    /// Closes an incident of a device that a person has judged. Those of windows stay: what is still
    /// found belongs to them.
    pub(crate) fn close_judged(
        &self,
        incident: i64,
        desk: &Desk,
        now: UnixSeconds,
    ) -> Result<(), StoreError> {
        let sql = "SELECT incident FROM incidents WHERE incident = ?1 AND place IS NULL
                   AND closed_at IS NULL AND state IN ('confirmed', 'dismissed')";
        for incident in self.incidents_by(sql, params![incident])? {
            self.close(incident, desk, now)?;
        }
        Ok(())
    }

    /// Closes one, and says so to those who were told that it opened.
    fn close(&self, incident: i64, desk: &Desk, now: UnixSeconds) -> Result<(), StoreError> {
        let sql = "UPDATE incidents SET closed_at = ? WHERE incident = ?";
        self.0.execute(sql, params![bits(now.0), incident])?;
        let found = self.incident(incident)?;
        if let Some(found) = found.filter(|found| found.told == Told::Told.as_str()) {
            self.announce(&found, EventType::IncidentClosed, desk, now)?;
        }
        Ok(())
    }
}
