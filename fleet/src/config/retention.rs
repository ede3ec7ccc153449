//! How long what devices said is kept, table by table.
//!
//! Never shorter than a day. Which device is owed what, and which numbers were taken, is no matter of
//! age and is not here.

use serde::{Deserialize, Serialize};

/// Days; 0 keeps for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Days(pub(crate) u32);

/// The table `[retention]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Retention {
    /// Windows as they were signed; their sums stay.
    pub(crate) windows_days: Days,
    /// Sums by the hour of each device, from which its drift is measured. A retrain needs those of two
    /// weeks before its incident.
    pub(crate) feature_hours_days: Days,
    /// Sums by the hour of all devices together and of cohorts.
    pub(crate) cohort_hours_days: Days,
    /// Scores and labels by the hour of each device: how well classifiers did.
    pub(crate) score_hours_days: Days,
    /// Receipts as they were signed: evidence.
    pub(crate) receipts_days: Days,
    /// Documents that could not be read.
    pub(crate) quarantine_days: Days,
    /// Records of decisions of rollouts that have ended.
    pub(crate) decisions_days: Days,
    /// Incidents that have closed, with their findings.
    pub(crate) incidents_days: Days,
    /// Alerts that were delivered or given up.
    pub(crate) alerts_days: Days,
}

impl Default for Retention {
    fn default() -> Self {
        Self {
            windows_days: Days(90),
            feature_hours_days: Days(120),
            cohort_hours_days: Days(800),
            score_hours_days: Days(800),
            receipts_days: Days(0),
            quarantine_days: Days(90),
            decisions_days: Days(730),
            incidents_days: Days(800),
            alerts_days: Days(90),
        }
    }
}

impl Retention {
    /// Whether nothing else is configured.
    pub(super) fn is_default(&self) -> bool {
        *self == Self::default()
    }
}
