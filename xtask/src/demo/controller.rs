//! The controller of the demo: `muster serve` in a home of its own, asked through `muster`.
//! Knows the command line and the JSON that it prints; never the API behind it.

mod rings;
mod watched;

use std::{
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context as _, bail};
use serde::{Deserialize, de::DeserializeOwned};

use super::{
    folder::Folder,
    interrupt::Interrupt,
    process::{Process, output},
    subject::{Release, Subject},
};
use crate::clock;

pub(super) use watched::{Alarm, Incident, StoredWindow};

const READY_MAX: Duration = Duration::from_secs(30);
const ANY_PORT: &str = "127.0.0.1:0";

/// A running controller.
pub(super) struct Controller {
    program: PathBuf,
    home: PathBuf,
    /// Where its page is.
    page_url: String,
    /// `muster serve`.
    pub(super) process: Process,
}

/// A device as `muster summary` shows it.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct DeviceSummary {
    pub(super) device: String,
    #[serde(default)]
    pub(super) models: Vec<ModelSummary>,
}

/// A model on a device, as the controller knows it.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct ModelSummary {
    pub(super) model: String,
    pub(super) desired_version: Option<String>,
    pub(super) active_version: Option<String>,
    pub(super) step: Option<String>,
    pub(super) reason: Option<String>,
    pub(super) detail: Option<String>,
    pub(super) predictions: u64,
    pub(super) closed_windows: u64,
}

/// What a device has reported of one step.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Receipt {
    pub(super) device: String,
    pub(super) version: String,
    #[serde(default)]
    pub(super) measured: Measured,
}

/// What was measured on the way to it.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Measured {
    pub(super) latency_us: Option<u64>,
    pub(super) fetched_bytes: Option<u64>,
    pub(super) written_bytes: Option<u64>,
}

/// A version before it is packed.
pub(super) struct Packed<'a> {
    /// Its model's id.
    pub(super) model: &'a str,
    pub(super) version: &'a str,
    /// ONNX file.
    pub(super) file: &'a Path,
    /// CSV file of what it was made with.
    pub(super) reference: &'a Path,
    /// Columns of that; all of them when none are named.
    pub(super) columns: &'a [String],
    /// Answers of another runtime.
    pub(super) golden: Option<&'a Path>,
    /// Rows of a block of the reference, where they are not the usual ones.
    pub(super) block_rows: Option<usize>,
}

impl Controller {
    /// Makes a home, and serves it on free ports.
    ///
    /// # Errors
    /// It does not begin to listen, with what it said.
    pub(super) fn start(
        programs: &Path,
        folder: &Folder,
        interrupt: &Interrupt,
    ) -> anyhow::Result<Self> {
        let (program, home) = (programs.join("muster"), folder.join("home"));
        let mut init = Command::new(&program);
        init.arg("--home").arg(&home).arg("init");
        for listen in ["--broker-listen", "--enroll-listen", "--api-listen"] {
            init.args([listen, ANY_PORT]);
        }
        output(&mut init)?;
        let mut serve = Command::new(&program);
        serve.arg("--home").arg(&home).arg("serve");
        let mut controller = Self {
            process: Process::start("controller", &mut serve, &folder.join(""))?,
            program,
            home,
            page_url: String::new(),
        };
        controller.wait_until_ready(interrupt)?;
        Ok(controller)
    }

    /// How to look at its page.
    pub(super) fn page(&self) -> String {
        let token = self.home.join("controller/api-token");
        format!(
            "the page: {}  token: cat {}",
            self.page_url,
            token.display()
        )
    }

    /// Packs, signs and publishes a version.
    ///
    /// # Errors
    /// The bundle is refused, with the reason.
    pub(super) fn release(
        &self,
        subject: &Subject,
        release: &Release,
        bundle: &Path,
    ) -> anyhow::Result<()> {
        let packed = Packed {
            model: subject.model.as_str(),
            version: release.version,
            file: &release.model,
            reference: &subject.reference,
            columns: &subject.reference_columns,
            golden: release.golden.as_deref(),
            block_rows: None,
        };
        self.publish(&packed, bundle)
    }

