//! Tail probabilities of `statrs`, without its panics: what is not a number is not unlikely.
//!
//! Never an approximation of our own.

use statrs::distribution::{ChiSquared, ContinuousCDF as _, Normal, StudentsT};

/// Degrees of freedom from which Student's distribution is the normal one to six digits.
const NORMAL_FROM_DF: f64 = 1e8;

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
pub(super) fn student_two_sided(t: f64, df: f64) -> f64 {
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
