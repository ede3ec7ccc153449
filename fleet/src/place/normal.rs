//! What is normal for one feature of one device, as far as single windows are concerned.
//!
//! From its charts where they run, else from windows in which nothing was wrong. Never from
//! windows that are judged.

use muster_protocol::stats::FeatureSum;

use crate::statistics::Moments;
use crate::watch::{DEVIATION_MIN, STEPS_PER_SIGMA, Signal, WatchingState, spread_of};

/// The share of absent values, and of values out of range, that is taken for usual at least.
const SHARE_MIN: f64 = 0.01;

/// All in standard deviations of the reference.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Normal {
    /// Mean of the values.
    pub mean: f64,
    /// Their standard deviation.
    pub deviation: f64,
    /// Standard deviation of the mean of a window.
    pub of_mean: f64,
    /// Where distances are measured from.
    pub centre: f64,
    /// The cube root of the mean square distance from there.
    pub spread: f64,
    /// Its standard deviation, of a window.
    pub of_spread: f64,
    /// Windows or looks that all this was found from.
    pub looks: u32,
    /// The share of absent values that windows seldom exceed.
    pub absent: f64,
    /// Windows in a row that are constant only when something is wrong; none when it often is.
    pub constant_run: Option<u32>,
}

impl Normal {
    /// That of charts which run. A window is taken to vary by √w of what a look of w windows
    /// does: less than that when neighbours depend on each other, so this is cautious.
    #[must_use]
    pub fn watched(state: &WatchingState) -> Self {
        let [location, spread, ..] = &state.signals;
        let root = state.windows_per_look.max(1.0).sqrt();
        Self {
            mean: location.baseline.mean,
            deviation: state.deviation,
            of_mean: location.baseline.deviation * root,
            centre: state.centre(),
            spread: spread.baseline.mean,
            of_spread: spread.baseline.deviation * root,
            looks: location.baseline.looks,
            absent: state.absent.limit.unwrap_or(1.0),
            constant_run: state.stuck.run,
        }
    }

    /// That of windows in which nothing was wrong. None of fewer than five that have values.
    #[must_use]
    pub fn of_windows(windows: &[FeatureSum]) -> Option<Self> {
        let each: Vec<Moments> = windows.iter().map(Moments::of).collect();
        let means: Vec<f64> = each
            .iter()
            .filter_map(|of| Some(of.mean()? / STEPS_PER_SIGMA))
            .collect();
        if means.len() < 5 {
            return None;
        }
        let (centre, between) = mean_and_deviation(&means);
        let spreads: Vec<f64> = each.iter().filter_map(|of| spread_of(of, centre)).collect();
        let (spread, of_spread) = mean_and_deviation(&spreads);
        let samples = each.iter().map(|of| of.n as f64).sum::<f64>() / means.len() as f64;
        let deviation = spread.max(0.0).powf(1.5).max(DEVIATION_MIN);
        let absent = windows.iter().map(absent_share).fold(SHARE_MIN, f64::max);
        let constant = each.iter().any(|of| of.squared_deviations() == Some(0.0));
        // A mean and a deviation of few windows are uncertain themselves.
        let uncertain = (1.0 + 1.0 / means.len() as f64).sqrt();
        Some(Self {
            mean: centre,
            deviation,
            of_mean: between.max(deviation / samples.sqrt()) * uncertain,
            centre,
            spread,
            of_spread: of_spread.max(Signal::Spread.deviation_min(
                spread,
                deviation,
                Signal::Spread.shift(spread, deviation),
                samples,
            )) * uncertain,
            looks: means.len() as u32,
            absent,
            constant_run: (!constant).then_some(1),
        })
    }
}

/// Values that are missing or no numbers, and all rows.
pub(super) fn absent(window: &FeatureSum) -> (u64, u64) {
    let absent = window.missing.saturating_add(window.non_finite);
    (absent, absent.saturating_add(window.n()))
}

fn absent_share(window: &FeatureSum) -> f64 {
    let (absent, rows) = absent(window);
    absent as f64 / (rows as f64).max(1.0)
}

fn mean_and_deviation(values: &[f64]) -> (f64, f64) {
    let n = (values.len() as f64).max(1.0);
    let mean = values.iter().sum::<f64>() / n;
    let squares: f64 = values.iter().map(|x| (x - mean).powi(2)).sum();
    (mean, (squares / (n - 1.0).max(1.0)).sqrt())
}
