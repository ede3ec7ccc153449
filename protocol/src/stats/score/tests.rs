//! What is a probability and in which bin it is counted; sums do not depend on the order.

use super::*;
use proptest::prelude::*;

fn one() -> ScoreScale {
    ScoreScale::even(1, None).expect("valid")
}

fn two(positive: u8) -> ScoreScale {
    ScoreScale::even(2, Some(positive)).expect("valid")
}

fn many(scores: u32) -> ScoreScale {
    ScoreScale::even(scores, None).expect("valid")
}

fn check(scale: ScoreScale, row: &[f32], expect: Option<(u8, u16)>) {
    let score = scale.read(row.iter().copied());
    assert_eq!(score.map(|s| (s.bin, s.class)), expect, "{scale:?} {row:?}");
}

#[test]
fn one_score_is_that_of_the_positive_class() {
    let scale = one();
    check(scale, &[0.0], Some((0, 0)));
    check(scale, &[0.049_9], Some((0, 0)));
    check(scale, &[0.05], Some((1, 0)));
    check(scale, &[0.499], Some((9, 0)));
    check(scale, &[0.5], Some((10, 1)));
    check(scale, &[1.0], Some((19, 1)));
    check(scale, &[1.000_001], Some((19, 1)));
    check(scale, &[-0.000_001], Some((0, 0)));
}

#[test]
fn of_two_the_positive_one_is_counted() {
    check(two(1), &[0.28, 0.72], Some((14, 1)));
    check(two(0), &[0.28, 0.72], Some((5, 1)));
    check(two(0), &[0.72, 0.28], Some((14, 0)));
    check(two(1), &[0.5, 0.5], Some((10, 1)));
}

#[test]
fn of_many_the_highest_is_counted() {
    check(many(3), &[0.2, 0.5, 0.3], Some((10, 1)));
    check(many(4), &[0.25; 4], Some((5, 0)));
    let mut wide = [0.0; 40];
    wide[39] = 1.0;
    let score = many(40).read(wide).expect("probabilities");
    let mut counts = ScoreCounts::default();
    counts.fold(&many(40), Some(score));
    assert_eq!((score.class, counts.classes[usize::from(OTHER)]), (39, 1));
}

#[test]
fn what_is_no_probability_has_no_score() {
    for row in [
        &[f32::NAN][..],
        &[1.02],
        &[-0.02],
        &[f32::INFINITY],
        &[],
        &[0.5, 0.5],
    ] {
        check(one(), row, None);
    }
    // Raw outputs before the sigmoid; a row that is not one in sum; too short, too long.
    for row in [&[-3.0, 4.0][..], &[0.5, 0.6], &[0.9], &[0.5, 0.5, 0.0]] {
        check(two(1), row, None);
    }
}

#[test]
fn a_scale_that_cannot_be_read_says_why() {
    use BadScores::{Number, Positive};
    let check = |scores, positive, expect: Result<(u32, Option<u8>), BadScores>| {
        let scale = ScoreScale::even(scores, positive);
        assert_eq!(scale.map(|s| (s.scores(), s.positive())), expect);
    };
    check(0, None, Err(Number));
    check(1, None, Ok((1, Some(1))));
    check(1, Some(0), Err(Positive));
    check(2, None, Ok((2, Some(1))));
    check(2, Some(0), Ok((2, Some(0))));
    check(2, Some(2), Err(Positive));
    check(3, None, Ok((3, None)));
    check(3, Some(1), Err(Positive));
    check(SCORES_MAX + 1, None, Err(Number));
    check(SCORES_MAX + 1, Some(1), Err(Number));
}

#[test]
fn edges_ascend_and_divide_two_classes() {
    let check = |scores, edges: &[u32], expect: Option<usize>| {
        let scale = ScoreScale::new(scores, None, edges.iter().copied());
        let from = scale.as_ref().map(ScoreScale::positive_from);
        assert_eq!(from.ok(), expect, "{edges:?}");
        if let Ok(scale) = scale {
            assert_eq!(scale.edges(), edges);
        }
    };
    check(1, &[HALF], Some(1));
    check(1, &[1, 70, HALF, HALF + 1], Some(3));
    check(1, &[], None);
    check(1, &[70, 80], None);
    check(3, &[], Some(0));
    check(3, &[70, 80], Some(0));
    check(3, &[70, 70], None);
    check(3, &[0], None);
    check(3, &[STEPS_PER_ONE], None);
    let many: [u32; SCORE_BINS] = core::array::from_fn(|place| place as u32 + 1);
    check(3, &many[1..], Some(0));
    check(3, &many, None);
    assert_eq!(one().positive_from(), 10);
}

#[test]
fn squares_are_of_what_lies_above_the_bin() {
    let mut counts = ScoreCounts::default();
    for p in [0.05, 0.0625, 0.0625] {
        counts.fold(&one(), one().read([p]));
    }
    let (low, above) = (3277, 4096 - 3277);
    assert_eq!((counts.bins[1], counts.sums[1]), (3, low + 2 * 4096));
    assert_eq!(counts.squares[1], 2 * above * above);
}

#[test]
fn a_label_says_whether_it_is_the_class_that_was_scored() {
    let check = |scale: ScoreScale, class, label, expect| {
        assert_eq!(scale.outcome(class, label), expect, "{scale:?} {label}");
    };
    check(two(0), 1, 0, Some(Outcome::Positive));
    check(one(), 0, 1, Some(Outcome::Positive));
    check(one(), 1, 0, Some(Outcome::Negative));
    check(one(), 1, 2, None);
    check(many(3), 2, 2, Some(Outcome::Positive));
    check(many(3), 2, 0, Some(Outcome::Negative));
    check(many(3), 2, 3, None);
}

proptest! {
    #[test]
    fn merging_parts_in_any_order_is_folding_the_whole(
        rows in proptest::collection::vec(-0.1f32..1.1, 0..200),
        cut in 0usize..200,
    ) {
        let folded = |rows: &[f32]| {
            let mut counts = ScoreCounts::default();
            rows.iter().for_each(|p| counts.fold(&one(), one().read([*p])));
            counts
        };
        let cut = cut.min(rows.len());
        let (mut ab, mut ba) = (folded(&rows[..cut]), folded(&rows[cut..]));
        let (a, b) = (ab, ba);
        ab.merge(&b);
        ba.merge(&a);
        prop_assert_eq!(ab, folded(&rows));
        prop_assert_eq!(ab, ba);
    }

    #[test]
    fn a_score_lies_in_its_bin(p in 0f32..=1.0) {
        let score = one().read([p]).expect("a probability");
        let bin = usize::from(score.bin);
        let high = if bin + 1 < SCORE_BINS { one().low(bin + 1) } else { STEPS_PER_ONE + 1 };
        prop_assert!(one().low(bin) <= score.steps && score.steps < high);
    }
}
