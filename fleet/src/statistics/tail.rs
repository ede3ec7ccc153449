//! Tail probabilities of `statrs`, without its panics: what is not a number is not unlikely.
//!
//! Never an approximation of our own.

use statrs::distribution::{ChiSquared, ContinuousCDF as _, Normal, StudentsT};

/// Degrees of freedom from which Student's distribution is the normal one to six digits.
const NORMAL_FROM_DF: f64 = 1e8;

/// Halvings of an interval: to the last bit.
const BISECTIONS: u32 = 64;

/// P(χ² ≥ `x`); 1 without degrees of freedom.
pub(super) fn chi_squared(x: f64, df: f64) -> f64 {
    if x.is_nan() || x <= 0.0 {
        return 1.0;
    }
    ChiSquared::new(df).map_or(1.0, |chi| chi.sf(x))
}

/// P(|Z| ≥ |`z`|) of the standard normal distribution.
pub(super) fn normal_two_sided(z: f64) -> f64 {
    if z.is_nan() {
        return 1.0;
    }
    (2.0 * Normal::standard().sf(z.abs())).min(1.0)
}

/// P(Z ≥ `z`).
pub(super) fn normal_upper(z: f64) -> f64 {
    if z.is_nan() {
        return 1.0;
    }
    Normal::standard().sf(z)
}

/// The `z` that is exceeded with probability `p`, which lies strictly between 0 and 1.
pub(super) fn normal_quantile(p: f64) -> f64 {
    -Normal::standard().inverse_cdf(p.clamp(f64::MIN_POSITIVE, 1.0 - f64::EPSILON))
}

/// P(|T| ≥ |`t`|) of Student's distribution.
pub(crate) fn student_two_sided(t: f64, df: f64) -> f64 {
    if t.is_nan() || df.is_nan() || df <= 0.0 {
        return 1.0;
    }
    let df = if df > NORMAL_FROM_DF {
        f64::INFINITY
    } else {
        df
    };
    StudentsT::new(0.0, 1.0, df).map_or(1.0, |student| (2.0 * student.sf(t.abs())).min(1.0))
}

/// The `t` that Student's distribution exceeds with probability `p`, from above 0 to a half. By
/// bisection of the tail itself: the quantile of `statrs` has few digits far out.
pub(crate) fn student_quantile(p: f64, df: f64) -> f64 {
    let tail = |t: f64| student_two_sided(t, df) / 2.0;
    let (mut low, mut high) = (0.0, 1.0);
    while tail(high) > p && high < f64::MAX / 4.0 {
        (low, high) = (high, 2.0 * high);
    }
    for _ in 0..BISECTIONS {
        let middle = 0.5 * (low + high);
        match tail(middle) > p {
            true => low = middle,
            false => high = middle,
        }
    }
    high
}
