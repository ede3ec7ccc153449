//! Gates as policy files write them: each limit with its unit in the name.
//!
//! What could never pass or never stop is refused while it is read, never met while judging.

mod written;

use std::num::{NonZeroU32, NonZeroU64};

use serde::{Deserialize, Serialize};

use super::gap::Gap;
use super::ratio::Ratio;
use super::share::Share;
use written::Written;

/// One condition that a ring meets before the next one begins.
///
/// A table with the gate's name: `{ gate = "error_rate", margin = 0.01 }`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Written", into = "Written")]
pub enum Gate {
    /// At least this share of the assigned devices runs the new bundle.
    InstalledShare {
        /// Of the devices assigned.
        min: Share,
    },
    /// At most this share of the devices refuses the bundle in its self-test.
    SelfTestRefusals {
        /// Of the devices contacted; at zero the first refusal stops.
        limit: Share,
    },
    /// On at most this share of the devices it crashes or is reverted.
    CrashesAndReverts {
        /// Of the devices contacted; at zero the first one stops.
        limit: Share,
    },
    /// Requests that fail.
    ErrorRate(Tolerance),
    /// Requests over the latency objective.
    LatencyMisses(Tolerance),
    /// Predictions that are wrong as scores estimate them, without labels.
    EstimatedAccuracyDrop(Tolerance),
    /// What the AUC lacks of 1 as scores estimate it, without labels.
    EstimatedAucDrop(Tolerance),
    /// Devices on which an input or an output has moved.
    Drift {
        /// Of the devices that have sent a window: how many more than of the control.
        margin: Option<Share>,
        /// How many at most; at zero the first one stops.
        limit: Option<Share>,
    },
    /// How often each class is predicted, against the control.
    PredictionMix {
        /// The most that the share of one class may change.
        margin: Share,
    },
    /// Rows to which a shadow gives another class than what serves.
    Disagreement {
        /// Of the rows compared.
        limit: Share,
    },
    /// Rows for which the scores of a shadow lie far from those of what serves.
    ScoreDifference {
        /// From how far on: a power of two.
        over: Gap,
        /// Of the rows compared.
        limit: Share,
    },
    /// Devices on which a shadow is slower than what serves.
    SlowerThanServing {
        /// More than so many times its median latency.
        ratio: Ratio,
        /// Of the devices that have compared.
        limit: Share,
    },
    /// Devices have run it for a while, by their monotonic clocks.
    SoakTime {
        /// Seconds.
        min_s: NonZeroU64,
        /// Of the devices on which it is installed, those that must have.
        share: Share,
    },
    /// Devices that have predicted.
    MinimumDevices {
        /// Or all of a smaller ring.
        min: NonZeroU32,
    },
    /// Predictions and failed requests of the ring together.
    MinimumInferences {
        /// How many.
        min: NonZeroU64,
    },
    /// An operator says so.
    ManualApproval,
}

/// How much of something bad is tolerated: against the concurrent control, or absolutely.
///
/// With a margin and a control, only what is worse *than the control* stops. Without either, what
/// is over the limit does. A limit, where there is one, must be kept to pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tolerance {
    margin: Option<Share>,
    limit: Option<Share>,
}

/// A gate that makes no sense.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
pub enum PolicyError {
    /// Neither margin nor limit.
    #[error(
        "the gate {gate} has neither margin nor limit: because it could never judge: hint: give a \
         margin against the control (margin = 0.01), an absolute limit (limit = 0.05), or both"
    )]
    NothingToCompareWith {
        /// Its name.
        gate: &'static str,
    },
    /// A number at an end of its range, where it decides nothing.
    #[error("{what} of the gate {gate} is {share}: because that {why}: hint: use a share {range}")]
    Degenerate {
        /// Its name.
        gate: &'static str,
        /// Which number.
        what: &'static str,
        /// Its value.
        share: Share,
        /// What is wrong with it.
        why: &'static str,
        /// What is allowed.
        range: &'static str,
    },
}

