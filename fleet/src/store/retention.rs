//! What is older than it is kept goes, a little at a time.
//!
//! Never a sum that something still adds to, never the numbers that were taken: what a device sends
//! again is known for ever.

use muster_protocol::time::UnixSeconds;
use rusqlite::params;

use super::column::bits;
use super::hours::HOUR_S;
use super::watches::FORMAT;
use super::{StoreError, Tx};
use crate::config::{Days, Retention};

/// Rows that go in one transaction: whoever waits for the store waits for no more. Rows lie in the
/// order in which they came, so the oldest are found without a search.
const ROWS_MAX: u32 = 2000;
const DAY_S: u64 = 86_400;

/// Events that the states before the oldest window have heeded, and that a later one of the same kind
/// and device has made void for whoever computes from those windows alone. So the newest always stays,
/// and numbers only grow. States of another format have heeded none: they are computed again.
const SUPERSEDED_EVENTS: &str = "DELETE FROM watch_events WHERE at < ?1 AND event IN
     (SELECT event FROM
      (SELECT event, row_number() OVER (PARTITION BY
         CASE WHEN json_type(what, '$.rule') IS NOT NULL THEN 'rule'
              WHEN json_type(what, '$.rebaseline') IS NOT NULL THEN 'rebaseline'
              ELSE 'labels ' || json_extract(what, '$.labels.device') END
         ORDER BY event DESC) AS place
       FROM watch_events WHERE event <=
         (SELECT event FROM watching WHERE kept = 1 AND format = ?3))
      WHERE place > 1 ORDER BY event LIMIT ?2)";

/// Rows whose hours move on as long as windows come: where they lie says nothing of their age.
const OLD_COHORT_DEVICES: &str = "DELETE FROM cohort_devices WHERE rowid IN
     (SELECT rowid FROM cohort_devices WHERE hour < ?1 ORDER BY hour LIMIT ?2)";

