//! A made-up sensor of an office: it follows the hour and the weekday, and what is left of it is a
//! first-order process.
//!
//! Drawn window by window: means are exact, and bins are those of values that are normal within their window,
//! to the nearest whole number. Everything comes from the seed.

use std::f64::consts::{PI, SQRT_2, TAU};
use std::num::NonZeroU32;

use muster_fleet::watch::{
    Budget, Clock, Counted, DeviceRule, DeviceWatch, ExpectedFeature, FeatureRule, Follows, Moved,
};
use muster_protocol::stats::{FeatureCounts, FeatureSum};
use muster_protocol::time::UnixSeconds;

use super::process::{EDGES, Normals, REFERENCE, STEPS, Windows};
use super::{BUDGET, Found, Quiet};

/// A Monday, 2026-11-30.
const BEGIN_S: u64 = 1_795_996_800;
const DAY_S: f64 = 86_400.0;
/// Days after which charts that do not run yet count as never running.
const LEARNING_DAYS_MAX: u64 = 365;
/// Days after which a drift that is not seen counts as not seen.
const DRIFT_DAYS_MAX: u64 = 60;
/// Nothing is learnt for so long after something was wrong.
const HOLD_S: u64 = 86_400;

/// What the charts are told of the week.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Normal {
    /// Nothing: one normal.
    One,
    /// That the feature follows it.
    HourOfWeek,
}

/// A sensor of an office and how it is watched. It is sampled once a second.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SeasonSetting {
    /// How far a working day goes up, in standard deviations of what is left.
    pub swing: f64,
    /// By how much of itself the swing differs from day to day, as a standard deviation.
    pub day_differs: f64,
    /// Correlation of neighbouring samples of what is left.
    pub correlation: f64,
    /// Length of a window, seconds.
    pub window_s: u64,
    /// Features of the device, which share its budget.
    pub features: u32,
    /// What the charts are told.
    pub normal: Normal,
}

/// The sensor and its charts.
struct Office {
    setting: SeasonSetting,
    rest: Windows,
    /// Draws how days differ, and nothing else.
    days: Normals,
    today: (u64, f64),
    /// The reference's standard deviation and mean, in those of what is left.
    scale: f64,
    centre: f64,
    watch: DeviceWatch,
    rule: DeviceRule,
    windows: u64,
}

/// How high a working day stands above a night, from about −0.3 to 1.3: the sun, and people from 7 to 18.
fn swing(week_s: f64) -> f64 {
    let (day, hour) = ((week_s / DAY_S).floor(), (week_s % DAY_S) / 3600.0);
    let people = if (7.0..18.0).contains(&hour) {
        (PI * (hour - 7.0) / 11.0).sin()
    } else {
        0.0
    };
    let present = if day < 5.0 { 1.0 } else { 0.2 };
    0.3 * (TAU * (hour - 9.0) / 24.0).sin() + present * people
}

/// Mean and variance of that over a week.
fn moments() -> (f64, f64) {
    let minutes = 7 * 24 * 60;
    let each = |of: fn(f64) -> f64| {
        let sum: f64 = (0..minutes).map(|at| of(swing(60.0 * f64::from(at)))).sum();
        sum / f64::from(minutes)
    };
    let mean = each(|x| x);
    (mean, each(|x| x * x) - mean * mean)
}

impl SeasonSetting {
    /// Watches the sensor without drift for `years` after its charts run; none if they do not within a
    /// year.
    #[must_use]
    pub fn quiet(&self, years: f64, seed: u64) -> Quiet {
        let mut office = Office::new(*self, seed);
        let learning_days = office.learn();
        if !office.judges() {
            return Quiet {
                learning_days,
                ..Quiet::default()
            };
        }
        let windows = (years * 365.25 * DAY_S / self.window_s as f64).ceil() as u64;
        let mut alarms = Vec::new();
        for _ in 0..windows {
            for moved in office.window(0.0) {
                if let Moved::Feature(_, alarm) = moved {
                    alarms.push(alarm);
                }
            }
        }
        Quiet {
            years,
            alarms,
            learning_days,
        }
    }

    /// Lets the sensor move by `shift` standard deviations of what is left, some time after its charts
    /// run; never found if they do not within a year.
    #[must_use]
    pub fn drifting(&self, shift: f64, seed: u64) -> Found {
        let mut office = Office::new(*self, seed);
        office.learn();
        if !office.judges() {
            return Found::Never;
        }
        let week = 7 * 86_400 / self.window_s.max(1);
        for _ in 0..office.days.below(week.max(1)) {
            if !office.window(0.0).is_empty() {
                return Found::Before;
            }
        }
        for count in 1..=DRIFT_DAYS_MAX * 86_400 / self.window_s.max(1) {
            if !office.window(shift).is_empty() {
                return Found::After(count * self.window_s);
            }
        }
        Found::Never
    }
}

