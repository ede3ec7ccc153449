//! Rates: how often something happened of how many times it could have.
//!
//! Exact where counts allow it, and said where not. Trials are taken for independent.

use statrs::distribution::{Binomial, Discrete as _, Hypergeometric};

use super::{Confidence, Interval, Test, interval, tail};

/// Trials up to which probabilities are summed term by term.
const EXACT_MAX: u64 = 1_000_000_000;
/// Halvings that bring a bound to the last digit.
const HALVINGS: u32 = 60;
/// Terms that are smaller than this part of the sum are left out.
const NEGLIGIBLE: f64 = 1e-17;
/// Probabilities that differ by less than this part are equal, as in R and scipy.
const EQUAL: f64 = 1e-7;

/// Hits of trials.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    hits: u64,
    trials: u64,
}

impl Rate {
    /// None when there are more hits than trials.
    #[must_use]
    pub fn new(hits: u64, trials: u64) -> Option<Self> {
        (hits <= trials).then_some(Self { hits, trials })
    }

    /// Hits.
    #[must_use]
    pub const fn hits(self) -> u64 {
        self.hits
    }

    /// Trials.
    #[must_use]
    pub const fn trials(self) -> u64 {
        self.trials
    }

    /// The share of hits; none without trials.
    #[must_use]
    pub fn share(self) -> Option<f64> {
        (self.trials > 0).then(|| self.hits as f64 / self.trials as f64)
    }

    /// Wilson's interval.
    #[must_use]
    pub fn wilson(self, confidence: Confidence) -> Interval {
        let mean = self.share().unwrap_or(0.0);
        interval::wilson(mean, self.trials as f64, confidence.z())
    }

    /// The interval of Clopper and Pearson (1934), which never holds the share less often than it
    /// says.
    #[must_use]
    pub fn clopper_pearson(self, confidence: Confidence) -> Interval {
        let outside = confidence.half_outside();
        let Some(share) = self.share() else {
            return Interval::WHOLE;
        };
        let above = |share: f64| self.upper_tail(share) < outside;
        // What is at most `hits`, of which the complement counts misses.
        let misses = Self {
            hits: self.trials - self.hits,
            trials: self.trials,
        };
        let below = |share: f64| misses.upper_tail(1.0 - share) >= outside;
        let low = if self.hits == 0 { 0.0 } else { halved(above) };
        let high = if misses.hits == 0 { 1.0 } else { halved(below) };
        // The share lies between; of one below what halving tells apart only that is known.
        Interval {
            low: low.min(share),
            high: high.max(share),
        }
    }

    /// How often there are as many hits, or more, if the share is `share`. Exact up to 10⁹ trials;
    /// normal with a continuity correction above.
    #[must_use]
    pub fn upper_tail(self, share: f64) -> f64 {
        if self.hits == 0 || share.is_nan() {
            return 1.0;
        }
        if share <= 0.0 {
            return 0.0;
        }
        if share >= 1.0 {
            return 1.0;
        }
        let n = self.trials as f64;
        let (mean, variance) = (n * share, n * share * (1.0 - share));
        if self.trials > EXACT_MAX {
            return tail::normal_upper((self.hits as f64 - 0.5 - mean) / variance.sqrt());
        }
        let odds = share / (1.0 - share);
        let up = |k: u64| odds * (self.trials - k) as f64 / (k + 1) as f64;
        let down = |k: u64| k as f64 / (odds * (self.trials - k + 1) as f64);
        let at = |k| Binomial::new(share, self.trials).map_or(0.0, |binomial| binomial.pmf(k));
        if self.hits as f64 > mean {
            outwards(at(self.hits), self.hits..self.trials, up).min(1.0)
        } else {
            let k = self.hits - 1;
            let below = outwards(at(k), (1..=k).rev(), down);
            (1.0 - below).clamp(0.0, 1.0)
        }
    }
}

/// z of the share of `a` less that of `b`, with their common share in the variance, two-sided. None
/// without trials, or when nothing varies.
#[must_use]
pub fn two_proportions(a: Rate, b: Rate) -> Option<Test> {
    let (p, q) = (a.share()?, b.share()?);
    let (m, n) = (a.trials as f64, b.trials as f64);
    let common = (a.hits as f64 + b.hits as f64) / (m + n);
    let variance = common * (1.0 - common) * (1.0 / m + 1.0 / n);
    if variance.is_nan() || variance <= 0.0 {
        return None;
    }
    let statistic = (p - q) / variance.sqrt();
    Some(Test {
        statistic,
        df: f64::INFINITY,
        p: tail::normal_two_sided(statistic),
    })
}

