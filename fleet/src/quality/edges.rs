//! Where bins of a score end: half of the edges lie at fixed log-odds, half are quantiles of the
//! reference.
//!
//! The first stay of use when scores drift away, the second when all of them lie close together,
//! as those of rare events do (`docs/decisions/0024-scores-and-labels.md`).

use muster_protocol::limits::SCORE_EDGES_MAX;
use muster_protocol::stats::score::STEPS_PER_ONE;
use std::collections::BTreeSet;

/// Probabilities whose log-odds are 0, ±1, ±2.5, ±4 and ±6, in steps.
const FIXED: [u32; 9] = [
    162, 1179, 4971, 17_625, 32_768, 47_911, 60_565, 64_357, 65_374,
];
/// Quantiles beside them.
const QUANTILES: usize = SCORE_EDGES_MAX - FIXED.len();

/// The edges for scores like these, in steps and ascending.
#[must_use]
pub fn edges(mut scores: Vec<u32>) -> Vec<u32> {
    scores.sort_unstable();
    let quantile = |k: usize| scores.get(k * scores.len() / (QUANTILES + 1)).copied();
    let edges: BTreeSet<u32> = (1..=QUANTILES).filter_map(quantile).chain(FIXED).collect();
    let inside = |edge: &u32| (1..STEPS_PER_ONE).contains(edge);
    edges.into_iter().filter(inside).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use muster_protocol::stats::ScoreScale;

    #[test]
    fn edges_make_a_scale_whatever_the_scores() {
        let check = |scores: Vec<u32>, expect: usize| {
            let edges = edges(scores);
            assert_eq!(edges.len(), expect, "{edges:?}");
            assert!(ScoreScale::new(1, None, edges).is_ok());
        };
        check(Vec::new(), 9);
        check(vec![0; 100], 9);
        check(vec![STEPS_PER_ONE; 100], 9);
        check(vec![700; 100], 10);
        check((0..1000).map(|n| n * 65).collect(), 19);
    }
}
