//! A device of its own: state folder, `muster-agent run`, and its local inference server.

use crate::cli::{self, Said};
use crate::fake_clock::FakeClock;
use crate::fleet::Fleet;
use crate::http::{self, Answer, Question};
use crate::program::{self, Program};
use crate::settings::Settings;
use crate::wait;
use serde_json::{Value, json};
use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// An enrolled device, running or not.
#[derive(Debug)]
pub struct Device {
    /// Its id.
    pub id: String,
    state: PathBuf,
    folder: PathBuf,
    agent: Option<Program>,
    http: Option<SocketAddr>,
    clock: Option<FakeClock>,
}

impl Device {
    /// Enrols a device; it does not run yet.
    ///
    /// # Panics
    /// When that is refused.
    pub fn enroll(fleet: &Fleet, id: &str, settings: &Settings) -> Self {
        let state = fleet.folder().join(id);
        Self::enroll_at(fleet, id, settings, &state)
    }

    /// Enrols a device with its state folder at a place of the caller's.
    ///
    /// # Panics
    /// When that is refused.
    pub fn enroll_at(fleet: &Fleet, id: &str, settings: &Settings, state: &Path) -> Self {
        let mut device = Self::new(fleet, id);
        state.clone_into(&mut device.state);
        device.ask_for_identity(fleet).ok();
        device.set(settings);
        device
    }

    /// Enrols a device whose machine has a clock of its own.
    ///
    /// # Panics
    /// When that is refused.
    pub fn enroll_by_clock(fleet: &Fleet, id: &str, settings: &Settings, clock: FakeClock) -> Self {
        let mut device = Self::new(fleet, id);
        device.clock = Some(clock);
        device.ask_for_identity(fleet).ok();
        device.set(settings);
        device
    }

    /// Enrols a device with a token that was made before.
    ///
    /// # Panics
    /// When that is refused.
    pub fn enroll_with(fleet: &Fleet, id: &str, settings: &Settings, token: &str) -> Self {
        let device = Self::new(fleet, id);
        device.ask_with(token).ok();
        device.set(settings);
        device
    }

    fn new(fleet: &Fleet, id: &str) -> Self {
        Self {
            id: id.to_owned(),
            state: fleet.folder().join(id),
            folder: fleet.folder().to_owned(),
            agent: None,
            http: None,
            clock: None,
        }
    }

    fn ask_for_identity(&self, fleet: &Fleet) -> Said {
        self.ask_with(&fleet.cli(&["enroll-token", &self.id]).ok())
    }

    fn ask_with(&self, token: &str) -> Said {
        let mut command = self.command();
        command.args(["enroll", token.trim(), "--state"]);
        cli::run(command.arg(&self.state))
    }

    /// The agent on its machine.
    fn command(&self) -> Command {
        let mut command = Command::new(program::path("muster-agent"));
        if let Some(clock) = &self.clock {
            clock.show_to(&mut command);
        }
        command
    }

    /// The clock of its machine.
    ///
    /// # Panics
    /// When it has that of this one.
    pub fn clock(&self) -> &FakeClock {
        self.clock.as_ref().expect("it has a clock of its own")
    }

    /// Enrols a device and starts it.
    ///
    /// # Panics
    /// When that fails.
    pub fn start_new(fleet: &Fleet, id: &str, settings: &Settings) -> Self {
        let mut device = Self::enroll(fleet, id, settings);
        device.start();
        device
    }

    /// Starts the agent and waits until its server listens.
    ///
    /// # Panics
    /// When it does not become ready.
    pub fn start(&mut self) {
        let mut command = self.command();
        command.arg("run").arg("--state").arg(&self.state);
        command.env("MUSTER_LOG", "info,muster_agent=debug");
        let mut agent = Program::start(&self.id, command, &self.folder);
        let ready = agent.ready();
        let http = ready
            .strip_prefix("http=")
            .and_then(|address| address.parse().ok());
        self.http = Some(http.unwrap_or_else(|| panic!("no address in {ready:?}")));
        self.agent = Some(agent);
    }

    /// Writes other settings, for the next start.
    ///
    /// # Panics
    /// When the disk refuses.
    pub fn set(&self, settings: &Settings) {
        fs::write(self.state.join("agent.toml"), settings.to_toml()).expect("the disk takes it");
    }

    /// Takes the agent away as a power cut would.
    pub fn kill9(&mut self) {
        self.agent_mut().kill9();
    }

    /// Ends the agent in good order.
    ///
    /// # Panics
    /// When it ends with an error.
    pub fn stop(&mut self) {
        let status = self.agent_mut().stop();
        assert!(status.success(), "the agent ended with {status}");
    }

    fn agent_mut(&mut self) -> &mut Program {
        self.agent.as_mut().expect("it was started")
    }

    /// What the agent logged, in every run.
    pub fn log(&self) -> String {
        self.agent.as_ref().map(Program::log).unwrap_or_default()
    }

    /// The process of its agent.
    ///
    /// # Panics
    /// When it was never started.
    pub fn pid(&self) -> u32 {
        self.agent.as_ref().expect("it was started").pid()
    }

    /// Its state folder.
    pub fn state(&self) -> &Path {
        &self.state
    }