impl Tx<'_> {
    /// Removes some of what is too old; how many rows.
    pub(crate) fn forget(
        &self,
        retention: &Retention,
        now: UnixSeconds,
    ) -> Result<usize, StoreError> {
        let by_row = |days, sql| self.forget_by(days, sql, now);
        let tables = [
            by_row(
                retention.windows_days,
                // The newest stays, so that numbers only grow, and what the watch would need to compute
                // everything again.
                "DELETE FROM windows WHERE received_at < ?1 AND window IN
                 (SELECT window FROM windows ORDER BY window LIMIT ?2)
                 AND window <= (SELECT window FROM watching WHERE kept = 1)
                 AND window < (SELECT max(window) FROM windows)",
            )?,
            by_row(
                retention.receipts_days,
                "DELETE FROM receipts WHERE received_at < ?1 AND receipt IN
                 (SELECT receipt FROM receipts ORDER BY receipt LIMIT ?2)",
            )?,
            by_row(
                retention.decisions_days,
                "DELETE FROM decisions WHERE decision IN
                 (SELECT decision FROM decisions JOIN rollouts USING (rollout)
                  WHERE ended = 1 AND decided_at < ?1 ORDER BY decision LIMIT ?2)",
            )?,
            by_row(
                retention.quarantine_days,
                "DELETE FROM quarantine WHERE (device, stream, sequence) IN
                 (SELECT device, stream, sequence FROM quarantine WHERE received_at < ?1 LIMIT ?2)",
            )?,
            self.forget_watched(retention.incidents_days, now)?,
            self.forget_device_hours(retention.feature_hours_days, now)?,
            self.forget_hours("cohort_hours", retention.cohort_hours_days, now)?,
            self.forget_cohort_devices(retention.cohort_hours_days, now)?,
            self.forget_hours("score_hours", retention.score_hours_days, now)?,
            by_row(
                retention.alerts_days,
                "DELETE FROM alerts WHERE alert IN
                 (SELECT alert FROM alerts WHERE state <> 'pending' AND tried_at < ?1
                  ORDER BY alert LIMIT ?2)",
            )?,
            by_row(
                retention.incidents_days,
                "DELETE FROM findings WHERE finding IN
                 (SELECT finding FROM findings JOIN incidents USING (incident)
                  WHERE closed_at < ?1 ORDER BY finding LIMIT ?2)",
            )?,
            by_row(
                retention.incidents_days,
                "DELETE FROM incidents WHERE incident IN
                 (SELECT incident FROM incidents WHERE closed_at < ?1 AND NOT EXISTS
                  (SELECT 1 FROM findings WHERE findings.incident = incidents.incident)
                  ORDER BY incident LIMIT ?2)",
            )?,
        ];
        Ok(tables.iter().sum())
    }

    /// Alarms, placings and events that are old, and charts of what has sent no window that is still
    /// there: both of their states, so that nothing comes out differently.
    fn forget_watched(&self, days: Days, now: UnixSeconds) -> Result<usize, StoreError> {
        let base = "(SELECT window FROM watching WHERE kept = 1)";
        let mut gone = 0;
        for (table, row) in [("alarms", "alarm"), ("placings", "placing")] {
            let sql = format!(
                "DELETE FROM {table} WHERE at < ?1 AND window <= {base} AND {row} IN
                 (SELECT {row} FROM {table} ORDER BY {row} LIMIT ?2)"
            );
            gone += self.forget_by(days, &sql, now)?;
        }
        if let Some(oldest) = oldest_s(days, now) {
            let named = params![bits(oldest), ROWS_MAX, FORMAT];
            gone += self.0.execute(SUPERSEDED_EVENTS, named)?;
        }
        let sql = format!(
            "DELETE FROM watches WHERE (model, bundle, kind, name) IN
             (SELECT model, bundle, kind, name FROM watches WHERE kept = 0 AND window <= {base})"
        );
        // All at once: the next round of the watch sees by the base that it must look again.
        Ok(gone + self.0.execute(&sql, [])?)
    }

    /// The newest of the windows that the next [`Tx::forget`] removes, if it may.
    pub(crate) fn oldest_windows(
        &self,
        retention: &Retention,
        now: UnixSeconds,
    ) -> Result<Option<i64>, StoreError> {
        let Some(oldest) = oldest_s(retention.windows_days, now) else {
            return Ok(None);
        };
        let sql = "SELECT max(window) FROM (SELECT window, received_at FROM windows
                   ORDER BY window LIMIT ?2) WHERE received_at < ?1";
        let row = |row: &rusqlite::Row<'_>| row.get(0);
        Ok(self
            .0
            .query_row(sql, params![bits(oldest), ROWS_MAX], row)?)
    }

    fn forget_by(&self, days: Days, sql: &str, now: UnixSeconds) -> Result<usize, StoreError> {
        let Some(oldest) = oldest_s(days, now) else {
            return Ok(0);
        };
        Ok(self.0.execute(sql, params![bits(oldest), ROWS_MAX])?)
    }

    /// The hours of all devices together are those of the cohort from there on.
    fn forget_device_hours(&self, days: Days, now: UnixSeconds) -> Result<usize, StoreError> {
        if let Some(oldest) = oldest_s(days, now) {
            self.let_device_hours_go(oldest / HOUR_S)?;
        }
        self.forget_hours("feature_hours", days, now)
    }

    fn forget_cohort_devices(&self, days: Days, now: UnixSeconds) -> Result<usize, StoreError> {
        let Some(oldest) = oldest_s(days, now) else {
            return Ok(0);
        };
        let named = params![bits(oldest / HOUR_S), ROWS_MAX];
        Ok(self.0.execute(OLD_COHORT_DEVICES, named)?)
    }

    fn forget_hours(&self, table: &str, days: Days, now: UnixSeconds) -> Result<usize, StoreError> {
        let Some(oldest) = oldest_s(days, now) else {
            return Ok(0);
        };
        let sql = format!(
            "DELETE FROM {table} WHERE hour < ?1 AND rowid IN
             (SELECT rowid FROM {table} ORDER BY rowid LIMIT ?2)"
        );
        Ok(self
            .0
            .execute(&sql, params![bits(oldest / HOUR_S), ROWS_MAX])?)
    }
}

