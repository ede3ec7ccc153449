//! What is normal for a feature, as its reference says: for devices whose own normal is not known.
//!
//! Undoes what made critical values of blocks: Student's quantile times what a block varies by.
//! Never reads data.

use muster_protocol::stats::Limits;

use super::normal::Normal;
use crate::statistics::tail::student_quantile;

/// How the limits of a reference were made.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Made {
    /// Blocks that it was cut into.
    pub blocks: u32,
    /// With what probability one more block is beyond a limit by chance.
    pub false_alarm: f64,
}

impl Normal {
    /// That of the reference. None where its blocks had no mean or no spread, or were too few.
    #[must_use]
    pub fn of_limits(limits: &Limits, made: Made) -> Option<Self> {
        let (location, spread) = limits.location.zip(limits.spread)?;
        let degrees = f64::from(made.blocks.checked_sub(1).filter(|degrees| *degrees > 0)?);
        let quantile = student_quantile(made.false_alarm, degrees);
        let (low, high) = (f64::from(spread.low), f64::from(spread.high));
        if !(quantile.is_finite() && quantile > 0.0 && low > 0.0) {
            return None;
        }
        // Limits of the spread are on a logarithmic scale.
        let deviation = (low * high).sqrt();
        let of_log = (high / low).ln() / (2.0 * quantile);
        // The cube root of a mean square: two thirds of the relative error of a deviation.
        let cube = deviation.powi(2).cbrt();
        let mean = f64::from(location.mean);
        Some(Self {
            mean,
            deviation,
            of_mean: f64::from(location.distance) / quantile,
            centre: mean,
            spread: cube,
            of_spread: cube * of_log * 2.0 / 3.0,
            looks: made.blocks,
            absent: f64::from(limits.absent),
            constant_run: (limits.longest_run < limits.block_rows).then_some(1),
            apart: None,
        })
    }
}

#[cfg(test)]
mod tests {
    use muster_protocol::stats::critical::{Location, Spread};

    use super::*;
    use crate::statistics::blocks::reach;

    #[test]
    fn what_made_the_limits_comes_out_again() {
        let means = [0.1, -0.2, 0.05, 0.3, -0.15, 0.0, 0.2, -0.1, 0.12, -0.3];
        let logs = [0.02, -0.01, 0.03, -0.04, 0.0, 0.01, -0.02, 0.05, -0.03, 0.0];
        let p = 1e-6;
        let (of_mean, of_log) = (
            reach(&means, p).expect("ten"),
            reach(&logs, p).expect("ten"),
        );
        let limits = Limits {
            block_rows: 100,
            location: Some(Location {
                mean: of_mean.mean as f32,
                distance: of_mean.distance as f32,
            }),
            spread: Some(Spread {
                low: (of_log.mean - of_log.distance).exp() as f32,
                high: (of_log.mean + of_log.distance).exp() as f32,
            }),
            absent: 0.02,
            out_of_range: 1.0,
            repeats: 0.1,
            longest_run: 4,
        };
        let made = Made {
            blocks: 10,
            false_alarm: p,
        };
        let normal = Normal::of_limits(&limits, made).expect("it has both");
        let deviation = |of: &[f64]| {
            let mean = of.iter().sum::<f64>() / 10.0;
            let squares: f64 = of.iter().map(|x| (x - mean).powi(2)).sum();
            (squares / 9.0 * 1.1).sqrt()
        };
        let close = |a: f64, b: f64| assert!((a - b).abs() < 1e-4 * b.abs().max(1e-3), "{a} {b}");
        close(normal.of_mean, deviation(&means));
        close(normal.deviation, 1.001);
        close(normal.of_spread, normal.spread * deviation(&logs) / 1.5);
        assert_eq!((normal.looks, normal.constant_run), (10, Some(1)));
        let without = Limits {
            location: None,
            ..limits
        };
        assert_eq!(Normal::of_limits(&without, made), None);
    }
}