    /// Runs `muster-agent COMMAND … --state STATE`.
    pub fn cli(&self, arguments: &[&str]) -> Said {
        let mut command = self.command();
        cli::run(command.args(arguments).arg("--state").arg(&self.state))
    }

    /// Where the local server listens.
    ///
    /// # Panics
    /// When it was never started.
    pub fn http(&self) -> SocketAddr {
        self.http.expect("it was started")
    }

    /// Asks the local server.
    ///
    /// # Errors
    /// It does not answer.
    pub fn ask(&self, method: &str, path: &str, body: Option<&str>) -> io::Result<Answer> {
        http::ask(
            self.http(),
            Question {
                method,
                path,
                token: None,
                body,
            },
        )
    }

    /// What the agent says of itself.
    ///
    /// # Errors
    /// It does not answer.
    pub fn status(&self) -> Result<Value, String> {
        let answer = self
            .ask("GET", "/muster/status", None)
            .map_err(|error| error.to_string())?;
        Ok(answer.body)
    }

    /// What the agent says of one model.
    ///
    /// # Errors
    /// It does not answer, or knows no such model.
    pub fn model(&self, model: &str) -> Result<Value, String> {
        find_model(&self.status()?, model)
    }

    /// Predicts rows of features.
    ///
    /// # Errors
    /// The server does not answer.
    pub fn infer(&self, model: &str, rows: &[[f32; 4]]) -> io::Result<Answer> {
        let body = question(rows);
        self.ask("POST", &format!("/v2/models/{model}/infer"), Some(&body))
    }

    /// The version and the scores that a model answers.
    ///
    /// # Errors
    /// It does not answer, or with a refusal.
    pub fn scores(&self, model: &str, rows: &[[f32; 4]]) -> Result<(String, Vec<f64>), String> {
        let answer = self.infer(model, rows).map_err(|error| error.to_string())?;
        read_scores(&answer).ok_or_else(|| format!("{answer:?}"))
    }

    /// Waits until `version` answers.
    ///
    /// # Panics
    /// When it does not in time.
    pub fn wait_serves(&self, model: &str, version: &str, deadline: Duration) {
        let what = format!("{} to serve {model} {version}", self.id);
        wait::until(what, deadline, || {
            match self.scores(model, &[[0.1, 0.2, 0.3, 0.4]])? {
                (serving, _) if serving == version => Ok(()),
                (serving, _) => Err(format!("{serving} serves")),
            }
        });
    }

    /// Waits until the device has counted `calls` predictions since it was started and has told
    /// everything; gives the windows and predictions that it has counted.
    ///
    /// # Panics
    /// When that does not come in time.
    pub fn wait_told(&self, model: &str, calls: u64) -> (u64, u64) {
        let what = format!("{} to have told of {calls} predictions", self.id);
        wait::until(what, wait::LATER, || {
            // One picture for both: between two, a window may close.
            let status = self.status()?;
            let row = find_model(&status, model)?;
            let number = |value: &Value| value.as_u64().ok_or_else(|| status.to_string());
            let mut waiting = 0;
            for lane in ["receipts", "windows"] {
                let lane = &status["queue"][lane];
                waiting += number(&lane["pending"])? + number(&lane["frozen"])?;
            }
            let told = (number(&row["closed_windows"])?, number(&row["calls"])?);
            if waiting > 0 || told.1 < calls {
                return Err(format!("{waiting} documents wait, {told:?} counted"));
            }
            Ok(told)
        })
    }

    /// The process of the worker that serves a model.
    ///
    /// # Errors
    /// There is none right now.
    pub fn worker_pid(&self, model: &str) -> Result<i32, String> {
        let row = self.model(model)?;
        let pid = row["worker"]["pid"]
            .as_i64()
            .and_then(|pid| i32::try_from(pid).ok());
        pid.ok_or_else(|| row.to_string())
    }
}

fn find_model(status: &Value, model: &str) -> Result<Value, String> {
    let mut models = status["models"].as_array().into_iter().flatten();
    let found = models.find(|row| row["model"] == model);
    found
        .cloned()
        .ok_or_else(|| format!("no {model} in {status}"))
}

/// Runs `muster-agent enroll TOKEN`.
pub fn enroll(token: &str, state: &Path) -> Said {
    let mut command = Command::new(program::path("muster-agent"));
    cli::run(
        command
            .arg("enroll")
            .arg(token.trim())
            .arg("--state")
            .arg(state),
    )
}

/// A request for rows of the tests' models.
pub fn question(rows: &[[f32; 4]]) -> String {
    let input = json!({
        "name": "features", "datatype": "FP32", "shape": [rows.len(), 4],
        "data": rows.iter().flatten().collect::<Vec<_>>(),
    });
    json!({ "inputs": [input] }).to_string()
}

/// Version and scores of an answer.
pub fn read_scores(answer: &Answer) -> Option<(String, Vec<f64>)> {
    let version = answer.body["model_version"].as_str()?.to_owned();
    let data = answer.body["outputs"][0]["data"].as_array()?;
    let scores = data.iter().map(Value::as_f64).collect::<Option<Vec<_>>>()?;
    (answer.status == 200).then_some((version, scores))
}
