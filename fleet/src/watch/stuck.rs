//! Windows in which a feature that used to vary is constant.
//!
//! A rule, not a chart: so many in a row as chance hardly ever makes. Never looks at a feature that is
//! often constant when nothing is wrong.

use serde::{Deserialize, Serialize};

use crate::statistics::{Confidence, Rate};

/// Two-sided; the upper end is exceeded once in two thousand.
const CONFIDENCE: f64 = 0.999;
/// A feature that is constant in more windows than this is not watched.
const SHARE_MAX: f64 = 0.2;
/// Fewer constant windows in a row than this never alarm.
const RUN_MIN: u32 = 3;

/// Constant windows of a calibration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct Constant {
    windows: u64,
    constant: u64,
}

/// A row of constant windows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct StuckWatched {
    /// Constant windows in a row that alarm; none when it is not watched.
    pub run: Option<u32>,
    seen: u32,
}

impl Constant {
    /// With one more window.
    pub(super) fn add(&mut self, is_constant: bool) {
        self.windows = self.windows.saturating_add(1);
        self.constant = self.constant.saturating_add(u64::from(is_constant));
    }

    /// The rule that alarms once in `run_length` windows at most, if windows are constant
    /// independently of each other: a run of length r begins in a window with probability qʳ.
    pub(super) fn watched(self, run_length: f64) -> StuckWatched {
        let confidence = Confidence::new(CONFIDENCE).unwrap_or(Confidence::P95);
        let rate = Rate::new(self.constant, self.windows);
        let share = rate.map_or(1.0, |rate| rate.clopper_pearson(confidence).high);
        let needed = (run_length.max(1.0).ln() / -share.ln()).ceil();
        StuckWatched {
            run: (share <= SHARE_MAX).then_some((needed as u32).max(RUN_MIN)),
            seen: 0,
        }
    }
}

impl StuckWatched {
    /// Takes one more window in; whether it alarms.
    pub(super) fn take(&mut self, is_constant: bool) -> bool {
        self.seen = if is_constant {
            self.seen.saturating_add(1)
        } else {
            0
        };
        let alarms = self.run.is_some_and(|run| self.seen >= run);
        if alarms {
            self.seen = 0;
        }
        alarms
    }
}
