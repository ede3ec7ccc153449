//! What is looked at in a window: four numbers that move when the distribution of a feature does.
//!
//! Each is an average over the window's values, so that windows average into longer ones. Never
//! compares.

use muster_protocol::limits::BINS_MAX;
use muster_protocol::stats::FeatureSum;

use super::season::Usual;
use crate::statistics::Moments;

/// Steps of the integer moments to one standard deviation of the reference.
pub(crate) const STEPS_PER_SIGMA: f64 = 256.0;
/// The smallest standard deviation that is believed of a device's own values, in those of the
/// reference. Smaller shifts than a fraction of it matter to nobody.
pub(crate) const DEVIATION_MIN: f64 = 1.0 / 16.0;
/// The shift of the mean that charts are made for, in the device's own standard deviations.
pub const LOCATION_SHIFT: f64 = 0.2;
/// The ratio of variances that charts are made for.
pub const SPREAD_RATIO: f64 = 1.35;
/// The shift of a shape's mean that charts are made for; over the reference it has variance 1.
pub const SHAPE_SHIFT: f64 = 0.2;

/// A number of a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Signal {
    /// The mean.
    Location,
    /// The cube root of the mean square distance from where the mean was: nearly normal even over
    /// few values (Wilson and Hilferty 1931).
    Spread,
    /// Whether values lean to one side: the mean of Legendre's third polynomial of the share of
    /// the reference below (Neyman's smooth test, 1937).
    Skew,
    /// Whether values leave the middle for the flanks: the fourth polynomial.
    Flanks,
}

/// The numbers of a window, in the order of [`Signal::ALL`].
pub(super) type Values = [f64; Signal::ALL.len()];

impl Signal {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Location, Self::Spread, Self::Skew, Self::Flanks];

    /// What part of the budget of a feature it gets.
    pub(super) const fn part(self) -> f64 {
        match self {
            Self::Location => 0.4,
            Self::Spread => 0.16,
            Self::Skew | Self::Flanks => 0.08,
        }
    }

    /// The shift that is looked for, when the signal was `mean` and the feature's values have the
    /// standard deviation `deviation`, both in those of the reference.
    pub(crate) fn shift(self, mean: f64, deviation: f64) -> f64 {
        match self {
            Self::Location => LOCATION_SHIFT * deviation.max(DEVIATION_MIN),
            Self::Spread => mean.max(DEVIATION_MIN.powi(2).cbrt()) * (SPREAD_RATIO.cbrt() - 1.0),
            Self::Skew | Self::Flanks => SHAPE_SHIFT,
        }
    }

    /// The standard deviation that a look of `n` values is taken to have at least: that of independent
    /// ones, since what seems to vary less does so by chance, or swings back within the look; and for
    /// all but the mean half of the `shift` that is looked for. So an alarm takes ten looks or more of
    /// such a shift, and how the tails of a single look are shaped hardly matters.
    pub(crate) fn deviation_min(self, mean: f64, deviation: f64, shift: f64, n: f64) -> f64 {
        let root = n.max(1.0).sqrt();
        match self {
            Self::Location => deviation.max(DEVIATION_MIN) / root,
            Self::Spread => f64::max(mean * (2.0_f64 / 9.0).sqrt() / root, 0.5 * shift),
            Self::Skew | Self::Flanks => 0.5 * shift,
        }
    }
}

/// Scores of the bins, from the reference.
#[derive(Debug, Clone, PartialEq)]
pub struct Shape {
    skew: [f64; BINS_MAX],
    flanks: [f64; BINS_MAX],
}

impl Shape {
    /// Scores of the bins of a reference: polynomials of the share below the middle of each bin.
    /// A reference without counts has none: all are zero.
    #[must_use]
    pub fn of(reference_bins: &[u64]) -> Self {
        let total: f64 = reference_bins.iter().map(|count| *count as f64).sum();
        let mut shape = Self {
            skew: [0.0; BINS_MAX],
            flanks: [0.0; BINS_MAX],
        };
        let mut below = 0.0;
        let scores = shape.skew.iter_mut().zip(&mut shape.flanks);
        for (count, (skew, flanks)) in reference_bins.iter().zip(scores) {
            let share = *count as f64 / total.max(1.0);
            let x = 2.0 * (below + 0.5 * share) - 1.0;
            below += share;
            *skew = 7_f64.sqrt() * 0.5 * (5.0 * x.powi(3) - 3.0 * x);
            *flanks = 3.0 * 0.125 * (35.0 * x.powi(4) - 30.0 * x.powi(2) + 3.0);
        }
        if total <= 0.0 {
            shape.skew = [0.0; BINS_MAX];
            shape.flanks = [0.0; BINS_MAX];
        }
        shape
    }
}

/// One window of a feature, as charts look at it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Seen {
    /// Sums over its values.
    pub(super) moments: Moments,
    /// The spread, in the usual one of its time, where that is known.
    spread: Option<f64>,
    /// Means of the scores of the shape.
    pub(super) skew: f64,
    pub(super) flanks: f64,
    /// Values, whether or not they are looked at.
    pub(super) n: u64,
    /// Values that are missing, or not finite.
    pub(super) absent: u64,
    /// Values out of range.
    pub(super) out_of_range: u64,
    /// Two values at least, and all the same to 1/256 of the reference's standard deviation.
    pub(super) is_constant: bool,
}