impl Gate {
    /// Its name in policy files and explanations.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::InstalledShare { .. } => "installed_share",
            Self::SelfTestRefusals { .. } => "self_test_refusals",
            Self::CrashesAndReverts { .. } => "crashes_and_reverts",
            Self::ErrorRate(_) => "error_rate",
            Self::LatencyMisses(_) => "latency_misses",
            Self::EstimatedAccuracyDrop(_) => "estimated_accuracy_drop",
            Self::EstimatedAucDrop(_) => "estimated_auc_drop",
            Self::Drift { .. } => "drift",
            Self::PredictionMix { .. } => "prediction_mix",
            Self::Disagreement { .. } => "disagreement",
            Self::ScoreDifference { .. } => "score_difference",
            Self::SlowerThanServing { .. } => "slower_than_serving",
            Self::SoakTime { .. } => "soak_time",
            Self::MinimumDevices { .. } => "minimum_devices",
            Self::MinimumInferences { .. } => "minimum_inferences",
            Self::ManualApproval => "manual_approval",
        }
    }

    /// Whether chance alone can make it fail: such gates share the allowance of false stops.
    #[must_use]
    pub const fn is_statistical(&self) -> bool {
        matches!(
            self,
            Self::SelfTestRefusals { .. }
                | Self::CrashesAndReverts { .. }
                | Self::ErrorRate(_)
                | Self::LatencyMisses(_)
                | Self::EstimatedAccuracyDrop(_)
                | Self::EstimatedAucDrop(_)
                | Self::Drift { .. }
                | Self::PredictionMix { .. }
                | Self::Disagreement { .. }
                | Self::ScoreDifference { .. }
                | Self::SlowerThanServing { .. }
        )
    }

    /// Whether it looks at what a shadow compares.
    #[must_use]
    pub const fn is_of_shadows(&self) -> bool {
        matches!(
            self,
            Self::Disagreement { .. }
                | Self::ScoreDifference { .. }
                | Self::SlowerThanServing { .. }
        )
    }

    /// Whether it looks at devices outside the ring.
    #[must_use]
    pub const fn has_control(&self) -> bool {
        match self {
            Self::ErrorRate(tolerance)
            | Self::LatencyMisses(tolerance)
            | Self::EstimatedAccuracyDrop(tolerance)
            | Self::EstimatedAucDrop(tolerance) => tolerance.margin.is_some(),
            Self::Drift { margin, .. } => margin.is_some(),
            Self::PredictionMix { .. } => true,
            _ => false,
        }
    }

    /// The gate itself when its numbers decide something.
    ///
    /// # Errors
    /// A number that makes it always or never pass.
    pub fn checked(self) -> Result<Self, PolicyError> {
        let gate = self.name();
        match self {
            Self::InstalledShare { min } => above_zero(gate, "min", min)?,
            Self::SelfTestRefusals { limit } | Self::CrashesAndReverts { limit } => {
                below_one(gate, "limit", limit)?;
            }
            Self::Drift { margin, limit } => {
                let nothing = PolicyError::NothingToCompareWith { gate };
                margin.or(limit).ok_or(nothing)?;
                margin.map_or(Ok(()), |share| between(gate, "margin", share))?;
                limit.map_or(Ok(()), |share| below_one(gate, "limit", share))?;
            }
            Self::ErrorRate(tolerance)
            | Self::LatencyMisses(tolerance)
            | Self::EstimatedAccuracyDrop(tolerance)
            | Self::EstimatedAucDrop(tolerance) => {
                Tolerance::new(gate, tolerance.margin, tolerance.limit)?;
            }
            Self::PredictionMix { margin } => between(gate, "margin", margin)?,
            Self::Disagreement { limit } | Self::ScoreDifference { limit, .. } => {
                between(gate, "limit", limit)?;
            }
            Self::SlowerThanServing { limit, .. } => below_one(gate, "limit", limit)?,
            Self::SoakTime { share, .. } => above_zero(gate, "share", share)?,
            Self::MinimumDevices { .. } | Self::MinimumInferences { .. } | Self::ManualApproval => {
            }
        }
        Ok(self)
    }
}

impl Tolerance {
    /// What the gate of this name tolerates: a margin against the control, a limit, or both.
    ///
    /// # Errors
    /// Neither, or one at an end of its range.
    pub fn new(
        gate: &'static str,
        margin: Option<Share>,
        limit: Option<Share>,
    ) -> Result<Self, PolicyError> {
        if margin.is_none() && limit.is_none() {
            return Err(PolicyError::NothingToCompareWith { gate });
        }
        margin.map_or(Ok(()), |share| between(gate, "margin", share))?;
        limit.map_or(Ok(()), |share| between(gate, "limit", share))?;
        Ok(Self { margin, limit })
    }

    /// The most by which it may be worse than the control.
    #[must_use]
    pub const fn margin(&self) -> Option<Share> {
        self.margin
    }

    /// The most that it may be.
    #[must_use]
    pub const fn limit(&self) -> Option<Share> {
        self.limit
    }
}

fn between(gate: &'static str, what: &'static str, share: Share) -> Result<(), PolicyError> {
    above_zero(gate, what, share)?;
    below_one(gate, what, share)
}

fn above_zero(gate: &'static str, what: &'static str, share: Share) -> Result<(), PolicyError> {
    let (why, range) = ("decides nothing: no number of devices shows it", "above 0");
    let degenerate = PolicyError::Degenerate {
        gate,
        what,
        share,
        why,
        range,
    };
    (share > Share::ZERO).then_some(()).ok_or(degenerate)
}

