//! Made-up sensors under the charts of `muster`: how often they alarm for nothing, and how long a drift
//! stays unseen (docs/drift-curves.md).
//!
//! A seed is a device. Never judges by itself: every alarm is the charts' own.

mod bound;
mod cohort;
mod process;
mod season;
mod table;

use std::num::NonZeroU32;

use muster_fleet::watch::{Alarm, Budget, IncidentsPerYear, Rule, Shape, Watch};

pub(crate) use process::Normals;
use process::{REFERENCE, Samples, Windows};

pub use bound::{Bound, bound};
pub use cohort::CohortSetting;
pub use process::Drift;
pub use season::{Normal as SeasonNormal, SeasonSetting};
pub use table::{
    Allowed, DelayLine, DelayTally, QuietLine, QuietTally, delay_lines, quiet_lines,
    season_delay_lines, season_quiet_lines,
};

/// Correlations of neighbouring samples for which curves are published.
pub const CORRELATIONS: [f64; 6] = [0.0, 0.3, 0.5, 0.7, 0.9, 0.95];
/// Incidents by chance of a device in a year.
pub const BUDGET: IncidentsPerYear = IncidentsPerYear::TENTH;
/// Windows after which a drift that is not seen counts as not seen.
const WINDOWS_MAX: u64 = 100_000;

/// A sensor and how it is watched. It is sampled once a second.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Setting {
    /// Correlation of neighbouring samples.
    pub correlation: f64,
    /// Length of a window, seconds.
    pub window_s: u64,
    /// Features of the device, which share its budget.
    pub features: u32,
}

/// What was seen of a device without drift.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Quiet {
    /// Years for which charts ran.
    pub years: f64,
    /// Alarms in those.
    pub alarms: Vec<Alarm>,
    /// Days until they ran.
    pub learning_days: f64,
}

/// What was seen of a device that drifts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// Seconds from the beginning of the drift to the end of the window that alarmed.
    After(u64),
    /// An alarm came before the drift.
    Before,
    /// It was not found.
    Never,
}

impl Setting {
    /// The rule that features of this device are judged by.
    ///
    /// # Panics
    /// Never: the budget is written here.
    #[must_use]
    pub fn rule(&self) -> Rule {
        let features = NonZeroU32::new(self.features).unwrap_or(NonZeroU32::MIN);
        Rule {
            shape: Shape::of(&REFERENCE),
            budget: Budget::new(BUDGET, features),
            window_s: self.window_s as f64,
        }
    }

    /// Watches one feature without drift for `years` after it was learnt, sample by sample.
    #[must_use]
    pub fn quiet_samples(&self, years: f64, seed: u64) -> Quiet {
        let mut process = Samples::new(self.correlation, seed);
        self.quiet(years, || process.window(self.window_s, 0, Drift::NONE))
    }

    /// The same window by window, where only the mean is random.
    #[must_use]
    pub fn quiet_windows(&self, years: f64, seed: u64) -> Quiet {
        let mut process = Windows::new(self.correlation, self.window_s, seed);
        self.quiet(years, || process.window())
    }

    /// Lets a feature drift once it is learnt and some windows have gone well.
    #[must_use]
    pub fn drifting(&self, drift: Drift, seed: u64) -> Found {
        let rule = self.rule();
        let mut process = Samples::new(self.correlation, seed);
        let mut watch = Watch::default();
        while !matches!(watch, Watch::Watching(_)) {
            watch.take(&process.window(self.window_s, 0, Drift::NONE), &rule);
        }
        for _ in 0..process.below(512) {
            let window = process.window(self.window_s, 0, Drift::NONE);
            if !watch.take(&window, &rule).is_empty() {
                return Found::Before;
            }
        }
        // It begins anywhere in a window.
        let before = process.below(self.window_s);
        let mut window = process.window(before, self.window_s - before, drift);
        for count in 1..WINDOWS_MAX {
            if !watch.take(&window, &rule).is_empty() {
                return Found::After(count * self.window_s - before);
            }
            window = process.window(0, self.window_s, drift);
        }
        Found::Never
    }

    fn quiet(
        &self,
        years: f64,
        mut window: impl FnMut() -> muster_protocol::stats::FeatureSum,
    ) -> Quiet {
        let rule = self.rule();
        let mut watch = Watch::default();
        let mut learning = 0_u64;
        while !matches!(watch, Watch::Watching(_)) {
            watch.take(&window(), &rule);
            learning += 1;
        }
        let day = 86_400.0 / self.window_s as f64;
        let windows = (years * 365.25 * day).ceil() as u64;
        let mut alarms: Vec<Alarm> = Vec::new();
        for _ in 0..windows {
            alarms.extend(watch.take(&window(), &rule));
        }
        Quiet {
            years,
            alarms,
            learning_days: learning as f64 / day,
        }
    }
}