/// Fisher's exact test (1935), two-sided: all tables that are no likelier than this one. None
/// above 10⁹ trials in both.
#[must_use]
pub fn fisher_exact(a: Rate, b: Rate) -> Option<f64> {
    let population = a.trials.checked_add(b.trials)?;
    let successes = a.hits.checked_add(b.hits)?;
    if population > EXACT_MAX {
        return None;
    }
    let (low, high) = (successes.saturating_sub(b.trials), successes.min(a.trials));
    let table = Hypergeometric::new(population, successes, a.trials).ok()?;
    // Logarithms: the counts of ways leave double precision long before their ratio does.
    let at = |k| table.ln_pmf(k).exp();
    let up = |k: u64| {
        let misses = (b.trials + k + 1 - successes) as f64;
        (successes - k) as f64 / (k + 1) as f64 * ((a.trials - k) as f64 / misses)
    };
    let down = |k: u64| 1.0 / up(k - 1);
    let (mine, likely) = (at(a.hits), at(a.hits) * (1.0 + EQUAL));
    let mode = (mode(population, successes, a.trials)).clamp(low, high);
    let p = if a.hits >= mode {
        let here = outwards(mine, a.hits..high, up);
        let other = first_above(low, mode, |k| at(k) > likely);
        here + if other > low && other <= a.hits {
            outwards(at(other - 1), (low + 1..other).rev(), down)
        } else {
            0.0
        }
    } else {
        let here = outwards(mine, (low + 1..=a.hits).rev(), down);
        let other = first_above(mode, high + 1, |k| at(k) <= likely);
        here + if other <= high {
            outwards(at(other), other..high, up)
        } else {
            0.0
        }
    };
    Some(p.clamp(0.0, 1.0))
}

fn mode(population: u64, successes: u64, draws: u64) -> u64 {
    let product = (u128::from(draws) + 1) * (u128::from(successes) + 1);
    (product / (u128::from(population) + 2)) as u64
}

/// The first of `low..high` for which `holds`, which holds for all after it; `high` if none.
fn first_above(low: u64, high: u64, holds: impl Fn(u64) -> bool) -> u64 {
    let (mut low, mut high) = (low, high);
    while low < high {
        let middle = low + (high - low) / 2;
        if holds(middle) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    low
}

/// Sums a tail: `first`, and each following term from the one before, until they vanish.
fn outwards(first: f64, steps: impl Iterator<Item = u64>, ratio: impl Fn(u64) -> f64) -> f64 {
    let (mut term, mut sum) = (first, first);
    for k in steps {
        term *= ratio(k);
        sum += term;
        if term <= NEGLIGIBLE * sum {
            break;
        }
    }
    sum
}

/// The largest share for which `holds`, which does not hold for any above it.
fn halved(holds: impl Fn(f64) -> bool) -> f64 {
    let (mut low, mut high) = (0.0, 1.0);
    for _ in 0..HALVINGS {
        let middle = 0.5 * (low + high);
        if holds(middle) {
            low = middle;
        } else {
            high = middle;
        }
    }
    0.5 * (low + high)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rate(hits: u64, trials: u64) -> Rate {
        Rate::new(hits, trials).expect("a rate")
    }

    #[test]
    fn tails_by_hand() {
        for (hits, trials, share, expect) in [
            (2, 2, 0.5, 0.25),
            (1, 2, 0.5, 0.75),
            (0, 2, 0.5, 1.0),
            (2, 3, 0.9, 0.972),
            (1, 5, 0.0, 0.0),
            (1, 5, 1.0, 1.0),
        ] {
            let found = rate(hits, trials).upper_tail(share);
            assert!((found - expect).abs() < 1e-12, "{hits} {trials}: {found}");
        }
    }

    #[test]
    fn tables_by_hand() {
        for (a, b, expect) in [
            // Fisher's lady: 16 of 70 for one side, and the same for the other.
            (rate(3, 4), rate(1, 4), 34.0 / 70.0),
            (rate(1, 4), rate(3, 4), 34.0 / 70.0),
            (rate(4, 4), rate(0, 4), 2.0 / 70.0),
            (rate(2, 4), rate(2, 4), 1.0),
            (rate(0, 0), rate(2, 4), 1.0),
            (rate(0, 9), rate(0, 3), 1.0),
        ] {
            let found = fisher_exact(a, b).expect("small");
            assert!((found - expect).abs() < 1e-9, "{a:?} {b:?}: {found}");
        }
        assert_eq!(fisher_exact(rate(0, u64::MAX), rate(0, 1)), None);
    }

    #[test]
    fn the_sum_goes_over_into_the_normal_one() {
        let at = |trials: u64| rate(trials / 100 + 3 * 3146, trials).upper_tail(0.01);
        let (exact, normal) = (at(EXACT_MAX), at(EXACT_MAX + 1));
        assert!((exact / normal - 1.0).abs() < 5e-3, "{exact} {normal}");
    }

    #[test]
    fn bounds_at_the_ends_are_the_ends() {
        let none = rate(0, 10).clopper_pearson(Confidence::P95);
        assert_eq!(none.low, 0.0);
        assert!((none.high - (1.0 - 0.025_f64.powf(0.1))).abs() < 1e-9);
        let all = rate(10, 10).clopper_pearson(Confidence::P95);
        assert_eq!(all.high, 1.0);
        assert!((all.low - 0.025_f64.powf(0.1)).abs() < 1e-9);
        assert_eq!(rate(0, 0).clopper_pearson(Confidence::P95), Interval::WHOLE);
        assert_eq!(Rate::new(2, 1), None);
    }
}
