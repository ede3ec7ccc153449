//! How fast a drift of the mean can be found at best, by whoever knows everything but when it begins.
//!
//! Never simulated: formulas, with their sources.

/// The best delays, seconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bound {
    /// ln(ARL) / I (Lorden 1971), ARL in samples: what no detector beats by much for a large ARL.
    pub lorden_s: f64,
    /// The worst mean delay of the best detector of a drifting Brownian motion (Shiryaev 1996), which
    /// sums over long times are.
    pub optimum_s: f64,
}

/// For a shift by `shift` standard deviations of a first-order process, sampled once a second, one
/// false alarm in `run_length_s` seconds on average.
///
/// Information of a second is I = shift² (1 − ρ) / (1 + ρ) / 2, which is the divergence of Kullback and
/// Leibler. The best sum of log-likelihood ratios has mean run length (eᵇ − b − 1)/I and delay
/// (e⁻ᵇ + b − 1)/I.
#[must_use]
pub fn bound(correlation: f64, shift: f64, run_length_s: f64) -> Bound {
    let information = 0.5 * shift * shift * (1.0 - correlation) / (1.0 + correlation);
    let wanted = run_length_s * information;
    // b is a little above ln(wanted): a few steps of the fixed point.
    let mut b = wanted.max(2.0).ln();
    for _ in 0..50 {
        b = (wanted + b + 1.0).ln();
    }
    Bound {
        lorden_s: run_length_s.ln() / information,
        optimum_s: ((-b).exp() + b - 1.0) / information,
    }
}
