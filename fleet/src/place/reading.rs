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
/// The values that explain the sums, as a part of those in the tail, at least and at most: ordinary
/// ones may be there as well, and what is in the range adds noise.
const LEAST: f64 = 0.5;
const MOST_OF_TAIL: f64 = 2.0;
/// Values that are far away at least.
const COUNT_MIN: f64 = 2.0;
/// The share of values in a tail that are all of them.
const ALL: f64 = 0.995;
/// Values stand together if they vary by less than this part of their distance: that of a shift by
/// twenty standard deviations or more does.
const TOGETHER: f64 = 0.05;
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
    /// Standard errors of how far it is from its peers, where that is usually known; filled in by
    /// who knows them.
    pub(super) apart: f64,
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
    /// The share of values in the lowest and in the highest bin.
    pub(super) tails: [f64; 2],
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
        apart: f64::NAN,
        shift: (mean - normal.mean) / deviation,
        ratio: variance.sqrt() / STEPS_PER_SIGMA / deviation,
        absent: lost as f64 / (rows as f64).max(1.0),
        absent_p: if rows >= samples_min { absent_p } else { 1.0 },
        outside,
        tails: [window.bins.first(), window.bins.last()]
            .map(|bin| bin.map_or(0.0, |count| *count as f64) / (n as f64).max(1.0)),
        mode: None,
    };
    if reading.is_lost(normal) {
        reading.mode = Some(Mode::Absent);
    } else if n >= samples_min {
        let constant = n > 1 && variance <= FLICKER && normal.constant_run.is_some();
        let misplaced =
            stands_far_out(window, normal, Sound::default()) || is_dead(mean, normal, scale);
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

/// Where values are that nothing is wrong with.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct Sound {
    /// How far they are from their normal, in the feature's own standard deviations.
    pub(super) shift: f64,
    /// The share of them in the lowest and in the highest bin.
    pub(super) tails: [f64; 2],
}

/// Whether some values are far away and close to each other. What the sums have beyond the sound is
/// c · k and c² · k for k values at a distance c; those have to be the ones in the tail on that side.
/// A shift of all values has far more of them, and a wider spread far fewer.
pub(super) fn stands_far_out(window: &FeatureSum, normal: &Normal, sound: Sound) -> bool {
    let moments = Moments::of(window);
    let deviation = normal.deviation.max(DEVIATION_MIN);
    let (n, centre) = (moments.n as f64, normal.mean + sound.shift * deviation);
    let sum = moments.sum as f64 / STEPS_PER_SIGMA;
    let squares = moments.sum_of_squares as f64 / STEPS_PER_SIGMA.powi(2);
    let first = sum - n * centre;
    let second = squares - 2.0 * centre * sum + n * centre * centre - n * normal.deviation.powi(2);
    // Fewer values than these, or nearer ones, add no more than that.
    if second < COUNT_MIN * (FAR * deviation).powi(2) || first == 0.0 {
        return false;
    }
    let (distance, count) = (second / first, first * first / second);
    let (tail, sound) = if first < 0.0 {
        (window.bins.first(), sound.tails[0])
    } else {
        (window.bins.last(), sound.tails[1])
    };
    let tail = tail.map_or(0.0, |count| *count as f64);
    if count < 1.0 || tail < COUNT_MIN || distance.abs() < FAR * deviation {
        return false;
    }
    if sound >= MOST {
        // Nearly all are in that tail anyway: only the sums tell, and only of some.
        return count >= COUNT_MIN && count <= MOST * n;
    }
    let beyond = (tail - sound * n) / (1.0 - sound);
    if !(LEAST * beyond..=MOST_OF_TAIL * beyond).contains(&count) {
        return false;
    }
    // All of them: then their spread is known.
    let variance = moments.squared_deviations().unwrap_or(0.0) / n / STEPS_PER_SIGMA.powi(2);
    tail < ALL * n || variance <= (TOGETHER * distance).powi(2)
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
