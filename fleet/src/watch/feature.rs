//! One feature of one device: what is normal is learnt from its own windows, then charts watch it.
//!
//! All state is one value, which may be written down between two windows; it never asks what time it is. What a window holds beyond counts of this
//! feature is not looked at.

use muster_protocol::stats::FeatureSum;
use serde::{Deserialize, Serialize};

use super::batches::{Batches, Quarter};
use super::budget::{Budget, YEAR_S};
use super::limited::Beyond;
use super::look::{Look, Open, Spread};
use super::rate::{RateWatched, Rates};
use super::season::Usual;
use super::series::{Baseline, Excursion, Wanted, Watched};
use super::signal::{DEVIATION_MIN, STEPS_PER_SIGMA, Seen, Shape, Signal};
use super::sizing::{Length, Sizing};
use super::stuck::{Constant, StuckWatched};
use crate::statistics::Moments;

/// Looks that a baseline is made from at least.
pub const LOOKS_MIN: u32 = 500;
/// Seconds that it spans at least: what changes over a day is part of what is normal.
pub const SPAN_MIN_S: f64 = 86_400.0;
/// The same of what is left without the week: days that differ from each other are few.
const WEEKS_S: f64 = 28.0 * 86_400.0;
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

/// How is learnt what is normal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Learn {
    /// From looks, for a day at least.
    Looks,
    /// From looks, and from quarters of days and whole ones, for four weeks at least.
    Days(Quarter),
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
    /// None where looks alone say what is normal.
    batches: Option<Batches>,
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

impl Learn {
    /// Windows of a look that are enough: days tell what lasts longer.
    fn look_windows_max(self, rule: &Rule) -> u32 {
        match self {
            Self::Looks => u32::MAX,
            Self::Days(_) => (3600.0 / rule.window_s.max(1.0)) as u32,
        }
    }

    const fn span_min_s(self) -> f64 {
        match self {
            Self::Looks => SPAN_MIN_S,
            Self::Days(_) => WEEKS_S,
        }
    }
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
        self.take_seen(&Seen::of(window, &rule.shape), rule, Learn::Looks)
    }

    /// The same of a window that was looked at.
    pub(super) fn take_seen(&mut self, seen: &Seen, rule: &Rule, learn: Learn) -> Vec<Alarm> {
        match self {
            Self::Sizing(state) => {
                if let Some(length) = state.take(seen, learn.look_windows_max(rule)) {
                    *self = Self::Learning(Box::new(LearningState::new(length)));
                }
                Vec::new()
            }
            Self::Learning(state) => {
                state.take(seen, learn);
                if state.is_enough(rule, learn.span_min_s()) {
                    *self = Self::Watching(Box::new(state.watching(rule)));
                }
                Vec::new()
            }
            Self::Watching(state) => state.take(seen),
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

impl Stage {
    /// A word for lists.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Sizing => "sizing",
            Self::Learning { .. } => "learning",
            Self::Watching { .. } => "watching",
        }
    }
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
    fn take(&mut self, seen: &Seen, windows_max: u32) -> Option<Length> {
        let moments = seen.moments;
        let (mean, squares) = (moments.mean()?, moments.squared_deviations()?);
        let variance = squares / moments.n as f64 / STEPS_PER_SIGMA.powi(2);
        self.sizing
            .take(mean / STEPS_PER_SIGMA, variance, moments.n, windows_max)
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
            batches: None,
        }
    }

    fn take(&mut self, seen: &Seen, learn: Learn) {
        self.windows = self.windows.saturating_add(1);
        let (n, absent) = (seen.n, seen.absent);
        let trials_min = self.length.samples_min;
        self.absent
            .take(absent, n.saturating_add(absent), trials_min);
        self.outside.take(seen.out_of_range, n, trials_min);
        let Some(values) = seen.values(self.length.centre) else {
            return;
        };
        self.constant.add(seen.is_constant);
        if let Learn::Days(at) = learn {
            self.batches.get_or_insert_default().take(&values, n, at);
        }
        // Full after more values than any device will ever have: then it stays as it is.
        self.total = self.total.merged(&seen.moments).unwrap_or(self.total);
        if let Some(look) = self.open.take(values, n, trials_min) {
            for (signal, value) in self.signals.iter_mut().zip(look.values) {
                signal.add(value);
            }
        }
    }

    fn looks(&self) -> u32 {
        self.signals[0].n
    }

    fn is_enough(&self, rule: &Rule, span_min_s: f64) -> bool {
        self.looks() >= LOOKS_MIN && self.windows as f64 * rule.window_s >= span_min_s
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
        let signals = Signal::ALL.iter().zip(&self.signals).enumerate();
        let mut each = signals.map(|(at, (signal, seen))| {
            let batches = self.batches.as_ref();
            let shift = signal.shift(seen.mean, deviation);
            let wanted = Wanted {
                shift,
                deviation_min: signal.deviation_min(seen.mean, deviation, shift, samples),
                worth,
                run_length: looks_a_year / rule.budget.of_side(*signal),
                long_run: batches.and_then(|batches| batches.long_run(at, samples)),
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
    /// deviations: what a cohort pools; less what is usual at its time, where that is taken out. None
    /// without values.
    #[must_use]
    pub fn standing(&self, window: &FeatureSum, usual: Option<&Usual>) -> Option<f64> {
        let mean = Moments::of(window).mean()? / STEPS_PER_SIGMA;
        let left = usual.map_or(mean, |usual| (mean - usual.mean) * usual.scale);
        Some((left - self.signals[0].baseline.mean) / self.deviation)
    }

    /// Where the mean about was when the length of looks was found, in standard deviations of the
    /// reference: what [`Signal::Spread`] is measured from.
    #[must_use]
    pub const fn centre(&self) -> f64 {
        self.length.centre
    }

    fn take(&mut self, seen: &Seen) -> Vec<Alarm> {
        let mut alarms = Vec::new();
        let (n, absent) = (seen.n, seen.absent);
        let trials_min = self.length.samples_min;
        let lost = self
            .absent
            .take(absent, n.saturating_add(absent), trials_min);
        alarms.extend(lost.then_some(Alarm::Absent));
        let outside = self.outside.take(seen.out_of_range, n, trials_min);
        alarms.extend(outside.then_some(Alarm::OutOfRange));
        let Some(values) = seen.values(self.length.centre) else {
            return alarms;
        };
        let stuck = self.stuck.take(seen.is_constant);
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
