//! How much looks vary over hours and days: what differs from day to day is no matter of neighbours.
//!
//! Means of quarters and halves of days, each part of the day by itself, and of whole days (batch means,
//! Conway 1963): where those vary by more than independent looks would, that is what charts have to be made for.
//! Never judges.

use serde::{Deserialize, Serialize};

use super::look::Spread;
use super::signal::{Signal, Values};
use super::threshold::KNOWN_FROM_MIN;

/// Quarters of a day, halves that begin with each of them, and the whole.
const KINDS: usize = 9;
const QUARTERS: usize = 4;
const HALVES: usize = 4;
const DAY: usize = 8;
const QUARTER_H: u64 = 6;
/// A batch with fewer values than this part of the average one of its kind is left out.
const WEIGHT_MIN: f64 = 0.5;

/// A quarter of a day, by its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
pub(super) struct Quarter(u64);

/// Batches of all signals.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub(super) struct Batches {
    quarter: Open,
    before: Option<Open>,
    day: Open,
    kinds: [Kind; KINDS],
}

/// A batch that goes on.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
struct Open {
    number: u64,
    #[serde(with = "super::look::bits")]
    sums: Values,
    samples: u64,
}

/// All batches of a quarter, or of days.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
struct Kind {
    signals: [Spread; Signal::ALL.len()],
    samples: u64,
}

/// What a look is taken to vary by, at least.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct LongRun {
    /// Variance of a look, if looks were independent and batches varied as they do.
    pub(super) variance: f64,
    /// Batches that this was found from.
    pub(super) batches: u32,
}

impl Quarter {
    /// That of an hour.
    pub(super) const fn of(hour: u64) -> Self {
        Self(hour / QUARTER_H)
    }
}

impl Batches {
    /// Takes one window in, of so many values.
    pub(super) fn take(&mut self, values: &Values, samples: u64, at: Quarter) {
        let (quarter, day) = (at.0, at.0 / QUARTERS as u64);
        if let Some(over) = self.quarter.take(values, samples, quarter) {
            self.kinds[over.part()].add(&over);
            if let Some(half) = self.before.as_ref().and_then(|before| before.with(&over)) {
                self.kinds[HALVES + half.part()].add(&half);
            }
            self.before = Some(over);
        }
        if let Some(over) = self.day.take(values, samples, day) {
            self.kinds[DAY].add(&over);
        }
    }

    /// What a look of `samples` values of this signal varies by, by the kind of batches that vary most;
    /// none where no kind has enough of them. A part of the day in which a device seldom runs is not asked.
    pub(super) fn long_run(&self, signal: usize, samples: f64) -> Option<LongRun> {
        let each = self.kinds.iter().filter_map(|kind| {
            let spread = kind
                .signals
                .get(signal)
                .filter(|spread| spread.n >= KNOWN_FROM_MIN)?;
            let of_batch = kind.samples as f64 / f64::from(spread.n);
            Some(LongRun {
                variance: spread.variance() * of_batch / samples.max(1.0),
                batches: spread.n,
            })
        });
        each.max_by(|a, b| a.variance.total_cmp(&b.variance))
    }
}

impl Open {
    /// Which part of a day a quarter is, or begins with.
    const fn part(&self) -> usize {
        (self.number % QUARTERS as u64) as usize
    }

    /// Both together; none if they are not neighbours.
    fn with(&self, next: &Self) -> Option<Self> {
        let mut half = self.clone();
        for (sum, more) in half.sums.iter_mut().zip(next.sums) {
            *sum += more;
        }
        half.samples = half.samples.saturating_add(next.samples);
        (next.number == self.number.wrapping_add(1)).then_some(half)
    }

    /// The batch that is over, if a window of the next one comes. Late windows count in the open one.
    fn take(&mut self, values: &Values, samples: u64, number: u64) -> Option<Self> {
        let next = number > self.number;
        let fresh = Self {
            number,
            ..Self::default()
        };
        let over = next.then(|| std::mem::replace(self, fresh));
        for (sum, value) in self.sums.iter_mut().zip(values) {
            *sum += value * samples as f64;
        }
        self.samples = self.samples.saturating_add(samples);
        over.filter(|over| over.samples > 0)
    }
}

impl Kind {
    fn add(&mut self, batch: &Open) {
        let usual = self.samples as f64 / f64::from(self.signals[0].n.max(1));
        if (batch.samples as f64) < WEIGHT_MIN * usual {
            return;
        }
        for (spread, sum) in self.signals.iter_mut().zip(batch.sums) {
            spread.add(sum / batch.samples as f64);
        }
        self.samples = self.samples.saturating_add(batch.samples);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Four windows of 100 values a quarter, at these means of the quarters of each day.
    fn run(days: u64, mean: impl Fn(u64, u64) -> f64) -> Option<LongRun> {
        let mut batches = Batches::default();
        for hour in 24..24 * (days + 1) {
            let at = Quarter::of(hour);
            batches.take(&[mean(at.0 / 4, at.0 % 4); 4], 100, at);
        }
        batches.long_run(0, 100.0)
    }

    #[test]
    fn what_differs_from_day_to_day_counts_as_often_as_it_is_the_same() {
        assert_eq!(run(1, |_, _| 0.0), None);
        // Quarters that differ from each other in the same way every day are no variation.
        let found = run(11, |_, quarter| if quarter == 0 { 5.0 } else { 0.0 });
        assert_eq!(found.map(|found| found.variance), Some(0.0));
        // Days at 1 and -1: a day of 24 looks varies by 1, or looks by 24.
        let found = run(11, |day, _| if day % 2 == 0 { 1.0 } else { -1.0 }).expect("some");
        assert!(
            (found.variance / 24.0 - 10.0 / 9.0).abs() < 1e-9,
            "{found:?}"
        );
        assert_eq!(found.batches, 10, "the last day is not over");
        // One quarter of them: six looks, or twelve that vary by half as much, squared.
        let one = |day: u64, quarter: u64| match (quarter, day % 2) {
            (0, 0) => 1.0,
            (0, _) => -1.0,
            _ => 0.0,
        };
        let found = run(11, one).expect("some");
        assert!((6.0..7.0).contains(&found.variance), "{found:?}");
    }

    /// Forty days, the last quarter of which is used on so many of them only, and is another one each time.
    #[test]
    fn a_part_of_the_day_that_is_seldom_used_is_not_asked() {
        let check = |used: u64, expect: Option<(f64, u32)>| {
            let mut batches = Batches::default();
            let hours = (24..24 * 41).filter(|hour| hour % 24 < 18 || hour / 24 <= used);
            for hour in hours {
                let at = Quarter::of(hour);
                let (day, quarter) = (at.0 / 4, at.0 % 4);
                let mean = if quarter == 3 { day as f64 } else { 0.0 };
                batches.take(&[mean; 4], 100, at);
            }
            let found = batches.long_run(0, 100.0);
            let (variance, batches) = found.map(|of| (of.variance, of.batches)).expect("some");
            match expect {
                Some((expect, of_part)) => {
                    assert!((variance - expect).abs() < 1e-9, "{used}: {variance}");
                    assert_eq!(batches, of_part, "{used}");
                }
                None => assert!(batches >= 39, "{used}: {batches}"),
            }
        };
        for used in 0..KNOWN_FROM_MIN {
            check(u64::from(used), None);
        }
        // Eight batches of six looks, at 1 to 8: enough.
        check(8, Some((36.0, 8)));
    }
}
