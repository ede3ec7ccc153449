//! How many incidents chance may make, and what each chart gets of them.
//!
//! Everything adds up to less than the whole, whatever depends on what (Boole's inequality). Never
//! looks at data.

use std::num::NonZeroU32;

use super::signal::Signal;

/// Seconds of a year.
pub(super) const YEAR_S: f64 = 365.25 * 86_400.0;
/// What rates of absent values and of values out of range get, each. With what signals get
/// ([`Signal::part`]) that is four fifths: one is kept for what theory leaves out, that looks are not quite
/// normal and not quite independent.
const RATE: f64 = 0.03;
/// What constant windows get.
const STUCK: f64 = 0.02;

/// Incidents by chance of one feature, a year.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Budget {
    of_feature: f64,
}

impl Budget {
    /// `of_device` incidents by chance of a device in a year, over all its `features`. None
    /// unless it is above zero and at most a thousand.
    #[must_use]
    pub fn new(of_device: f64, features: NonZeroU32) -> Option<Self> {
        let known = of_device > 0.0 && of_device <= 1000.0;
        known.then(|| Self {
            of_feature: of_device / f64::from(features.get()),
        })
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
        let budget = Budget::new(0.1, NonZeroU32::new(4).expect("four")).expect("a budget");
        let sides: f64 = Signal::ALL.iter().map(|s| 2.0 * budget.of_side(*s)).sum();
        let all = 4.0 * (sides + 2.0 * budget.of_rate() + budget.of_stuck());
        assert!((all - 0.08).abs() < 1e-12, "{all}");
        for bad in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert_eq!(Budget::new(bad, NonZeroU32::MIN), None);
        }
    }
}
