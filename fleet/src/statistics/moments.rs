//! Means and variances from integer sums: exact to merge, and without cancelling.
//!
//! What devices count (`muster_protocol::stats`) are such sums. Never a float before the last step.

use muster_protocol::stats::FeatureSum;

use super::{Test, tail};

/// n, Σq and Σq² of integer values q.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
pub struct Moments {
    /// Values.
    pub n: u64,
    /// Their sum.
    pub sum: i64,
    /// The sum of their squares.
    pub sum_of_squares: u64,
}

impl Moments {
    /// Those of a feature: q in steps of 1/256 of the reference's standard deviation.
    #[must_use]
    pub fn of(counts: &FeatureSum) -> Self {
        Self {
            n: counts.n(),
            sum: counts.sum,
            sum_of_squares: counts.sum_of_squares,
        }
    }

    /// Both together, exactly; none when a sum has no room.
    #[must_use]
    pub fn merged(&self, other: &Self) -> Option<Self> {
        Some(Self {
            n: self.n.checked_add(other.n)?,
            sum: self.sum.checked_add(other.sum)?,
            sum_of_squares: self.sum_of_squares.checked_add(other.sum_of_squares)?,
        })
    }

    /// The mean; none without values.
    #[must_use]
    pub fn mean(&self) -> Option<f64> {
        (self.n > 0).then(|| self.sum as f64 / self.n as f64)
    }

    /// Σ(q − mean)²; none without values. Sums that no values have count as zero.
    #[must_use]
    pub fn squared_deviations(&self) -> Option<f64> {
        (self.n > 0).then(|| self.scaled() as f64 / self.n as f64)
    }

    /// The variance, with n − 1; none of fewer than two values.
    #[must_use]
    pub fn variance(&self) -> Option<f64> {
        let others = self.n.checked_sub(1).filter(|others| *others > 0)?;
        Some(self.squared_deviations()? / others as f64)
    }

    /// n Σq² − (Σq)². Neither product can leave 128 bits.
    fn scaled(&self) -> u128 {
        let square = u128::from(self.sum.unsigned_abs()).pow(2);
        (u128::from(self.n) * u128::from(self.sum_of_squares)).saturating_sub(square)
    }
}

/// Whether two means differ though variances do (Welch 1947): t of the mean of `a` less that of
/// `b`, two-sided. None when either has fewer than two values, or none varies.
#[must_use]
pub fn welch(a: &Moments, b: &Moments) -> Option<Test> {
    let error = |of: &Moments| Some(of.variance()? / of.n as f64);
    let (of_a, of_b) = (error(a)?, error(b)?);
    let sum = of_a + of_b;
    if sum <= 0.0 {
        return None;
    }
    let statistic = (a.mean()? - b.mean()?) / sum.sqrt();
    let part = |error: f64, n: u64| (error / sum).powi(2) / (n - 1) as f64;
    let df = 1.0 / (part(of_a, a.n) + part(of_b, b.n));
    Some(Test {
        statistic,
        df,
        p: tail::student_two_sided(statistic, df),
    })
}

/// Whether two variances differ: the logarithm of their ratio over its error, two-sided
/// (Bartlett and Kendall 1946). For normal values; heavier tails make p too small. None when
/// either does not vary.
#[must_use]
pub fn log_variance(a: &Moments, b: &Moments) -> Option<Test> {
    let varies = |of: &Moments| of.variance().filter(|variance| *variance > 0.0);
    let ratio = varies(a)?.ln() - varies(b)?.ln();
    let error = |of: &Moments| 2.0 / (of.n - 1) as f64;
    let statistic = ratio / (error(a) + error(b)).sqrt();
    Some(Test {
        statistic,
        df: f64::INFINITY,
        p: tail::normal_two_sided(statistic),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(values: &[i16]) -> Moments {
        values.iter().fold(Moments::default(), |sum, &q| {
            let q = i64::from(q);
            let one = Moments {
                n: 1,
                sum: q,
                sum_of_squares: q.unsigned_abs().pow(2),
            };
            sum.merged(&one).expect("room")
        })
    }

    #[test]
    fn nothing_cancels_far_from_zero() {
        let far = of(&[32_000, 32_001, 32_002, 32_003]);
        assert_eq!(far.variance(), Some(5.0 / 3.0));
        // A device that has counted for a thousand years.
        let long = Moments {
            n: 1 << 34,
            sum: 32_000 << 34,
            sum_of_squares: (32_000 * 32_000) << 34,
        };
        assert_eq!(long.variance(), Some(0.0));
    }

    #[test]
    fn what_does_not_vary_has_no_test() {
        let (none, one, still, moving) = (of(&[]), of(&[5]), of(&[5, 5]), of(&[4, 6, 5]));
        for (a, b) in [(none, moving), (one, moving), (still, still)] {
            assert_eq!(welch(&a, &b), None, "{a:?} {b:?}");
        }
        assert_eq!(log_variance(&still, &moving), None);
        assert!(welch(&still, &moving).is_some());
    }

    #[test]
    fn a_full_sum_is_said() {
        let full = Moments {
            n: u64::MAX,
            sum: i64::MIN,
            sum_of_squares: u64::MAX,
        };
        assert_eq!(full.merged(&full), None);
        assert!(full.variance().is_some_and(f64::is_finite));
    }

    proptest! {
        #[test]
        fn parts_merge_to_the_whole(values in proptest::collection::vec(any::<i16>(), 0..50), cut in 0usize..50) {
            let (a, b) = values.split_at(cut.min(values.len()));
            prop_assert_eq!(of(a).merged(&of(b)), Some(of(&values)));
            prop_assert_eq!(of(b).merged(&of(a)), Some(of(&values)));
        }
    }
}
