//! One feature of one device: what is normal is learnt from its own windows, then charts watch it.
//!
//! All state is one value, which may be written down between two windows; it never asks what time it is. What a window holds beyond counts of this
//! feature is not looked at.

use muster_protocol::stats::FeatureSum;
use serde::{Deserialize, Serialize};

use super::budget::{Budget, YEAR_S};
use super::limited::Beyond;
use super::look::{Look, Open, Spread};
use super::rate::{RateWatched, Rates};
use super::series::{Baseline, Excursion, Wanted, Watched};
use super::signal::{DEVIATION_MIN, STEPS_PER_SIGMA, Shape, Signal, values};
use super::sizing::{Length, Sizing};
use super::stuck::{Constant, StuckWatched};
use crate::statistics::Moments;

/// Looks that a baseline is made from at least.
pub const LOOKS_MIN: u32 = 500;
/// Seconds that it spans at least: what changes over a day is part of what is normal.
pub const SPAN_MIN_S: f64 = 86_400.0;
/// A look that is longer than this many of the calibration, of windows that were merged, says nothing of spread.
const WEIGHT_MAX: f64 = 2.0;

/// What all windows of a feature are judged by.
#[derive(Debug, Clone, PartialEq)]
pub struct Rule {
    /// Scores of the bins.
    pub shape: Shape,
    /// Incidents by chance that are allowed.
    pub budget: Budget,
    /// Length of a window, seconds.
    pub window_s: f64,
}

/// What alarmed.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Alarm {
    /// A signal has moved.
    Moved(Signal, Excursion),
    /// More values are absent: missing, or not finite.
    Absent,
    /// More values are out of range.
    OutOfRange,
    /// Windows are constant.
    Stuck,
    /// Blocks are beyond a critical value of the reference.
    Beyond(Beyond),
}

/// A feature of a device.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Watch {
    /// How long a look has to be is not known yet.
    Sizing(SizingState),
    /// What is normal is not known yet.
    Learning(Box<LearningState>),
    /// Charts run.
    Watching(Box<WatchingState>),
}

/// See [`Watch::Sizing`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SizingState {
    sizing: Sizing,
}

/// See [`Watch::Learning`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LearningState {
    length: Length,
    open: Open,
    signals: [Spread; Signal::ALL.len()],
    total: Moments,
    windows: u64,
    absent: Rates,
    outside: Rates,
    constant: Constant,
}

/// See [`Watch::Watching`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WatchingState {
    length: Length,
    /// Values of a look of the calibration, on average.
    #[serde(with = "crate::statistics::exact")]
    samples: f64,
    /// Windows of such a look, on average.
    #[serde(with = "crate::statistics::exact")]
    pub windows_per_look: f64,
    /// Standard deviation of the device's own values, in that of the reference.
    #[serde(with = "crate::statistics::exact")]
    pub deviation: f64,
    open: Open,
    /// In the order of [`Signal::ALL`].
    pub signals: [Watched; Signal::ALL.len()],
    /// Absent values.
    pub absent: RateWatched,
    /// Values out of range.
    pub outside: RateWatched,
    /// Constant windows.
    pub stuck: StuckWatched,
}

impl Default for Watch {
    fn default() -> Self {
        Self::Sizing(SizingState {
            sizing: Sizing::new(),
        })
    }
}

impl Watch {
    /// Takes one more window of counts in; what alarms in it.
    pub fn take(&mut self, window: &FeatureSum, rule: &Rule) -> Vec<Alarm> {
        match self {
            Self::Sizing(state) => {
                if let Some(length) = state.take(window) {
                    *self = Self::Learning(Box::new(LearningState::new(length)));
                }
                Vec::new()
            }
            Self::Learning(state) => {
                state.take(window, rule);
                if state.is_enough(rule) {
                    *self = Self::Watching(Box::new(state.watching(rule)));
                }
                Vec::new()
            }
            Self::Watching(state) => state.take(window, rule),
        }
    }
}

/// How far a feature has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum Stage {
    /// How long a look has to be is not known yet.
    Sizing,
    /// What is normal is not known yet.
    Learning {
        /// Looks so far.
        looks: u32,
        /// Looks that it takes, and a day at least.
        looks_min: u32,
    },
    /// Charts run.
    Watching {
        /// Looks that they were made from.
        looks: u32,
    },
}

impl Watch {
    /// How far it has come.
    #[must_use]
    pub fn stage(&self) -> Stage {
        match self {
            Self::Sizing(_) => Stage::Sizing,
            Self::Learning(state) => Stage::Learning {
                looks: state.looks(),
                looks_min: LOOKS_MIN,
            },
            Self::Watching(state) => Stage::Watching {
                looks: state.signals[0].baseline.looks,
            },
        }
    }
}

impl SizingState {
    fn take(&mut self, window: &FeatureSum) -> Option<Length> {
        let moments = Moments::of(window);
        let (mean, squares) = (moments.mean()?, moments.squared_deviations()?);
        let variance = squares / moments.n as f64 / STEPS_PER_SIGMA.powi(2);
        self.sizing
            .take(mean / STEPS_PER_SIGMA, variance, moments.n)
    }
}

impl LearningState {
    fn new(length: Length) -> Self {
        Self {
            length,
            open: Open::default(),
            signals: [Spread::default(); Signal::ALL.len()],
            total: Moments::default(),
            windows: 0,
            absent: Rates::default(),
            outside: Rates::default(),
            constant: Constant::default(),
        }
    }

