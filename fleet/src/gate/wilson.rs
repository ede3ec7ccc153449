//! Wilson's upper bound of a share, for one look at the end.
//!
//! Never used while looking: it keeps its error rate at one look only.

use crate::statistics;

/// One-sided 95 %: the normal quantile.
const Z: f64 = 1.644_853_626_951_472_2;

/// The bound above which a share lies with probability 5 % at most, when it was `mean` over `n`
/// independent trials, which need not be whole (Wilson 1927). 1 for no trials.
pub(super) fn upper(mean: f64, n: f64) -> f64 {
    statistics::wilson(mean, n, Z).high
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values worked out apart, from the formula.
    #[test]
    fn bounds_are_those_of_the_formula() {
        for (hits, n, expect) in [
            (0.0, 10.0, 0.212_942),
            (2.0, 100.0, 0.058_648),
            (50.0, 1000.0, 0.062_600),
            (10.0, 10.0, 1.0),
            (0.0, 0.0, 1.0),
        ] {
            let got = upper(if n > 0.0 { hits / n } else { 0.0 }, n);
            assert!((got - expect).abs() < 1e-6, "{hits} of {n}: {got}");
        }
    }
}
