//! Critical values of made-up sensors and of real ones: as rare by chance as is said, and breached
//! where something happened.

use muster_protocol::stats::critical::{Change, Kind, LocalWatch, judge};
use muster_protocol::time::Millis;

use super::super::quantile;
use super::*;
use crate::random::Random;

mod real;

/// About normal: the sum of twelve uniform numbers.
fn normal(random: &mut Random) -> f64 {
    let uniform = |random: &mut Random| random.below(1 << 32) as f64 / f64::from(u32::MAX);
    (0..12).map(|_| uniform(random)).sum::<f64>() - 6.0
}

/// A first-order process of variance 1, whose neighbours correlate by `correlation`.
fn series(seed: u64, correlation: f64, rows: usize) -> Vec<f32> {
    let mut random = Random(seed);
    let noise = (1.0 - correlation * correlation).sqrt();
    let mut value = normal(&mut random);
    let mut next = || {
        value = correlation * value + noise * normal(&mut random);
        value as f32
    };
    (0..rows).map(|_| next()).collect()
}

/// The scale that a builder makes of a column.
fn scale(column: &[f32]) -> Scale {
    let mut sorted: Vec<f32> = column.iter().copied().filter(|x| x.is_finite()).collect();
    sorted.sort_unstable_by(f32::total_cmp);
    let transform = quantile::transform(&sorted);
    let (mean, deviation) = quantile::moments(&sorted, transform);
    Scale::new(quantile::edges(&sorted), transform, mean, deviation).expect("a scale")
}

/// The blocks of a column on its own scale, or on that of its first rows.
fn cut(column: &[f32], of: &[f32], block_rows: usize) -> Vec<Seen> {
    let all = Blocks {
        rows: block_rows,
        count: column.len() / block_rows,
        false_alarm: 1.0,
    };
    all.cut(&scale(of), column)
}

/// What begins when these blocks come one after the other: kind and place of the block.
fn began(blocks: &[Seen], limits: Limits) -> Vec<(Kind, usize)> {
    let mut watch = LocalWatch::new(limits);
    let mut began = Vec::new();
    for (at, block) in blocks.iter().enumerate() {
        for change in watch.take(block.counts, Millis(at as u64)) {
            if let Change::Began(alarm) = change {
                began.push((alarm.kind, at));
            }
        }
    }
    began
}

/// The limits that the rest of a column gives when `left_out` blocks from `at` on are taken away.
fn limits_without(column: &[f32], rule: &Blocks, at: usize, left_out: usize) -> Limits {
    let (start, end) = (at * rule.rows, (at + left_out) * rule.rows);
    let rest = [&column[..start], &column[end..]].concat();
    rule.limits(&scale(column), &rest)
}

/// Pairs of neighbouring blocks that alarm when the limits are made of all others.
fn alarms_when_left_out(column: &[f32], rule: &Blocks) -> Vec<(Kind, usize)> {
    let blocks = cut(column, column, rule.rows);
    let pairs = blocks.windows(2).enumerate();
    let found = pairs.flat_map(|(at, pair)| {
        let limits = limits_without(column, rule, at, 2);
        let began = began(pair, limits).into_iter();
        began.map(move |(kind, _)| (kind, at))
    });
    found.collect()
}

/// Blocks that breach a limit made of all others.
fn breaches_when_left_out(column: &[f32], rule: &Blocks) -> Vec<(usize, Kind)> {
    let blocks = cut(column, column, rule.rows);
    let found = blocks.iter().enumerate().flat_map(|(at, block)| {
        let limits = limits_without(column, rule, at, 1);
        let judgement = judge(&block.counts, &limits).expect("a whole block");
        let is_breach = move |kind: &Kind| judgement.of(*kind).is_some_and(|of| of.is_breach);
        let kinds = Kind::ALL.into_iter().filter(is_breach);
        kinds.map(move |kind| (at, kind))
    });
    found.collect()
}

#[test]
fn a_reference_is_cut_into_blocks_of_a_twentieth() {
    let check = |rows: usize, wanted: Option<u32>, expect: Result<(usize, usize), usize>| {
        let blocks = Blocks::of(rows, 4, wanted);
        let found = blocks.map(|blocks| (blocks.rows, blocks.count));
        assert_eq!(found.map_err(|few| few.count), expect, "{rows} {wanted:?}");
    };
    check(100, None, Err(5));
    check(159, None, Err(7));
    check(160, None, Ok((20, 8)));
    check(2000, None, Ok((100, 20)));
    check(100_000, None, Ok((300, 333)));
    check(2000, Some(250), Ok((250, 8)));
    check(2000, Some(251), Err(7));
    check(2000, Some(0), Ok((1, 2000)));
}

/// Sixteen features, each with seven limits, judged every five minutes for a year.
#[test]
fn the_budget_is_shared_by_all_limits_of_a_year() {
    let blocks = Blocks::of(10_000, 16, None).expect("enough");
    let judgements = 16.0 * 7.0 * 105_120.0;
    assert!((blocks.false_alarm * judgements / 0.1 - 1.0).abs() < 1e-12);
    let said = f64::from_bits(blocks.said().false_alarm);
    assert_eq!(said, blocks.false_alarm);
}