impl Office {
    fn new(setting: SeasonSetting, seed: u64) -> Self {
        let features = NonZeroU32::new(setting.features).unwrap_or(NonZeroU32::MIN);
        let follows = match setting.normal {
            Normal::One => Follows::Nothing,
            Normal::HourOfWeek => Follows::HourOfWeek { hold_s: HOLD_S },
        };
        let feature = FeatureRule::of(&ExpectedFeature {
            bins: REFERENCE.to_vec(),
            follows,
            ..ExpectedFeature::default()
        });
        let (mean, variance) = moments();
        Self {
            setting,
            rest: Windows::new(setting.correlation, setting.window_s, seed),
            days: Normals::new(seed ^ 0x5ea5),
            today: (u64::MAX, 1.0),
            scale: (1.0 + setting.swing.powi(2) * variance).sqrt(),
            centre: setting.swing * mean,
            watch: DeviceWatch::default(),
            rule: DeviceRule {
                features: vec![feature],
                budget: Budget::new(BUDGET, features),
            },
            windows: 0,
        }
    }

    fn judges(&self) -> bool {
        match self.setting.normal {
            Normal::One => self.watch.chart(0).is_some(),
            Normal::HourOfWeek => {
                let seasonal = self.watch.seasonal.first();
                seasonal
                    .and_then(Option::as_ref)
                    .is_some_and(|seasonal| seasonal.judges())
            }
        }
    }

    /// Lets it learn; days until charts ran, or until nobody waits any more.
    fn learn(&mut self) -> f64 {
        let day = DAY_S / self.setting.window_s as f64;
        while !self.judges() && (self.windows as f64) < LEARNING_DAYS_MAX as f64 * day {
            self.window(0.0);
        }
        self.windows as f64 / day
    }

    /// The next window, `shift` off; what alarms in it.
    fn window(&mut self, shift: f64) -> Vec<Moved> {
        let (n, window_s) = (self.setting.window_s, self.setting.window_s);
        let begins_s = self.windows * window_s;
        self.windows += 1;
        let day = begins_s / 86_400;
        if self.today.0 != day {
            self.today = (day, 1.0 + self.setting.day_differs * self.days.draw());
        }
        let week_s = (begins_s as f64 + 0.5 * window_s as f64) % (7.0 * DAY_S);
        let usual = self.setting.swing * self.today.1 * swing(week_s) - self.centre;
        let mean = (usual + shift + self.rest.sum() / n as f64) / self.scale;
        let features = vec![counted(mean, self.rest.within.sqrt() / self.scale, n)];
        let window = Counted {
            features,
            closed_windows: 1,
            span_ms: 1000 * window_s,
            calls: n,
            errors: 0,
            measured: 0,
            misses: 0,
            ended: UnixSeconds(BEGIN_S + begins_s + window_s),
            clock: Clock::Trusted,
            usual: Vec::new(),
        };
        self.watch.take(window, &self.rule)
    }
}

/// A window of `n` values that are normal around `mean`.
fn counted(mean: f64, deviation: f64, n: u64) -> FeatureSum {
    let mut counts = FeatureCounts::default();
    let below =
        |edge: f32| (n as f64 * normal((f64::from(edge) - mean) / deviation)).round() as u32;
    let mut before = 0;
    for (bin, edge) in counts.bins.iter_mut().zip(EDGES) {
        *bin = below(edge).saturating_sub(before);
        before += *bin;
    }
    counts.bins[EDGES.len()] = (n as u32).saturating_sub(before);
    counts.out_of_range = counts.bins[0] + counts.bins[EDGES.len()];
    counts.sum = (STEPS * mean * n as f64).round() as i64;
    let squares = n as f64 * (mean * mean + deviation * deviation);
    counts.sum_of_squares = (STEPS * STEPS * squares).ceil() as u64;
    FeatureSum::of(&counts, EDGES.len() + 1)
}

/// The normal distribution function, to 1.5e-7 (Abramowitz and Stegun 1964, 7.1.26).
fn normal(x: f64) -> f64 {
    let z = x.abs() / SQRT_2;
    let t = 1.0 / (1.0 + 0.327_591_1 * z);
    let terms = [
        1.061_405_429,
        -1.453_152_027,
        1.421_413_741,
        -0.284_496_736,
        0.254_829_592,
    ];
    let series = terms.iter().fold(0.0, |sum, term| t * (sum + term));
    let upper = 0.5 * series * (-z * z).exp();
    if x > 0.0 { 1.0 - upper } else { upper }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_distribution_is_that_of_tables() {
        for (x, expect) in [
            (0.0, 0.5),
            (1.0, 0.841_345),
            (-1.96, 0.024_998),
            (4.0, 0.999_968),
        ] {
            assert!((normal(x) - expect).abs() < 1e-6, "{x}");
        }
    }

    #[test]
    fn windows_hold_what_they_are_made_of() {
        let window = counted(0.5, 0.8, 300);
        assert_eq!(window.n(), 300);
        let mean = window.sum as f64 / STEPS / 300.0;
        assert!((mean - 0.5).abs() < 1e-4, "{mean}");
        assert_eq!(window.bins.len(), REFERENCE.len());
    }
}
