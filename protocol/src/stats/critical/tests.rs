//! Judgements of blocks, one for each limit, and of windows over time; the device's and the
//! fleet's are the same.

extern crate std;

use super::*;
use crate::cbor;
use crate::message::FeatureWindow;
use crate::stats::{FeatureCounts, FeatureFold, FeatureSum, Scale, Transform};
use crate::time::Millis;
use proptest::prelude::*;
use std::string::String;
use std::vec::Vec;

const LIMITS: Limits = Limits {
    block_rows: 20,
    location: Some(Location {
        mean: 0.5,
        distance: 1.0,
    }),
    spread: Some(Spread {
        low: 0.25,
        high: 2.0,
    }),
    absent: 0.25,
    out_of_range: 0.5,
    repeats: 0.75,
    longest_run: 8,
};

/// `n` values of the mean and standard deviation, both in those of the reference.
fn block(n: u64, mean: f64, deviation: f64) -> Block {
    let count = n as f64;
    let squares = count * mean * mean + (count - 1.0) * deviation * deviation;
    Block {
        n,
        sum: (mean * count * 256.0) as i64,
        sum_of_squares: (squares * 65_536.0) as u64,
        ..Block::default()
    }
}

fn breaches(block: &Block, limits: &Limits) -> Vec<Kind> {
    let judgement = judge(block, limits).expect("enough rows");
    let is_breach = |kind: &Kind| judgement.of(*kind).is_some_and(|found| found.is_breach);
    Kind::ALL.into_iter().filter(is_breach).collect()
}

#[test]
fn each_limit_has_a_breach_of_its_own() {
    let check = |block: Block, expect: &[Kind]| {
        assert_eq!(breaches(&block, &LIMITS), expect, "{block:?}");
    };
    let usual = block(20, 0.5, 1.0);
    check(usual, &[]);
    check(block(20, 1.5, 1.0), &[]);
    check(block(20, 1.51, 1.0), &[Kind::LocationHigh]);
    check(block(20, -0.51, 1.0), &[Kind::LocationLow]);
    check(block(20, 0.5, 0.2), &[Kind::SpreadLow]);
    check(block(20, 0.5, 2.1), &[Kind::SpreadHigh]);
    check(block(40, 0.5, 2.1), &[Kind::SpreadHigh]);
    // Of a long block the spread says nothing.
    check(block(41, 0.5, 2.1), &[]);
    let with = |change: fn(&mut Block)| {
        let mut block = usual;
        change(&mut block);
        block
    };
    check(with(|block| block.absent = 6), &[]);
    check(with(|block| block.absent = 7), &[Kind::Absent]);
    check(with(|block| block.out_of_range = 10), &[]);
    check(with(|block| block.out_of_range = 11), &[Kind::OutOfRange]);
    check(with(|block| block.repeats = 15), &[]);
    check(with(|block| block.repeats = 16), &[Kind::Stuck]);
    check(with(|block| block.longest_run = 8), &[]);
    check(with(|block| block.longest_run = 9), &[Kind::Stuck]);
}

#[test]
fn a_block_that_is_too_short_is_not_judged() {
    assert_eq!(judge(&block(19, 9.0, 1.0), &LIMITS), None);
    let none = Limits {
        block_rows: 0,
        ..LIMITS
    };
    assert_eq!(judge(&Block::default(), &none), None);
}

#[test]
fn of_few_values_neither_mean_nor_spread_is_judged() {
    let check = |n: u64, expect: &[Kind]| {
        let block = Block {
            absent: 20,
            ..block(n, 9.0, 9.0)
        };
        assert_eq!(breaches(&block, &LIMITS), expect, "{n}");
    };
    check(0, &[Kind::Absent]);
    check(9, &[Kind::Absent]);
    check(10, &[Kind::LocationHigh, Kind::SpreadHigh, Kind::Absent]);
}

/// A feature that never varied in the reference.
#[test]
fn any_variation_of_a_constant_is_a_breach() {
    let limits = Limits {
        location: Some(Location {
            mean: 0.0,
            distance: 0.0,
        }),
        spread: Some(Spread {
            low: 0.0,
            high: 0.0,
        }),
        longest_run: u32::MAX,
        repeats: 1.0,
        ..LIMITS
    };
    let check = |block: Block, expect: &[Kind]| {
        assert_eq!(breaches(&block, &limits), expect, "{block:?}");
    };
    let still = Block {
        n: 20,
        repeats: 19,
        longest_run: 19,
        ..Block::default()
    };
    check(still, &[]);
    let (sum, sum_of_squares) = (1, 1);
    let one_step = Block {
        sum,
        sum_of_squares,
        ..still
    };
    check(one_step, &[Kind::LocationHigh, Kind::SpreadHigh]);
    let elsewhere = Block {
        sum: -40,
        sum_of_squares: 80,
        ..still
    };
    check(elsewhere, &[Kind::LocationLow]);
}

#[test]
fn limits_say_what_is_wrong_with_them() {
    let check = |limits: Limits, expect: Option<BadLimits>| {
        assert_eq!(limits.checked().err(), expect, "{limits:?}");
    };
    let location = |mean, distance| Limits {
        location: Some(Location { mean, distance }),
        ..LIMITS
    };
    let spread = |low, high| Limits {
        spread: Some(Spread { low, high }),
        ..LIMITS
    };
    check(LIMITS, None);
    check(location(0.0, 0.0), None);
    check(location(f32::NAN, 1.0), Some(BadLimits::Location));
    check(location(0.0, -1.0), Some(BadLimits::Location));
    check(location(0.0, f32::INFINITY), Some(BadLimits::Location));
    check(spread(0.0, 0.0), None);
    check(spread(1.0, 0.5), Some(BadLimits::Spread));
    check(spread(f32::NAN, 0.5), Some(BadLimits::Spread));
    let with = |block_rows, absent, repeats| Limits {
        block_rows,
        absent,
        repeats,
        ..LIMITS
    };
    check(with(19, 0.0, 1.0), Some(BadLimits::BlockRows));
    check(with(20, 1.1, 1.0), Some(BadLimits::Share));
    check(with(20, 0.0, f32::NAN), Some(BadLimits::Share));
}