impl Seen {
    /// Reads a window.
    pub(super) fn of(window: &FeatureSum, shape: &Shape) -> Self {
        let moments = Moments::of(window);
        let n = moments.n as f64;
        let score = |scores: &[f64; BINS_MAX]| {
            let each = window.bins.iter().zip(scores);
            each.map(|(count, score)| *count as f64 * score)
                .sum::<f64>()
                / n
        };
        Self {
            moments,
            spread: None,
            skew: score(&shape.skew),
            flanks: score(&shape.flanks),
            n: moments.n,
            absent: window.missing.saturating_add(window.non_finite),
            out_of_range: window.out_of_range,
            is_constant: moments.n > 1 && moments.squared_deviations() == Some(0.0),
        }
    }

    /// The same, less what is usual at its time: what is left has mean zero and spread one in every hour, and
    /// varies in none by more than in an ordinary one.
    pub(super) fn less(self, usual: &Usual) -> Self {
        let Some((mean, squares)) = self.moments.mean().zip(self.moments.squared_deviations())
        else {
            return self;
        };
        let n = self.moments.n as f64;
        let spread = (squares / n / STEPS_PER_SIGMA.powi(2)).cbrt();
        let mean = (mean - STEPS_PER_SIGMA * usual.mean) * usual.scale;
        let usually_outside = (usual.outside * n).round() as u64;
        Self {
            moments: Moments {
                n: self.moments.n,
                sum: (n * mean).round() as i64,
                sum_of_squares: (usual.scale.powi(2) * squares + n * mean * mean).ceil() as u64,
            },
            spread: Some(usual.spread_ratio(spread)),
            skew: (self.skew - usual.skew) * usual.scale,
            flanks: (self.flanks - usual.flanks) * usual.scale,
            out_of_range: self.out_of_range.saturating_sub(usually_outside),
            ..self
        }
    }

    /// The same, of whose values nothing can be said.
    pub(super) fn without_values(self) -> Self {
        Self {
            moments: Moments::default(),
            ..self
        }
    }

    /// The numbers of the window; `centre` is where the mean was, in standard deviations of the
    /// reference. None without values.
    pub(super) fn values(&self, centre: f64) -> Option<Values> {
        let location = self.moments.mean()? / STEPS_PER_SIGMA;
        Some([
            location,
            match self.spread {
                Some(spread) => spread,
                None => spread_of(&self.moments, centre)?,
            },
            self.skew,
            self.flanks,
        ])
    }
}

/// [`Signal::Spread`] of these values.
pub(crate) fn spread_of(moments: &Moments, centre: f64) -> Option<f64> {
    let location = moments.mean()? / STEPS_PER_SIGMA;
    let variance = moments.squared_deviations()? / moments.n as f64 / STEPS_PER_SIGMA.powi(2);
    Some((variance + (location - centre).powi(2)).cbrt())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(window: &FeatureSum, shape: &Shape) -> Option<Values> {
        Seen::of(window, shape).values(0.0)
    }

    fn window(bins: &[u64], sum: i64, sum_of_squares: u64) -> FeatureSum {
        FeatureSum {
            bins: bins.iter().copied().collect(),
            sum,
            sum_of_squares,
            ..FeatureSum::default()
        }
    }

    /// Values of the reference itself: every signal is what it is made to be.
    #[test]
    fn the_reference_has_no_shape() {
        let bins = [10; 16];
        let shape = Shape::of(&bins);
        // 160 values, half one σ above and half below.
        let found = values(&window(&bins, 0, 160 * 256 * 256), &shape).expect("values");
        for (found, expect) in found.iter().zip([0.0, 1.0, 0.0, 0.0]) {
            assert!((found - expect).abs() < 0.03, "{found}");
        }
    }

    #[test]
    fn each_signal_sees_its_own() {
        let shape = Shape::of(&[10; 16]);
        let mut leaning = [10; 16];
        leaning[14..].fill(60);
        let mut flanks = [4; 16];
        (flanks[0], flanks[15]) = (40, 40);
        let of = |bins: &[u64], sum| {
            let n: u64 = bins.iter().sum();
            values(&window(bins, sum, n * 256 * 256), &shape).expect("values")
        };
        assert!(of(&[10; 16], 160 * 128)[0] > 0.49);
        assert!(of(&leaning, 0)[2].abs() > 0.2);
        assert!(of(&flanks, 0)[3] > 0.5);
        assert_eq!(values(&window(&[0; 16], 0, 0), &shape), None);
    }

    /// 100 values at mean 3 and standard deviation 2, in an hour that usually has mean 2.5 and counts
    /// half.
    #[test]
    fn what_is_usual_is_taken_out() {
        let usual = Usual {
            mean: 2.5,
            scale: 0.5,
            spread: 3.0_f64.cbrt(),
            skew: 0.25,
            flanks: 0.5,
            outside: 0.02,
        };
        let mut window = window(&[50, 50], 100 * 3 * 256, 100 * (9 + 4) * 65_536);
        window.out_of_range = 5;
        let seen = Seen::of(&window, &Shape::of(&[1, 1]));
        let left = seen.less(&usual);
        let [mean, spread, skew, flanks] = left.values(0.0).expect("values");
        assert!((mean - 0.25).abs() < 1e-9, "{mean}");
        assert!((spread - usual.spread_ratio(4.0_f64.cbrt())).abs() < 1e-9);
        assert!((1.0..1.15).contains(&spread), "{spread}");
        assert!((left.moments.variance().expect("some") / 65_536.0 - 1.0).abs() < 0.02);
        assert_eq!(skew, 0.5 * (seen.skew - 0.25));
        assert_eq!(flanks, 0.5 * (seen.flanks - 0.5));
        assert_eq!((left.n, left.out_of_range), (100, 3));
        assert_eq!(left.without_values().values(0.0), None);
    }
}
