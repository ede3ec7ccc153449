//! What is normal for one feature of one device, as far as single windows are concerned.
//!
//! From its charts where they run, else from windows in which nothing was wrong. Never from
//! windows that are judged.

use muster_protocol::stats::FeatureSum;

use super::peers::{PEERS_MIN, median};
use crate::statistics::Moments;
use crate::watch::{DEVIATION_MIN, STEPS_PER_SIGMA, Signal, Usual, WatchingState, spread_of};

/// The share of absent values, and of values out of range, that is taken for usual at least.
const SHARE_MIN: f64 = 0.01;
/// Windows from which something is learnt at least.
const WINDOWS_MIN: usize = 5;
/// What differs by less of a standard deviation matters to nobody.
const APART_MIN: f64 = 0.02;

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
    /// How far it is from its peers, where that is known: what they share then hides nothing.
    pub apart: Option<Apart>,
    /// Windows in a row that are constant only when something is wrong; none when it often is.
    pub constant_run: Option<u32>,
    /// What it is the normal of.
    pub basis: Basis,
}

/// What a normal is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Basis {
    /// The values.
    Values,
    /// What is left of them without the week ([`crate::watch::Usual`]).
    WithoutWeek,
}

/// How far the mean of a window usually is from the median of the peers' at the same time, each
/// from its own normal and in its own standard deviations.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Apart {
    /// On average.
    pub mean: f64,
    /// Its standard deviation.
    pub deviation: f64,
    /// Windows that both were found from.
    pub windows: u32,
}

/// Learns how far the devices are from each other in one feature, whose windows are side by side in
/// time, window by window. Of fewer than four devices or five windows nothing is learnt.
pub fn learn_apart(normals: &mut [Option<Normal>], windows: &[Vec<FeatureSum>]) {
    let slots = windows.iter().map(Vec::len).min().unwrap_or(0);
    let standings = |slot: usize| -> Vec<f64> {
        let each = normals.iter().zip(windows);
        each.map(|(normal, of)| standing(normal.as_ref(), &of[slot]))
            .collect()
    };
    let slots: Vec<Vec<f64>> = (0..slots).map(standings).collect();
    for (at, normal) in normals.iter_mut().enumerate() {
        let differences = slots.iter().map(|all| from_others(all, at));
        let known: Vec<f64> = differences.filter(|x| x.is_finite()).collect();
        if let (Some(normal), true) = (normal, known.len() >= WINDOWS_MIN) {
            let (mean, deviation) = mean_and_deviation(&known);
            let uncertain = (1.0 + 1.0 / known.len() as f64).sqrt();
            normal.apart = Some(Apart {
                mean,
                deviation: deviation.max(APART_MIN) * uncertain,
                windows: known.len() as u32,
            });
        }
    }
}

/// What one device of some is from the median of the others; not a number with too few of them.
pub(super) fn from_others(all: &[f64], at: usize) -> f64 {
    let others = all.iter().enumerate().filter(|(other, _)| *other != at);
    let mut others: Vec<f64> = others.map(|(_, x)| *x).filter(|x| x.is_finite()).collect();
    if others.len() < PEERS_MIN {
        return f64::NAN;
    }
    all[at] - median(&mut others)
}

fn standing(normal: Option<&Normal>, window: &FeatureSum) -> f64 {
    let mean = Moments::of(window).mean();
    let both = normal.zip(mean);
    both.map_or(f64::NAN, |(normal, mean)| {
        (mean / STEPS_PER_SIGMA - normal.mean) / normal.deviation.max(DEVIATION_MIN)
    })
}

impl Normal {
    /// That of charts which run. A window is taken to vary by √w of what a look of w windows
    /// does: less than that when neighbours depend on each other, so this is cautious.
    #[must_use]
    pub fn watched(state: &WatchingState, basis: Basis) -> Self {
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
            apart: None,
            constant_run: state.stuck.run,
            basis,
        }
    }

    /// The normal of the values of one window, of whose time this is usual; none where that has to be known
    /// and is not.
    #[must_use]
    pub fn at(&self, usual: Option<&Usual>) -> Option<Self> {
        if self.basis == Basis::Values {
            return Some(*self);
        }
        let usual = usual?;
        let mean = usual.mean + self.mean / usual.scale;
        let of_mean = self.of_mean / usual.scale;
        // Charts look at the spread within a window; from a centre it is that and what its mean is off.
        let within = usual.spread_at(self.spread).max(0.0);
        Some(Self {
            mean,
            deviation: self.deviation / usual.scale,
            of_mean,
            centre: mean,
            spread: (within.powi(3) + of_mean.powi(2)).cbrt(),
            of_spread: usual.spread_at(self.spread + self.of_spread) - usual.spread_at(self.spread),
            basis: Basis::Values,
            ..*self
        })
    }

    /// That of windows in which nothing was wrong. None of fewer than five that have values.
    #[must_use]
    pub fn of_windows(windows: &[FeatureSum]) -> Option<Self> {
        let each: Vec<Moments> = windows.iter().map(Moments::of).collect();
        let means: Vec<f64> = each
            .iter()
            .filter_map(|of| Some(of.mean()? / STEPS_PER_SIGMA))
            .collect();
        if means.len() < WINDOWS_MIN {
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
            apart: None,
            constant_run: (!constant).then_some(1),
            basis: Basis::Values,
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
