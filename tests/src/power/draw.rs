//! Numbers of chance with a distribution, from the seeded generator. Never for secrets.

use crate::random::Random;

/// Uniform, strictly between 0 and 1.
pub(super) fn uniform(random: &mut Random) -> f64 {
    ((random.draw() >> 11) as f64 + 0.5) / (1_u64 << 53) as f64
}

/// A share with mean `mean` and the correlation of two trials `correlation`: beta distributed.
pub(super) fn beta(random: &mut Random, mean: f64, correlation: f64) -> f64 {
    if correlation <= 0.0 || mean <= 0.0 || mean >= 1.0 {
        return mean;
    }
    let size = 1.0 / correlation - 1.0;
    let (hits, rest) = (
        gamma(random, mean * size),
        gamma(random, (1.0 - mean) * size),
    );
    hits / (hits + rest)
}

/// Shares with these means that sum to one, each correlated like [`beta`]: Dirichlet distributed.
pub(super) fn dirichlet<const N: usize>(
    random: &mut Random,
    means: [f64; N],
    correlation: f64,
) -> [f64; N] {
    if correlation <= 0.0 {
        return means;
    }
    let parts = means.map(|mean| gamma(random, mean * (1.0 / correlation - 1.0)));
    let sum: f64 = parts.iter().sum();
    parts.map(|part| part / sum)
}

/// Hits of `trials`, each with probability `p`: by inversion, fast for few hits.
pub(super) fn binomial(random: &mut Random, trials: u64, p: f64) -> u64 {
    if p > 0.5 {
        return trials - binomial(random, trials, 1.0 - p);
    }
    // Larger ones in parts, for (1 − p)^n must not vanish.
    if trials > 500 {
        return binomial(random, 500, p) + binomial(random, trials - 500, p);
    }
    let (odds, mut left) = (p / (1.0 - p), uniform(random));
    let mut mass = (trials as f64 * (-p).ln_1p()).exp();
    let mut hits = 0;
    while left > mass && hits < trials {
        left -= mass;
        mass *= odds * (trials - hits) as f64 / (hits + 1) as f64;
        hits += 1;
    }
    hits
}

/// Gamma with this shape and scale 1 (Marsaglia and Tsang 2000).
fn gamma(random: &mut Random, shape: f64) -> f64 {
    if shape < 1.0 {
        let power = uniform(random).powf(1.0 / shape);
        return gamma(random, shape + 1.0) * power;
    }
    let third = shape - 1.0 / 3.0;
    let scale = 1.0 / (9.0 * third).sqrt();
    loop {
        let normal = normal(random);
        let cube = (1.0 + scale * normal).powi(3);
        if cube > 0.0 {
            let bound = 0.5 * normal * normal + third - third * cube + third * cube.ln();
            if uniform(random).ln() < bound {
                return third * cube;
            }
        }
    }
}

/// Standard normal (Box and Muller 1958).
fn normal(random: &mut Random) -> f64 {
    let radius = (-2.0 * uniform(random).ln()).sqrt();
    radius * (std::f64::consts::TAU * uniform(random)).cos()
}