    fn take(&mut self, window: &FeatureSum, rule: &Rule) {
        self.windows = self.windows.saturating_add(1);
        let n = window.n();
        let absent = absent(window);
        let trials_min = self.length.samples_min;
        self.absent
            .take(absent, n.saturating_add(absent), trials_min);
        self.outside.take(window.out_of_range, n, trials_min);
        let Some(values) = values(window, &rule.shape, self.length.centre) else {
            return;
        };
        self.constant.add(is_constant(window));
        // Full after more values than any device will ever have: then it stays as it is.
        self.total = self
            .total
            .merged(&Moments::of(window))
            .unwrap_or(self.total);
        if let Some(look) = self.open.take(values, n, trials_min) {
            for (signal, value) in self.signals.iter_mut().zip(look.values) {
                signal.add(value);
            }
        }
    }

    fn looks(&self) -> u32 {
        self.signals[0].n
    }

    fn is_enough(&self, rule: &Rule) -> bool {
        self.looks() >= LOOKS_MIN && self.windows as f64 * rule.window_s >= SPAN_MIN_S
    }

    fn watching(&self, rule: &Rule) -> WatchingState {
        let looks = f64::from(self.looks().max(1));
        let windows_a_year = YEAR_S / rule.window_s;
        let looks_a_year = windows_a_year * looks / (self.windows.max(1) as f64);
        // Looks of rates have other counts: rows in which the feature is absent are in them.
        let rates_a_year = |rates: &Rates| {
            let looks = (rates.looks() as f64).max(1.0);
            windows_a_year * looks / (self.windows.max(1) as f64)
        };
        let variance = self.total.variance().unwrap_or(0.0);
        let deviation = variance.sqrt() / STEPS_PER_SIGMA;
        let samples = self.total.n as f64 / looks;
        let worth = deviation.max(DEVIATION_MIN).powi(2)
            / self.signals[0].variance().max(f64::MIN_POSITIVE);
        let mut each = Signal::ALL.iter().zip(&self.signals).map(|(signal, seen)| {
            let shift = signal.shift(seen.mean, deviation);
            let wanted = Wanted {
                shift,
                deviation_min: signal.deviation_min(seen.mean, deviation, shift, samples),
                worth,
                run_length: looks_a_year / rule.budget.of_side(*signal),
            };
            Watched::new(Baseline::of(seen, wanted))
        });
        let signals = std::array::from_fn(|_| each.next().expect("invariant: as many signals"));
        WatchingState {
            length: self.length,
            samples,
            windows_per_look: self.windows as f64 / looks,
            deviation: deviation.max(DEVIATION_MIN),
            open: Open::default(),
            signals,
            absent: self
                .absent
                .watched(rates_a_year(&self.absent) / rule.budget.of_rate()),
            outside: self
                .outside
                .watched(rates_a_year(&self.outside) / rule.budget.of_rate()),
            stuck: self
                .constant
                .watched(windows_a_year / rule.budget.of_stuck()),
        }
    }
}

impl WatchingState {
    /// How far the mean of a window lies from where it is normally, in the device's own standard
    /// deviations: what a cohort pools. None without values.
    #[must_use]
    pub fn standing(&self, window: &FeatureSum) -> Option<f64> {
        let mean = Moments::of(window).mean()? / STEPS_PER_SIGMA;
        Some((mean - self.signals[0].baseline.mean) / self.deviation)
    }

    /// Where the mean about was when the length of looks was found, in standard deviations of the
    /// reference: what [`Signal::Spread`] is measured from.
    #[must_use]
    pub const fn centre(&self) -> f64 {
        self.length.centre
    }

    fn take(&mut self, window: &FeatureSum, rule: &Rule) -> Vec<Alarm> {
        let mut alarms = Vec::new();
        let (n, absent) = (window.n(), absent(window));
        let trials_min = self.length.samples_min;
        let lost = self
            .absent
            .take(absent, n.saturating_add(absent), trials_min);
        alarms.extend(lost.then_some(Alarm::Absent));
        let outside = self.outside.take(window.out_of_range, n, trials_min);
        alarms.extend(outside.then_some(Alarm::OutOfRange));
        let Some(values) = values(window, &rule.shape, self.length.centre) else {
            return alarms;
        };
        let stuck = self.stuck.take(is_constant(window));
        alarms.extend(stuck.then_some(Alarm::Stuck));
        if let Some(look) = self.open.take(values, n, trials_min) {
            self.look(&look, &mut alarms);
        }
        alarms
    }

    fn look(&mut self, look: &Look, alarms: &mut Vec<Alarm>) {
        let weight = look.samples as f64 / self.samples.max(1.0);
        let signals = Signal::ALL.iter().zip(&mut self.signals);
        for ((signal, watched), value) in signals.zip(look.values) {
            // Cut in one, what moved within them counts as spread.
            if *signal == Signal::Spread && weight > WEIGHT_MAX {
                continue;
            }
            let excursion = watched.take(value, weight);
            alarms.extend(excursion.map(|excursion| Alarm::Moved(*signal, excursion)));
        }
    }
}

fn absent(window: &FeatureSum) -> u64 {
    window.missing.saturating_add(window.non_finite)
}

/// Two values at least, and all the same to 1/256 of the reference's standard deviation.
fn is_constant(window: &FeatureSum) -> bool {
    window.n() > 1 && Moments::of(window).squared_deviations() == Some(0.0)
}
