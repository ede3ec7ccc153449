//! Counts that devices send: merged in any order and grouping they are the same to the last bit,
//! and whatever they say, comparing them gives numbers.

use super::reader::Reader;
use muster_protocol::cbor;
use muster_protocol::limits::{BINS_MAX, ERROR_CODES_MAX};
use muster_protocol::message::Window;
use muster_protocol::message::window::Merged;
use muster_protocol::stats::comparison::{self, Cell, Comparison};
use muster_protocol::stats::{FeatureCounts, FeatureSum, LatencyFold};
use std::collections::BTreeSet;

/// The first byte says what is merged or compared.
pub fn stats(data: &[u8]) {
    let mut input = Reader::new(data);
    match input.byte() % 4 {
        0 => windows(&mut input),
        1 => feature_counts(&mut input),
        2 => latency(&mut input),
        _ => compare(&mut input),
    }
}

/// Three windows as devices sent them.
fn windows(input: &mut Reader<'_>) {
    let [a, b, c] = [input.bytes(), input.bytes(), input.bytes()];
    let Some(ab) = merged(a, b) else { return };
    let ba = merged(b, a).expect("whatever merges, merges the other way round");
    check_counts(&ab, &ba, &[a, b]);
    let (Some(bc), Some(ab_c)) = (merged(b, c), merged(&ab, c)) else {
        return;
    };
    let a_bc = merged(a, &bc).expect("whatever merges, merges in another grouping");
    check_counts(&ab_c, &a_bc, &[a, b, c]);
}

/// The merged window; `None` when one is none, or they were counted differently.
fn merged(earlier: &[u8], later: &[u8]) -> Option<Vec<u8>> {
    let earlier = cbor::decode::<Window<'_>>(earlier).ok()?;
    let later = cbor::decode::<Window<'_>>(later).ok()?;
    let both = Merged::of(&earlier, &later).ok()?;
    let within = cbor::to_vec(&both);
    let across = cbor::to_vec(&both.across_boots());
    let across = cbor::decode::<Window<'_>>(&across).expect("a merged window is a window");
    assert_eq!((across.started, across.ended), (later.started, later.ended));
    Some(within)
}

/// Both are windows with the same counts; where they name more kinds of errors than there is
/// room for, only their sum is known.
fn check_counts(one: &[u8], other: &[u8], parts: &[&[u8]]) {
    let read = |bytes| cbor::decode::<Window<'_>>(bytes).expect("a merged window is a window");
    let (one, other) = (read(one), read(other));
    let counts = |window: &Window<'_>| (window.closed_windows, window.calls, window.latency_misses);
    assert_eq!(counts(&one), counts(&other));
    assert_eq!(one.latency, other.latency);
    assert_eq!(one.features, other.features);
    assert_eq!((one.scores, one.labels), (other.scores, other.labels));
    let codes: BTreeSet<u8> = parts
        .iter()
        .flat_map(|part| {
            read(part)
                .errors
                .iter()
                .map(|error| error.code)
                .collect::<Vec<_>>()
        })
        .collect();
    if codes.len() <= ERROR_CODES_MAX {
        assert_eq!(one.errors, other.errors);
    }
}

fn feature_counts(input: &mut Reader<'_>) {
    let bins = usize::from(input.byte()) % BINS_MAX + 1;
    let parts = [(); 3].map(|()| counts(input, bins));
    let merge = |mut one: FeatureCounts, other: &FeatureCounts| {
        one.merge(other);
        one
    };
    check_merge(&parts, &FeatureCounts::default(), merge);
    let sums = parts.map(|counts| FeatureSum::of(&counts, bins));
    let empty = FeatureSum::of(&FeatureCounts::default(), bins);
    let merge = |mut one: FeatureSum, other: &FeatureSum| {
        one.merge(other).expect("the same bins");
        one
    };
    check_merge(&sums, &empty, merge);
}

/// Associative, commutative, and nothing is neutral.
fn check_merge<T: Clone + PartialEq + std::fmt::Debug>(
    [a, b, c]: &[T; 3],
    empty: &T,
    merge: impl Fn(T, &T) -> T,
) {
    let (ab, bc) = (merge(a.clone(), b), merge(b.clone(), c));
    assert_eq!(ab, merge(b.clone(), a), "commutative");
    assert_eq!(merge(ab, c), merge(a.clone(), &bc), "associative");
    assert_eq!(merge(a.clone(), empty), *a, "neutral");
    assert_eq!(merge(empty.clone(), a), *a, "neutral");
}

fn counts(input: &mut Reader<'_>, bins: usize) -> FeatureCounts {
    let mut counts = FeatureCounts::default();
    for bin in &mut counts.bins[..bins] {
        *bin = input.u64() as u32;
    }
    counts.missing = input.u64() as u32;
    counts.non_finite = input.u64() as u32;
    counts.out_of_range = input.u64() as u32;
    counts.sum = input.u64() as i64;
    counts.sum_of_squares = input.u64();
    counts.repeats = input.u64() as u32;
    counts.longest_run = input.u64() as u32;
    counts
}

fn latency(input: &mut Reader<'_>) {
    let mut fold = LatencyFold::default();
    while !input.is_empty() {
        let bucket = input.byte();
        if bucket == u8::MAX {
            fold.fold(input.u64() as u32);
        } else {
            fold.add(bucket, input.u64() as u32);
        }
    }
    let quantiles = [0, 1, 500, 999, 1000, 1001].map(|per_mille| fold.quantile_us(per_mille));
    assert!(
        quantiles[..5]
            .iter()
            .all(|us| us.is_some() == (fold.n() > 0))
    );
    assert!(quantiles[..5].is_sorted());
}

fn compare(input: &mut Reader<'_>) {
    let bins = usize::from(input.byte()) % BINS_MAX + 1;
    let observed = FeatureSum {
        bins: (0..bins).map(|_| input.u64()).collect(),
        missing: input.u64(),
        non_finite: input.u64(),
        ..FeatureSum::default()
    };
    let reference: Vec<u64> = (0..bins).map(|_| input.u64()).collect();
    let missing = input.u64();
    let cells = comparison::cells(reference.iter().copied(), missing, &observed);
    let cells = cells.expect("as many counts as bins");
    assert!(comparison::cells(reference[1..].iter().copied(), missing, &observed).is_none());
    check_comparison(&cells, input.u64());
}

fn check_comparison(cells: &[Cell], n_min: u64) {
    match comparison::compare(cells, n_min) {
        Comparison::NoReference => {
            assert!(cells.iter().all(|cell| cell.reference == 0));
        }
        Comparison::TooFew { n, n_min } => assert!(n < n_min.max(1)),
        Comparison::Measured(measures) => {
            assert!(measures.n >= n_min);
            assert!(
                measures.x2.is_finite() && measures.x2 >= 0.0,
                "{measures:?}"
            );
            assert!(
                measures.psi.is_finite() && measures.psi >= 0.0,
                "{measures:?}"
            );
            assert!(measures.psi_corrected().is_finite());
            assert!((measures.df as usize) < cells.len().max(1));
        }
    }
}
