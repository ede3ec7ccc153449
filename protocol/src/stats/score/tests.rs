//! What is a probability and in which bin it is counted; sums do not depend on the order.

use super::*;
use proptest::prelude::*;

fn check(scale: ScoreScale, row: &[f32], expect: Option<(u8, u16)>) {
    let score = scale.read(row.iter().copied());
    assert_eq!(
        score.map(|s| (s.bin(), s.class)),
        expect,
        "{scale:?} {row:?}"
    );
}

#[test]
fn one_score_is_that_of_the_positive_class() {
    let scale = ScoreScale::Positive;
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
    check(ScoreScale::Two(1), &[0.28, 0.72], Some((14, 1)));
    check(ScoreScale::Two(0), &[0.28, 0.72], Some((5, 1)));
    check(ScoreScale::Two(0), &[0.72, 0.28], Some((14, 0)));
    check(ScoreScale::Two(1), &[0.5, 0.5], Some((10, 1)));
}

#[test]
fn of_many_the_highest_is_counted() {
    check(ScoreScale::Many(3), &[0.2, 0.5, 0.3], Some((10, 1)));
    check(ScoreScale::Many(4), &[0.25; 4], Some((5, 0)));
    let mut wide = [0.0; 40];
    wide[39] = 1.0;
    let score = ScoreScale::Many(40).read(wide).expect("probabilities");
    let mut counts = ScoreCounts::default();
    counts.fold(Some(score));
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
        check(ScoreScale::Positive, row, None);
    }
    // Raw outputs before the sigmoid; a row that is not one in sum; too short, too long.
    for row in [&[-3.0, 4.0][..], &[0.5, 0.6], &[0.9], &[0.5, 0.5, 0.0]] {
        check(ScoreScale::Two(1), row, None);
    }
}

#[test]
fn a_scale_that_cannot_be_read_says_why() {
    use BadScores::{Number, Positive};
    let check = |scores, positive, expect: Result<ScoreScale, BadScores>| {
        assert_eq!(ScoreScale::new(scores, positive), expect);
    };
    check(0, None, Err(Number));
    check(1, None, Ok(ScoreScale::Positive));
    check(1, Some(0), Err(Positive));
    check(2, None, Ok(ScoreScale::Two(1)));
    check(2, Some(0), Ok(ScoreScale::Two(0)));
    check(2, Some(2), Err(Positive));
    check(3, None, Ok(ScoreScale::Many(3)));
    check(3, Some(1), Err(Positive));
    check(SCORES_MAX + 1, None, Err(Number));
    check(SCORES_MAX + 1, Some(1), Err(Number));
}

#[test]
fn a_label_says_whether_it_is_the_class_that_was_scored() {
    let check = |scale: ScoreScale, class, label, expect| {
        assert_eq!(scale.outcome(class, label), expect, "{scale:?} {label}");
    };
    check(ScoreScale::Two(0), 1, 0, Some(Outcome::Positive));
    check(ScoreScale::Positive, 0, 1, Some(Outcome::Positive));
    check(ScoreScale::Positive, 1, 0, Some(Outcome::Negative));
    check(ScoreScale::Positive, 1, 2, None);
    check(ScoreScale::Many(3), 2, 2, Some(Outcome::Positive));
    check(ScoreScale::Many(3), 2, 0, Some(Outcome::Negative));
    check(ScoreScale::Many(3), 2, 3, None);
}

proptest! {
    #[test]
    fn merging_parts_in_any_order_is_folding_the_whole(
        rows in proptest::collection::vec(-0.1f32..1.1, 0..200),
        cut in 0usize..200,
    ) {
        let folded = |rows: &[f32]| {
            let mut counts = ScoreCounts::default();
            rows.iter().for_each(|p| counts.fold(ScoreScale::Positive.read([*p])));
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
    fn the_mean_of_a_bin_lies_in_it(p in 0f32..=1.0) {
        let score = ScoreScale::Positive.read([p]).expect("a probability");
        let (low, steps) = (u32::from(score.bin()) * STEPS_PER_ONE, score.steps * 20);
        prop_assert!(low <= steps && steps <= low + STEPS_PER_ONE + 20);
    }
}
