//! Everything that runs in the demo, and the one loop that looks at it until something has
//! happened. Never waits without a deadline, and ends what it has started.

use std::{
    collections::BTreeMap,
    fmt,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::bail;
use rustix::process::Signal;

use super::{
    agent::{Agent, Probation, Status},
    controller::{Controller, DeviceSummary, ModelSummary},
    folder::Folder,
    inference::Form,
    interrupt::Interrupt,
    replay::{Replay, Shared, Tape},
    subject::Subject,
    view::{DeviceView, Screen},
};
use crate::clock;

const LOOK_EVERY: Duration = Duration::from_millis(200);
/// The controller is asked through a program that is started for it.
const SUMMARY_EVERY: Duration = Duration::from_millis(1_000);

/// Ctrl-C, as an error that ends the story.
#[derive(Debug)]
pub(super) struct Interrupted;

impl fmt::Display for Interrupted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("interrupted")
    }
}

impl std::error::Error for Interrupted {}

/// Controller, agents and replays, ended in the opposite order of their start.
pub(super) struct Stage {
    replays: Vec<Replay>,
    pub(super) agents: Vec<Agent>,
    pub(super) controller: Controller,
    pub(super) records: Vec<Shared>,
    pub(super) screen: Screen,
    interrupt: Interrupt,
    model: String,
    summary: BTreeMap<String, DeviceSummary>,
    summary_at: Option<Instant>,
}

impl Stage {
    /// Starts a controller and enrols devices, which begin to run.
    ///
    /// # Errors
    /// One of them does not start, with what it said.
    pub(super) fn set(
        programs: &Path,
        folder: &Folder,
        subject: &Subject,
        (devices, probation): (usize, Probation),
        interrupt: &Interrupt,
    ) -> anyhow::Result<Self> {
        let mut screen = Screen::new();
        screen.chapter("a controller begins: muster init, muster serve");
        let controller = Controller::start(programs, folder, interrupt)?;
        screen.say(&controller.page());
        let mut stage = Self {
            replays: Vec::new(),
            agents: Vec::new(),
            controller,
            records: Vec::new(),
            screen,
            interrupt: interrupt.clone(),
            model: subject.model.to_string(),
            summary: BTreeMap::new(),
            summary_at: None,
        };
        let title = format!("{devices} devices enrol: muster enroll-token, muster-agent enroll");
        stage.screen.chapter(&title);
        for number in 1..=devices {
            stage.expect_undisturbed()?;
            let device = format!("press-{number:02}");
            let agent = Agent::start(programs, folder, &stage.controller, &device, probation)?;
            stage.agents.push(agent);
            stage.records.push(Shared::new(subject.sustained_rows));
        }
        Ok(stage)
    }

    /// Looks until `done`, drawing what it sees.
    ///
    /// # Errors
    /// Ctrl-C, a program that ended, a device that gave up, or a deadline that passed.
    pub(super) fn watch(
        &mut self,
        what: &str,
        within: Duration,
        mut done: impl FnMut(&[DeviceView]) -> bool,
    ) -> anyhow::Result<Vec<DeviceView>> {
        let deadline = clock::now() + within;
        loop {
            let views = self.look()?;
            self.screen.draw(&views);
            if done(&views) {
                return Ok(views);
            }
            if let Some(view) = views.iter().find(|view| has_given_up(view)) {
                self.screen.draw_now(&views);
                let step = view.step.as_deref().unwrap_or_default();
                let reason = view.reason.as_deref().unwrap_or("without a reason");
                bail!(
                    "failed to see {what}: because {} says {step}: {reason}",
                    view.device
                );
            }
            if clock::now() >= deadline {
                self.screen.draw_now(&views);
                bail!("failed to see {what}: because it did not happen within {within:?}");
            }
            self.interrupt.rest(LOOK_EVERY);
        }
    }

    /// Looks until `done` says so of what it asks itself.
    ///
    /// # Errors
    /// Ctrl-C, a program that ended, what `done` says, or a deadline that passed.
    pub(super) fn wait(
        &mut self,
        what: &str,
        within: Duration,
        mut done: impl FnMut(&mut Self) -> anyhow::Result<bool>,
    ) -> anyhow::Result<()> {
        let deadline = clock::now() + within;
        loop {
            let views = self.look()?;
            self.screen.draw(&views);
            if done(self)? {
                return Ok(());
            }
            if clock::now() >= deadline {
                self.screen.draw_now(&views);
                bail!("failed to see {what}: because it did not happen within {within:?}");
            }
            self.interrupt.rest(LOOK_EVERY);
        }
    }

