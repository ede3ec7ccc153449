//! How far the next blocks of rows may lie from those that were seen, by chance.
//!
//! Prediction limits from few blocks: that the blocks seen are a sample is part of them. Blocks are
//! taken as independent of each other; nothing is assumed of the rows within.

use statrs::function::beta::ln_beta;
use statrs::function::gamma::ln_gamma;

use super::tail;

/// Where the next values may lie.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Reach {
    /// The mean of those seen.
    pub mean: f64,
    /// How far from there the next one lies with a probability of 2 `p`.
    pub distance: f64,
}

/// The reach of one more value, exceeded with probability `p` on each side, when values are normal:
/// Student's quantile times √(1 + 1/B) standard deviations of the B values (Hahn and Meeker, 1991,
/// chapter 4). None of fewer than two.
#[must_use]
pub fn reach(values: &[f64], p: f64) -> Option<Reach> {
    let blocks = values.len() as f64;
    if blocks < 2.0 {
        return None;
    }
    let mean = values.iter().sum::<f64>() / blocks;
    let squares = values.iter().map(|value| (value - mean).powi(2));
    let variance = squares.sum::<f64>() / (blocks - 1.0);
    let quantile = tail::student_quantile(p, blocks - 1.0);
    Some(Reach {
        mean,
        distance: quantile * (1.0 + 1.0 / blocks).sqrt() * variance.sqrt(),
    })
}

/// Events in one block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Events {
    /// How many.
    pub count: u64,
    /// Of so many rows.
    pub rows: u64,
}

/// The share of events that one more block exceeds with a probability of at most `p`; 1 where any
/// share may come by chance, or there are no rows.
///
/// Beta-binomial, from Jeffreys' prior. Rows of one block depend on each other: by the intraclass
/// correlation between blocks (ANOVA estimator, Ridout, Demétrio and Firth 1999), a block is worth
/// as many independent rows as its design effect leaves (Kish 1965).
#[must_use]
pub fn share_limit(blocks: &[Events], p: f64) -> f64 {
    let rows: u64 = blocks.iter().map(|block| block.rows).sum();
    if rows == 0 {
        return 1.0;
    }
    let events: u64 = blocks.iter().map(|block| block.count).sum();
    let (share, blocks_seen) = (events as f64 / rows as f64, blocks.len() as f64);
    let size = rows as f64 / blocks_seen;
    let correlation = intraclass_correlation(blocks, rows as f64, share);
    let worth = (size / (1.0 + (size - 1.0).max(0.0) * correlation)).max(1.0);
    let (seen, trials) = (blocks_seen * worth, worth.round() as u64);
    let (a, b) = (share * seen + 0.5, (1.0 - share) * seen + 0.5);
    events_limit(trials, a, b, p) as f64 / trials as f64
}

/// How alike rows of one block are, from 0 to 1.
fn intraclass_correlation(blocks: &[Events], rows: f64, share: f64) -> f64 {
    let between = blocks.len() as f64 - 1.0;
    let within = rows - blocks.len() as f64;
    if between < 1.0 || within < 1.0 {
        return 0.0;
    }
    let (mut of_blocks, mut of_rows, mut squares) = (0.0, 0.0, 0.0);
    for block in blocks.iter().filter(|block| block.rows > 0) {
        let n = block.rows as f64;
        let mine = block.count as f64 / n;
        of_blocks += n * (mine - share).powi(2) / between;
        of_rows += n * mine * (1.0 - mine) / within;
        squares += n * n;
    }
    let size = (rows - squares / rows) / between;
    let correlation = (of_blocks - of_rows) / (of_blocks + (size - 1.0) * of_rows);
    // Of no events, or of nothing but events, 0/0: nothing says that they come together.
    match correlation.is_finite() {
        true => correlation.clamp(0.0, 1.0),
        false => 0.0,
    }
}

