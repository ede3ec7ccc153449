//! What an executor knows of devices, one by one, when it asks the planner.
//!
//! Facts only: nothing here says what follows from them.

use std::collections::{BTreeMap, HashMap};

use muster_protocol::id::{DeviceId, Version};
use muster_protocol::time::UnixSeconds;
use serde::{Deserialize, Serialize};

use super::rollout::RolloutId;
use super::text;
use crate::selector::{Selector, Serving, Subject};

/// Devices in the order of their ids, each once.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Inventory {
    devices: Vec<DeviceFacts>,
    /// Where each stands: a search would touch the facts of many others.
    at: HashMap<DeviceId, usize>,
}

impl Inventory {
    /// Of these; of two with one id the first counts.
    #[must_use]
    pub fn new(mut devices: Vec<DeviceFacts>) -> Self {
        devices.sort_by(|one, other| one.device.cmp(&other.device));
        devices.dedup_by(|one, other| one.device == other.device);
        let ids = devices.iter().map(|one| one.device.clone());
        let at = ids.enumerate().map(|(at, device)| (device, at)).collect();
        Self { devices, at }
    }

    /// All of them, in the order of their ids.
    #[must_use]
    pub fn devices(&self) -> &[DeviceFacts] {
        &self.devices
    }

    /// One of them.
    #[must_use]
    pub fn device(&self, device: &DeviceId) -> Option<&DeviceFacts> {
        self.devices.get(self.at(device)?)
    }

    /// Where it stands in [`Inventory::devices`].
    pub(super) fn at(&self, device: &DeviceId) -> Option<usize> {
        self.at.get(device).copied()
    }
}

/// What is known of one device, for one rollout.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceFacts {
    /// Its id.
    pub device: DeviceId,
    /// What people have written on it.
    pub labels: BTreeMap<String, String>,
    /// Its hardware class or revision, when it reports one.
    pub hw: Option<String>,
    /// Its processor, when it reports one.
    pub arch: Option<String>,
    /// Version of its agent, when it has said hello.
    pub agent: Option<Version>,
    /// `ok`, `degraded`, …, when it is known.
    pub health: Option<String>,
    /// What serves there.
    pub serving: Vec<Serving>,
    /// Whether anything may be composed for it.
    pub hold: Hold,
    /// How it is connected.
    pub link: Link,
    /// When the last thing came that it has signed.
    pub last_contact: Option<UnixSeconds>,
    /// How far this rollout has come there.
    pub progress: Progress,
    /// How often it was told to try this rollout's version again.
    pub retries: u8,
    /// The version that this rollout replaced, or would replace, there.
    pub previous: Option<Version>,
    /// A newer rollout that has the say over the model there.
    pub say: Option<RolloutId>,
    /// Another rollout that is changing the device now, of whatever model.
    pub other_change: Option<RolloutId>,
}

impl DeviceFacts {
    /// A device of which nothing is known but its id.
    #[must_use]
    pub fn new(device: DeviceId) -> Self {
        Self {
            device,
            labels: BTreeMap::new(),
            hw: None,
            arch: None,
            agent: None,
            health: None,
            serving: Vec::new(),
            hold: Hold::Free,
            link: Link::Unmetered,
            last_contact: None,
            progress: Progress::NotDispatched,
            retries: 0,
            previous: None,
            say: None,
            other_change: None,
        }
    }

    /// Whether a selector means it.
    pub(super) fn is_selected_by(&self, selector: &Selector) -> bool {
        selector.selects(&Subject {
            device: &self.device,
            labels: &self.labels,
            agent: self.agent.as_ref(),
            health: self.health.as_deref(),
            arch: self.arch.as_deref(),
            hw: self.hw.as_deref(),
            models: &self.serving,
        })
    }

    /// A label by its name; `hw` and `arch` are what the device reports, or else labels.
    pub(super) fn value(&self, label: &str) -> Option<&str> {
        let reported = match label {
            "hw" => self.hw.as_deref(),
            "arch" => self.arch.as_deref(),
            _ => None,
        };
        reported.or_else(|| self.labels.get(label).map(String::as_str))
    }
}

/// Whether anything may be composed for a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Hold {
    /// It may.
    Free,
    /// Not before it has shown what it runs, after a restore of the controller.
    AfterRestore,
}

/// How a device is connected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Link {
    /// Bytes cost nothing.
    Unmetered,
    /// Bytes are paid for.
    Metered,
}

/// How far a rollout has come on a device, by what the device has signed.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Progress {
    /// It was not told.
    NotDispatched,
    /// It was told, and has not ended.
    Dispatched {
        /// When.
        #[serde(with = "text::unix")]
        at: UnixSeconds,
        /// The first signed contact after that.
        #[serde(with = "text::unix::optional")]
        first_contact: Option<UnixSeconds>,
    },
    /// The version serves and has passed its probation.
    Committed,
    /// The device gave up.
    Failed {
        /// How.
        failure: Failure,
        /// The reason in its receipt.
        code: String,
    },
    /// It was told to go back, and has not said that it did.
    GoingBack {
        /// When.
        #[serde(with = "text::unix")]
        at: UnixSeconds,
        /// The first signed contact after that.
        #[serde(with = "text::unix::optional")]
        first_contact: Option<UnixSeconds>,
    },
    /// It runs the version before again.
    Back,
}

/// How a device gave up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Failure {
    /// The version never served.
    Refused,
    /// It served; the version before serves again.
    Reverted,
    /// It fails while serving, with nothing to go back to.
    Degraded,
}

impl Failure {
    /// In a sentence.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::Reverted => "reverted",
            Self::Degraded => "degraded",
        }
    }
}
