//! The story, chapter by chapter: release, roll out, predict, replace under load, count.
//! Says what was seen as claims; never how to wait for it.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use indicatif::HumanBytes;

use super::{
    Args,
    claims::Claims,
    compare::Comparison,
    controller::Incident,
    folder::Folder,
    inference::{Form, Inference},
    npz,
    stage::Stage,
    subject::{Onset, Subject, VERSIONS},
    view::DeviceView,
};
use crate::clock;

const ROLLOUT_MAX: Duration = Duration::from_secs(120);
/// How long the controller may take to judge what it has stored.
const JUDGED_WITHIN: Duration = Duration::from_secs(6);
const JUDGING_MAX: Duration = Duration::from_secs(30);
const COUNTING_MAX: Duration = Duration::from_secs(60);
/// Replayed before the second version comes, so that it comes into the middle.
const BEFORE_SECOND: Duration = Duration::from_secs(5);

/// The story while it is told.
pub(super) struct Chapters<'a> {
    pub(super) stage: &'a mut Stage,
    pub(super) subject: &'a Subject,
    pub(super) args: &'a Args,
    pub(super) folder: &'a Folder,
    pub(super) claims: Claims,
}

impl Chapters<'_> {
    /// Tells it, and gives the form in which the model is asked.
    ///
    /// # Errors
    /// It cannot go on: Ctrl-C, a program that ended, a deadline that passed.
    pub(super) fn tell(&mut self) -> anyhow::Result<Form> {
        let [first, second] = VERSIONS;
        self.release(0)?;
        self.stage
            .watch("every device connected", ROLLOUT_MAX, |views| {
                views.iter().all(|view| view.agent_bytes.is_some())
            })?;
        self.roll_out(first, 100)?;
        let form = Form::ask(&self.stage.agents[0].socket, self.subject.model.as_str())?;
        self.compare_golden(0, &form)?;

        let title = self.subject.replay_title();
        self.stage.screen.chapter(title);
        let rate = self.args.rows_per_second;
        self.stage.replay(self.subject, &form, rate)?;
        let begun = clock::now();
        let first_rows = |_: &[DeviceView]| clock::now() - begun >= BEFORE_SECOND;
        self.stage
            .watch("the first rows", ROLLOUT_MAX, first_rows)?;

        self.release(1)?;
        self.roll_out(second, 50)?;
        self.roll_out(second, 100)?;
        self.replay_to_the_end(&form)?;
        self.stage.pause();
        self.compare_golden(1, &form)?;
        self.count()?;
        self.claim_alarms();
        self.claim_expected(&form)?;
        self.claim_ranges(&form);
        self.drift()?;
        self.report_costs()?;
        Ok(form)
    }

    fn release(&mut self, place: usize) -> anyhow::Result<()> {
        let release = &self.subject.releases[place];
        let (model, version) = (&self.subject.model, release.version);
        let title = format!("{model} {version} is packed and signed: muster bundle build, release");
        self.stage.screen.chapter(&title);
        let bundle = self.folder.join(format!("bundle-{version}"));
        self.stage
            .controller
            .release(self.subject, release, &bundle)
    }

    /// A rollout, until the last of its devices has committed.
    fn roll_out(&mut self, version: &str, percent: u8) -> anyhow::Result<()> {
        let title = format!("{version} is rolled out to {percent} %: muster rollout create");
        self.stage.screen.chapter(&title);
        let devices = (self.stage.agents.len() * usize::from(percent)).div_ceil(100);
        let begun = clock::now();
        let model = self.subject.model.as_str();
        self.stage.controller.roll_out(model, version, percent)?;
        let mut active_at: Option<Instant> = None;
        let what = format!("{version} committed on {devices} devices");
        let views = self.stage.watch(&what, ROLLOUT_MAX, |views| {
            let serving = views
                .iter()
                .filter(|view| view.serves.as_deref() == Some(version));
            if serving.count() >= devices && active_at.is_none() {
                active_at = Some(clock::now());
            }
            let committed = views.iter().filter(|view| has_committed(view, version));
            active_at.is_some() && committed.count() >= devices
        })?;
        let seconds = active_at.map_or(0.0, |at| (at - begun).as_secs_f64());
        let reached = views
            .iter()
            .filter(|view| view.serves.as_deref() == Some(version));
        let reached = reached.count();
        self.stage.screen.draw_now(&views);
        let claim = format!("{version} at {percent} % serves on exactly {devices} devices");
        let seen = format!("{seconds:.1} s from `muster rollout` to the last of {reached}");
        self.claims.claim(&claim, reached == devices, seen);
        Ok(())
    }

    fn compare_golden(&mut self, place: usize, form: &Form) -> anyhow::Result<()> {
        let release = &self.subject.releases[place];
        let Some(golden) = &release.golden else {
            return Ok(());
        };
        let arrays = npz::read(golden)?;
        let (mut all, mut rows) = (Comparison::default(), 0);
        for (agent, record) in self.stage.agents.iter().zip(&self.stage.records) {
            let mut inference = Inference::connect(&agent.socket, form)?;
            let (asked, comparison) = inference.compare(&arrays)?;
            record.lock().asked += asked as u64;
            rows += asked;
            all.merge(comparison);
        }
        let claim = format!("{} answers as the golden runtime did", release.version);
        let seen = format!("{rows} rows on all devices: {}", all.words());
        self.claims.claim(&claim, all.is_equal(), seen);
        Ok(())
    }

    fn replay_to_the_end(&mut self, form: &Form) -> anyhow::Result<()> {
        self.stage
            .screen
            .chapter("the rest of the data is replayed");
        let rows = self.subject.rows(0, form.width)?.len();
        let left = Duration::from_secs_f64(rows as f64 / self.args.rows_per_second);
        let records = self.stage.records.clone();
        let within = left * 2 + ROLLOUT_MAX;
        self.stage.watch("every row replayed", within, |_| {
            records
                .iter()
                .all(|record| record.lock().answers.len() >= rows)
        })?;
        Ok(())
    }

    /// What both ends have counted.
    fn count(&mut self) -> anyhow::Result<()> {
        self.stage.screen.chapter("both ends count");
        let counted = self
            .stage
            .watch("equal counts at both ends", COUNTING_MAX, |views| {
                views.iter().all(is_counted)
            });
        let (equal, views) = match counted {
            Ok(views) => (true, views),
            Err(error) if error.is::<super::stage::Interrupted>() => return Err(error),
            Err(_) => (
                false,
                self.stage.watch("the counts", COUNTING_MAX, |_| true)?,
            ),
        };
        self.stage.screen.draw_now(&views);
        let sum = |of: fn(&DeviceView) -> u64| views.iter().map(of).sum::<u64>();
        let seen = format!(
            "{} closed on devices, {} stored by the controller",
            sum(|view| view.windows_closed),
            sum(|view| view.windows_stored)
        );
        let some = views.iter().all(|view| view.windows_closed > 0);
        self.claims
            .claim("closed windows are equal at both ends", equal && some, seen);
        let seen = format!(
            "{} answered, {} counted on devices, {} in stored windows",
            sum(|view| view.answered),
            sum(|view| view.predictions_counted),
            sum(|view| view.predictions_stored)
        );
        let all = views
            .iter()
            .all(|view| view.answered == view.predictions_stored);
        self.claims
            .claim("every prediction is in a stored window", all, seen);
        self.claim_no_failure(&views);
        self.claim_workers(&views);
        Ok(())
    }

    fn claim_no_failure(&mut self, views: &[DeviceView]) {
        let failed: u64 = views.iter().map(|view| view.failed).sum();
        let answered: u64 = views.iter().map(|view| view.answered).sum();
        let reasons = self
            .stage
            .records
            .iter()
            .map(|record| record.lock().first_failure.clone());
        let first = reasons.flatten().next();
        let seen = match first {
            None => format!("{answered} answered while every device swapped"),
            Some(first) => format!("{failed} failed, first {first}"),
        };
        self.claims.claim(
            "no prediction failed, also while models were swapped",
            failed == 0,
            seen,
        );
        let both = self.stage.records.iter().all(|record| {
            let record = record.lock();
            VERSIONS
                .iter()
                .all(|version| record.by_version.contains_key(*version))
        });
        let seen = self.stage.records.iter().map(|record| {
            let record = record.lock();
            let counts = record.by_version.values().map(u64::to_string);
            counts.collect::<Vec<_>>().join("+")
        });
        let seen = seen.collect::<Vec<_>>().join(", ");
        self.claims
            .claim("both versions answered rows on every device", both, seen);
    }

    fn claim_workers(&mut self, views: &[DeviceView]) {
        let died = views.iter().filter(|view| view.worker_starts > 1).count();
        let highest = |of: fn(&DeviceView) -> Option<u64>| views.iter().filter_map(of).max();
        let bytes = |bytes: Option<u64>| HumanBytes(bytes.unwrap_or(0)).to_string();
        let seen = format!(
            "resident at most {} a supervisor, {} a worker",
            bytes(highest(|view| view.agent_bytes)),
            bytes(highest(|view| view.worker_bytes))
        );
        self.claims
            .claim("no worker had to be started again", died == 0, seen);
    }

    fn claim_alarms(&mut self) {
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

    /// What windows alone show of the machine that fails.
    fn drift(&mut self) -> anyhow::Result<()> {
        let failing: Vec<String> = (0..self.stage.agents.len())
            .filter(|place| matches!(self.subject.onset(*place), Some(Onset::Row(_))))
            .map(|place| self.stage.agents[place].device.clone())
            .collect();
        if failing.is_empty() {
            return Ok(());
        }
        let title = "drift is found and placed: muster incident list";
        self.stage.screen.chapter(title);
        let model = self.subject.model.to_string();
        let (mut found, mut asked_at) = (Vec::new(), None);
        self.stage
            .watch("the last windows judged", JUDGING_MAX, |_| {
                // Judged within seconds after they are stored.
                let begun = *asked_at.get_or_insert_with(clock::now);
                clock::now() - begun >= JUDGED_WITHIN
            })?;
        found.extend(self.stage.controller.incidents(&model)?);
        let of = |found: &[Incident], device: &str| -> Vec<String> {
            let theirs = found
                .iter()
                .filter(|one| one.device.as_deref() == Some(device));
            let named = theirs.map(|one| {
                let feature = one.feature.as_deref().unwrap_or("no feature");
                format!("{feature} {}", one.kind)
            });
            named.collect()
        };
        for device in &failing {
            let shown = of(&found, device);
            let claim = format!("{device}: windows alone show that something moved");
            self.claims
                .claim(&claim, !shown.is_empty(), shown.join(", "));
        }
        let others: Vec<&Incident> = found
            .iter()
            .filter(|one| {
                one.device
                    .as_ref()
                    .is_none_or(|device| !failing.contains(device))
            })
            .collect();
        let claim = "no other machine is blamed";
        self.claims
            .claim(claim, others.is_empty(), format!("{} others", others.len()));
        self.retrain(&found)
    }

    fn retrain(&mut self, found: &[Incident]) -> anyhow::Result<()> {
        let Some(first) = found.first() else {
            return Ok(());
        };
        self.stage
            .screen
            .chapter("a retrain is asked for: muster retrain request");
        let file = self.folder.join("retrain.json");
        let said = self
            .stage
            .controller
            .ask_for_retrain(first.incident, &file)?;
        let holds = said.starts_with("it holds");
        self.claims
            .claim("the request for a retrain is signed", holds, said);
        let windows = self.stage.controller.recompute()?;
        let claim = "every alarm comes out again, bit for bit";
        self.claims
            .claim(claim, windows > 0, format!("from {windows} windows"));
        Ok(())
    }

    /// The replayed rows against `--expect`.
    fn claim_expected(&mut self, form: &Form) -> anyhow::Result<()> {
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
    fn claim_ranges(&mut self, form: &Form) {
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

    fn report_costs(&mut self) -> anyhow::Result<()> {
        let mut fetched = BTreeMap::<(String, String), [u64; 2]>::new();
        for receipt in self.stage.controller.receipts()? {
            let measured = receipt.measured;
            let bytes = [measured.fetched_bytes, measured.written_bytes];
            let most = fetched
                .entry((receipt.version, receipt.device))
                .or_default();
            for (most, bytes) in most.iter_mut().zip(bytes) {
                *most = (*most).max(bytes.unwrap_or(0));
            }
        }
        for version in VERSIONS {
            let of_version = fetched.iter().filter(|((v, _), _)| v == version);
            let counts: Vec<_> = of_version.map(|(_, bytes)| *bytes).collect();
            let most = |of: usize| counts.iter().map(|bytes| bytes[of]).max().unwrap_or(0);
            let seen = format!(
                "at most {} fetched and {} written by a device",
                HumanBytes(most(0)),
                HumanBytes(most(1))
            );
            let all = counts.len() == self.stage.agents.len();
            let claim = format!("{version}: every device reported it with a receipt");
            self.claims.claim(&claim, all, seen);
        }
        Ok(())
    }
}

fn has_committed(view: &DeviceView, version: &str) -> bool {
    view.serves.as_deref() == Some(version)
        && view.wanted.as_deref() == Some(version)
        && view.step.as_deref() == Some("committed")
}

fn is_counted(view: &DeviceView) -> bool {
    view.unacknowledged == 0
        && view.windows_closed > 0
        && view.windows_closed == view.windows_stored
        && view.answered == view.predictions_stored
}