/// The least count of events in `trials` that is exceeded with a probability of at most `p`.
fn events_limit(trials: u64, a: f64, b: f64, p: f64) -> u64 {
    let n = trials as f64;
    let ln_choose = |k: f64| ln_gamma(n + 1.0) - ln_gamma(k + 1.0) - ln_gamma(n - k + 1.0);
    let probability = |k: f64| (ln_choose(k) + ln_beta(k + a, n - k + b) - ln_beta(a, b)).exp();
    let mut above = 0.0;
    for count in (1..=trials).rev() {
        above += probability(count as f64);
        if above > p {
            return count;
        }
    }
    0
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Quantiles of the tables of Student's distribution.
    #[test]
    fn the_reach_is_student_s() {
        let check = |blocks: usize, p: f64, expect: f64| {
            // Half of them −1, half of them 1.
            let values: Vec<f64> = (0..blocks).map(|at| (at % 2) as f64 * 2.0 - 1.0).collect();
            let found = reach(&values, p).expect("enough");
            let deviation = (blocks as f64 / (blocks as f64 - 1.0)).sqrt();
            let standard = found.distance / deviation;
            assert!(
                (standard / expect - 1.0).abs() < 1e-6,
                "{blocks} {standard}"
            );
            assert_eq!(found.mean, 0.0);
        };
        check(8, 0.025, 2.364_624_251 * 1.125_f64.sqrt());
        check(20, 0.001, 3.579_400_149 * 1.05_f64.sqrt());
        assert_eq!(reach(&[1.0], 0.1), None);
        assert_eq!(reach(&[], 0.1), None);
        let still = reach(&[2.0; 9], 1e-9).expect("enough");
        assert_eq!((still.mean, still.distance), (2.0, 0.0));
    }

    #[test]
    fn the_rarer_the_farther() {
        let far = |blocks: usize, p: f64| tail::student_quantile(p, blocks as f64 - 1.0);
        assert!(far(20, 1e-8) > 9.0 && far(20, 1e-8) < 9.4);
        assert!(far(8, 1e-8) > 27.0 && far(8, 1e-8) < 28.5);
    }

    fn blocks(counts: &[u64], rows: u64) -> Vec<Events> {
        let events = |count: &u64| Events {
            count: *count,
            rows,
        };
        counts.iter().map(events).collect()
    }

    #[test]
    fn a_share_is_exceeded_as_rarely_as_wanted() {
        let check = |counts: &[u64], rows, p, low: f64, high: f64| {
            let found = share_limit(&blocks(counts, rows), p);
            assert!((low..=high).contains(&found), "{counts:?} {rows}: {found}");
        };
        // Never seen: some of a long block, many of a short one.
        check(&[0; 20], 300, 1e-8, 0.01, 0.03);
        check(&[0; 20], 20, 1e-8, 0.2, 0.5);
        // About 3 in 300, as independent rows have it.
        check(&[3, 2, 4, 3, 5, 1, 3, 3, 2, 4], 300, 1e-4, 0.025, 0.06);
        // The same number, all in one block: they come together.
        check(&[0, 0, 0, 0, 30, 0, 0, 0, 0, 0], 300, 1e-4, 0.1, 1.0);
        // All of a block, or none of it: no share is too much.
        check(&[300, 0, 300, 0, 300, 0, 0, 300], 300, 1e-8, 1.0, 1.0);
        check(&[300; 8], 300, 1e-8, 1.0, 1.0);
        check(&[], 300, 1e-8, 1.0, 1.0);
        check(&[0; 8], 0, 1e-8, 1.0, 1.0);
    }

    /// Sums over all counts, for numbers that can be written down: a uniform prior share.
    #[test]
    fn counts_of_a_uniform_share_are_equally_likely() {
        // Beta(1, 1): each of 0..=9 has a tenth.
        for (p, expect) in [(0.05, 9), (0.15, 8), (0.95, 0), (0.55, 4)] {
            assert_eq!(events_limit(9, 1.0, 1.0, p), expect, "{p}");
        }
    }
}
