//! What the controller makes of windows: alarms, incidents, and what is asked for because of them.
//! Knows the command line and the JSON that it prints; judges nothing.

use std::path::Path;

use anyhow::Context as _;
use serde::Deserialize;

use super::{Controller, output};

/// An incident that windows show.
#[derive(Debug, Clone, Deserialize)]
pub(in crate::demo) struct Incident {
    pub(in crate::demo) incident: u64,
    #[serde(default)]
    pub(in crate::demo) model: Option<String>,
    #[serde(default)]
    pub(in crate::demo) device: Option<String>,
    #[serde(default)]
    pub(in crate::demo) feature: Option<String>,
    pub(in crate::demo) kind: String,
    /// The newest sentence of what was found.
    #[serde(default)]
    pub(in crate::demo) detail: String,
    /// `device:NAME`, `cohort:LABEL=VALUE` or `fleet`.
    #[serde(default)]
    pub(in crate::demo) place: Option<String>,
    /// End of the windows in which it was first found, unix seconds.
    #[serde(default)]
    pub(in crate::demo) first_at: Option<u64>,
}

/// A window that is stored.
#[derive(Debug, Clone, Deserialize)]
pub(in crate::demo) struct StoredWindow {
    /// Its number: later ones have higher ones.
    pub(in crate::demo) window: i64,
    pub(in crate::demo) device: String,
    pub(in crate::demo) model: String,
    #[serde(default)]
    unix: Option<u64>,
    received_at: u64,
    /// Rows.
    pub(in crate::demo) calls: u64,
}

/// An alarm of the watch over windows.
#[derive(Debug, Clone, Deserialize)]
pub(in crate::demo) struct Alarm {
    /// The window that completed it.
    pub(in crate::demo) window: i64,
    pub(in crate::demo) model: String,
    #[serde(default)]
    pub(in crate::demo) device: Option<String>,
}

impl Incident {
    /// The device, where it is of one.
    pub(in crate::demo) fn device(&self) -> Option<&str> {
        let place = self.place.as_deref();
        let placed = place.and_then(|place| place.strip_prefix("device:"));
        placed.or(self.device.as_deref())
    }
}

impl StoredWindow {
    /// When it ended, unix seconds: as charts see it.
    pub(in crate::demo) fn ended(&self) -> u64 {
        self.unix.unwrap_or(self.received_at).min(self.received_at)
    }
}

impl Controller {
    /// What windows of a model show.
    ///
    /// # Errors
    /// It does not answer.
    pub(in crate::demo) fn incidents(&self, model: &str) -> anyhow::Result<Vec<Incident>> {
        let ours = |incident: &Incident| incident.model.as_deref() == Some(model);
        Ok(self.all_incidents()?.into_iter().filter(ours).collect())
    }

    /// All incidents, of no model as well.
    ///
    /// # Errors
    /// It does not answer.
    pub(in crate::demo) fn all_incidents(&self) -> anyhow::Result<Vec<Incident>> {
        self.json(&["incident", "list"])
    }

    /// All alarms of the watch, in their order.
    ///
    /// # Errors
    /// It does not answer.
    pub(in crate::demo) fn alarms(&self) -> anyhow::Result<Vec<Alarm>> {
        self.json(&["drift", "alarms"])
    }

    /// All windows that are stored, in the order in which they were taken.
    ///
    /// # Errors
    /// It does not answer.
    pub(in crate::demo) fn windows(&self) -> anyhow::Result<Vec<StoredWindow>> {
        self.json(&["window", "list"])
    }

    /// Asks for a retrain because of an incident, and checks the signature of what was asked for; what
    /// the check says.
    ///
    /// # Errors
    /// It is refused, or not signed by the controller.
    pub(in crate::demo) fn ask_for_retrain(
        &self,
        incident: u64,
        file: &Path,
    ) -> anyhow::Result<String> {
        let reason = "the machine fails: the model shall know it";
        let incident = incident.to_string();
        let words = ["retrain", "request", &incident, "--reason", reason];
        let asked: serde_json::Value = self.json(&words)?;
        let request = asked["request"]
            .as_u64()
            .context("the request has no number")?;
        let mut export = self.command();
        let export = export.args(["retrain", "export", &request.to_string(), "--out"]);
        output(export.arg(file))?;
        let said = output(self.command().args(["retrain", "verify"]).arg(file))?;
        Ok(said.trim().to_owned())
    }

    /// How many windows `muster drift recompute` computed again; it fails where one comes out
    /// differently.
    ///
    /// # Errors
    /// A difference, or no answer.
    pub(in crate::demo) fn recompute(&self) -> anyhow::Result<u64> {
        let again: serde_json::Value = self.json(&["drift", "recompute"])?;
        again["windows"]
            .as_u64()
            .context("it does not say how many windows")
    }
}
