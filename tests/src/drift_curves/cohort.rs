//! A made-up cohort: devices that have a part of their values in common, window by window.
//!
//! x_d = √c · common + √(1 − c) · own, so that any two devices correlate by c. Everything comes from the
//! seed.

use muster_fleet::watch::{Alarm, CohortRule, CohortWatch, Signal};

use super::process::Windows;
use super::{BUDGET, Found, Quiet, WINDOWS_MAX};

/// A cohort and how it is watched. Its devices are sampled once a second.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CohortSetting {
    /// Devices.
    pub devices: u32,
    /// Correlation of any two of them at the same time.
    pub common: f64,
    /// Correlation of neighbouring samples.
    pub correlation: f64,
    /// Length of a window, seconds.
    pub window_s: u64,
}

/// The pooled mean of the devices: a first-order process as well, of variance c + (1 − c)/devices.
struct Pooled {
    windows: Windows,
    deviation: f64,
    samples: f64,
}

impl CohortSetting {
    /// Watches the pooled mean without drift for `years` after it was learnt.
    #[must_use]
    pub fn quiet(&self, years: f64, seed: u64) -> Quiet {
        let (rule, mut pooled) = (self.rule(), self.pooled(seed));
        let mut watch = CohortWatch::default();
        let learning = learn(&mut watch, &rule, &mut pooled);
        let day = 86_400.0 / self.window_s as f64;
        let windows = (years * 365.25 * day).ceil() as u64;
        let moved = (0..windows).filter_map(|_| watch.take(&[pooled.mean()], &rule));
        Quiet {
            years,
            alarms: moved
                .map(|moved| Alarm::Moved(Signal::Location, moved))
                .collect(),
            learning_days: learning as f64 / day,
        }
    }

    /// Lets all devices move by `shift` standard deviations, at the beginning of a window.
    #[must_use]
    pub fn drifting(&self, shift: f64, seed: u64) -> Found {
        let (rule, mut pooled) = (self.rule(), self.pooled(seed));
        let mut watch = CohortWatch::default();
        learn(&mut watch, &rule, &mut pooled);
        for _ in 0..pooled.windows.below(512) {
            if watch.take(&[pooled.mean()], &rule).is_some() {
                return Found::Before;
            }
        }
        let mut after = (1..WINDOWS_MAX).filter(|_| {
            let mean = pooled.mean() + shift;
            watch.take(&[mean], &rule).is_some()
        });
        after
            .next()
            .map_or(Found::Never, |count| Found::After(count * self.window_s))
    }

    /// How many times as much the pooled mean of a sample varies as that of one device.
    #[must_use]
    pub fn variance(&self) -> f64 {
        self.common + (1.0 - self.common) / f64::from(self.devices.max(1))
    }

    fn pooled(&self, seed: u64) -> Pooled {
        Pooled {
            windows: Windows::new(self.correlation, self.window_s, seed),
            deviation: self.variance().sqrt(),
            samples: self.window_s as f64,
        }
    }

    fn rule(&self) -> CohortRule {
        // What a single device of this process finds that it needs.
        let inefficiency = (1.0 + self.correlation) / (1.0 - self.correlation);
        let windows = (32.0 * inefficiency / self.window_s as f64).ceil();
        CohortRule {
            incidents_per_year: BUDGET.get(),
            window_s: self.window_s as f64,
            windows_per_look: windows.max(1.0) as u32,
        }
    }
}

impl Pooled {
    fn mean(&mut self) -> f64 {
        self.deviation * self.windows.sum() / self.samples
    }
}

/// Windows until the chart runs.
fn learn(watch: &mut CohortWatch, rule: &CohortRule, pooled: &mut Pooled) -> u64 {
    let mut windows = 0;
    while watch.baseline().is_none() {
        watch.take(&[pooled.mean()], rule);
        windows += 1;
    }
    windows
}

#[cfg(test)]
mod tests {
    use super::super::process::Normals;
    use super::*;

    /// One series stands for the mean of all: their variance is the same.
    #[test]
    fn the_pooled_mean_varies_as_that_of_many_devices() {
        let setting = CohortSetting {
            devices: 20,
            common: 0.3,
            correlation: 0.0,
            window_s: 60,
        };
        let mut normals = Normals::new(1);
        let mut mean = |_| {
            let common = setting.common.sqrt() * normals.draw();
            let own = (1.0 - setting.common).sqrt();
            let all: f64 = (0..setting.devices)
                .map(|_| common + own * normals.draw())
                .sum();
            all / f64::from(setting.devices)
        };
        let square: f64 = (0..40_000).map(&mut mean).map(|x| x * x).sum();
        let ratio = square / 40_000.0 / setting.variance();
        assert!((ratio - 1.0).abs() < 0.03, "{ratio}");
    }
}
