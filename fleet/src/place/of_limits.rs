//! What is normal for a feature, as its reference says: for devices whose own normal is not known.
//!
//! Undoes what made critical values of blocks: Student's quantile times what a block varies by.
//! Never reads data.

use muster_protocol::stats::Limits;

use super::normal::{Basis, Normal};
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
    /// That of the reference. None where its blocks had no mean or no spread, never varied, or were
    /// too few.
    ///
    /// Values of a block lie about its mean, and means about theirs: what is far for a block alone is
    /// not for the feature. Of blocks of which some are constant the spread says nothing.
    #[must_use]
    pub fn of_limits(limits: &Limits, made: Made) -> Option<Self> {
        let (location, spread) = limits.location.zip(limits.spread)?;
        let degrees = f64::from(made.blocks.checked_sub(1).filter(|degrees| *degrees > 0)?);
        let quantile = student_quantile(made.false_alarm, degrees);
        let (low, high) = (f64::from(spread.low), f64::from(spread.high));
        if !(quantile.is_finite() && quantile > 0.0 && high > 0.0) {
            return None;
        }
        let of_mean = f64::from(location.distance) / quantile;
        let squares = Squares {
            // Limits of the spread are on a logarithmic scale.
            within: low * high,
            of_log: (high / low).ln() / (2.0 * quantile),
            between: of_mean.powi(2),
        };
        let mean = f64::from(location.mean);
        Some(Self {
            mean,
            // All is in standard deviations of the reference.
            deviation: 1.0,
            of_mean,
            centre: mean,
            spread: squares.cube_root(),
            of_spread: squares.of_cube_root(),
            looks: made.blocks,
            absent: f64::from(limits.absent),
            constant_run: (limits.longest_run < limits.block_rows).then_some(1),
            apart: None,
            basis: Basis::Values,
        })
    }
}

/// The mean square distance of a block's values from where all lie: that from its own mean, and that of
/// its mean.
#[derive(Debug, Clone, Copy)]
struct Squares {
    /// The usual variance in a block; zero where some are constant.
    within: f64,
    /// Standard deviation of the logarithm of a block's standard deviation; infinite there.
    of_log: f64,
    /// Variance of the means of blocks.
    between: f64,
}

impl Squares {
    fn sum(self) -> f64 {
        self.within + self.between
    }

    /// Cube root, on average: that of a χ² of one degree of freedom is lower by two ninths
    /// (Wilson and Hilferty 1931), and the part within a block varies on both sides.
    fn cube_root(self) -> f64 {
        let part = self.between / self.sum().max(f64::MIN_POSITIVE);
        self.sum().cbrt() * (1.0 - part.powi(2) * 2.0 / 9.0)
    }

    /// Standard deviation of the cube root, to first order: a third of the relative one.
    fn of_cube_root(self) -> f64 {
        if self.within <= 0.0 {
            return f64::INFINITY;
        }
        let of_within = 2.0 * self.within * self.of_log;
        let of_between = std::f64::consts::SQRT_2 * self.between;
        self.sum().cbrt() * of_within.hypot(of_between) / self.sum() / 3.0
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
        close(normal.deviation, 1.0);
        assert_eq!((normal.looks, normal.constant_run), (10, Some(1)));
        // Of blocks whose means hardly vary the spread is that within them.
        let still = Limits {
            location: Some(Location {
                mean: 0.0,
                distance: 1e-9,
            }),
            ..limits
        };
        let still = Normal::of_limits(&still, made).expect("it has both");
        close(still.spread, 1.001_f64.powf(2.0 / 3.0));
        close(still.of_spread, still.spread * deviation(&logs) / 1.5);
        let spread = |low, high| {
            let spread = Some(Spread { low, high });
            Normal::of_limits(&Limits { spread, ..limits }, made)
        };
        let some_constant = spread(0.0, 3.0).expect("it varies");
        close(some_constant.of_mean, normal.of_mean);
        assert_eq!(some_constant.of_spread, f64::INFINITY);
        assert_eq!(spread(0.0, 0.0), None, "it never varied");
        let without = Limits {
            location: None,
            ..limits
        };
        assert_eq!(Normal::of_limits(&without, made), None);
    }

    /// Slow sensors: a block varies by a tenth of what its mean does.
    #[test]
    fn what_a_block_of_a_slow_sensor_lies_off_is_usual() {
        let (p, blocks) = (1e-8, 100);
        let quantile = student_quantile(p, 99.0);
        let limits = Limits {
            block_rows: 60,
            location: Some(Location {
                mean: 0.0,
                distance: quantile as f32,
            }),
            spread: Some(Spread {
                low: (0.1 * (-0.8 * quantile).exp()) as f32,
                high: (0.1 * (0.8 * quantile).exp()) as f32,
            }),
            absent: 0.0,
            out_of_range: 1.0,
            repeats: 1.0,
            longest_run: 100,
        };
        let made = Made {
            blocks,
            false_alarm: p,
        };
        let normal = Normal::of_limits(&limits, made).expect("it has both");
        for off in [0.0_f64, 0.8, 2.0] {
            let spread = (off.powi(2) + 0.01).cbrt();
            let errors = (spread - normal.spread) / normal.of_spread;
            assert!(errors.abs() < 2.5, "{off}: {errors}");
        }
    }
}
