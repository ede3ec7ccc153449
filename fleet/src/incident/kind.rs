//! What an incident is about: one name for everything that can open one.
//!
//! Names are for ever: they stand in stores, rules and alerts.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::finding::Cause;

/// What an incident is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Kind {
    /// What a device said cannot be, or the controller lacks something.
    Device(DeviceKind),
    /// What windows show.
    Drift(Cause),
    /// Too many at once.
    Storm,
}

/// What happened with a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DeviceKind {
    /// Two speak as one device.
    Clone,
    /// A device knows a later assignment than this controller: it was restored.
    ControllerBehind,
    /// A device names an epoch that this controller does not know.
    UnknownEpoch,
    /// No assignment can be composed for a device.
    NotComposed,
    /// A device lost its queue and opened a stream that names no predecessor.
    StreamLost,
    /// A held device showed an assignment that cannot be adopted.
    NotAdopted,
    /// A device runs a release that is not in this store.
    ReleaseMissing,
    /// A device trusts newer metadata than this controller has.
    MetadataBehind,
}

/// A text that names no kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no cause {0:?}: the causes are {names}", names = Kind::names())]
pub struct UnknownKind(String);

impl DeviceKind {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Clone,
        Self::ControllerBehind,
        Self::UnknownEpoch,
        Self::NotComposed,
        Self::StreamLost,
        Self::NotAdopted,
        Self::ReleaseMissing,
        Self::MetadataBehind,
    ];

    /// As stores have it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Clone => "clone",
            Self::ControllerBehind => "controller_behind",
            Self::UnknownEpoch => "unknown_epoch",
            Self::NotComposed => "not_composed",
            Self::StreamLost => "stream_lost",
            Self::NotAdopted => "not_adopted",
            Self::ReleaseMissing => "release_missing",
            Self::MetadataBehind => "metadata_behind",
        }
    }
}

const CAUSES: [Cause; 12] = [
    Cause::Stuck,
    Cause::OutOfRange,
    Cause::Absent,
    Cause::Calibration,
    Cause::BadDevice,
    Cause::RealDrift,
    Cause::Regression,
    Cause::ModelMismatch,
    Cause::Benign,
    Cause::Unplaced,
    Cause::EstimatedQualityDrop,
    Cause::MeasuredQualityDrop,
];

const fn cause_name(cause: Cause) -> &'static str {
    match cause {
        Cause::Stuck => "stuck",
        Cause::OutOfRange => "out_of_range",
        Cause::Absent => "absent",
        Cause::Calibration => "calibration",
        Cause::BadDevice => "bad_device",
        Cause::RealDrift => "real_drift",
        Cause::Regression => "regression",
        Cause::ModelMismatch => "model_mismatch",
        Cause::Benign => "benign",
        Cause::Unplaced => "unplaced",
        Cause::EstimatedQualityDrop => "estimated_quality_drop",
        Cause::MeasuredQualityDrop => "measured_quality_drop",
    }
}

impl Kind {
    /// All of them.
    pub fn all() -> impl Iterator<Item = Self> {
        let devices = DeviceKind::ALL.into_iter().map(Self::Device);
        let causes = CAUSES.into_iter().map(Self::Drift);
        devices.chain(causes).chain([Self::Storm])
    }

    /// As stores, rules and alerts have it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Device(kind) => kind.as_str(),
            Self::Drift(cause) => cause_name(cause),
            Self::Storm => "storm",
        }
    }

    fn names() -> String {
        Self::all().map(Self::as_str).collect::<Vec<_>>().join(", ")
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Kind {
    type Err = UnknownKind;

    fn from_str(text: &str) -> Result<Self, UnknownKind> {
        let mut all = Self::all();
        all.find(|kind| kind.as_str() == text)
            .ok_or_else(|| UnknownKind(text.to_owned()))
    }
}

impl TryFrom<String> for Kind {
    type Error = UnknownKind;

    fn try_from(text: String) -> Result<Self, UnknownKind> {
        text.parse()
    }
}

impl From<Kind> for String {
    fn from(kind: Kind) -> Self {
        kind.as_str().to_owned()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn each_kind_has_one_name_and_each_name_one_kind() {
        let names: BTreeSet<_> = Kind::all().map(Kind::as_str).collect();
        assert_eq!(names.len(), 21);
        for kind in Kind::all() {
            assert_eq!(kind.as_str().parse(), Ok(kind));
        }
        for cause in CAUSES {
            // The words of findings are those of incidents.
            let json = serde_json::to_string(&cause).expect("written");
            assert_eq!(json, format!("{:?}", Kind::Drift(cause).as_str()));
        }
        let error = "drift".parse::<Kind>().expect_err("none");
        assert!(error.to_string().contains("real_drift"), "{error}");
    }
}
