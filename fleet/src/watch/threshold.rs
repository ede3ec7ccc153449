//! Where a chart alarms so that chance alarms as seldom as wanted, although mean and variance of what it
//! watches were only estimated.
//!
//! With a variance that came out small by chance a chart alarms far too often: what counts is the mean
//! of alarms over all that calibration could have said. Never looks at data.

use statrs::distribution::{ChiSquared, Continuous as _};

use crate::statistics::run_length::{exact_normal, siegmund, smallest, threshold as known};

/// Points at which the estimates are taken, over so many standard deviations to each side.
const RATIOS: usize = 61;
const OFFSETS: usize = 25;
const REACH: f64 = 7.0;
/// From fewer looks, or batches of them, nothing is known: such a chart never alarms.
pub(super) const KNOWN_FROM_MIN: u32 = 8;

/// The threshold of a one-sided chart, in the estimated standard deviation of a look, that alarms
/// once in `wanted` looks on average over calibrations of `looks` looks.
///
/// A calibration finds the variance times r, and the mean off by e standard deviations, where looks·r
/// is χ² and e normal with variance 1/looks. Given both, a chart with allowance k and threshold h
/// runs as one of known numbers with k√r − e and h√r. The mean of 1/(run length) over r and e is
/// taken by Siegmund's formula and set to 1/`wanted`; the integral equation says by how much the
/// formula is off when both are known. To first order the run length is exp(2kh r), and the mean of
/// its inverse (1 + 4kh/ν)^(−ν/2): Student's tail in place of the normal one.
#[must_use]
pub fn threshold(allowance: f64, looks: u32, wanted: f64) -> f64 {
    threshold_of(allowance, (looks, looks), wanted)
}

/// The same where the variance was found from other looks, or batches of them, than the mean.
pub(super) fn threshold_of(allowance: f64, (of_variance, of_mean): (u32, u32), wanted: f64) -> f64 {
    let in_range = allowance > 0.0 && allowance.is_finite() && wanted > 1.0;
    if !in_range || of_variance.min(of_mean) < KNOWN_FROM_MIN {
        return f64::INFINITY;
    }
    let certain = known(allowance, wanted);
    let exact = exact_normal(allowance, certain);
    let formula = siegmund(-allowance, certain);
    let off = if exact.is_finite() {
        formula / exact
    } else {
        1.0
    };
    let points = points(of_variance, of_mean);
    let rate = |h: f64| -> f64 {
        let each = points
            .iter()
            .map(|(root, offset, weight)| weight / siegmund(offset - allowance * root, h * root));
        each.sum::<f64>() * off
    };
    // With few looks the mean of alarms falls slowly: up to ten times as far.
    smallest(certain, 10.0 * certain + 10.0, |h| rate(h) <= 1.0 / wanted)
}

/// √r, e and the weight of each.
fn points(of_variance: u32, of_mean: u32) -> Vec<(f64, f64, f64)> {
    let df = f64::from(of_variance - 1);
    let ratios = ratios(df);
    let step = 2.0 * REACH / (OFFSETS - 1) as f64;
    let offsets: Vec<(f64, f64)> = (0..OFFSETS)
        .map(|i| {
            let z = step * i as f64 - REACH;
            (z / f64::from(of_mean).sqrt(), (-0.5 * z * z).exp())
        })
        .collect();
    let total: f64 = offsets.iter().map(|(_, weight)| weight).sum();
    let both = ratios.iter().flat_map(|(root, of_ratio)| {
        let each = offsets.iter();
        each.map(move |(offset, weight)| (*root, *offset, of_ratio * weight / total))
    });
    both.collect()
}

/// √(χ²/ν) with weights, evenly spaced in √χ², which is nearly normal with variance ½.
fn ratios(df: f64) -> Vec<(f64, f64)> {
    let Ok(chi) = ChiSquared::new(df) else {
        return vec![(1.0, 1.0)];
    };
    let reach = REACH * 0.5_f64.sqrt();
    let low = (df.sqrt() - reach).max(1e-3);
    let step = (df.sqrt() + reach - low) / (RATIOS - 1) as f64;
    let points = (0..RATIOS).map(|i| low + step * i as f64);
    let weighed = points.map(|root| (root / df.sqrt(), chi.pdf(root * root) * root));
    let weighed: Vec<(f64, f64)> = weighed.collect();
    let total: f64 = weighed.iter().map(|(_, weight)| weight).sum();
    let each = weighed.into_iter();
    each.map(|(root, weight)| (root, weight / total)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    #[test]
    fn what_is_known_well_costs_nothing() {
        for (allowance, wanted) in [(0.7, 1e6), (0.5, 1e8)] {
            let (certain, estimated) = (
                known(allowance, wanted),
                threshold(allowance, 1_000_000, wanted),
            );
            assert!(
                (estimated / certain - 1.0).abs() < 1e-3,
                "{certain} {estimated}"
            );
        }
    }

    /// With fifty looks a chart is of no use; with five hundred it is nearly as good as it gets.
    #[test]
    fn few_looks_cost_much_and_many_little() {
        for (looks, low, high) in [
            (50, 3.0, 6.0),
            (200, 1.15, 1.6),
            (500, 1.04, 1.2),
            (2000, 1.0, 1.05),
        ] {
            let ratio = threshold(0.7, looks, 1e8) / known(0.7, 1e8);
            assert!((low..high).contains(&ratio), "{looks}: {ratio}");
        }
    }

    /// What it is there for, by other means: devices that were each calibrated by their own looks alarm
    /// as often as wanted on average, counted by the integral equation.
    #[test]
    fn calibrated_devices_alarm_as_often_as_wanted() {
        const LOOKS: u32 = 200;
        let (allowance, wanted) = (0.7, 1e5);
        let mut random = Random(9);
        let mut uniform = || (random.below(1 << 53) as f64 + 0.5) / (1_u64 << 53) as f64;
        let mut normal = || {
            let radius = (-2.0 * uniform().ln()).sqrt();
            radius * (std::f64::consts::TAU * uniform()).cos()
        };
        let corrected = threshold(allowance, LOOKS, wanted);
        let plain = known(allowance, wanted);
        let (mut of_corrected, mut of_plain) = (0.0, 0.0);
        for _ in 0..2000 {
            let (mut sum, mut squares) = (0.0, 0.0);
            for _ in 0..LOOKS {
                let x = normal();
                sum += x;
                squares += x * x;
            }
            let n = f64::from(LOOKS);
            let mean = sum / n;
            let deviation = ((squares - n * mean * mean) / (n - 1.0)).sqrt();
            let allowed = allowance * deviation + mean;
            of_corrected += 1.0 / exact_normal(allowed, corrected * deviation);
            of_plain += 1.0 / exact_normal(allowed, plain * deviation);
        }
        let (of_corrected, of_plain) = (of_corrected / 2000.0, of_plain / 2000.0);
        assert!(
            (0.6..1.5).contains(&(of_corrected * wanted)),
            "{of_corrected}"
        );
        assert!(of_plain * wanted > 1.8, "{of_plain}");
    }

    #[test]
    fn what_cannot_be_had_is_never_reached() {
        for (allowance, looks, wanted) in [
            (0.0, 500, 1e6),
            (f64::NAN, 500, 1e6),
            (0.5, 3, 1e6),
            (0.5, 500, f64::NAN),
            (0.5, 500, 0.5),
        ] {
            assert_eq!(threshold(allowance, looks, wanted), f64::INFINITY);
        }
    }
}
