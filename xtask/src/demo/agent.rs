//! One device of the demo: `muster-agent` with a state folder of its own.
//! Asked over its unix socket, as any program beside it would.

use std::{
    fs::{self, OpenOptions},
    io::Write as _,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::Context as _;
use serde::Deserialize;

use super::{
    controller::Controller,
    folder::Folder,
    http::Http,
    process::{Process, output},
};

/// Short enough that a demo sees every step.
const SETTINGS: &str = "\
http = \"127.0.0.1:0\"
window_s = 5
checkpoint_s = 2
hello_s = 30
";

/// How long a new version must prove itself before it serves for good.
#[derive(Debug, Clone, Copy)]
pub(super) enum Probation {
    /// As long as it takes to see it.
    Short,
    /// Not at all: what is looked at is the swap itself.
    Absent,
}

impl Probation {
    fn setting(self) -> &'static str {
        match self {
            Self::Short => "probation_s = 3\n",
            Self::Absent => "probation_s = 0\n",
        }
    }
}

/// A device that runs.
pub(super) struct Agent {
    /// Its id.
    pub(super) device: String,
    /// Where its inference server listens.
    pub(super) socket: PathBuf,
    /// `muster-agent run`.
    pub(super) process: Process,
}

/// What an agent says of itself.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Status {
    pub(super) connected: bool,
    pub(super) models: Vec<ModelStatus>,
    pub(super) queue: Queue,
    pub(super) resident_bytes: Option<u64>,
}

/// What it says of a model.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct ModelStatus {
    pub(super) model: String,
    pub(super) progress: Option<String>,
    pub(super) active: Option<Slot>,
    pub(super) calls: u64,
    pub(super) closed_windows: u64,
    pub(super) worker: Option<Worker>,
}

/// A version that serves.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(super) struct Slot {
    pub(super) version: String,
    pub(super) committed: bool,
}

/// The process that computes.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Worker {
    pub(super) resident_bytes: Option<u64>,
    pub(super) starts: u64,
}

/// Documents that the controller has not acknowledged yet.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Queue {
    pub(super) receipts: Lane,
    pub(super) windows: Lane,
}

/// Of one kind.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Lane {
    pub(super) pending: u64,
    pub(super) frozen: u64,
}

impl Agent {
    /// Enrols a device and starts it.
    ///
    /// # Errors
    /// It is refused, or does not start.
    pub(super) fn start(
        programs: &Path,
        folder: &Folder,
        controller: &Controller,
        device: &str,
        probation: Probation,
    ) -> anyhow::Result<Self> {
        let (program, state) = (
            programs.join("muster-agent"),
            folder.join("agents").join(device),
        );
        fs::create_dir_all(folder.join("agents"))?;
        let token = folder.join(format!("{device}.token"));
        write_secret(&token, &controller.token(device)?)?;
        let mut enroll = Command::new(&program);
        enroll.arg("enroll").arg(format!("@{}", token.display()));
        output(enroll.arg("--state").arg(&state))?;
        fs::remove_file(&token)?;
        // Said, because a program under an emulator does not find itself.
        let worker = format!("worker_program = {program:?}\n");
        let settings = worker + SETTINGS + probation.setting();
        fs::write(state.join("agent.toml"), settings)?;
        let mut run = Command::new(&program);
        run.arg("run").arg("--state").arg(&state);
        Ok(Self {
            device: device.to_owned(),
            socket: state.join("run/agent.sock"),
            process: Process::start(device, &mut run, &folder.join(""))?,
        })
    }

    /// How it does; nothing while it is starting.
    ///
    /// # Errors
    /// It has ended, or its answer cannot be read.
    pub(super) fn status(&mut self) -> anyhow::Result<Status> {
        self.process.expect_running()?;
        let Ok(mut http) = Http::connect(&self.socket) else {
            return Ok(Status::default());
        };
        let status = http.get("/muster/status");
        let status = status.with_context(|| format!("failed to ask {}", self.device))?;
        Ok(serde_json::from_value(status)?)
    }
}

impl Status {
    /// Documents that are not acknowledged yet.
    pub(super) fn unacknowledged(&self) -> u64 {
        let lanes = [&self.queue.receipts, &self.queue.windows];
        lanes.iter().map(|lane| lane.pending + lane.frozen).sum()
    }
}

fn write_secret(path: &Path, text: &str) -> anyhow::Result<()> {
    let mut options = OpenOptions::new();
    let mut file = options
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    Ok(file.write_all(text.as_bytes())?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_read_even_when_it_says_more_or_less() -> anyhow::Result<()> {
        let text = r#"{"device": "a", "connected": true, "models": [{"model": "m",
            "progress": "idle", "active": {"version": "1.0.0", "committed": true, "rank": 1},
            "previous": null, "calls": 7, "closed_windows": 2,
            "worker": {"pid": 1, "resident_bytes": 5, "starts": 1}}],
            "queue": {"receipts": {"pending": 1, "frozen": 2, "through": 3},
                      "windows": {"pending": 4, "frozen": 0}}, "resident_bytes": 9}"#;
        let status: Status = serde_json::from_str(text)?;
        assert_eq!(status.unacknowledged(), 7);
        assert_eq!(status.models[0].calls, 7);
        let empty: Status = serde_json::from_str(r#"{"models": [{"worker": null}]}"#)?;
        assert!(!empty.connected);
        Ok(())
    }
}
