//! The policy of a rollout: what an operator writes into a file and keeps in git.
//!
//! Parsed, never validated later: what is here may be acted on. Gates pass through unread.

mod on_device;
mod read;
#[cfg(test)]
mod tests;

use muster_protocol::id::{ModelId, Version};
use serde::{Deserialize, Serialize};

use super::maintenance::Maintenance;
use super::text;
use crate::selector::Selector;

pub use on_device::{OnDevice, Role, Shadow, Swap};
pub use read::{PolicyError, PolicyPlace};

/// How a version reaches devices. Written in TOML; `docs/rollouts.md` shows a whole one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
// The derived functions are inherent: the trait's own reads through them and checks.
#[serde(remote = "Self", deny_unknown_fields)]
pub struct Policy {
    /// The model.
    #[serde(with = "text")]
    pub model: ModelId,
    /// The version, which must have been released.
    #[serde(with = "text")]
    pub version: Version,
    /// What it is there for.
    #[serde(default, skip_serializing_if = "Role::is_serve")]
    pub role: Role,
    /// How much of a device a shadow may take; only with that role.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shadow: Option<Shadow>,
    /// What a device does with it; where nothing is written, what its own settings say.
    #[serde(default, skip_serializing_if = "OnDevice::is_empty")]
    pub on_device: OnDevice,
    /// Which devices; all without it.
    #[serde(default = "everyone")]
    pub selector: Selector,
    /// Whether that is asked once or always.
    pub membership: Membership,
    /// Labels, or `hw` and `arch`, in whose values each ring has its share.
    #[serde(default = "class_and_site")]
    pub strata: Vec<String>,
    /// Whether the plan must be approved before anything moves.
    #[serde(default)]
    pub approval: Approval,
    /// What follows a failure that devices have signed for.
    pub on_halt: OnHalt,
    /// How much may move at once.
    #[serde(default)]
    pub limits: Limits,
    /// When; always without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub maintenance: Option<Maintenance>,
    /// What holds across all rollouts.
    #[serde(default)]
    pub constraints: Vec<Constraint>,
    /// In which order; at least one.
    pub rings: Vec<Ring>,
}

fn everyone() -> Selector {
    Selector::everyone()
}

fn class_and_site() -> Vec<String> {
    vec!["hw".to_owned(), "site".to_owned()]
}

/// Whether a rollout follows a changing fleet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Membership {
    /// Its devices are those that match when it is planned.
    Frozen,
    /// Late joiners come into the last ring; who no longer matches leaves, unless it was dispatched.
    Live,
}

/// Whether a person must agree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Approval {
    /// Nobody.
    #[default]
    None,
    /// Somebody, by `approve`.
    Manual,
}

/// What follows a failure that devices have signed for. Silence only ever halts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnHalt {
    /// Devices stay as they are until somebody says what to do.
    Hold,
    /// Each device goes back to the version it had before.
    Rollback,
}

/// A step of a rollout.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ring {
    /// Its name, the only one of its kind.
    pub name: String,
    /// How far it reaches.
    pub reach: Reach,
    /// Seconds it runs, once all have settled, before the next.
    pub soak_s: u64,
    /// Seconds a device has, from its first signed contact after dispatch.
    pub deadline_s: u64,
    /// Devices that must have committed.
    #[serde(default = "one")]
    pub min_devices: u32,
    /// Inferences that the gates must have seen.
    #[serde(default)]
    pub min_inferences: u64,
    /// Whether the next ring waits for a person.
    #[serde(default)]
    pub approval: Approval,
    /// Seconds of a telemetry window, when shorter than usual.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window_s: Option<u32>,
    /// How many devices may go wrong.
    #[serde(default)]
    pub budget: Budget,
    /// What must hold in the field.
    #[serde(default)]
    pub gates: Gates,
}

fn one() -> u32 {
    1
}

/// How far a ring reaches. Percent and count include the rings before it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reach {
    /// So many percent of the members that no ring names by selector, rounded up.
    Percent(Percent),
    /// So many of them.
    Count(u32),
    /// Exactly the members that it matches.
    Selector(Selector),
}

/// A share, 0 to 100.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
pub struct Percent(u8);

impl Percent {
    /// Of `n`, rounded down.
    #[must_use]
    pub fn of(self, n: u32) -> u32 {
        u32::try_from(u64::from(n) * u64::from(self.0) / 100).unwrap_or(n)
    }

    /// Of `n`, rounded up.
    #[must_use]
    pub fn of_rounded_up(self, n: u32) -> u32 {
        u32::try_from((u64::from(n) * u64::from(self.0)).div_ceil(100)).unwrap_or(n)
    }
}

impl TryFrom<u8> for Percent {
    type Error = &'static str;

    fn try_from(percent: u8) -> Result<Self, Self::Error> {
        if percent <= 100 {
            Ok(Self(percent))
        } else {
            Err("a percentage lies between 0 and 100")
        }
    }
}

impl From<Percent> for u8 {
    fn from(percent: Percent) -> Self {
        percent.0
    }
}

/// How many devices may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Allowance {
    /// A share, rounded down.
    Percent(Percent),
    /// A number.
    Count(u32),
}

impl Default for Allowance {
    fn default() -> Self {
        Self::Count(0)
    }
}

impl Allowance {
    /// Of so many.
    #[must_use]
    pub fn of(self, n: u32) -> u32 {
        match self {
            Self::Percent(percent) => percent.of(n),
            Self::Count(count) => count,
        }
    }
}

/// How many devices of a ring may go wrong before it halts. None, where nothing is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Budget {
    /// Refused, reverted or degraded, as they have signed.
    pub failed: Allowance,
    /// Heard of after dispatch, then silent past the deadline.
    pub silent: Allowance,
    /// Never heard of within the deadline after dispatch.
    pub unreachable: Allowance,
}

/// Gates as they were written: the planner only counts them.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Gates(pub Vec<serde_json::Value>);

/// How much may move at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Devices on their way at the same time; any number without it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub concurrent: Option<u32>,
    /// Devices dispatched in any hour; any number without it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dispatches_per_hour: Option<u32>,
    /// How often one device may be told to try again.
    pub retries_per_device: u8,
    /// Whether a metered link may carry it.
    pub metered: Metered,
    /// Whether a device waits while another rollout changes it.
    pub other_changes: OtherChanges,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            concurrent: None,
            dispatches_per_hour: None,
            retries_per_device: 1,
            metered: Metered::Deny,
            other_changes: OtherChanges::Wait,
        }
    }
}

/// What a metered link may carry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Metered {
    /// Anything.
    Allow,
    /// Nothing: the device waits for another link.
    Deny,
}

/// What a rollout does about a device that another one changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OtherChanges {
    /// One risky change at a time.
    Wait,
    /// Both at once.
    Allow,
}

/// At most so many devices of one value of a label may be in change at the same time, over all
/// rollouts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Constraint {
    /// A label such as `site`, or `hw` or `arch`.
    pub label: String,
    /// How many. A share is of all devices with that value, and at least one.
    pub at_most: Allowance,
}

impl Constraint {
    /// How many of so many.
    #[must_use]
    pub fn max(&self, devices: u32) -> u32 {
        self.at_most.of(devices).max(1)
    }
}