/// At a probability that can be counted: of one more block, and of two in a row.
#[test]
fn one_more_block_breaches_as_rarely_as_is_said() {
    let (rows, count, runs) = (40, 12, 3000);
    let rule = Blocks {
        rows,
        count,
        false_alarm: 0.02,
    };
    for correlation in [0.0, 0.5] {
        let (mut once, mut twice, mut spread) = (0, 0, 0);
        for seed in 0..runs {
            let all = series(seed, correlation, rows * (count + 2));
            let blocks = cut(&all, &all, rows);
            let limits = rule.limits_of(&blocks[..count]);
            let breach = |at: usize, kind: Kind| {
                let judgement = judge(&blocks[at].counts, &limits).expect("a whole block");
                judgement.of(kind).is_some_and(|reading| reading.is_breach)
            };
            let high = breach(count, Kind::LocationHigh);
            once += u64::from(high);
            twice += u64::from(high && breach(count + 1, Kind::LocationHigh));
            spread += u64::from(breach(count, Kind::SpreadHigh));
        }
        // 60 of 3,000 are expected, give or take 8.
        assert!((36..=84).contains(&once), "{correlation}: {once}");
        assert!((30..=90).contains(&spread), "{correlation}: {spread}");
        assert!(twice * 3 < once, "{correlation}: {twice} of {once}");
    }
}

#[test]
fn a_slow_process_does_not_alarm_by_itself() {
    for (seed, correlation) in [(1, 0.0), (2, 0.5), (3, 0.9), (4, 0.99)] {
        let all = series(seed, correlation, 6000);
        let rule = Blocks::of(all.len(), 16, None).expect("enough");
        assert_eq!(alarms_when_left_out(&all, &rule), [], "{correlation}");
        assert_eq!(breaches_when_left_out(&all, &rule), [], "{correlation}");
    }
}

/// Of a hundred days of the same process that come after the reference, five minutes a block.
#[test]
fn nor_does_what_comes_later() {
    for (seed, correlation) in [(5, 0.0), (6, 0.9), (7, 0.99)] {
        let all = series(seed, correlation, 6000 + 300 * 2880);
        let rule = Blocks::of(6000, 16, None).expect("enough");
        let limits = rule.limits(&scale(&all[..6000]), &all[..6000]);
        let later = cut(&all[6000..], &all[..6000], rule.rows);
        assert_eq!(began(&later, limits), [], "{correlation}");
    }
}

#[test]
fn what_happens_to_a_sensor_is_named() {
    let usual = series(8, 0.5, 6000);
    let rule = Blocks::of(6000, 16, None).expect("enough");
    let limits = rule.limits(&scale(&usual), &usual);
    let later = series(9, 0.5, 900);
    let check = |change: fn(usize, f32) -> f32, expect: &[Kind]| {
        let changed: Vec<f32> = later
            .iter()
            .enumerate()
            .map(|(at, x)| change(at, *x))
            .collect();
        let began = began(&cut(&changed, &usual, 300), limits);
        let kinds: Vec<Kind> = began.iter().map(|(kind, _)| *kind).collect();
        assert_eq!(kinds, expect);
    };
    check(|_, x| x, &[]);
    check(|_, x| x + 3.0, &[Kind::LocationHigh, Kind::OutOfRange]);
    check(|_, x| x - 3.0, &[Kind::LocationLow, Kind::OutOfRange]);
    check(|_, x| 0.3 * x, &[Kind::SpreadLow]);
    check(
        |at, x| if at % 10 == 0 { f32::NAN } else { x },
        &[Kind::Absent],
    );
    // For half a minute of five.
    check(|at, x| if at % 300 > 270 { 0.5 } else { x }, &[Kind::Stuck]);
    let sentinel = |at, x| if at % 10 == 0 { -200.0 } else { x };
    check(
        sentinel,
        &[Kind::LocationLow, Kind::SpreadHigh, Kind::OutOfRange],
    );
    check(|_, _| 0.1, &[Kind::SpreadLow, Kind::Stuck]);
}

/// A column that never varied, as of a market that was closed.
#[test]
fn a_constant_that_begins_to_vary_is_a_breach() {
    for value in [0.0_f32, 0.422_915, -7.0, 1e9] {
        let usual = vec![value; 2000];
        let rule = Blocks::of(2000, 8, None).expect("enough");
        let limits = rule.limits(&scale(&usual), &usual);
        limits.checked().expect("limits");
        let still = cut(&vec![value; 500], &usual, 100);
        assert_eq!(began(&still, limits), [], "{value}");
        let varying: Vec<f32> = (0..500).map(|at| value + (at % 3) as f32 * 64.0).collect();
        let began = began(&cut(&varying, &usual, 100), limits);
        // Of a billion, a step is four thousand: what is less is out of range all the same.
        let expect = if value < 1e6 {
            Kind::SpreadHigh
        } else {
            Kind::OutOfRange
        };
        assert!(began.contains(&(expect, 1)), "{value}: {began:?}");
        let least = vec![value.next_up(); 500];
        let began = self::began(&cut(&least, &usual, 100), limits);
        assert_eq!(began, [(Kind::OutOfRange, 1)], "{value}");
    }
}

#[test]
fn a_feature_that_is_mostly_absent_has_neither_mean_nor_spread() {
    let mut column = series(10, 0.0, 2000);
    let absent = |at: usize| at % 5 > 1;
    (0..2000)
        .filter(|at| absent(*at))
        .for_each(|at| column[at] = f32::NAN);
    let rule = Blocks::of(2000, 8, None).expect("enough");
    let limits = rule.limits(&scale(&column), &column);
    assert_eq!((limits.location, limits.spread), (None, None));
    assert!((0.6..1.0).contains(&limits.absent), "{}", limits.absent);
}
