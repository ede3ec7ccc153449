//! How many incidents chance may make, and what each chart gets of them.
//!
//! Everything adds up to less than the whole, whatever depends on what (Boole's inequality). Never
//! looks at data.

use std::num::NonZeroU32;

use serde::{Deserialize, Serialize};

use super::signal::Signal;

/// Seconds of a year.
pub(crate) const YEAR_S: f64 = 365.25 * 86_400.0;
/// What rates of absent values and of values out of range get, each. With what signals get
/// ([`Signal::part`]) that is four fifths: one is kept for what theory leaves out, that looks are not quite
/// normal and not quite independent.
const RATE: f64 = 0.03;
/// What constant windows get.
const STUCK: f64 = 0.02;

/// Incidents by chance that are allowed in a year: above zero, and at most a thousand.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "f64", into = "f64")]
pub struct IncidentsPerYear(f64);

/// A number that no budget can be made of.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
#[error(
    "{0} incidents by chance in a year: because none at all takes a chart that never alarms: hint: \
     give a number above 0 and at most 1000, 0.1 for one in ten years"
)]
pub struct BadIncidents(f64);

/// Incidents by chance of one feature, a year.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Budget {
    of_feature: f64,
}

impl IncidentsPerYear {
    /// One in ten years.
    pub const TENTH: Self = Self(0.1);

    /// The number.
    #[must_use]
    pub const fn get(self) -> f64 {
        self.0
    }
}

impl TryFrom<f64> for IncidentsPerYear {
    type Error = BadIncidents;

    fn try_from(incidents: f64) -> Result<Self, BadIncidents> {
        let known = incidents > 0.0 && incidents <= 1000.0;
        known
            .then_some(Self(incidents))
            .ok_or(BadIncidents(incidents))
    }
}

impl From<IncidentsPerYear> for f64 {
    fn from(incidents: IncidentsPerYear) -> Self {
        incidents.0
    }
}

impl Budget {
    /// A device's incidents, over all its `features`.
    #[must_use]
    pub fn new(of_device: IncidentsPerYear, features: NonZeroU32) -> Self {
        Self {
            of_feature: of_device.0 / f64::from(features.get()),
        }
    }

    /// Incidents a year that one side of a signal's chart may make.
    pub(super) fn of_side(self, signal: Signal) -> f64 {
        0.5 * self.of_feature * signal.part()
    }

    /// Incidents a year that the chart of one rate may make.
    pub(super) fn of_rate(self) -> f64 {
        self.of_feature * RATE
    }

    /// Incidents a year that constant windows may make.
    pub(super) fn of_stuck(self) -> f64 {
        self.of_feature * STUCK
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_charts_together_leave_a_fifth() {
        let budget = Budget::new(IncidentsPerYear::TENTH, NonZeroU32::new(4).expect("four"));
        let sides: f64 = Signal::ALL.iter().map(|s| 2.0 * budget.of_side(*s)).sum();
        let all = 4.0 * (sides + 2.0 * budget.of_rate() + budget.of_stuck());
        assert!((all - 0.08).abs() < 1e-12, "{all}");
        for bad in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert!(IncidentsPerYear::try_from(bad).is_err(), "{bad}");
        }
    }
}