fn below_one(gate: &'static str, what: &'static str, share: Share) -> Result<(), PolicyError> {
    let (why, range) = ("is never exceeded", "below 1");
    let degenerate = PolicyError::Degenerate {
        gate,
        what,
        share,
        why,
        range,
    };
    (share < Share::ONE).then_some(()).ok_or(degenerate)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(toml: &str, expect: Result<&str, &str>) {
        match (toml::from_str::<Gate>(toml), expect) {
            (Ok(gate), Ok(name)) => {
                assert_eq!(gate.name(), name);
                let again = toml::to_string(&gate).expect("writable");
                assert_eq!(toml::from_str::<Gate>(&again).expect("readable"), gate);
            }
            (Err(error), Err(part)) => {
                assert!(error.to_string().contains(part), "{toml}: {error}");
            }
            (got, _) => panic!("{toml}: {got:?}, expected {expect:?}"),
        }
    }

    #[test]
    fn what_can_be_written_is_read_and_written_again() {
        for (toml, expect) in [
            ("gate = 'installed_share'\nmin = 1", Ok("installed_share")),
            (
                "gate = 'self_test_refusals'\nlimit = 0",
                Ok("self_test_refusals"),
            ),
            (
                "gate = 'crashes_and_reverts'\nlimit = 0.02",
                Ok("crashes_and_reverts"),
            ),
            ("gate = 'error_rate'\nmargin = 0.01", Ok("error_rate")),
            (
                "gate = 'latency_misses'\nmargin = 0.01\nlimit = 0.05",
                Ok("latency_misses"),
            ),
            (
                "gate = 'estimated_accuracy_drop'\nmargin = 0.03",
                Ok("estimated_accuracy_drop"),
            ),
            (
                "gate = 'estimated_accuracy_drop'",
                Err("neither margin nor limit"),
            ),
            (
                "gate = 'prediction_mix'\nmargin = 0.05",
                Ok("prediction_mix"),
            ),
            ("gate = 'drift'\nlimit = 0.2", Ok("drift")),
            ("gate = 'drift'\nlimit = 1", Err("never exceeded")),
            ("gate = 'drift'\nmargin = 0.2", Ok("drift")),
            ("gate = 'drift'\nmargin = 0.2\nlimit = 0", Ok("drift")),
            ("gate = 'drift'\nmargin = 0", Err("above 0")),
            ("gate = 'drift'", Err("neither margin nor limit")),
            (
                "gate = 'estimated_auc_drop'\nmargin = 0.03\nlimit = 0.1",
                Ok("estimated_auc_drop"),
            ),
            (
                "gate = 'estimated_auc_drop'",
                Err("neither margin nor limit"),
            ),
            ("gate = 'disagreement'\nlimit = 0.02", Ok("disagreement")),
            (
                "gate = 'score_difference'\nover = 0.25\nlimit = 0.1",
                Ok("score_difference"),
            ),
            (
                "gate = 'slower_than_serving'\nratio = 1.5\nlimit = 0",
                Ok("slower_than_serving"),
            ),
            ("gate = 'disagreement'\nlimit = 0", Err("above 0")),
            (
                "gate = 'score_difference'\nover = 0.3\nlimit = 0.1",
                Err("write 0.25"),
            ),
            (
                "gate = 'slower_than_serving'\nratio = 0.5\nlimit = 0.1",
                Err("written 1.5"),
            ),
            ("gate = 'soak_time'\nmin_s = 86400", Ok("soak_time")),
            ("gate = 'minimum_devices'\nmin = 20", Ok("minimum_devices")),
            (
                "gate = 'minimum_inferences'\nmin = 10000",
                Ok("minimum_inferences"),
            ),
            ("gate = 'manual_approval'", Ok("manual_approval")),
            ("gate = 'error_rate'", Err("neither margin nor limit")),
            ("gate = 'error_rate'\nmargin = 0", Err("above 0")),
            ("gate = 'error_rate'\nlimit = 1", Err("never exceeded")),
            ("gate = 'error_rate'\nlimit = 5", Err("5 % is written 0.05")),
            ("gate = 'error_rate'\nlimits = 0.5", Err("unknown field")),
            ("gate = 'prediction_mix'\nmargin = 1.0", Err("below 1")),
            ("gate = 'installed_share'\nmin = 0", Err("decides nothing")),
            (
                "gate = 'crashes_and_reverts'\nlimit = 1",
                Err("never exceeded"),
            ),
            ("gate = 'soak_time'\nmin_s = 0", Err("nonzero")),
            (
                "gate = 'soak_time'\nmin_s = 1\nshare = 0",
                Err("decides nothing"),
            ),
            ("gate = 'minimum_devices'\nmin = -1", Err("nonzero")),
            ("gate = 'manual_approval'\nby = 'me'", Err("unknown field")),
            ("gate = 'luck'", Err("unknown variant")),
        ] {
            check(toml, expect);
        }
    }
}
