//! Figures by hand, estimates beside the method by rows, and sums in any order.

use super::*;
use crate::random::Random;
use muster_protocol::message::window::ScoreLists;
use muster_protocol::stats::{LabelCounts, Outcome, ScoreCounts};
use proptest::prelude::*;

fn sums(scale: ScoreScale, rows: &[Vec<f32>], labels: &[(u8, Outcome)]) -> ScoreSums {
    let mut counts = ScoreCounts::default();
    let read = rows.iter().map(|row| scale.read(row.iter().copied()));
    read.for_each(|score| counts.fold(&scale, score));
    let mut came = LabelCounts::default();
    labels
        .iter()
        .for_each(|(bin, outcome)| came.fold(*bin, *outcome));
    let (scores, labels) = (
        ScoreLists::of(&counts),
        muster_protocol::message::window::LabelLists::of(&came),
    );
    ScoreSums::of(Some(&scores.scores()), Some(&labels.labels()))
}

fn reference(scale: ScoreScale, rows: &[Vec<f32>], labels: &[(u8, Outcome)]) -> ReferenceScores {
    let sums = sums(scale, rows, labels);
    ReferenceScores { scale, sums }
}

fn even(scores: u32) -> ScoreScale {
    ScoreScale::even(scores, None).expect("valid")
}

fn half_sure(n: usize) -> Vec<Vec<f32>> {
    (0..n)
        .map(|row| vec![if row % 2 == 0 { 0.25 } else { 0.75 }])
        .collect()
}

#[test]
fn estimated_and_measured_stand_apart() {
    let scale = even(1);
    let before = reference(scale, &half_sure(400), &[]);
    // Labels say that scores mean the opposite: no estimate can know.
    let labels: Vec<_> = (0..60)
        .map(|n| match n % 2 {
            0 => (5, Outcome::Positive),
            _ => (15, Outcome::Negative),
        })
        .collect();
    let quality = Quality::of(&before, &sums(scale, &half_sure(1000), &labels));
    let estimated = quality.estimated.expect("predictions enough");
    let accuracy = estimated.accuracy.expect("some");
    assert_eq!((estimated.n, accuracy.value), (1000, 0.75));
    assert_eq!(accuracy.drop.expect("a reference").value, 0.0);
    // 0.75² + half of 2 · 0.75 · 0.25.
    assert!((estimated.auc.expect("two classes").value - 0.75).abs() < 1e-4);
    let measured = quality.measured.expect("labels");
    assert_eq!(
        (measured.n, measured.accuracy.expect("some").value),
        (60, 0.0)
    );
    assert_eq!(measured.auc.expect("two classes").value, 0.0);
    assert_eq!(
        measured.auc.expect("two classes").drop,
        None,
        "no label in the reference"
    );
}

#[test]
fn few_predictions_are_not_estimated_and_no_label_measures_nothing() {
    let scale = even(1);
    let before = reference(scale, &half_sure(400), &[]);
    let quality = Quality::of(&before, &sums(scale, &half_sure(199), &[]));
    assert_eq!((quality.estimated, quality.measured), (None, None));
    assert_eq!(
        (quality.predictions, quality.predicted),
        (199, vec![100, 99])
    );
}

#[test]
fn of_many_classes_only_accuracy_is_known() {
    let scale = even(3);
    let rows = vec![vec![0.1, 0.6, 0.3]; 300];
    let before = reference(
        scale,
        &rows,
        &[(12, Outcome::Positive), (12, Outcome::Negative)],
    );
    let labels = [
        (12, Outcome::Positive),
        (12, Outcome::Positive),
        (12, Outcome::Negative),
    ];
    let quality = Quality::of(&before, &sums(scale, &rows, &labels));
    let estimated = quality.estimated.expect("predictions enough");
    assert!((estimated.accuracy.expect("some").value - 0.6).abs() < 1e-4);
    assert_eq!((estimated.auc, estimated.f1), (None, None));
    let accuracy = quality.measured.expect("labels").accuracy.expect("some");
    let drop = accuracy.drop.expect("labels in the reference");
    assert!((accuracy.value - 2.0 / 3.0).abs() < 1e-12 && drop.low < 0.0 && drop.high > 0.0);
    assert_eq!(quality.predicted, [0, 300, 0]);
}

#[test]
fn a_drop_that_is_beyond_chance_has_an_interval_above_zero() {
    let scale = even(1);
    let good: Vec<_> = (0..1000)
        .map(|n| match n % 20 {
            0 => (2, Outcome::Positive),
            n if n < 10 => (2, Outcome::Negative),
            10 => (17, Outcome::Negative),
            _ => (17, Outcome::Positive),
        })
        .collect();
    let worse: Vec<_> = (0..1000)
        .map(|n| match n % 20 {
            0..2 => (2, Outcome::Positive),
            n if n < 10 => (2, Outcome::Negative),
            10..12 => (17, Outcome::Negative),
            _ => (17, Outcome::Positive),
        })
        .collect();
    let before = reference(scale, &half_sure(400), &good);
    let drop = |labels: &[(u8, Outcome)]| {
        let quality = Quality::of(&before, &sums(scale, &half_sure(400), labels));
        let auc = quality.measured.expect("labels").auc.expect("two classes");
        auc.drop.expect("labels in the reference")
    };
    let same = drop(&good);
    assert!(
        same.value == 0.0 && same.low < 0.0 && same.high > 0.0,
        "{same:?}"
    );
    let fell = drop(&worse);
    assert!(fell.low > 0.03 && fell.value < 0.15, "{fell:?}");
}