    /// As [`Self::release`], of any model.
    ///
    /// # Errors
    /// The bundle is refused, with the reason.
    pub(super) fn publish(&self, packed: &Packed<'_>, bundle: &Path) -> anyhow::Result<()> {
        let mut build = self.command();
        build.args(["bundle", "build"]).arg(packed.file);
        build.args(["--model", packed.model, "--version", packed.version]);
        build.arg("--reference").arg(packed.reference);
        if !packed.columns.is_empty() {
            build.arg("--columns").arg(packed.columns.join(","));
        }
        if let Some(golden) = packed.golden {
            build.arg("--golden").arg(golden);
        }
        if let Some(rows) = packed.block_rows {
            build.args(["--block-rows", &rows.to_string()]);
        }
        output(build.arg("--out").arg(bundle))?;
        output(self.command().arg("release").arg(bundle).arg("--yes"))?;
        Ok(())
    }

    /// A token with which one device enrols.
    ///
    /// # Errors
    /// The controller refuses.
    pub(super) fn token(&self, device: &str) -> anyhow::Result<String> {
        let token = output(self.command().args(["enroll-token", device]))?;
        Ok(token.trim().to_owned())
    }

    /// Begins a rollout to a share of the devices.
    ///
    /// # Errors
    /// The controller refuses.
    pub(super) fn roll_out(&self, model: &str, version: &str, percent: u8) -> anyhow::Result<()> {
        let mut command = self.command();
        command.args(["rollout", "create", "--yes", "--model", model]);
        command.args(["--version", version, "--percent", &percent.to_string()]);
        output(&mut command)?;
        Ok(())
    }

    /// Begins a rollout to all devices, which shall count in windows of so many seconds.
    ///
    /// # Errors
    /// The controller refuses.
    pub(super) fn roll_out_watched(
        &self,
        model: &str,
        version: &str,
        window_s: u32,
    ) -> anyhow::Result<()> {
        let mut command = self.command();
        command.args(["rollout", "create", "--yes", "--model", model]);
        command.args(["--version", version, "--window-s", &window_s.to_string()]);
        output(&mut command)?;
        Ok(())
    }

    /// What it knows of its devices.
    ///
    /// # Errors
    /// It does not answer.
    pub(super) fn summary(&self) -> anyhow::Result<Vec<DeviceSummary>> {
        self.json(&["summary"])
    }

    /// What its devices have reported.
    ///
    /// # Errors
    /// It does not answer.
    pub(super) fn receipts(&self) -> anyhow::Result<Vec<Receipt>> {
        self.json(&["receipt", "list"])
    }

    fn json<T: DeserializeOwned>(&self, words: &[&str]) -> anyhow::Result<T> {
        let printed = output(self.command().args(["--output", "json"]).args(words))?;
        let shown = words.join(" ");
        serde_json::from_str(&printed).with_context(|| format!("`muster {shown}` is not readable"))
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.arg("--home").arg(&self.home);
        command
    }

    fn wait_until_ready(&mut self, interrupt: &Interrupt) -> anyhow::Result<()> {
        let deadline = clock::now() + READY_MAX;
        while clock::now() < deadline && !interrupt.is_raised() {
            self.process.expect_running()?;
            if let Some(url) = self.process.printed()?.lines().find_map(page_url) {
                self.page_url = url;
                return Ok(());
            }
            interrupt.rest(Duration::from_millis(20));
        }
        bail!("`muster serve` was not ready within {READY_MAX:?}")
    }
}

/// Where the page is, from the line that says that the controller is ready.
fn page_url(line: &str) -> Option<String> {
    let ready = line.strip_prefix("ready ")?;
    let mut parts = ready.split(' ');
    let api = parts.find_map(|part| part.strip_prefix("api="))?;
    Some(format!("http://{api}/"))
}
