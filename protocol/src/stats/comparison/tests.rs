//! Numbers that can be derived by hand. Those of another program are compared in the fleet.

extern crate std;

use std::format;
use std::vec::Vec;

use super::*;
use crate::stats::{FeatureFold, Scale};

fn cells_of(reference: &[u64], observed: &[u64]) -> Vec<Cell> {
    let pairs = reference.iter().zip(observed);
    pairs
        .map(|(reference, observed)| Cell {
            reference: *reference,
            observed: *observed,
        })
        .collect()
}

fn measured(reference: &[u64], observed: &[u64]) -> Measures {
    match compare(&cells_of(reference, observed), 1) {
        Comparison::Measured(measures) => measures,
        other @ (Comparison::NoReference | Comparison::TooFew { .. }) => {
            panic!("{other:?} for {reference:?} {observed:?}")
        }
    }
}

fn check_close(found: f64, expect: f64, what: &str) {
    let difference = (found - expect).abs();
    assert!(
        difference <= 1e-9 * expect.abs().max(1.0),
        "{what}: {found} is not {expect}"
    );
}

fn check(reference: &[u64], observed: &[u64], x2: f64, df: u32, psi: f64) {
    let found = measured(reference, observed);
    let what = format!("{reference:?} {observed:?}");
    check_close(found.x2, x2, &what);
    assert_eq!(found.df, df, "{what}");
    check_close(found.psi, psi, &what);
}

#[test]
fn x2_and_psi_by_hand() {
    // Expectations are 15 and 5 of 20 in each sample, off by 5: X² = 2 (25 / 15 + 25 / 5).
    let half = |count: f64, n: f64| (count + 0.5) / (n + 1.0);
    let term = |p: f64, q: f64| (p - q) * libm::log(p / q);
    let psi = term(half(10.0, 20.0), half(20.0, 20.0)) + term(half(10.0, 20.0), half(0.0, 20.0));
    check(&[20, 0], &[10, 10], 2.0 * (25.0 / 15.0 + 5.0), 1, psi);
    check(&[10, 30], &[20, 60], 0.0, 1, {
        let (p, q) = (20.5 / 81.0, 10.5 / 41.0);
        term(p, q) + term(60.5 / 81.0, 30.5 / 41.0)
    });
    check(&[7, 7, 7], &[7, 7, 7], 0.0, 2, 0.0);
}

#[test]
fn a_cell_that_neither_sample_has_says_nothing_to_x2() {
    let with = measured(&[20, 0, 30], &[10, 0, 40]);
    let without = measured(&[20, 30], &[10, 40]);
    assert_eq!((with.x2, with.df), (without.x2, without.df));
    let one = measured(&[0, 50, 0], &[0, 300, 0]);
    assert_eq!((one.x2, one.df), (0.0, 0));
}

#[test]
fn an_unseen_cell_counts_without_dividing_by_zero() {
    let found = measured(&[100, 0], &[0, 100]);
    assert_eq!((found.x2, found.df), (200.0, 1));
    assert!(found.psi.is_finite());
}

#[test]
fn counts_at_their_end_give_finite_numbers() {
    let huge = [u64::MAX, 0, u64::MAX];
    let found = measured(&huge, &[0, u64::MAX, 1]);
    for number in [found.x2, found.psi, found.psi_expected] {
        assert!(number.is_finite() && number >= 0.0, "{found:?}");
    }
    assert_eq!(found.n, u64::MAX);
}

#[test]
fn psi_has_a_bias_that_shrinks_with_the_samples() {
    let small = measured(&[100; 10], &[3, 2, 3, 4, 3, 2, 2, 4, 4, 3]);
    check_close(
        small.psi_expected,
        9.0 * (1.0 / 1000.0 + 1.0 / 30.0),
        "bias",
    );
    assert_eq!(small.psi_corrected(), 0.0);
    let large = measured(&[100, 300], &[300, 100]);
    check_close(
        large.psi_corrected(),
        large.psi - (1.0 / 400.0 + 1.0 / 400.0),
        "corrected",
    );
}

#[test]
fn too_few_samples_are_said_as_such() {
    let check = |reference: &[u64], observed: &[u64], expect| {
        assert_eq!(compare(&cells_of(reference, observed), 200), expect);
    };
    let few = |n| Comparison::TooFew { n, n_min: 200 };
    check(&[50, 50], &[100, 99], few(199));
    check(&[50, 50], &[0, 0], few(0));
    check(&[0, 0], &[100, 100], Comparison::NoReference);
    check(&[], &[], Comparison::NoReference);
    let enough = compare(&cells_of(&[50, 50], &[100, 100]), 200);
    assert!(matches!(enough, Comparison::Measured(_)), "{enough:?}");
    let nothing = compare(&cells_of(&[50, 50], &[0, 0]), 0);
    assert_eq!(nothing, Comparison::TooFew { n: 0, n_min: 0 });
}

#[test]
fn what_is_missing_is_a_cell_when_the_reference_has_some_of_it() {
    let observed = FeatureSum {
        bins: heapless::Vec::from_slice(&[4, 6]).expect("it fits"),
        missing: 3,
        non_finite: 2,
        ..FeatureSum::default()
    };
    let pairs = |missing| {
        let cells = cells([10, 20].into_iter(), missing, &observed).expect("as many bins");
        cells
            .iter()
            .map(|cell| (cell.reference, cell.observed))
            .collect::<Vec<_>>()
    };
    assert_eq!(pairs(0), [(10, 4), (20, 6)]);
    assert_eq!(pairs(7), [(10, 4), (20, 6), (7, 5)]);
    assert_eq!(cells([10].into_iter(), 0, &observed), None);
}

/// Categories as a device counts them: what the reference never had is a cell of its own.
#[test]
fn values_of_no_category_are_a_cell_like_any_other() {
    let scale = || Scale::of_categories([1.0, 2.0, 7.5], 2.0, 1.0).expect("valid");
    let counted = |values: &[(f32, usize)]| {
        let mut fold = FeatureFold::new(scale());
        for (value, times) in values {
            (0..*times).for_each(|_| fold.fold(Some(*value)));
        }
        FeatureSum::of(fold.counts(), fold.bins())
    };
    let reference = counted(&[(1.0, 100), (2.0, 50), (7.5, 10)]);
    let observed = counted(&[(1.0, 90), (2.0, 40), (7.5, 10), (9.0, 19), (-3.0, 1)]);
    assert_eq!(observed.out_of_range, 20);
    let cells = cells(reference.bins.iter().copied(), 0, &observed).expect("the same bins");
    assert_eq!(
        cells.as_slice(),
        cells_of(&[100, 50, 10, 0], &[90, 40, 10, 20])
    );
    let found = measured(&[100, 50, 10, 0], &[90, 40, 10, 20]);
    // Both samples have 160: halves of 190, 90, 20 and 20.
    let x2 = 2.0 * (25.0 / 95.0 + 25.0 / 45.0 + 0.0 + 100.0 / 10.0);
    check_close(found.x2, x2, "X²");
    assert_eq!(found.df, 3);
    assert!(found.psi.is_finite() && found.psi > 0.4);
}