    /// Devices that serve a version, as they say.
    ///
    /// # Errors
    /// One of them has ended.
    pub(super) fn serving(&mut self, version: &str) -> anyhow::Result<usize> {
        let mut serving = 0;
        for agent in &mut self.agents {
            let models = agent.status()?.models;
            let mut own = models.into_iter().filter(|model| model.model == self.model);
            let active = own.next().and_then(|model| model.active);
            serving += usize::from(active.is_some_and(|slot| slot.version == version));
        }
        Ok(serving)
    }

    /// Looks until Ctrl-C.
    ///
    /// # Errors
    /// A program ended.
    pub(super) fn stay(&mut self) -> anyhow::Result<()> {
        while !self.interrupt.is_raised() {
            let views = match self.look() {
                Err(error) if error.is::<Interrupted>() => return Ok(()),
                looked => looked?,
            };
            self.screen.draw(&views);
            self.interrupt.rest(LOOK_EVERY * 2);
        }
        Ok(())
    }

    /// Begins to replay on every device, or goes on with it.
    ///
    /// # Errors
    /// The data does not fit the model.
    pub(super) fn replay(
        &mut self,
        subject: &Subject,
        form: &Form,
        rows_per_second: f64,
    ) -> anyhow::Result<()> {
        for (place, agent) in self.agents.iter().enumerate() {
            let tape = Tape {
                socket: agent.socket.clone(),
                form: form.clone(),
                rows: Arc::new(subject.rows(place, form.width)?),
                interval: Duration::from_secs_f64(1.0 / rows_per_second),
                thresholds: subject.thresholds(),
            };
            self.replays
                .push(Replay::start(tape, self.records[place].clone()));
        }
        Ok(())
    }

    /// Ends the replays; what they have asked is answered.
    pub(super) fn pause(&mut self) {
        self.replays.clear();
    }

    fn look(&mut self) -> anyhow::Result<Vec<DeviceView>> {
        self.expect_undisturbed()?;
        self.controller.process.expect_running()?;
        let due = self
            .summary_at
            .is_none_or(|at| clock::now() - at >= SUMMARY_EVERY);
        if due {
            let summary = self.controller.summary()?;
            let named = summary
                .into_iter()
                .map(|device| (device.device.clone(), device));
            self.summary = named.collect();
            self.summary_at = Some(clock::now());
        }
        let statuses: Vec<_> = self.agents.iter_mut().map(Agent::status).collect();
        let mut views = Vec::with_capacity(statuses.len());
        for (place, status) in statuses.into_iter().enumerate() {
            views.push(self.view(place, &status?));
        }
        Ok(views)
    }

    fn view(&self, place: usize, status: &Status) -> DeviceView {
        let (agent, record) = (&self.agents[place], self.records[place].lock());
        let known = self.summary.get(&agent.device);
        let known = known.and_then(|device| device.models.iter().find(|m| m.model == self.model));
        let known = known.cloned().unwrap_or_else(ModelSummary::default);
        let own = status.models.iter().find(|model| model.model == self.model);
        let own = own.cloned().unwrap_or_default();
        let worker = own.worker.unwrap_or_default();
        DeviceView {
            device: agent.device.clone(),
            wanted: known.desired_version,
            serves: own.active.map(|slot| slot.version),
            step: known.step,
            reason: known.detail.or(known.reason),
            answered: record.asked - record.failed,
            failed: record.failed,
            latency_p50_us: record.latency_us(50),
            latency_p95_us: record.latency_us(95),
            score: record.score,
            alarm_row: record.alarm.first_row,
            windows_closed: own.closed_windows,
            windows_stored: known.closed_windows,
            predictions_stored: known.predictions,
            predictions_counted: own.calls,
            unacknowledged: status.unacknowledged(),
            agent_bytes: status.resident_bytes,
            worker_bytes: worker.resident_bytes,
            worker_starts: worker.starts,
        }
    }

    fn expect_undisturbed(&self) -> Result<(), Interrupted> {
        if self.interrupt.is_raised() {
            Err(Interrupted)
        } else {
            Ok(())
        }
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        self.replays.clear();
        // All at once; each is then waited for as it is dropped.
        self.agents
            .iter_mut()
            .for_each(|agent| agent.process.signal(Signal::TERM));
    }
}

fn has_given_up(view: &DeviceView) -> bool {
    let step = view.step.as_deref();
    step.is_some_and(|step| ["refused", "reverted", "degraded"].contains(&step))
}