/// From when on things are kept; none for ever, nor while the clock is at the beginning of time.
fn oldest_s(days: Days, now: UnixSeconds) -> Option<u64> {
    let kept_s = u64::from(days.0) * DAY_S;
    (days.0 > 0)
        .then(|| now.0.saturating_sub(kept_s))
        .filter(|oldest| *oldest > 0)
}

#[cfg(test)]
mod tests {
    use muster_fleet::watch::{Labels, WatchEvent, WatchRule};

    use super::super::{Kept, Position, Store, Tampering, in_memory};
    use super::*;

    #[tokio::test]
    async fn what_is_old_goes_and_the_rest_stays() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = Store::open(&folder.path().join("muster.db")).expect("a new file");
        let now = UnixSeconds(1_800_000_000);
        let fill = move |tx: &Tx<'_>| -> Result<(), StoreError> {
            for days in [1_u64, 89, 91, 400] {
                let at = bits(now.0 - days * DAY_S);
                tx.0.execute(
                    "INSERT INTO windows (device, stream, sequence, model, bundle, boot,
                     started_ms, ended_ms, closed_windows, calls, errors, received_at, document)
                     VALUES ('a', x'00', ?1, 'm', x'00', x'00', 0, 0, 1, 1, 0, ?2, x'00')",
                    params![bits(1000 - days), at],
                )?;
                tx.0.execute(
                    "INSERT INTO quarantine VALUES ('a', x'00', ?1, 1, ?2, x'00')",
                    params![bits(days), at],
                )?;
            }
            Ok(())
        };
        store.write(fill).await.expect("filled");
        let unwatched = move |tx: &Tx<'_>| tx.forget(&Retention::default(), now);
        assert_eq!(
            store.write(unwatched).await.expect("removed"),
            2,
            "of the quarantine"
        );
        let watched = move |tx: &Tx<'_>| -> Result<Option<i64>, StoreError> {
            let base = Position {
                window: 3,
                ..Position::default()
            };
            tx.set_watching(Kept::Base, &base)?;
            tx.oldest_windows(&Retention::default(), now)
        };
        assert_eq!(store.write(watched).await.expect("asked"), Some(4));
        let forget = move |tx: &Tx<'_>| -> Result<usize, StoreError> {
            tx.forget(&Retention::default(), now)
        };
        let gone = store.write(forget).await;
        // The windows of the test lie as they came: the youngest first hides none of the others. The
        // fourth is too old as well, and stays: the watch may need it.
        assert_eq!(gone.expect("removed"), 1);
        assert_eq!(store.write(forget).await.expect("removed"), 0);
        let left = store.read(|tx| -> Result<(i64, i64), StoreError> {
            let count = |sql: &str| tx.0.query_row(sql, [], |row| row.get(0));
            Ok((
                count("SELECT count(*) FROM windows")?,
                count("SELECT count(*) FROM quarantine")?,
            ))
        });
        assert_eq!(left.await.expect("counted"), (3, 2));
    }

    #[test]
    fn events_go_that_later_ones_have_made_void_for_all_windows_that_are_left() {
        let rule = || WatchEvent::Rule(WatchRule::default());
        let labels = |device: &str| WatchEvent::Labels {
            device: device.parse().expect("valid"),
            labels: Labels::new(),
        };
        let anew = |model: &str| WatchEvent::Rebaseline {
            model: model.parse().expect("valid"),
            device: None,
            operator: "ada".to_owned(),
            reason: "a new pump".to_owned(),
        };
        let check = |heeded: i64, events: &[(u64, WatchEvent)], expect: &[i64]| {
            let memory = in_memory();
            let tx = Tx::of(&memory);
            let now = UnixSeconds(1_800_000_000);
            for (days, what) in events {
                let at = UnixSeconds(now.0 - days * DAY_S);
                tx.add_watch_event(1, what, at).expect("an event");
            }
            let base = Position {
                event: heeded,
                ..Position::default()
            };
            tx.set_watching(Kept::Base, &base).expect("kept");
            let forget = || tx.forget(&Retention::default(), now).expect("forgotten");
            // What another program heeded, this one has to heed again.
            tx.tamper(Tampering::OtherFormat).expect("changed");
            forget();
            let all = tx.watch_events(0).expect("read");
            assert_eq!(all.len(), events.len(), "{events:?}");
            tx.set_watching(Kept::Base, &base).expect("kept");
            forget();
            let left = tx.watch_events(0).expect("read");
            let left: Vec<_> = left.iter().map(|event| event.event).collect();
            assert_eq!(left, expect, "{heeded} {events:?}");
        };
        let rules = [(900, rule()), (900, rule()), (900, rule())];
        check(0, &rules, &[1, 2, 3]);
        check(2, &rules, &[2, 3]);
        check(3, &rules, &[3]);
        check(3, &[(900, rule()), (1, rule()), (1, rule())], &[2, 3]);
        check(3, &[(1, rule()), (1, rule()), (1, rule())], &[1, 2, 3]);
        // By what a device was known holds until it is known by something else.
        let moved = [(900, labels("a")), (900, labels("b")), (900, labels("a"))];
        check(3, &moved, &[2, 3]);
        let mixed = [(900, anew("x")), (900, labels("a")), (900, anew("y"))];
        check(3, &mixed, &[2, 3]);
    }

    #[test]
    fn who_left_a_cohort_goes_however_many_came_before_and_stayed() {
        let check = |stayed: u32, left: u32, expect: &[usize]| {
            let memory = in_memory();
            let tx = Tx::of(&memory);
            let now = UnixSeconds(1_800_000_000);
            let hour_of = |days: u64| bits((now.0 - days * DAY_S) / HOUR_S);
            let sql = "WITH RECURSIVE each(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM each WHERE n < ?1 + ?2)
                 INSERT INTO cohort_devices (model, bundle, cohort, device, hour)
                 SELECT 'm', x'00', 'all', 'd-' || n, CASE WHEN n <= ?1 THEN ?3 ELSE ?4 END FROM each";
            let named = params![stayed, left, hour_of(1), hour_of(900)];
            tx.0.execute(sql, named).expect("filled");
            let forget = || tx.forget(&Retention::default(), now).expect("forgotten");
            let gone: Vec<usize> = expect.iter().map(|_| forget()).collect();
            assert_eq!(gone, expect, "{stayed} {left}");
            let count = "SELECT count(*) FROM cohort_devices";
            let rows: u32 =
                tx.0.query_row(count, [], |row| row.get(0))
                    .expect("counted");
            assert_eq!(rows, stayed);
        };
        check(ROWS_MAX + 1, 3, &[3, 0]);
        check(5, ROWS_MAX + 7, &[ROWS_MAX as usize, 7, 0]);
    }

    #[test]
    fn who_left_a_cohort_is_found_by_an_index() {
        let memory = in_memory();
        let sql = format!("EXPLAIN QUERY PLAN {OLD_COHORT_DEVICES}");
        let tx = Tx::of(&memory);
        let mut plan = tx.0.prepare(&sql).expect("valid");
        let steps = plan.query_map(params![1, 1], |row| row.get(3));
        let steps: rusqlite::Result<Vec<String>> = steps.expect("a plan").collect();
        let steps = steps.expect("text");
        assert!(
            steps
                .iter()
                .any(|step| step.contains("INDEX cohort_devices_by_hour (hour<?)")),
            "{steps:?}"
        );
    }

    #[test]
    fn nothing_is_too_old_for_ever_or_at_the_beginning_of_time() {
        for (days, now_s, expect) in [
            (0, 1_800_000_000, None),
            (90, 90 * DAY_S, None),
            (90, 5, None),
            (90, 90 * DAY_S + 7, Some(7)),
            (u32::MAX, 1_800_000_000, None),
        ] {
            assert_eq!(oldest_s(Days(days), UnixSeconds(now_s)), expect, "{days}");
        }
    }
}
