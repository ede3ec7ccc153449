//! The clock by which incidents close: seconds in which the watch has looked at what came. It stands
//! while `muster serve` does not run, and while windows wait to be looked at.
//!
//! Never goes back, whatever the clock of the machine does.

use muster_protocol::time::UnixSeconds;
use rusqlite::{OptionalExtension as _, Row};

use super::column::{self, bits};
use super::{StoreError, Tx};

/// Longest pause between two looks that counts as looking, seconds: a restart, not an outage.
const PAUSE_S_MAX: u64 = 600;
/// How often it is written down, seconds.
const WRITTEN_EVERY_S: u64 = 60;

/// As it was written down.
struct Written {
    seen_s: u64,
    seen_until: u64,
}

impl Tx<'_> {
    /// What it shows now, seconds.
    pub(super) fn watched_s(&self, now: UnixSeconds) -> Result<u64, StoreError> {
        let written = self.written_clock()?;
        Ok(written.at(self.watched_until(now)?))
    }

    /// Lets it go on, as far as the watch has come.
    pub(crate) fn tick_watch_clock(&self, now: UnixSeconds) -> Result<(), StoreError> {
        let (written, until) = (self.written_clock()?, self.watched_until(now)?);
        if until >= written.seen_until && until - written.seen_until < WRITTEN_EVERY_S {
            return Ok(());
        }
        let sql = "UPDATE watch_clock SET seen_s = ?, seen_until = ?";
        self.0
            .execute(sql, [bits(written.at(until)), bits(until)])?;
        Ok(())
    }

    fn written_clock(&self) -> Result<Written, StoreError> {
        let sql = "SELECT seen_s, seen_until FROM watch_clock";
        let read = |row: &Row<'_>| {
            Ok(Written {
                seen_s: column::number(row, 0)?,
                seen_until: column::number(row, 1)?,
            })
        };
        Ok(self.0.prepare_cached(sql)?.query_row([], read)?)
    }

    /// Up to when the watch has looked: now, or when the first window came that still waits.
    fn watched_until(&self, now: UnixSeconds) -> Result<u64, StoreError> {
        let sql = "SELECT received_at FROM windows WHERE shadow IS NULL AND window >
                   ifnull((SELECT window FROM watching WHERE kept = 0), 0)
                   ORDER BY window LIMIT 1";
        let mut statement = self.0.prepare_cached(sql)?;
        let read = |row: &Row<'_>| column::number(row, 0);
        let waits = statement.query_row([], read).optional()?;
        Ok(waits.map_or(now.0, |received_at| now.0.min(received_at)))
    }
}

impl Written {
    fn at(&self, until: u64) -> u64 {
        let more = until.saturating_sub(self.seen_until).min(PAUSE_S_MAX);
        self.seen_s.saturating_add(more)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{InMemory, in_memory};
    use super::*;

    const BEGUN: u64 = 1_800_000_000;

    fn begun() -> InMemory {
        let memory = in_memory();
        Tx::of(&memory)
            .tick_watch_clock(UnixSeconds(BEGUN))
            .expect("written");
        memory
    }

    /// Ticks at each of these times; what it has counted since it began.
    fn check(ticks: &[u64], expect: u64) {
        let memory = begun();
        let tx = Tx::of(&memory);
        let before = tx.watched_s(UnixSeconds(BEGUN)).expect("read");
        for at in ticks {
            tx.tick_watch_clock(UnixSeconds(*at)).expect("written");
        }
        let last = ticks.last().copied().unwrap_or(BEGUN);
        let after = tx.watched_s(UnixSeconds(last)).expect("read");
        assert_eq!(after - before, expect, "{ticks:?}");
    }

    #[test]
    fn it_counts_while_somebody_looks_and_little_of_an_outage() {
        check(&[], 0);
        check(&[BEGUN + 5, BEGUN + 65, BEGUN + 100], 100);
        check(&[BEGUN + 300, BEGUN + 600], 600);
        // Three days without anybody.
        check(&[BEGUN + 3 * 86_400], PAUSE_S_MAX);
        check(
            &[BEGUN + 3 * 86_400, BEGUN + 3 * 86_400 + 50],
            PAUSE_S_MAX + 50,
        );
        // The clock of the machine was set back, and goes on.
        check(&[BEGUN - 1000, BEGUN - 900], 100);
        check(&[u64::MAX, 0, 60], PAUSE_S_MAX + 60);
    }

    #[test]
    fn it_stands_while_windows_wait() {
        let memory = begun();
        let tx = Tx::of(&memory);
        let shown = |after_s| tx.watched_s(UnixSeconds(BEGUN + after_s)).expect("read");
        let before = shown(0);
        tx.0.execute(
            "INSERT INTO windows (device, stream, sequence, model, bundle, boot, started_ms,
             ended_ms, closed_windows, calls, errors, received_at, document)
             VALUES ('a', x'00', 1, 'm', x'00', x'00', 0, 0, 1, 1, 0, ?, x'00')",
            [bits(BEGUN + 30)],
        )
        .expect("a window");
        assert_eq!(shown(500) - before, 30);
        let looked = crate::store::Position {
            window: 1,
            ..crate::store::Position::default()
        };
        tx.set_watching(crate::store::Kept::Now, &looked)
            .expect("kept");
        assert_eq!(shown(500) - before, 500);
    }
}
