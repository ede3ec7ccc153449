//! How good alerts and rollouts were: shares with their intervals.
//!
//! Counts in, numbers out. Nothing that was not judged is counted as right or wrong.

use serde::Serialize;

use crate::statistics::{Confidence, Rate};

/// A share of something, with the 95 % interval of Wilson (1927).
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Share {
    /// Of these.
    pub of: u64,
    /// So many.
    pub hits: u64,
    /// The share; none of nothing.
    pub share: Option<f64>,
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

/// What people made of incidents.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Precision {
    /// Those that were one.
    pub confirmed: u64,
    /// Those that were none.
    pub dismissed: u64,
}

impl Share {
    /// `hits` of `of`; more hits than that count as all.
    #[must_use]
    pub fn new(hits: u64, of: u64) -> Self {
        let hits = hits.min(of);
        let rate = Rate::new(hits, of);
        let interval = rate.map(|rate| rate.wilson(Confidence::P95));
        Self {
            of,
            hits,
            share: rate.and_then(Rate::share),
            low: interval.map_or(0.0, |interval| interval.low),
            high: interval.map_or(1.0, |interval| interval.high),
        }
    }
}

impl Precision {
    /// Confirmed of those that were judged.
    #[must_use]
    pub fn share(self) -> Share {
        Share::new(
            self.confirmed,
            self.confirmed.saturating_add(self.dismissed),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_of_few_has_a_wide_interval_and_of_none_all_of_it() {
        let check = |hits, of, expect: (Option<f64>, f64, f64)| {
            let share = Share::new(hits, of);
            assert_eq!(share.share, expect.0, "{share:?}");
            assert!((share.low - expect.1).abs() < 1e-4, "{share:?}");
            assert!((share.high - expect.2).abs() < 1e-4, "{share:?}");
        };
        check(0, 0, (None, 0.0, 1.0));
        // Wilson's interval of 9 of 10, as scipy.stats.binomtest(9, 10).proportion_ci gives it.
        check(9, 10, (Some(0.9), 0.5958, 0.9821));
        check(0, 10, (Some(0.0), 0.0, 0.2775));
        check(11, 10, (Some(1.0), 0.7225, 1.0));
        let judged = Precision {
            confirmed: 9,
            dismissed: 1,
        };
        assert_eq!(judged.share(), Share::new(9, 10));
    }
}
