//! What a policy asks of the devices that it reaches. A device's own limits hold besides.
//!
//! Never loosens one.

use muster_protocol::message::{self, ShadowSettings};
use serde::{Deserialize, Serialize};

use super::Percent;

/// What a version is there for on a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// It answers.
    #[default]
    Serve,
    /// It runs beside what answers, and is compared with it.
    Shadow,
}

impl Role {
    /// Whether it answers.
    #[must_use]
    pub const fn is_serve(&self) -> bool {
        matches!(self, Self::Serve)
    }

    /// What it does on a device, in a sentence that begins with the version.
    pub(in crate::planner) const fn does(self) -> &'static str {
        match self {
            Self::Serve => "serves there",
            Self::Shadow => "runs there beside what serves",
        }
    }

    /// What a device has done that has ended well.
    pub(in crate::planner) const fn done(self) -> &'static str {
        match self {
            Self::Serve => "committed",
            Self::Shadow => "run it beside what serves",
        }
    }
}

impl From<Role> for message::Role {
    fn from(role: Role) -> Self {
        match role {
            Role::Serve => Self::Serve,
            Role::Shadow => Self::Shadow,
        }
    }
}

/// How much of a device a shadow may take. A device's own limits hold besides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shadow {
    /// Of one core.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_percent: Option<Percent>,
    /// Of the requests that are answered, those that it is asked as well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sample_percent: Option<Percent>,
}

impl From<Shadow> for ShadowSettings {
    fn from(shadow: Shadow) -> Self {
        let per_mille = |percent: Percent| u32::from(u8::from(percent)) * 10;
        Self {
            cpu_per_mille: shadow.cpu_percent.map(per_mille),
            sample_per_mille: shadow.sample_percent.map(per_mille),
        }
    }
}

/// How a device takes a version up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OnDevice {
    /// Seconds that it serves on probation; a device never takes less than its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub probation_s: Option<u32>,
    /// How one version replaces another.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub swap: Option<Swap>,
}

impl OnDevice {
    /// Whether it asks for nothing.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.probation_s.is_none() && self.swap.is_none()
    }
}

/// How one version replaces another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Swap {
    /// Both in memory for a moment.
    Overlap,
    /// The old one leaves first.
    StopFirst,
}

impl From<Swap> for message::Swap {
    fn from(swap: Swap) -> Self {
        match swap {
            Swap::Overlap => Self::Overlap,
            Swap::StopFirst => Self::StopFirst,
        }
    }
}
