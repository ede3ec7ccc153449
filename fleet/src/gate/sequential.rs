//! Evidence that may be looked at as often as one likes: e-processes, as natural logarithms.
//!
//! A process that starts at 1 and whose mean stays at most 1 while the hypothesis holds ever reaches
//! 1/α with probability at most α (Ville 1939). Knows nothing of devices or gates.

use statrs::function::beta::{checked_beta_reg, ln_beta};

/// A difference that is zero, or below, if the hypothesis holds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Score {
    /// The observed difference.
    pub(super) excess: f64,
    /// Its variance.
    pub(super) variance: f64,
    /// Degrees of freedom of that variance.
    pub(super) df: f64,
}

/// Evidence against "the true difference is at most zero".
///
/// Robbins' normal mixture (1970) over positive effects of the size `effect` (the half-normal
/// distribution's scale), with the variance integrated out as in the Bayesian two-sample t-test
/// (Gönen, Johnson, Lu and Westfall 2005; as an e-value Pérez-Ortiz, Lardy, de Heide and Grünwald
/// 2024). In *information* 1/variance the difference is a Brownian motion, whether it grows by
/// inferences, devices or both, and stops growing where devices differ for good; so with a known
/// variance this is exactly an e-process, and asymptotically in devices with an estimated one
/// (Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas 2024). At one look of normal data its mean is 1.
pub(super) fn ln_evidence(score: Score, effect: f64) -> f64 {
    let Score {
        excess,
        variance,
        df,
    } = score;
    let known = [excess, variance, df, effect].iter().all(|x| x.is_finite());
    if !(known && variance > 0.0 && df > 0.0) {
        return 0.0;
    }
    let shrink = effect * effect / (effect * effect + variance);
    let square = excess * excess / variance;
    if !square.is_finite() {
        return if excess > 0.0 { f64::MAX } else { 0.0 };
    }
    // 1 − shrink, without cancelling.
    let kept = variance / (effect * effect + variance);
    let two_sided =
        0.5 * kept.ln() + 0.5 * (df + 1.0) * ((square / df).ln_1p() - (kept * square / df).ln_1p());
    let posterior = excess.signum() * (shrink * square * (df + 1.0) / (df + kept * square)).sqrt();
    two_sided + (2.0 * student_cdf(posterior, df + 1.0)).ln()
}

/// Evidence against "each device fails with probability at most `limit`", when `failed` of `of`
/// independent devices have: a uniform mixture of likelihood ratios over (limit, 1] (Robbins 1970).
/// Exactly an e-process, devices being the trials.
pub(super) fn ln_evidence_of_failures(failed: u64, of: u64, limit: f64) -> f64 {
    if failed == 0 {
        return 0.0;
    }
    if limit <= 0.0 {
        return f64::MAX;
    }
    let (hits, rest) = (failed as f64, of.saturating_sub(failed) as f64);
    let above = 1.0 - checked_beta_reg(hits + 1.0, rest + 1.0, limit).unwrap_or(1.0);
    if above <= 0.0 {
        return 0.0;
    }
    let null = hits * limit.ln() + rest * (-limit).ln_1p();
    above.ln() + ln_beta(hits + 1.0, rest + 1.0) - (-limit).ln_1p() - null
}

/// The mean of e-values given as logarithms: again an e-value, whatever their dependence (Vovk and
/// Wang 2021). Of none, 1.
pub(super) fn ln_mean(evidence: &[f64]) -> f64 {
    let Some(largest) = evidence.iter().copied().reduce(f64::max) else {
        return 0.0;
    };
    if !largest.is_finite() {
        return largest;
    }
    let sum: f64 = evidence.iter().map(|e| (e - largest).exp()).sum();
    largest + (sum / evidence.len() as f64).ln()
}

fn student_cdf(x: f64, df: f64) -> f64 {
    let tail = 0.5 * checked_beta_reg(0.5 * df, 0.5, df / (df + x * x)).unwrap_or(0.0);
    if x > 0.0 { 1.0 - tail } else { tail }
}

#[cfg(test)]
mod tests {
    use super::*;
    use statrs::distribution::{Binomial, Continuous as _, Discrete as _, StudentsT};

    /// The mean of the evidence over what is seen when there is no difference: 1 at each look.
    #[test]
    fn evidence_of_normal_data_has_mean_one() {
        for df in [3.0, 8.0, 40.0, 400.0] {
            let student = StudentsT::new(0.0, 1.0, df).expect("a distribution");
            for effect in [0.3, 1.0, 4.0] {
                // Substituted t = sinh u, for the heavy tails.
                let step = 0.002;
                let mean: f64 = (-6000..=6000)
                    .map(|i| f64::from(i) * step)
                    .map(|u| {
                        let (excess, variance) = (u.sinh(), 1.0);
                        let score = Score {
                            excess,
                            variance,
                            df,
                        };
                        ln_evidence(score, effect).exp() * student.pdf(excess) * u.cosh() * step
                    })
                    .sum();
                assert!(
                    (mean - 1.0).abs() < 2e-3,
                    "df {df}, effect {effect}: {mean}"
                );
            }
        }
    }

    #[test]
    fn evidence_of_failures_has_mean_one_at_the_limit_and_less_below() {
        for (of, limit) in [(5, 0.05), (20, 0.02), (100, 0.3)] {
            let mean_at = |p: f64| -> f64 {
                let binomial = Binomial::new(p, of).expect("a distribution");
                let evidence = |k| ln_evidence_mixture(k, of, limit).exp();
                (0..=of).map(|k| evidence(k) * binomial.pmf(k)).sum()
            };
            assert!((mean_at(limit) - 1.0).abs() < 1e-9, "{of}, {limit}");
            assert!(mean_at(0.5 * limit) < 1.0, "{of}, {limit}");
        }
    }

    /// Without the shortcut for no failure.
    fn ln_evidence_mixture(failed: u64, of: u64, limit: f64) -> f64 {
        if failed > 0 {
            return ln_evidence_of_failures(failed, of, limit);
        }
        // ∫ (1−p)^n over (limit, 1] divided by (1−limit)^(n+1).
        -(of as f64 + 1.0).ln()
    }

    #[test]
    fn evidence_agrees_with_known_values() {
        // excess, variance, df, effect; by hand from the formula with a normal distribution.
        for (excess, df, effect, expect) in [
            // ½ ln ½ + ½·9·½ + ln(2Φ(3/√2)).
            (3.0, 1e9, 1.0, -0.346_573_6 + 2.25 + 0.676_035_9),
            (0.0, 1e9, 1.0, -0.346_573_6),
            (0.0, 5.0, 1.0, -0.346_573_6),
        ] {
            let variance = 1.0;
            let got = ln_evidence(
                Score {
                    excess,
                    variance,
                    df,
                },
                effect,
            );
            assert!((got - expect).abs() < 1e-3, "{excess}, {df}: {got}");
        }
    }

    #[test]
    fn nothing_known_is_no_evidence() {
        for (excess, variance, df) in [
            (0.0, 0.0, 5.0),
            (1.0, 0.0, 5.0),
            (f64::NAN, 1.0, 5.0),
            (1.0, 1.0, 0.0),
            (1.0, f64::INFINITY, 3.0),
        ] {
            let score = Score {
                excess,
                variance,
                df,
            };
            assert_eq!(ln_evidence(score, 1.0), 0.0, "{score:?}");
        }
        assert_eq!(ln_mean(&[]), 0.0);
        assert_eq!(ln_evidence_of_failures(0, 0, 0.1), 0.0);
        assert_eq!(ln_evidence_of_failures(1, 100, 0.0), f64::MAX);
    }
}