/// What the changes of windows of these means are: `+` an alarm begins, `-` one ends.
fn told(means: &[f64], rows: u64) -> String {
    let mut watch = LocalWatch::new(LIMITS);
    let mut told = String::new();
    for (at, mean) in (0..).zip(means) {
        let changes = watch.take(block(rows, *mean, 1.0), Millis(at));
        told.push('.');
        for change in changes {
            let (sign, alarm) = match change {
                Change::Began(alarm) => ('+', alarm),
                Change::Ended(alarm) => ('-', alarm),
            };
            told.push(sign);
            told += &std::format!("{}@{}", alarm.kind, alarm.since.0);
        }
    }
    told
}

#[test]
fn an_alarm_takes_two_breaches_and_ends_after_three_quiet_blocks() {
    let check = |means: &[f64], rows, expect: &str| assert_eq!(told(means, rows), expect);
    let (ok, high, low) = (0.5, 9.0, -9.0);
    check(&[high, ok, high, ok], 20, "....");
    check(&[high, low, high, low], 20, "....");
    check(&[ok, high, high, high], 20, "...+location_high@1.");
    check(
        &[high, high, ok, ok, high, ok, ok, ok, high, high],
        20,
        "..+location_high@0......-location_high@0..+location_high@8",
    );
    check(
        &[high, high, low, low, low],
        20,
        "..+location_high@0..+location_low@2.-location_high@0",
    );
    // Two windows are one block.
    check(&[high; 6], 10, "....+location_high@1..");
}

#[test]
fn what_cannot_be_judged_leaves_an_alarm_as_it_is() {
    let mut watch = LocalWatch::new(LIMITS);
    let (high, gone) = (
        block(20, 9.0, 1.0),
        Block {
            absent: 20,
            ..Block::default()
        },
    );
    for (at, block) in (0..).zip([high, high, gone, gone, gone, gone]) {
        watch.take(block, Millis(at));
    }
    let kinds: Vec<_> = watch.alarms().map(|alarm| alarm.kind).collect();
    assert_eq!(kinds, [Kind::LocationHigh, Kind::Absent]);
}

/// Values with ties, tails, gaps and runs.
fn value() -> impl Strategy<Value = Option<f32>> {
    prop_oneof![
        6 => (-8i8..8).prop_map(|value| Some(f32::from(value) * 0.5)),
        2 => any::<f32>().prop_map(Some),
        1 => Just(None),
    ]
}

proptest! {
    /// A device judges what it has folded; a fleet judges what it has read, summed and stored.
    #[test]
    fn both_ends_judge_alike(
        windows in proptest::collection::vec(proptest::collection::vec(value(), 0..40), 1..12),
        rows in 20u32..60,
    ) {
        let limits = Limits { block_rows: rows, ..LIMITS };
        let scale = Scale::new([-1.0, 0.0, 1.0], Transform::Identity, 0.0, 1.0).expect("valid");
        let mut fold = FeatureFold::new(scale);
        let (mut device, mut fleet) = (LocalWatch::new(limits), LocalWatch::new(limits));
        let (mut merged, mut summed) = (FeatureCounts::default(), FeatureSum::of(&FeatureCounts::default(), 4));
        for (at, window) in (0..).zip(&windows) {
            fold.reset();
            window.iter().for_each(|value| fold.fold(*value));
            let sent = cbor::to_vec(&FeatureWindow::of(fold.counts(), fold.bins()));
            let read: FeatureWindow<'_> = cbor::decode(&sent).expect("a feature");
            let sum = FeatureSum::of(&read.counts(), read.bins.len());
            let changes = device.take(fold.counts(), Millis(at));
            prop_assert_eq!(changes, fleet.take(&sum, Millis(at)));
            merged.merge(fold.counts());
            summed.merge(&sum).expect("the same bins");
            let (here, there) = (judge(&(&merged).into(), &limits), judge(&(&summed).into(), &limits));
            prop_assert_eq!(bits(here), bits(there));
        }
    }

    #[test]
    fn no_counts_and_no_limits_are_too_much(
        counts in proptest::array::uniform6(any::<u64>()),
        sum in any::<i64>(),
        floats in proptest::array::uniform7(any::<u32>()),
        block_rows in any::<u32>(),
    ) {
        let [n, absent, out_of_range, repeats, longest_run, sum_of_squares] = counts;
        let block = Block { n, absent, out_of_range, repeats, longest_run, sum, sum_of_squares };
        let [mean, distance, low, high, a, b, c] = floats.map(f32::from_bits);
        let limits = Limits {
            block_rows,
            location: Some(Location { mean, distance }),
            spread: Some(Spread { low, high }),
            absent: a,
            out_of_range: b,
            repeats: c,
            longest_run: block_rows,
        };
        let mut watch = LocalWatch::new(limits);
        (0..4).for_each(|at| drop(watch.take(block, Millis(at))));
    }
}

fn bits(judgement: Option<Judgement>) -> Option<Vec<Option<(u64, u64, bool)>>> {
    let bits = |reading: Reading| {
        let Reading {
            value,
            limit,
            is_breach,
        } = reading;
        (value.to_bits(), limit.to_bits(), is_breach)
    };
    let of = |judgement: Judgement| Kind::ALL.map(|kind| judgement.of(kind).map(bits)).into();
    judgement.map(of)
}
