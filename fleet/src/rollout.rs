//! Which devices a rollout reaches: pure, from its request and an inventory.
//!
//! Membership is frozen when the rollout is made. Never changes anything, so that a plan can be
//! shown before anything moves.

use std::collections::BTreeMap;

use muster_fleet::planner::Swap;
use muster_fleet::selector::Selector;
use muster_protocol::digest::Digester;
use muster_protocol::id::{DeviceId, ModelId, Version};
use muster_protocol::message::Settings;
use serde::{Deserialize, Serialize};

/// A device with its labels.
pub(crate) type Labelled = (DeviceId, BTreeMap<String, String>);

/// What an operator asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NewRollout {
    /// The model.
    pub(crate) model: ModelId,
    /// The version, which must have been published.
    pub(crate) version: Version,
    /// Which devices.
    pub(crate) selector: Selector,
    /// How many of them.
    pub(crate) percent: Percent,
    /// Tightened limits.
    pub(crate) settings: RolloutSettings,
    /// What to do with devices that have this version already.
    pub(crate) retry: Retry,
}

/// What a rollout does on a device whose entry would not change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Retry {
    /// Nothing: also what was refused there stays refused.
    #[default]
    Never,
    /// The device tries it anew.
    Again,
}

/// A share of devices, 0 to 100.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
pub(crate) struct Percent(u8);

impl Percent {
    /// All of them.
    pub(crate) const ALL: Self = Self(100);
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

/// Tightened limits, as the API writes them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RolloutSettings {
    /// Seconds of probation.
    pub(crate) probation_s: Option<u32>,
    /// Seconds of one telemetry window.
    pub(crate) window_s: Option<u32>,
    /// How to swap.
    pub(crate) swap: Option<Swap>,
}

impl From<RolloutSettings> for Settings {
    fn from(settings: RolloutSettings) -> Self {
        Self {
            probation_s: settings.probation_s,
            window_s: settings.window_s,
            swap: settings.swap.map(Into::into),
            shadow: None,
        }
    }
}

/// What a rollout would do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Plan {
    /// The model.
    pub(crate) model: String,
    /// The version.
    pub(crate) version: String,
    /// Devices that the selector matches.
    pub(crate) matched: usize,
    /// Those that the rollout reaches, by name.
    pub(crate) devices: Vec<String>,
}

/// The devices that a rollout reaches: of the matched ones the given share, rounded up, in the
/// order of a hash over device and release. So of one inventory a larger share holds every
/// smaller one, and another release begins with other devices.
#[must_use]
pub(crate) fn members(new: &NewRollout, inventory: &[Labelled]) -> Members {
    let matching = inventory
        .iter()
        .filter(|(device, labels)| new.selector.matches(device, labels));
    let mut devices: Vec<_> = matching
        .map(|(device, _)| (place(device, new), device.clone()))
        .collect();
    let matched = devices.len();
    devices.sort_unstable();
    devices.truncate((matched * usize::from(new.percent.0)).div_ceil(100));
    let mut devices: Vec<DeviceId> = devices.into_iter().map(|(_, device)| device).collect();
    devices.sort_unstable();
    Members { matched, devices }
}

/// Who is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Members {
    /// Devices that the selector matches.
    pub(crate) matched: usize,
    /// Those that the rollout reaches, by name.
    pub(crate) devices: Vec<DeviceId>,
}

impl Members {
    /// As an operator sees it.
    #[must_use]
    pub(crate) fn plan(&self, new: &NewRollout) -> Plan {
        Plan {
            model: new.model.to_string(),
            version: new.version.to_string(),
            matched: self.matched,
            devices: self.devices.iter().map(DeviceId::to_string).collect(),
        }
    }
}

fn place(device: &DeviceId, new: &NewRollout) -> [u8; 32] {
    let mut digester = Digester::default();
    for part in [new.model.as_str(), new.version.as_str(), device.as_str()] {
        digester.update(part.as_bytes());
        // Outside the grammar of all three: two different triples never read alike.
        digester.update(b"/");
    }
    digester.finish().0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inventory(devices: usize) -> Vec<Labelled> {
        let labels = |n: usize| BTreeMap::from([("line".to_owned(), (n % 2).to_string())]);
        let device = |n: usize| DeviceId::parse(&format!("press-{n}")).expect("valid");
        (0..devices).map(|n| (device(n), labels(n))).collect()
    }

    fn new(selector: &str, percent: u8, version: &str) -> NewRollout {
        NewRollout {
            model: ModelId::parse("bearing").expect("valid"),
            version: Version::parse(version).expect("valid"),
            selector: selector.parse().expect("valid"),
            percent: percent.try_into().expect("valid"),
            settings: RolloutSettings::default(),
            retry: Retry::Never,
        }
    }

    fn check(selector: &str, percent: u8, devices: usize, expect: (usize, usize)) {
        let members = members(&new(selector, percent, "1.0.0"), &inventory(devices));
        assert_eq!(
            (members.matched, members.devices.len()),
            expect,
            "{selector} {percent}"
        );
    }

    #[test]
    fn a_share_is_rounded_up() {
        check("", 100, 4, (4, 4));
        check("", 50, 4, (4, 2));
        check("", 1, 4, (4, 1));
        check("", 0, 4, (4, 0));
        check("", 34, 3, (3, 2));
        check("line=1", 50, 100, (50, 25));
        check("line=2", 100, 100, (0, 0));
        check("", 100, 0, (0, 0));
        assert!(Percent::try_from(101).is_err());
    }

    #[test]
    fn a_larger_share_holds_every_smaller_one() {
        let inventory = inventory(200);
        let at = |percent| members(&new("", percent, "1.0.0"), &inventory).devices;
        for (smaller, larger) in [(10, 50), (1, 2), (50, 51), (99, 100)] {
            let (smaller, larger) = (at(smaller), at(larger));
            assert!(smaller.len() < larger.len());
            assert!(smaller.iter().all(|device| larger.contains(device)));
        }
    }

    #[test]
    fn another_version_begins_with_other_devices() {
        let inventory = inventory(200);
        let at = |version| members(&new("", 10, version), &inventory).devices;
        assert_eq!(at("1.0.0"), at("1.0.0"));
        assert_ne!(at("1.0.0"), at("2.0.0"));
    }
}
