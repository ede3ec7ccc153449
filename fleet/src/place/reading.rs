//! One window of one feature against what is normal for it: standard errors, shares, and whether the
//! values look like those of a broken sensor.
//!
//! Never compares devices, and never tests: that takes several windows.

use muster_protocol::stats::FeatureSum;

use super::normal::{Normal, absent};
use super::panel::RawScale;
use crate::statistics::{Moments, Rate};
use crate::watch::{DEVIATION_MIN, STEPS_PER_SIGMA, spread_of};

/// Standard deviations of the usual values beyond which values cannot be those of the same
/// quantity, if they also stand together.
const FAR: f64 = 8.0;
/// How far the range reaches where it is not known, in standard deviations of the usual values.
const REACH: f64 = 4.0;
/// The share of values out of range that lie on one side.
const ONE_SIDE: f64 = 0.9;
/// Values stand together if they vary by less than this part of their distance: that of a shift by
/// twenty standard deviations or more does.
const TOGETHER: f64 = 0.05;
/// Standard errors that estimates of what is out of range are believed to.
const ERRORS: f64 = 3.0;
/// A sensor whose values are within this part of its usual ones from zero reads nothing.
const NOTHING: f64 = 0.05;
/// The share of values out of range at which a constant sensor stands at an end.
const MOST: f64 = 0.5;
/// A constant sensor may flicker between two neighbouring steps of 1/256 standard deviation.
const FLICKER: f64 = 0.25;

/// How a sensor breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    /// Its values do not change.
    Stuck,
    /// They stand at an end, or where none can be.
    OutOfRange,
    /// There are none.
    Absent,
}

/// What one window shows. Not a number where it has too few values to say.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Reading {
    /// Finite values.
    pub(super) n: u64,
    /// Standard errors of the mean from where it usually is.
    pub(super) location: f64,
    /// The same of the spread.
    pub(super) spread: f64,
    /// How far the mean is from there, in the feature's own standard deviations.
    pub(super) shift: f64,
    /// Standard deviation of the values, in the usual one.
    pub(super) ratio: f64,
    /// The share of rows without a value.
    pub(super) absent: f64,
    /// p of as many of those, or more.
    pub(super) absent_p: f64,
    /// The share of values that are out of range.
    pub(super) outside: f64,
    /// How the sensor seems broken.
    pub(super) mode: Option<Mode>,
}

/// Reads a window.
pub(super) fn read(
    window: &FeatureSum,
    normal: &Normal,
    scale: Option<RawScale>,
    samples_min: u64,
) -> Reading {
    let moments = Moments::of(window);
    let n = moments.n;
    let (lost, rows) = absent(window);
    let absent_p = Rate::new(lost, rows).map_or(1.0, |rate| rate.upper_tail(normal.absent));
    let deviation = normal.deviation.max(DEVIATION_MIN);
    let mean = moments
        .mean()
        .map_or(f64::NAN, |mean| mean / STEPS_PER_SIGMA);
    let variance = moments.squared_deviations().unwrap_or(f64::NAN) / n as f64;
    let spread = spread_of(&moments, normal.centre).unwrap_or(f64::NAN);
    let enough = if n >= samples_min { 1.0 } else { f64::NAN };
    let outside = window.out_of_range as f64 / (n as f64).max(1.0);
    let mut reading = Reading {
        n,
        location: enough * (mean - normal.mean) / normal.of_mean.max(f64::MIN_POSITIVE),
        spread: enough * (spread - normal.spread) / normal.of_spread.max(f64::MIN_POSITIVE),
        shift: (mean - normal.mean) / deviation,
        ratio: variance.sqrt() / STEPS_PER_SIGMA / deviation,
        absent: lost as f64 / (rows as f64).max(1.0),
        absent_p: if rows >= samples_min { absent_p } else { 1.0 },
        outside,
        mode: None,
    };
    if reading.is_lost(normal) {
        reading.mode = Some(Mode::Absent);
    } else if n >= samples_min {
        let constant = n > 1 && variance <= FLICKER && normal.constant_run.is_some();
        let misplaced =
            stands_far_out(window, &moments, normal, scale) || is_dead(mean, normal, scale);
        reading.mode = if misplaced || constant && outside >= MOST {
            Some(Mode::OutOfRange)
        } else {
            constant.then_some(Mode::Stuck)
        };
    }
    reading
}

impl Reading {
    /// Twice as many values are absent as usual, and a point more.
    fn is_lost(&self, normal: &Normal) -> bool {
        self.absent > 2.0 * normal.absent && self.absent > normal.absent + 0.01
    }
}

/// Whether the values that are out of range are far away, on one side, and close to each other.
fn stands_far_out(
    window: &FeatureSum,
    moments: &Moments,
    normal: &Normal,
    scale: Option<RawScale>,
) -> bool {
    let k = window.out_of_range.min(moments.n) as f64;
    let tails = [window.bins.first(), window.bins.last()];
    let larger = tails.into_iter().flatten().max().copied().unwrap_or(0);
    if k < 2.0 || (larger as f64) < ONE_SIDE * k {
        return false;
    }
    let deviation = normal.deviation.max(DEVIATION_MIN);
    let others = moments.n as f64 - k;
    let sum = moments.sum as f64 / STEPS_PER_SIGMA;
    let squares = moments.sum_of_squares as f64 / STEPS_PER_SIGMA.powi(2);
    // However the others lie within the range, those out of it are this far away at least.
    let around = squares - 2.0 * normal.mean * sum + moments.n as f64 * normal.mean.powi(2);
    let reach = scale.map_or(REACH * deviation, RawScale::reach) + normal.mean.abs();
    let far = (around - others * reach.powi(2)).max(0.0) / k;
    if far < (FAR * deviation).powi(2) {
        return false;
    }
    // How they lie to each other takes a guess at the others: that they are as usual.
    let usual_square = normal.deviation.powi(2) + normal.mean.powi(2);
    let mean = (sum - others * normal.mean) / k;
    let variance = (squares - others * usual_square) / k - mean * mean;
    let of_mean = others * normal.of_mean / k;
    // The spread is a cube root, so its relative error is a third of the variance's.
    let of_variance = 3.0 * normal.of_spread / normal.spread.max(f64::MIN_POSITIVE);
    let of_squares = others * usual_square * of_variance / k + 2.0 * mean.abs() * of_mean;
    let distance = (mean - normal.mean).abs();
    variance <= (TOGETHER * distance).powi(2) + ERRORS * of_squares
}

/// Whether a sensor that never reads near zero does.
fn is_dead(mean: f64, normal: &Normal, scale: Option<RawScale>) -> bool {
    let Some(scale) = scale else {
        return false;
    };
    let raw = |of: f64| (scale.mean + scale.deviation * of).abs();
    let usual = raw(normal.mean);
    raw(mean) <= NOTHING * usual
        && usual >= FAR * normal.deviation.max(DEVIATION_MIN) * scale.deviation
}
