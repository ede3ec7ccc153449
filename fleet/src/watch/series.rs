//! One number of a feature, look after look: first its own normal, then a chart on both sides.
//!
//! A chart that alarms begins anew; opening and closing incidents is for others.

use serde::{Deserialize, Serialize};

use super::batches::LongRun;
use super::look::Spread;
use super::threshold::threshold_of;
use crate::statistics::{Chart, TwoSided};

/// Variance that looks of a first-order process have beyond that of independent ones, as a part of one
/// over what a look is worth.
const NEIGHBOURS: f64 = 0.5;

/// What one look adds at most, as a part of the threshold.
const MOST: f64 = 0.6;

/// What a signal is when nothing is wrong, and the chart that follows.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Baseline {
    /// Mean of the looks.
    #[serde(with = "crate::statistics::exact")]
    pub mean: f64,
    /// Standard deviation of a look.
    #[serde(with = "crate::statistics::exact")]
    pub deviation: f64,
    /// Looks that both were found from.
    pub looks: u32,
    /// Allowance and threshold, in the unit of the signal.
    pub chart: Chart,
}

/// What a chart has to be made for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Wanted {
    /// The shift that is looked for.
    pub(super) shift: f64,
    /// The standard deviation of a look is at least this.
    pub(super) deviation_min: f64,
    /// Independent values that a look is worth.
    pub(super) worth: f64,
    /// Looks between two false alarms of one side.
    pub(super) run_length: f64,
    /// What a look varies by if days are asked, where they are.
    pub(super) long_run: Option<LongRun>,
}

/// An alarm of a chart.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Excursion {
    /// By how much the signal has moved on average since the sum was last zero.
    pub shift: f64,
    /// Looks since then: an estimate of when it began.
    pub looks: u32,
}

/// A chart and its state.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Watched {
    /// What it compares with.
    pub baseline: Baseline,
    sums: TwoSided,
    above_for: u32,
    below_for: u32,
}

impl Baseline {
    /// From what was seen while nothing was wrong.
    pub(super) fn of(seen: &Spread, wanted: Wanted) -> Self {
        let inflated = seen.variance() * (1.0 + NEIGHBOURS / wanted.worth.max(1.0));
        let (variance, known_from) = match wanted.long_run {
            // Where days tell less than looks, it is looks that are known from.
            Some(of) if of.variance > inflated => (of.variance, of.batches.min(seen.n)),
            _ => (inflated, seen.n),
        };
        let deviation = variance.sqrt().max(wanted.deviation_min);
        let allowance = 0.5 * wanted.shift;
        let known = (known_from, seen.n);
        let threshold = threshold_of(allowance / deviation, known, wanted.run_length);
        Self {
            mean: seen.mean,
            deviation,
            looks: seen.n,
            chart: Chart {
                allowance,
                threshold: threshold * deviation,
            },
        }
    }
}

impl Watched {
    /// With nothing seen yet.
    pub(super) fn new(baseline: Baseline) -> Self {
        Self {
            baseline,
            sums: TwoSided::default(),
            above_for: 0,
            below_for: 0,
        }
    }

    /// Takes one more look in, which is as long as `weight` looks of the calibration. It takes two to
    /// alarm, however far out they are.
    pub(super) fn take(&mut self, value: f64, weight: f64) -> Option<Excursion> {
        let Baseline { mean, chart, .. } = self.baseline;
        let scaled = Chart {
            allowance: chart.allowance * weight,
            threshold: chart.threshold,
        };
        let most = scaled.allowance + MOST * chart.threshold;
        let moved = ((value - mean) * weight).clamp(-most, most);
        self.sums = self.sums.with(moved, &scaled);
        self.above_for = running(self.above_for, self.sums.above.sum);
        self.below_for = running(self.below_for, self.sums.below.sum);
        let (sum, looks, sign) = if self.sums.above.alarms(&scaled) {
            (self.sums.above.sum, self.above_for, 1.0)
        } else if self.sums.below.alarms(&scaled) {
            (self.sums.below.sum, self.below_for, -1.0)
        } else {
            return None;
        };
        *self = Self::new(self.baseline);
        Some(Excursion {
            shift: sign * (sum / f64::from(looks.max(1)) + chart.allowance),
            looks,
        })
    }
}

fn running(looks: u32, sum: f64) -> u32 {
    if sum > 0.0 {
        looks.saturating_add(1)
    } else {
        0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Five hundred looks at 1 and -1: charts for this variance, known from so many.
    #[test]
    fn few_batches_cost_something_only_where_they_are_what_counts() {
        let mut seen = Spread::default();
        (0..500).for_each(|at| seen.add(if at % 2 == 0 { 1.0 } else { -1.0 }));
        let of = |long_run: Option<(f64, u32)>| {
            let wanted = Wanted {
                shift: 0.5,
                deviation_min: 0.1,
                worth: 10.0,
                run_length: 1e6,
                long_run: long_run.map(|(variance, batches)| LongRun { variance, batches }),
            };
            Baseline::of(&seen, wanted)
        };
        let looks = of(None);
        assert!(looks.chart.threshold.is_finite());
        let check = |long_run, deviation: f64, known_from| {
            let found = of(Some(long_run));
            assert!((found.deviation - deviation).abs() < 1e-9, "{found:?}");
            let known = (known_from, 500);
            let expect = threshold_of(found.chart.allowance / deviation, known, 1e6) * deviation;
            let off = found.chart.threshold / expect - 1.0;
            assert!(off.abs() < 1e-9, "{long_run:?}: {found:?}, not {expect}");
        };
        for (variance, batches) in [(0.0, 8), (1.0, 28), (1.05, 8)] {
            check((variance, batches), looks.deviation, 500);
        }
        check((4.0, 28), 2.0, 28);
        check((4.0, 9000), 2.0, 500);
    }
}
