//! What the model's scores amount to, beside what was expected of them. Claims; never waits.

use super::{
    super::{compare::Comparison, inference::Form, npz, subject::Onset},
    Chapters,
};

impl Chapters<'_> {
    pub(super) fn claim_alarms(&mut self) {
        let records = self.stage.records.clone();
        for (place, record) in records.iter().enumerate() {
            let (device, alarm) = (
                &self.stage.agents[place].device,
                record.lock().alarm.first_row,
            );
            let seen = alarm.map_or("no alarm".into(), |row| format!("alarm from row {row}"));
            let (what, holds) = match self.subject.onset(place) {
                None if self.args.expect_alarm.is_some() || self.args.threshold.is_none() => {
                    continue;
                }
                None => ("first sustained alarm", true),
                Some(Onset::Never) => ("the machine is well: no alarm", alarm.is_none()),
                Some(Onset::Row(onset)) => (
                    "the bearing fails: an alarm after the onset",
                    alarm.is_some_and(|row| row >= onset),
                ),
            };
            self.claims.claim(&format!("{device}: {what}"), holds, seen);
        }
    }

    /// The replayed rows against `--expect`.
    pub(super) fn claim_expected(&mut self, form: &Form) -> anyhow::Result<()> {
        let Some(expect) = &self.args.expect else {
            return Ok(());
        };
        let arrays = npz::read(expect)?;
        let rows = self.subject.rows(0, form.width)?.len();
        let mut all = Comparison::default();
        let known = arrays.get(&form.score).map_or(0, Vec::len);
        if known != rows {
            all.miss(format!(
                "{rows} rows were replayed, it has {known} of {:?}",
                form.score
            ));
        }
        for record in &self.stage.records {
            for (row, answer) in record.lock().answers.iter().enumerate() {
                answer.compare(row, &arrays, &mut all);
            }
        }
        self.claims.claim(
            "replayed rows are answered as expected",
            all.is_equal(),
            all.words(),
        );
        Ok(())
    }

    /// `--expect-quiet` and `--expect-alarm`.
    pub(super) fn claim_ranges(&mut self, form: &Form) {
        if let (Some(rows), Some(threshold)) = (&self.args.expect_quiet, self.args.threshold) {
            let highest = self.stage.records.iter().map(|record| {
                let highest = record.lock().highest_score(&form.score, rows.exclusive());
                highest.unwrap_or(f64::NAN)
            });
            let highest = highest.fold(f64::MIN, |a, b| if b <= a { a } else { b });
            let claim = format!("rows {rows} stay below {threshold}");
            let seen = format!("the highest score is {highest:.3}");
            self.claims.claim(&claim, highest < threshold, seen);
        }
        if let Some(rows) = &self.args.expect_alarm {
            let alarms = self
                .stage
                .records
                .iter()
                .map(|record| record.lock().alarm.first_row);
            let alarms: Vec<_> = alarms.collect();
            let within = |row: &usize| rows.exclusive().contains(row);
            let holds = alarms.iter().all(|row| row.as_ref().is_some_and(within));
            let seen = alarms
                .iter()
                .map(|row| row.map_or("none".into(), |row| row.to_string()));
            let seen = format!("from rows {}", seen.collect::<Vec<_>>().join(", "));
            let claim = format!("the sustained alarm begins in rows {rows}");
            self.claims.claim(&claim, holds, seen);
        }
    }
}
