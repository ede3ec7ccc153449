//! Things that should be rare: values that are absent, values that are out of range.
//!
//! They come in clusters, so no distribution of their number is believed. What counts is in how many
//! looks there are more than a limit, and only more of those is looked for.

use serde::{Deserialize, Serialize};

use crate::statistics::{Chart, Confidence, OneSided, Rate};

/// Shares of a look that may be its limit: the lowest that is seldom exceeded when nothing is wrong.
const LIMITS: [f64; 7] = [0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64];
/// Looks that exceed the limit when nothing is wrong, at most, and when something is.
const SELDOM: f64 = 0.1;
const OFTEN: f64 = 0.5;
/// Two-sided: what was never seen is not impossible, and exceeds this upper end once in two thousand.
const CONFIDENCE: f64 = 0.999;

/// A look that is not full yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
struct Open {
    hits: u64,
    trials: u64,
}

/// What the looks of a calibration exceeded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct Rates {
    open: Open,
    looks: u64,
    exceeding: [u64; LIMITS.len()],
}

/// A chart of a rate, and its state.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct RateWatched {
    /// The share of a look that is its limit; none if looks exceed all limits too often.
    pub limit: Option<f64>,
    /// The share of looks that exceed it when nothing is wrong, at its upper end.
    #[serde(with = "crate::statistics::exact")]
    pub exceeding: f64,
    #[serde(with = "crate::statistics::exact")]
    threshold: f64,
    open: Open,
    sum: OneSided,
}

impl Open {
    /// Takes one more window in; the share of hits once there are `trials_min` trials.
    fn take(&mut self, hits: u64, trials: u64, trials_min: u64) -> Option<f64> {
        self.hits = self.hits.saturating_add(hits.min(trials));
        self.trials = self.trials.saturating_add(trials);
        if self.trials < trials_min.max(1) {
            return None;
        }
        let whole = std::mem::take(self);
        Some(whole.hits as f64 / whole.trials as f64)
    }
}

impl Rates {
    /// Takes one more window in.
    pub(super) fn take(&mut self, hits: u64, trials: u64, trials_min: u64) {
        let Some(share) = self.open.take(hits, trials, trials_min) else {
            return;
        };
        self.looks = self.looks.saturating_add(1);
        for (count, limit) in self.exceeding.iter_mut().zip(LIMITS) {
            *count = count.saturating_add(u64::from(share > limit));
        }
    }

    /// Looks so far.
    pub(super) const fn looks(&self) -> u64 {
        self.looks
    }

    /// The chart that alarms once in `run_length` looks at most. A sum of log-likelihood ratios keeps that
    /// exactly for independent looks (Lorden 1971).
    pub(super) fn watched(&self, run_length: f64) -> RateWatched {
        let confidence = Confidence::new(CONFIDENCE).unwrap_or(Confidence::P95);
        let upper = |count: &u64| {
            let rate = Rate::new(*count, self.looks);
            rate.map_or(1.0, |rate| rate.clopper_pearson(confidence).high)
        };
        let mut limits = self.exceeding.iter().map(upper).zip(LIMITS);
        let lowest = limits.find(|(exceeding, _)| *exceeding <= SELDOM);
        RateWatched {
            limit: lowest.map(|(_, limit)| limit),
            exceeding: lowest.map_or(1.0, |(exceeding, _)| exceeding),
            threshold: run_length.max(1.0).ln(),
            open: Open::default(),
            sum: OneSided::default(),
        }
    }
}

impl RateWatched {
    /// Takes one more window in; whether it alarms.
    pub(super) fn take(&mut self, hits: u64, trials: u64, trials_min: u64) -> bool {
        let share = self.open.take(hits, trials, trials_min);
        let (Some(share), Some(limit)) = (share, self.limit) else {
            return false;
        };
        let ratio = if share > limit {
            OFTEN / self.exceeding
        } else {
            (1.0 - OFTEN) / (1.0 - self.exceeding)
        };
        let chart = Chart {
            allowance: 0.0,
            threshold: self.threshold,
        };
        self.sum = self.sum.with(ratio.ln(), &chart);
        let alarms = self.sum.alarms(&chart);
        if alarms {
            self.sum = OneSided::default();
        }
        alarms
    }
}
