//! Cumulative sums (Page 1954): what adds up to a shift that no single value shows.
//!
//! The state is a value; the chart is what decides. Never resets by itself after an alarm.

use serde::{Deserialize, Serialize};

/// What a chart forgives at each step, and where it alarms, both in the unit of its values.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Chart {
    /// Taken off each value: half of the shift that is looked for (the reference value k).
    #[serde(with = "crate::statistics::exact")]
    pub allowance: f64,
    /// The sum *above* which it alarms (the decision interval h).
    #[serde(with = "crate::statistics::exact")]
    pub threshold: f64,
}

/// The sum of one side, at least zero.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct OneSided {
    /// The sum.
    #[serde(with = "crate::statistics::exact")]
    pub sum: f64,
}

/// Sums of both sides.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct TwoSided {
    /// Of values above zero.
    pub above: OneSided,
    /// Of values below zero.
    pub below: OneSided,
}

impl OneSided {
    /// The sum with this value in it: max(0, sum + value − allowance). What is not a number leaves
    /// it as it was.
    #[must_use]
    pub fn with(self, value: f64, chart: &Chart) -> Self {
        let sum = self.sum + value - chart.allowance;
        if sum.is_nan() {
            return self;
        }
        Self {
            sum: sum.clamp(0.0, f64::MAX),
        }
    }

    /// Whether it is above the threshold.
    #[must_use]
    pub fn alarms(self, chart: &Chart) -> bool {
        self.sum > chart.threshold
    }
}

impl TwoSided {
    /// Both sums with this value in them.
    #[must_use]
    pub fn with(self, value: f64, chart: &Chart) -> Self {
        Self {
            above: self.above.with(value, chart),
            below: self.below.with(-value, chart),
        }
    }

    /// Whether either is above the threshold.
    #[must_use]
    pub fn alarms(self, chart: &Chart) -> bool {
        self.above.alarms(chart) || self.below.alarms(chart)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_never_fall_below_zero_and_survive_anything() {
        let chart = Chart {
            allowance: 0.5,
            threshold: 4.0,
        };
        let sums = [-3.0, 2.5, f64::NAN, 1.0, f64::INFINITY, f64::NEG_INFINITY]
            .iter()
            .scan(TwoSided::default(), |state, value| {
                *state = state.with(*value, &chart);
                Some((state.above.sum, state.below.sum))
            });
        let expect = [
            (0.0, 2.5),
            (2.0, 0.0),
            (2.0, 0.0),
            (2.5, 0.0),
            (f64::MAX, 0.0),
            (0.0, f64::MAX),
        ];
        assert_eq!(sums.collect::<Vec<_>>(), expect);
    }
}
