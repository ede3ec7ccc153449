//! Nothing panics, and every probability is one: on nothing, on one bin, on full counters.

use muster_protocol::stats::comparison::{Cell, Comparison, compare};
use proptest::prelude::*;

use super::quality::{Labelled, Scored};
use super::*;

/// Counts as they may be: none, few, or as many as there is room for.
fn count() -> impl Strategy<Value = u64> {
    prop_oneof![
        Just(0),
        0..40_u64,
        0..1_000_000_u64,
        any::<u64>(),
        Just(u64::MAX)
    ]
}

fn p_value() -> impl Strategy<Value = f64> {
    prop_oneof![
        Just(0.0),
        Just(1.0),
        0.0..1.0,
        Just(f64::NAN),
        Just(-1.0),
        Just(f64::INFINITY)
    ]
}

fn is_probability(p: f64) -> bool {
    (0.0..=1.0).contains(&p)
}

fn is_ordered(interval: Interval) -> bool {
    is_probability(interval.low) && interval.low <= interval.high && is_probability(interval.high)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn two_samples(pairs in proptest::collection::vec((count(), count()), 0..19)) {
        let cells: Vec<Cell> = pairs
            .iter()
            .map(|&(reference, observed)| Cell { reference, observed })
            .collect();
        prop_assert!(is_probability(two_sample::likelihood_ratio(&cells).p));
        prop_assert!(is_probability(kolmogorov::p_value(&cells)));
        if let Comparison::Measured(measures) = compare(&cells, 1) {
            prop_assert!(is_probability(two_sample::pearson(&measures).p));
            prop_assert!(is_probability(two_sample::psi_p(&measures, &cells)));
        }
        if let Some(found) = two_sample::Distances::of(&cells) {
            let all = [found.kolmogorov_smirnov, found.total_variation, found.largest];
            prop_assert!(all.iter().all(|x| (0.0..=1.0 + 1e-9).contains(x)), "{found:?}");
            prop_assert!((0.0..0.6932).contains(&found.jensen_shannon), "{found:?}");
        }
        let edges: Vec<f64> = (1..cells.len()).map(|i| i as f64).collect();
        if let Some(carried) = between_edges(&edges, &cells) {
            prop_assert!((0.0..=18.0).contains(&carried));
        }
    }

    #[test]
    fn moments_of_anything(
        a in (count(), any::<i64>(), any::<u64>()),
        b in (count(), any::<i64>(), any::<u64>()),
    ) {
        let of = |(n, sum, sum_of_squares)| Moments { n, sum, sum_of_squares };
        let (a, b) = (of(a), of(b));
        let tests = [moments::welch(&a, &b), moments::log_variance(&a, &b)];
        prop_assert!(tests.iter().flatten().all(|test| is_probability(test.p)), "{tests:?}");
    }

    #[test]
    fn rates_of_anything(a in (count(), count()), b in (count(), count()), share in p_value()) {
        let of = |(x, y): (u64, u64)| Rate::new(x.min(y), x.max(y)).expect("ordered");
        let (a, b) = (of(a), of(b));
        prop_assert!(is_probability(a.upper_tail(share)));
        prop_assert!(rates::fisher_exact(a, b).is_none_or(is_probability));
        prop_assert!(rates::two_proportions(a, b).is_none_or(|test| is_probability(test.p)));
        prop_assert!(is_ordered(a.wilson(Confidence::P95)));
        prop_assert!(is_ordered(a.clopper_pearson(Confidence::P95)));
    }

    #[test]
    fn a_share_lies_in_its_intervals(hits in 0..1_000_000_u64, trials in count()) {
        let rate = Rate::new(hits.min(trials), trials).expect("ordered");
        let share = rate.share().unwrap_or(0.5);
        let exact = rate.clopper_pearson(Confidence::P95);
        prop_assert!(exact.low <= share && share <= exact.high, "{exact:?} {share}");
    }

    #[test]
    fn many_tests(p in proptest::collection::vec(p_value(), 0..30), level in p_value()) {
        for adjusted in [
            multiplicity::bonferroni(&p),
            multiplicity::benjamini_hochberg(&p),
            multiplicity::benjamini_yekutieli(&p),
        ] {
            prop_assert_eq!(adjusted.len(), p.len());
            prop_assert!(adjusted.into_iter().all(is_probability));
        }
        prop_assert!(is_probability(multiplicity::fisher(&p).p));
        prop_assert!(is_probability(multiplicity::p_of_count(&p, level)));
        prop_assert!(multiplicity::higher_criticism(&p).is_none_or(|hc| !hc.is_nan()));
    }

    #[test]
    fn quality_of_anything(
        counts in proptest::collection::vec((count(), count()), 0..20),
        sums in proptest::collection::vec(prop_oneof![-1e30..1e30, Just(f64::NAN)], 20),
        from in 0usize..25,
    ) {
        let labelled = counts.iter().map(|&(positive, negative)| Labelled { positive, negative });
        let labelled: Vec<Labelled> = labelled.collect();
        let scored = counts.iter().zip(sums).map(|(&(count, _), sum_p)| Scored {
            count,
            sum_p,
            deviation: 0.0,
        });
        let scored: Vec<Scored> = scored.collect();
        for found in [quality::measured(&labelled, from), quality::estimated(&scored, from)] {
            let all = [found.accuracy, found.precision, found.recall, found.f1, found.auc];
            prop_assert!(all.into_iter().flatten().all(|x| (0.0..=1.0 + 1e-9).contains(&x)), "{found:?}");
        }
        let ends = quality::auc_interval(&labelled, Confidence::P95);
        prop_assert!(ends.is_none_or(is_ordered));
        let ends = quality::accuracy_interval(&labelled, from, Confidence::P95);
        prop_assert!(ends.is_none_or(is_ordered));
    }
}