/// A number of the normal distribution, nearly: the sum of twelve uniform ones.
fn normal(random: &mut Random) -> f64 {
    let mut uniform = || (random.draw() >> 11) as f64 / (1_u64 << 53) as f64;
    (0..12).map(|_| uniform()).sum::<f64>() - 6.0
}

/// Scores of a kind; `shape` bends them towards the ends or the middle.
fn generated(random: &mut Random, n: usize, shape: f64, shift: f64) -> Vec<f64> {
    let score = |_| {
        let logit = shift + shape * normal(random);
        1.0 / (1.0 + (-logit).exp())
    };
    (0..n).map(score).collect()
}

/// The method by rows: each row counts as positive with its probability. Rows are sorted; equal
/// ones count half.
fn auc_by_rows(scores: &[f64]) -> f64 {
    let mut sorted = scores.to_vec();
    sorted.sort_by(f64::total_cmp);
    let positive: f64 = sorted.iter().sum();
    let negative = sorted.len() as f64 - positive;
    let (mut wins, mut below) = (0.0, 0.0);
    for equal in sorted.chunk_by(|a, b| a == b) {
        let p: f64 = equal.iter().sum();
        let n = equal.len() as f64 - p;
        wins += p * (below + 0.5 * n);
        below += n;
    }
    wins / (positive * negative)
}

/// The scale of bins whose edges come from these scores.
fn scale_of(scores: &[f64]) -> ScoreScale {
    let steps = scores.iter().filter_map(|p| even(1).read([*p as f32]));
    let edges = edges(steps.map(|score| score.steps).collect());
    ScoreScale::new(1, None, edges).expect("edges of scores")
}

/// The AUC that is estimated from bins.
fn auc_by_bins(scale: ScoreScale, scores: &[f64]) -> f64 {
    let rows: Vec<_> = scores.iter().map(|p| vec![*p as f32]).collect();
    let found = Figures::estimated(scale, &sums(scale, &rows, &[]).scored(scale));
    found.auc.expect("both classes").value
}

/// The AUC where scores of one bin rank as equal: what labels by bin show, on average.
fn auc_of_equals(scale: ScoreScale, scores: &[f64]) -> f64 {
    let rows: Vec<_> = scores.iter().map(|p| vec![*p as f32]).collect();
    let mut bins = sums(scale, &rows, &[]).scored(scale);
    bins.iter_mut().for_each(|bin| bin.deviation = 0.0);
    let found = Figures::estimated(scale, &bins);
    found.auc.expect("both classes").value
}

/// The table of `docs/quality.md`: `cargo test -p muster-fleet --lib half_a_point -- --nocapture`.
#[test]
fn the_estimate_from_bins_is_that_from_rows_within_half_a_point() {
    let mut random = Random(7);
    let shapes = [0.3, 0.6, 1.0, 1.5, 2.5, 4.0, 8.0];
    let shifts = [-6.0, -3.0, -1.5, 0.0, 1.0, 2.5];
    println!(
        "| spread | centre | AUC by rows | by bins | drifted up | down | labels | even bins |"
    );
    println!("|---:|---:|---:|---:|---:|---:|---:|---:|");
    for (shape, shift) in (shapes.iter()).flat_map(|shape| shifts.map(|shift| (*shape, shift))) {
        let reference = generated(&mut random, 5_000, shape, shift);
        let scale = scale_of(&reference);
        let mut apart = |(drift, sharpness): (f64, f64)| {
            let scores = generated(&mut random, 5_000, shape * sharpness, shift + drift);
            let (rows, bins) = (auc_by_rows(&scores), auc_by_bins(scale, &scores));
            let apart = bins - rows;
            assert!(
                apart.abs() <= 0.005,
                "{shape} {shift} {drift}: {bins} is not {rows}"
            );
            let labels = auc_of_equals(scale, &scores) - rows;
            (rows, apart, labels, auc_of_equals(even(1), &scores) - rows)
        };
        let (now, up, down) = (apart((0.0, 1.0)), apart((1.0, 0.7)), apart((-1.5, 1.3)));
        println!(
            "| {shape} | {shift} | {:.4} | {:+.4} | {:+.4} | {:+.4} | {:+.4} | {:+.4} |",
            now.0, now.1, up.1, down.1, now.2, now.3
        );
        assert!(
            now.2.abs() <= 0.006,
            "{shape} {shift}: {} with labels",
            now.2
        );
    }
}

proptest! {
    #[test]
    fn the_order_of_merging_does_not_show(
        parts in proptest::collection::vec(any::<[u64; 6]>(), 1..12),
        turn in any::<prop::sample::Index>(),
    ) {
        let part = |numbers: &[u64; 6]| {
            let mut sums = ScoreSums {
                improper: numbers[0],
                unknown: numbers[1],
                stale: numbers[2],
                ..ScoreSums::default()
            };
            let bin = (numbers[3] % 20) as usize;
            (sums.bins[bin], sums.steps[bin]) = (numbers[4], numbers[5]);
            (sums.positive[bin], sums.negative[bin]) = (numbers[5], numbers[4]);
            sums.classes.0[bin] = numbers[3];
            sums
        };
        let all = |parts: &[[u64; 6]]| {
            let mut total = ScoreSums::default();
            parts.iter().for_each(|numbers| total.merge(&part(numbers)));
            total
        };
        let mut turned = parts.clone();
        turned.rotate_left(turn.index(parts.len()));
        turned.reverse();
        prop_assert_eq!(all(&parts), all(&turned));
    }
}
