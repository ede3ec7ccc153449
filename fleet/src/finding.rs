//! What the watch over windows found: where something moved, and for what reason, as far as
//! counts can tell. The words that placing, incidents, gates and alerts share.
//!
//! Values only: finds nothing, keeps nothing, tells nobody.

use muster_protocol::digest::Digest;
use muster_protocol::id::{DeviceId, ModelId};
use muster_protocol::time::UnixSeconds;
use serde::{Deserialize, Serialize};

/// Something that moved, and why, as far as counts can tell.
#[derive(Debug, Clone, PartialEq)]
pub struct Finding {
    /// The model whose windows show it.
    pub model: ModelId,
    /// The bundle that served.
    pub bundle: Digest,
    /// Where.
    pub scope: Scope,
    /// The feature that shows it most; none where it is not in one of them.
    pub feature: Option<String>,
    /// Why.
    pub cause: Cause,
    /// The devices that show it, by name.
    pub devices: Vec<DeviceId>,
    /// A sentence with value, threshold and n.
    pub because: String,
    /// End of the window that completed it.
    pub at: UnixSeconds,
}

/// Where something moved.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// One device, and its peers did not.
    Device(#[serde(with = "crate::text")] DeviceId),
    /// The devices of one label, and others did not.
    Cohort {
        /// The label.
        label: String,
        /// Its value.
        value: String,
    },
    /// Devices in all cohorts.
    Fleet,
}

/// Why something moved (`docs/drift.md` has the rules).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// Values of one sensor do not change.
    Stuck,
    /// Values of one sensor stand at the end of their range, or beyond what the reference knows.
    OutOfRange,
    /// Values of one sensor are absent or no numbers.
    Absent,
    /// Values of one sensor are plausible and elsewhere: calibration or placement.
    Calibration,
    /// Many features of one device, or its errors or latency.
    BadDevice,
    /// The world changed for a cohort, and what the model says with it.
    RealDrift,
    /// Devices of one firmware, hardware or lot agree with each other and with nobody else.
    Regression,
    /// What comes out moved, and nothing that goes in.
    ModelMismatch,
    /// What goes in moved, and what comes out did not.
    Benign,
    /// Something moved; counts do not tell why.
    Unplaced,
    /// A classifier does worse, as its scores estimate it: without labels, if they are calibrated.
    EstimatedQualityDrop,
    /// A classifier does worse, as labels measure it.
    MeasuredQualityDrop,
}

impl Cause {
    /// Whether it is the fault of a part, not of the world: such devices are left out of cohorts
    /// and of what a model is trained from.
    #[must_use]
    pub const fn is_fault(self) -> bool {
        matches!(
            self,
            Self::Stuck | Self::OutOfRange | Self::Absent | Self::Calibration | Self::BadDevice
        )
    }
}
