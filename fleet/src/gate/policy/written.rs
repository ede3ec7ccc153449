//! The words of gates in policy files, to gates and back.
//!
//! Never judges numbers: what is read is checked as a gate.

use std::num::{NonZeroU32, NonZeroU64};

use serde::{Deserialize, Serialize};

use super::{Gap, Gate, PolicyError, Ratio, Share, Tolerance};

/// The file's words, before they are checked.
#[derive(Serialize, Deserialize)]
#[serde(tag = "gate", rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum Written {
    InstalledShare {
        min: Share,
    },
    SelfTestRefusals {
        limit: Share,
    },
    CrashesAndReverts {
        limit: Share,
    },
    ErrorRate(WrittenTolerance),
    LatencyMisses(WrittenTolerance),
    EstimatedAccuracyDrop(WrittenTolerance),
    EstimatedAucDrop(WrittenTolerance),
    Drift(WrittenTolerance),
    PredictionMix {
        margin: Share,
    },
    Disagreement {
        limit: Share,
    },
    ScoreDifference {
        over: Gap,
        limit: Share,
    },
    SlowerThanServing {
        ratio: Ratio,
        limit: Share,
    },
    SoakTime {
        min_s: NonZeroU64,
        #[serde(default = "soaked_share")]
        share: Share,
    },
    MinimumDevices {
        min: NonZeroU32,
    },
    MinimumInferences {
        min: NonZeroU64,
    },
    ManualApproval {},
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WrittenTolerance {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    margin: Option<Share>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    limit: Option<Share>,
}

/// One dead device in ten does not hold a ring for ever; deadlines count it.
fn soaked_share() -> Share {
    Share::try_from(0.9).unwrap_or(Share::ONE)
}

impl TryFrom<Written> for Gate {
    type Error = PolicyError;

    fn try_from(written: Written) -> Result<Self, PolicyError> {
        let tolerance = |gate, t: WrittenTolerance| Tolerance::new(gate, t.margin, t.limit);
        match written {
            Written::InstalledShare { min } => Self::InstalledShare { min },
            Written::SelfTestRefusals { limit } => Self::SelfTestRefusals { limit },
            Written::CrashesAndReverts { limit } => Self::CrashesAndReverts { limit },
            Written::ErrorRate(t) => Self::ErrorRate(tolerance("error_rate", t)?),
            Written::LatencyMisses(t) => Self::LatencyMisses(tolerance("latency_misses", t)?),
            Written::EstimatedAccuracyDrop(t) => {
                Self::EstimatedAccuracyDrop(tolerance("estimated_accuracy_drop", t)?)
            }
            Written::EstimatedAucDrop(t) => {
                Self::EstimatedAucDrop(tolerance("estimated_auc_drop", t)?)
            }
            Written::Drift(WrittenTolerance { margin, limit }) => Self::Drift { margin, limit },
            Written::PredictionMix { margin } => Self::PredictionMix { margin },
            Written::Disagreement { limit } => Self::Disagreement { limit },
            Written::ScoreDifference { over, limit } => Self::ScoreDifference { over, limit },
            Written::SlowerThanServing { ratio, limit } => Self::SlowerThanServing { ratio, limit },
            Written::SoakTime { min_s, share } => Self::SoakTime { min_s, share },
            Written::MinimumDevices { min } => Self::MinimumDevices { min },
            Written::MinimumInferences { min } => Self::MinimumInferences { min },
            Written::ManualApproval {} => Self::ManualApproval,
        }
        .checked()
    }
}

impl From<Gate> for Written {
    fn from(gate: Gate) -> Self {
        let tolerance = |Tolerance { margin, limit }| WrittenTolerance { margin, limit };
        match gate {
            Gate::InstalledShare { min } => Self::InstalledShare { min },
            Gate::SelfTestRefusals { limit } => Self::SelfTestRefusals { limit },
            Gate::CrashesAndReverts { limit } => Self::CrashesAndReverts { limit },
            Gate::ErrorRate(t) => Self::ErrorRate(tolerance(t)),
            Gate::LatencyMisses(t) => Self::LatencyMisses(tolerance(t)),
            Gate::EstimatedAccuracyDrop(t) => Self::EstimatedAccuracyDrop(tolerance(t)),
            Gate::EstimatedAucDrop(t) => Self::EstimatedAucDrop(tolerance(t)),
            Gate::Drift { margin, limit } => Self::Drift(WrittenTolerance { margin, limit }),
            Gate::PredictionMix { margin } => Self::PredictionMix { margin },
            Gate::Disagreement { limit } => Self::Disagreement { limit },
            Gate::ScoreDifference { over, limit } => Self::ScoreDifference { over, limit },
            Gate::SlowerThanServing { ratio, limit } => Self::SlowerThanServing { ratio, limit },
            Gate::SoakTime { min_s, share } => Self::SoakTime { min_s, share },
            Gate::MinimumDevices { min } => Self::MinimumDevices { min },
            Gate::MinimumInferences { min } => Self::MinimumInferences { min },
            Gate::ManualApproval => Self::ManualApproval {},
        }
    }
}
