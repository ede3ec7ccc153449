//! What a device counted of a model in one window, as far as charts and placing look at it.
//!
//! Holds counts; never judges them. It can be written down, exactly.

use muster_protocol::message::Window;
use muster_protocol::stats::FeatureSum;
use muster_protocol::time::UnixSeconds;
use serde::{Deserialize, Serialize};

use super::season::Usual;

/// One window of a device.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Counted {
    /// Each feature, in the order of the reference; none of a window that was sent without.
    #[serde(with = "sums")]
    pub features: Vec<FeatureSum>,
    /// Windows that were merged into it.
    pub closed_windows: u32,
    /// Time from its start to its end by the device's monotonic clock, milliseconds.
    pub span_ms: u64,
    /// Rows predicted.
    pub calls: u64,
    /// Requests that failed.
    pub errors: u64,
    /// Requests whose latency was measured against the objective of the bundle.
    pub measured: u64,
    /// Of those, the ones over it.
    pub misses: u64,
    /// When it ended: by trusted time where there is one, and never later than it came.
    #[serde(with = "crate::text::unix")]
    pub ended: UnixSeconds,
    /// How that is known.
    pub clock: Clock,
    /// What is usual of each feature at its time, where charts have taken that out; empty where they
    /// have of none.
    pub usual: Vec<Option<Usual>>,
}

/// How the time of a window is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Clock {
    /// The device said it, by trusted time.
    Trusted,
    /// It is when the window came, which may be days later.
    Received,
}

impl Counted {
    /// Reads a window that was received at `received`.
    #[must_use]
    pub fn of(window: &Window<'_>, received: UnixSeconds) -> Self {
        let features = window.features.iter();
        let sum = |counts: &mut dyn Iterator<Item = u32>| {
            counts.fold(0, |sum: u64, count| sum.saturating_add(u64::from(count)))
        };
        let measured = window.latency_misses.map_or(0, |_| {
            sum(&mut window.latency.iter().map(|latency| latency.count))
        });
        let misses = window.latency_misses.map_or(0, |misses| misses.count);
        Self {
            features: features
                .map(|feature| FeatureSum::of(&feature.counts(), feature.bins.len()))
                .collect(),
            closed_windows: window.closed_windows.max(1),
            span_ms: window.ended.0.saturating_sub(window.started.0),
            calls: window.calls,
            errors: sum(&mut window.errors.iter().map(|error| error.count)),
            measured,
            // Whatever a device says, no more requests miss than there were.
            misses: u64::from(misses).min(measured),
            ended: UnixSeconds(window.unix.unwrap_or(received).0.min(received.0)),
            clock: match window.unix {
                Some(_) => Clock::Trusted,
                None => Clock::Received,
            },
            usual: Vec::new(),
        }
    }

    /// What is usual of a feature at its time, where charts have taken that out.
    #[must_use]
    pub fn usual_of(&self, feature: usize) -> Option<&Usual> {
        self.usual.get(feature)?.as_ref()
    }

    /// Bins of each feature.
    #[must_use]
    pub fn shape(&self) -> Vec<usize> {
        self.features.iter().map(|sum| sum.bins.len()).collect()
    }

    /// How long one window of this device is, seconds; at least one.
    #[must_use]
    pub fn window_s(&self) -> u32 {
        let each_ms = self.span_ms / u64::from(self.closed_windows.max(1));
        let rounded = each_ms.saturating_add(500) / 1000;
        u32::try_from(rounded).unwrap_or(u32::MAX).max(1)
    }
}

/// Sums as they are written down.
mod sums {
    use muster_protocol::limits::BINS_MAX;
    use muster_protocol::stats::FeatureSum;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[derive(Serialize, Deserialize)]
    struct Written {
        bins: Vec<u64>,
        missing: u64,
        non_finite: u64,
        out_of_range: u64,
        sum: i64,
        sum_of_squares: u64,
        repeats: u64,
        longest_run: u64,
    }

    pub(super) fn serialize<S: Serializer>(sums: &[FeatureSum], to: S) -> Result<S::Ok, S::Error> {
        to.collect_seq(sums.iter().map(|sum| Written {
            bins: sum.bins.to_vec(),
            missing: sum.missing,
            non_finite: sum.non_finite,
            out_of_range: sum.out_of_range,
            sum: sum.sum,
            sum_of_squares: sum.sum_of_squares,
            repeats: sum.repeats,
            longest_run: sum.longest_run,
        }))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Vec<FeatureSum>, D::Error> {
        let written = Vec::<Written>::deserialize(from)?;
        let read = written.into_iter().map(|written| FeatureSum {
            bins: written.bins.into_iter().take(BINS_MAX).collect(),
            missing: written.missing,
            non_finite: written.non_finite,
            out_of_range: written.out_of_range,
            sum: written.sum,
            sum_of_squares: written.sum_of_squares,
            repeats: written.repeats,
            longest_run: written.longest_run,
        });
        Ok(read.collect())
    }
}
