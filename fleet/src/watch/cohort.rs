//! The mean of one feature over many devices: it shows shifts that no single device does.
//!
//! What devices have in common (weather, load) does not average out. Nothing is assumed of it: the pooled
//! mean learns how much it varies by itself. Never tells which device; a shift of one in a hundred hardly
//! moves it.

use serde::{Deserialize, Serialize};

use super::budget::YEAR_S;
use super::feature::{LOOKS_MIN, SPAN_MIN_S};
use super::look::Spread;
use super::series::{Baseline, Excursion, Wanted, Watched};
use super::sizing::WORTH_MIN;

/// The shift that is looked for, in the devices' own standard deviations.
pub const COHORT_SHIFT: f64 = 0.05;
/// The part of the budget that the chart gets: as with devices, a fifth is kept for what theory leaves out.
const SPENT: f64 = 0.8;
/// A standing beyond this counts as this: one broken device must not move all.
const STANDING_MAX: f64 = 3.0;

/// What a cohort is judged by.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CohortRule {
    /// Incidents by chance that are allowed in a year; above zero.
    pub incidents_per_year: f64,
    /// Length of a window, seconds.
    pub window_s: f64,
    /// Windows of a look: the most that any of the devices needs
    /// (`super::WatchingState::windows_per_look`).
    pub windows_per_look: u32,
}

/// One feature of a cohort.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct CohortWatch {
    #[serde(with = "crate::statistics::exact")]
    sum: f64,
    windows: u32,
    devices: u64,
    learnt: Spread,
    learnt_devices: u64,
    chart: Option<Watched>,
}

impl CohortWatch {
    /// Takes one window of all devices in, the standing of each (`super::WatchingState::standing`), and
    /// says when their mean has moved. A window in which fewer than half of the usual devices speak is
    /// left out: it varies more than what was learnt.
    pub fn take(&mut self, standings: &[f64], rule: &CohortRule) -> Option<Excursion> {
        let known = standings.iter().filter(|standing| !standing.is_nan());
        let devices = known.clone().count() as u64;
        if devices == 0 || devices.saturating_mul(2) < self.usual_devices() {
            return None;
        }
        let clipped = known.map(|standing| standing.clamp(-STANDING_MAX, STANDING_MAX));
        self.sum += clipped.sum::<f64>() / devices as f64;
        self.windows = self.windows.saturating_add(1);
        self.devices = self.devices.saturating_add(devices);
        if self.windows < rule.windows_per_look {
            return None;
        }
        let mean = self.sum / f64::from(self.windows);
        let spoke = self.devices / u64::from(self.windows);
        (self.sum, self.windows, self.devices) = (0.0, 0, 0);
        match &mut self.chart {
            Some(chart) => chart.take(mean, 1.0),
            None => {
                self.learn(mean, spoke, rule);
                None
            }
        }
    }

    /// What is normal, once it is known.
    #[must_use]
    pub fn baseline(&self) -> Option<Baseline> {
        self.chart.map(|chart| chart.baseline)
    }

    fn usual_devices(&self) -> u64 {
        match self.chart {
            Some(_) => self.learnt_devices / u64::from(self.learnt.n.max(1)),
            None => 0,
        }
    }

    fn learn(&mut self, mean: f64, devices: u64, rule: &CohortRule) {
        self.learnt.add(mean);
        self.learnt_devices = self.learnt_devices.saturating_add(devices);
        let look_s = rule.window_s * f64::from(rule.windows_per_look.max(1));
        let span_s = look_s * f64::from(self.learnt.n);
        if self.learnt.n < LOOKS_MIN || span_s < SPAN_MIN_S {
            return;
        }
        let wanted = Wanted {
            shift: COHORT_SHIFT,
            // Of nothing that varies a chart would alarm at once.
            deviation_min: 1e-3 * COHORT_SHIFT,
            worth: WORTH_MIN,
            run_length: YEAR_S / look_s / (0.5 * SPENT * rule.incidents_per_year),
            long_run: None,
        };
        self.chart = Some(Watched::new(Baseline::of(&self.learnt, wanted)));
    }
}
