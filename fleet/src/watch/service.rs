//! How a device serves: requests that fail and requests that are late, against its own normal.
//!
//! Never looks at a feature.

use serde::{Deserialize, Serialize};

use super::budget::{Budget, YEAR_S};
use super::counted::Counted;
use super::feature::SPAN_MIN_S;
use super::rate::{RateWatched, Rates};

/// Requests of a look.
const TRIALS_MIN: u64 = 32;
/// Looks that a calibration takes at least.
const LOOKS_MIN: u64 = 500;

/// One rate.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum Stage {
    /// What is normal is not known yet.
    Learning { rates: Rates, windows: u64 },
    /// A chart runs.
    Watching(RateWatched),
}

/// Both rates of a device.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct ServiceWatch {
    errors: Stage,
    misses: Stage,
}

/// What of it alarmed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ServiceMoved {
    /// More requests fail.
    pub errors: bool,
    /// More requests are late.
    pub misses: bool,
}

impl Default for Stage {
    fn default() -> Self {
        Self::Learning {
            rates: Rates::default(),
            windows: 0,
        }
    }
}

impl ServiceWatch {
    /// Takes one more window in.
    pub fn take(&mut self, window: &Counted, window_s: f64, budget: Budget) -> ServiceMoved {
        // Rows, not requests, are what windows count of the good ones: a batch that fails is one.
        let trials = window.calls.saturating_add(window.errors);
        ServiceMoved {
            errors: self.errors.take(window.errors, trials, window_s, budget),
            misses: self
                .misses
                .take(window.misses, window.measured, window_s, budget),
        }
    }
}

impl ServiceWatch {
    /// See [`super::DeviceWatch::service_limits`].
    pub(super) fn limits(&self) -> [f64; 2] {
        [&self.errors, &self.misses].map(|stage| match stage {
            Stage::Learning { .. } => 1.0,
            Stage::Watching(watched) => watched.limit.unwrap_or(1.0),
        })
    }
}

impl Stage {
    fn take(&mut self, hits: u64, trials: u64, window_s: f64, budget: Budget) -> bool {
        match self {
            Self::Watching(watched) => watched.take(hits, trials, TRIALS_MIN),
            Self::Learning { rates, windows } => {
                *windows = windows.saturating_add(1);
                rates.take(hits, trials, TRIALS_MIN);
                let span_s = *windows as f64 * window_s;
                if rates.looks() >= LOOKS_MIN && span_s >= SPAN_MIN_S {
                    let looks_a_year = YEAR_S * rates.looks() as f64 / span_s;
                    *self = Self::Watching(rates.watched(looks_a_year / budget.of_rate()));
                }
                false
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use muster_protocol::time::UnixSeconds;

    use super::super::budget::IncidentsPerYear;
    use super::super::counted::Clock;
    use super::*;

    fn window(calls: u64, errors: u64, misses: u64) -> Counted {
        Counted {
            features: Vec::new(),
            closed_windows: 1,
            span_ms: 300_000,
            calls,
            errors,
            measured: calls,
            misses,
            ended: UnixSeconds(0),
            clock: Clock::Trusted,
            usual: Vec::new(),
        }
    }

    /// Windows until each of both alarms, after a calibration without either.
    fn check(errors: u64, misses: u64, expect: [bool; 2]) {
        let budget = Budget::new(IncidentsPerYear::TENTH, NonZeroU32::MIN);
        let mut watch = ServiceWatch::default();
        for _ in 0..600 {
            let moved = watch.take(&window(300, 0, 0), 300.0, budget);
            assert_eq!(moved, ServiceMoved::default());
        }
        let mut found = [false; 2];
        for _ in 0..24 {
            let moved = watch.take(&window(300, errors, misses), 300.0, budget);
            found = [found[0] | moved.errors, found[1] | moved.misses];
        }
        assert_eq!(found, expect, "{errors} {misses}");
    }

    #[test]
    fn what_fails_and_what_is_late_is_seen_apart() {
        check(0, 0, [false, false]);
        check(90, 0, [true, false]);
        check(0, 90, [false, true]);
        check(90, 90, [true, true]);
    }
}
