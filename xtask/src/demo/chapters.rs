//! The story, chapter by chapter: release, roll out, predict, replace under load, count; then drift,
//! a version that knows it, and one that fails.
//! Says what was seen as claims; never how to wait for it.

mod canary;
mod counting;
mod drift;
mod scores;

use std::time::{Duration, Instant};

use super::{
    Args,
    claims::Claims,
    compare::Comparison,
    folder::Folder,
    inference::{Form, Inference},
    npz,
    stage::Stage,
    subject::{Subject, VERSIONS},
    view::DeviceView,
};
use crate::clock;

const ROLLOUT_MAX: Duration = Duration::from_secs(120);
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
        self.canaries(&form)?;
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
}

fn has_committed(view: &DeviceView, version: &str) -> bool {
    view.serves.as_deref() == Some(version)
        && view.wanted.as_deref() == Some(version)
        && view.step.as_deref() == Some("committed")
}
