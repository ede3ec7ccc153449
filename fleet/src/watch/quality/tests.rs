//! Days of a classifier whose scores are made: what is found, when, and what is not.

use muster_protocol::message::window::{LabelLists, ScoreLists};
use muster_protocol::stats::{LabelCounts, Outcome, ScoreCounts, ScoreScale};

use super::*;
use crate::random::Random;

/// Slots before the first: time does not begin with the watch.
const BEGIN: u64 = 80_000;

/// Standard normal (Box and Muller 1958).
fn normal(random: &mut Random) -> f64 {
    let (u, v) = (1.0 - unit(random), unit(random));
    (-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * v).cos()
}

fn unit(random: &mut Random) -> f64 {
    (random.draw() >> 11) as f64 / (1_u64 << 53) as f64
}

/// What a cohort does in a slot.
#[derive(Debug, Clone, Copy)]
struct Plan {
    predictions: u32,
    /// Of the log-odds of its scores: the narrower, the less sure.
    spread: f64,
    /// Of its predictions, those that get a label.
    labels: u32,
    /// How often a label is the other one than scores say.
    wrong: f64,
}

const SURE: Plan = Plan {
    predictions: 300,
    spread: 2.5,
    labels: 0,
    wrong: 0.0,
};
const UNSURE: Plan = Plan {
    spread: 1.5,
    ..SURE
};

fn scale() -> ScoreScale {
    ScoreScale::even(1, None).expect("valid")
}

fn counted(random: &mut Random, plan: Plan) -> ScoreSums {
    let (mut scores, mut labels) = (ScoreCounts::default(), LabelCounts::default());
    for at in 0..plan.predictions {
        let p = 1.0 / (1.0 + (-plan.spread * normal(random)).exp());
        let score = scale().read([p as f32]).expect("a probability");
        scores.fold(&scale(), Some(score));
        if at < plan.labels {
            let (positive, other) = (unit(random) < p, unit(random) < plan.wrong);
            let outcome = match positive != other {
                true => Outcome::Positive,
                false => Outcome::Negative,
            };
            labels.fold(score.bin, outcome);
        }
    }
    let (scores, labels) = (ScoreLists::of(&scores), LabelLists::of(&labels));
    ScoreSums::of(Some(&scores.scores()), Some(&labels.labels()))
}

fn reference() -> ReferenceScores {
    let plan = Plan {
        predictions: 20_000,
        labels: 20_000,
        ..SURE
    };
    ReferenceScores {
        scale: scale(),
        sums: counted(&mut Random(1), plan),
    }
}

/// Lets each plan go on for so many slots; what fell, with the slot that showed it.
fn run(plans: &[(u64, Plan)]) -> Vec<(u64, Fell)> {
    play(plans, BEGIN, |_| true).0
}

/// The same from slot `begin` on, without the slots that are not there; and what is known in the end.
fn play(
    plans: &[(u64, Plan)],
    begin: u64,
    is_there: fn(u64) -> bool,
) -> (Vec<(u64, Fell)>, QualityWatch) {
    let (mut random, mut watch) = (Random(7), QualityWatch::default());
    let (reference, rule) = (reference(), QualityRule::default());
    let each = plans
        .iter()
        .flat_map(|(slots, plan)| (0..*slots).map(move |_| *plan));
    let mut fallen = Vec::new();
    for (at, plan) in (0..).zip(each).filter(|(at, _)| is_there(begin + at)) {
        let ended = UnixSeconds((begin + at) * SLOT_S + LATE_S);
        let sums = counted(&mut random, plan);
        let fell = watch.take(ended, &sums, &reference, &rule);
        let slot = |fell: &Fell| fell.at.0 / SLOT_S - 1 - begin;
        fallen.extend(fell.into_iter().map(|fell| (slot(&fell), fell)));
        // Written down and read again between two windows.
        let bytes = postcard::to_stdvec(&watch).expect("written");
        let again: QualityWatch = postcard::from_bytes(&bytes).expect("read");
        assert_eq!(watch, again);
    }
    (fallen, watch)
}

/// Nothing falls before slot `from`; there it does, in this way, and the sentence says all of this.
fn check(plans: &[(u64, Plan)], expect: Option<(u64, How, &[&str])>) {
    let fallen = run(plans);
    let first = fallen
        .first()
        .map(|(at, fell)| (*at, fell.how, fell.because()));
    match (first, expect) {
        (None, None) => {}
        (Some((at, how, because)), Some((from, expected, says))) => {
            assert_eq!((at, how), (from, expected), "{because}");
            for says in says {
                assert!(because.contains(says), "{says:?} is not in {because:?}");
            }
        }
        (found, expect) => panic!("{found:?} instead of {expect:?}"),
    }
}

#[test]
fn scores_that_become_unsure_are_an_estimated_fall_within_a_day() {
    let says = [
        "the estimated AUC is 0.8",
        "points below the 0.89",
        "standard deviations below the usual 0.89",
        "of 14 days here",
        "and the estimated accuracy",
        "over 1200 predictions of 24 h, without labels",
        "an estimate assumes calibrated scores",
    ];
    check(
        &[(80, SURE), (8, UNSURE)],
        Some((81, How::Estimated, &says)),
    );
    check(&[(160, SURE)], None);
    // Surer than before is no fall.
    let surer = Plan {
        spread: 4.0,
        ..SURE
    };
    check(&[(80, SURE), (8, surer)], None);
}

#[test]
fn nothing_is_estimated_before_it_is_known_what_is_usual() {
    check(&[(40, SURE), (8, UNSURE), (8, SURE)], None);
    // Thirteen days and three quarters.
    check(&[(56, UNSURE)], None);
    let says = ["as it has been since it is watched", "on 14 days"];
    check(&[(60, UNSURE)], Some((56, How::Estimated, &says)));
}

#[test]
fn where_little_is_predicted_a_look_takes_a_week_at_most() {
    let seldom = |plan: Plan, predictions| Plan {
        predictions,
        ..plan
    };
    // A look takes eight slots, two days: it is learnt for four weeks.
    let days = [(120, seldom(SURE, 30)), (20, seldom(UNSURE, 30))];
    let fallen = run(&days);
    let (at, fell) = fallen.first().expect("something falls");
    assert!((121..128).contains(at), "{at}");
    assert_eq!((fell.n, fell.hours), (210, 42), "{fell:?}");
    check(&[(200, seldom(SURE, 7)), (60, seldom(UNSURE, 7))], None);
}

#[test]
fn how_it_stands_is_known_for_a_day_and_where_somebody_judges() {
    let judged = |plans: &[(u64, Plan)]| play(plans, BEGIN, |_| true).1;
    let (usual, fallen) = (judged(&[(70, SURE)]), judged(&[(70, SURE), (6, UNSURE)]));
    let rule = QualityRule::default();
    let check = |watch: &QualityWatch, rule: Option<&QualityRule>, after_s: u64, expect| {
        let ended = end(watch.judged.expect("a slot has ended"));
        let at = UnixSeconds(ended.0 + after_s);
        assert_eq!(watch.stands(rule, at), expect, "{after_s} {rule:?}");
    };
    for (watch, stands) in [
        (&usual, QualityStands::Usual),
        (&fallen, QualityStands::Fallen),
    ] {
        check(watch, Some(&rule), 0, stands);
        check(watch, Some(&rule), 24 * 3600, stands);
        check(watch, Some(&rule), 24 * 3600 + 1, QualityStands::Unknown);
        check(watch, None, 0, QualityStands::Unknown);
    }
    let nothing = QualityWatch::default();
    let stands = nothing.stands(Some(&rule), UnixSeconds(0));
    assert_eq!(stands, QualityStands::Unknown);
}

#[test]
fn days_begin_at_midnight_and_hours_are_none() {
    let check = |shift: u64, slots: u64, is_there: fn(u64) -> bool, expect: u32| {
        let (_, watch) = play(&[(slots + 1, SURE)], BEGIN + shift, is_there);
        assert_eq!(watch.accuracy.days(), expect, "{shift} {slots}");
    };
    let always = |_| true;
    check(0, 8, always, 2);
    check(0, 7, always, 1);
    check(1, 7, always, 2);
    check(2, 9, always, 1);
    check(2, 10, always, 2);
    // Three of four are a day, when it is over; two are none, on however many days.
    check(0, 8, |slot| slot % 4 != 1, 2);
    check(0, 9, |slot| slot % 4 != 3, 2);
    check(0, 40, |slot| slot % 4 > 1, 0);
    check(0, 40, |slot| slot % 4 == 2, 0);
}

#[test]
fn after_a_pause_the_last_slots_before_it_make_up_the_day() {
    let look = |there: fn(u64) -> bool, slots: u64| {
        let (_, watch) = play(&[(slots + 1, SURE)], BEGIN, there);
        let slot = watch.judged.expect("a slot has ended");
        let look = watch.day(slot, &QualityRule::default());
        look.map(|look| (look.slots, look.hours))
    };
    assert_eq!(look(|_| true, 80), Some((4, 24)));
    // Two days of nothing.
    let pause = |slot| !(70..78).contains(&(slot - BEGIN));
    assert_eq!(look(pause, 79), Some((4, 72)));
    assert_eq!(look(pause, 82), Some((4, 24)));
    // A week of nothing: what came before it is gone.
    let week = |slot| !(70..98).contains(&(slot - BEGIN));
    assert_eq!(look(week, 99), None);
    assert_eq!(look(week, 100), None);
    assert_eq!(look(week, 101), Some((3, 18)));
}

#[test]
fn few_predictions_vary_more_and_are_no_fall() {
    let seldom = Plan {
        predictions: 50,
        ..SURE
    };
    check(&[(80, SURE), (40, seldom)], None);
}

#[test]
fn labels_that_contradict_scores_are_a_measured_fall_and_no_estimated_one() {
    let labelled = |wrong, labels| Plan {
        labels,
        wrong,
        ..SURE
    };
    let says = [
        "the measured AUC is 0.",
        "and the measured accuracy",
        "more with 99.99",
        "labels of 6 h",
    ];
    check(&[(3, labelled(0.0, 300)), (1, SURE)], None);
    check(
        &[(2, labelled(0.3, 300)), (1, SURE)],
        Some((0, How::Measured, &says)),
    );
    for plan in [labelled(0.0, 300), labelled(0.3, 6)] {
        let fallen = run(&[(27, plan), (1, SURE)]);
        let how: Vec<How> = fallen.iter().map(|(_, fell)| fell.how).collect();
        assert_eq!(how, [], "{plan:?}");
    }
    let fallen = run(&[(80, labelled(0.3, 100)), (1, SURE)]);
    assert!(fallen.iter().all(|(_, fell)| fell.how == How::Measured));
}

#[test]
fn what_comes_late_counts_for_an_hour_and_no_longer() {
    let (reference, rule) = (reference(), QualityRule::default());
    let sums = counted(&mut Random(3), SURE);
    let check = |ended: u64, expect: u64| {
        let mut watch = QualityWatch::default();
        let slot = BEGIN * SLOT_S;
        for ended in [slot, slot + SLOT_S + LATE_S - 1, ended] {
            watch.take(UnixSeconds(ended), &sums, &reference, &rule);
        }
        watch.take(
            UnixSeconds(slot + SLOT_S + LATE_S),
            &sums,
            &reference,
            &rule,
        );
        let first = watch.ended.front().expect("it has ended");
        assert_eq!(first.1.0.predictions(), expect, "{ended}");
        let before = watch.clone();
        watch.take(UnixSeconds(slot + SLOT_S - 1), &sums, &reference, &rule);
        assert_eq!(watch, before, "too late");
    };
    check(BEGIN * SLOT_S + 5, 600);
    check(BEGIN * SLOT_S + SLOT_S, 300);
}

/// The figure of these log-odds.
fn figure(log_odds: f64) -> f64 {
    1.0 / (1.0 + (-log_odds).exp())
}

/// Days of nothing new, of which 14 were learnt: how often one of the next twenty is found so low.
fn chance(level: f64, fewer: f64) -> f64 {
    let mut random = Random(11);
    let (cohorts, days) = (10_000, 20);
    let mut low = 0;
    for _ in 0..cohorts {
        let mut usual = Usual::default();
        for _ in 0..14 {
            let day = figure(2.2 + 0.1 * normal(&mut random));
            usual.learn(Some(day), 1000, 14);
        }
        for _ in 0..days {
            let day = figure(2.2 + 0.1 * fewer.sqrt() * normal(&mut random));
            let below = usual.below(day, (1000.0 / fewer) as u64);
            low += u32::from(below.p <= level);
        }
    }
    f64::from(low) / f64::from(cohorts * days)
}

#[test]
fn chance_finds_as_many_as_are_allowed() {
    for (level, fewer) in [(0.01, 1.0), (0.001, 1.0), (0.001, 4.0)] {
        let found = chance(level, fewer) / level;
        assert!((0.8..1.2).contains(&found), "{level} {fewer}: {found}");
    }
    let rule = QualityRule::default();
    let a_year = rule.level() * 4.0 * 365.25 * 4.0;
    assert!((a_year - 0.08).abs() < 1e-12, "{a_year}");
    // What docs/quality.md says of it.
    let mut usual = Usual::default();
    (0..14).for_each(|day| usual.learn(Some(figure(f64::from(day % 2))), 1000, 14));
    let deviation = 0.5 * (14.0_f64 / 13.0).sqrt();
    let chance = |deviations: f64| usual.below(figure(0.5 - deviations * deviation), 1000).p;
    assert!(chance(6.45) > rule.level() && chance(6.55) < rule.level());
    assert!((73_000.0..73_100.0).contains(&(1.0 / rule.level())));
}

/// How sure scores are: their spread, slot by slot.
type World = fn(&mut Random, slot: u64, yesterday: &mut f64) -> f64;

fn alike(_: &mut Random, _: u64, _: &mut f64) -> f64 {
    2.5
}

fn day_and_night(_: &mut Random, slot: u64, _: &mut f64) -> f64 {
    if slot % 4 < 2 { 1.5 } else { 3.5 }
}

/// Each day differs by some percent, and the next one goes on from there.
fn following<const PERCENT: u64>(random: &mut Random, slot: u64, off: &mut f64) -> f64 {
    if slot.is_multiple_of(4) {
        let rho = PERCENT as f64 / 100.0;
        *off = rho * *off + (1.0 - rho * rho).sqrt() * normal(random);
    }
    2.5 * (0.05 * *off).exp()
}

/// Whether anything comes in a slot.
type Comes = fn(&mut Random, slot: u64) -> bool;

fn always(_: &mut Random, _: u64) -> bool {
    true
}

/// One slot of six is missing, and a day of each week.
fn with_pauses(random: &mut Random, slot: u64) -> bool {
    slot / 4 % 7 != 6 && !random.draw().is_multiple_of(6)
}

/// Looks of a year in which a figure is found too low, where nothing is new: of so many cohorts that learn
/// for 14 days and are judged for 30, pauses included.
fn falls_by_chance(world: World, comes: Comes, cohorts: u32) -> f64 {
    // Any fall at all, so that nothing but chance keeps it from being found.
    let rule = QualityRule {
        drop_min: 1e-9,
        deviations_min: 0.0,
        per_cohort_year: 10.0,
        ..QualityRule::default()
    };
    // A reference that is never fallen short of by what is usual.
    let reference = ReferenceScores {
        sums: counted(&mut Random(1), UNSURE),
        ..reference()
    };
    let (slots, mut falls, mut looks) = (4 * 44, 0, 0);
    for cohort in 0..cohorts {
        let mut random = Random(u64::from(cohort) + 5);
        let (mut watch, mut yesterday) = (QualityWatch::default(), normal(&mut random));
        let mut judged = None;
        for at in 0..slots {
            let spread = world(&mut random, at, &mut yesterday);
            if !comes(&mut random, at) {
                continue;
            }
            let plan = Plan {
                predictions: 100,
                spread,
                ..SURE
            };
            let sums = counted(&mut random, plan);
            let ended = UnixSeconds((BEGIN + at) * SLOT_S + LATE_S);
            watch.take(ended, &sums, &reference, &rule);
            let Some(slot) = watch.judged.filter(|slot| Some(*slot) != judged) else {
                continue;
            };
            judged = Some(slot);
            let day = watch.day(slot, &rule);
            let figures = |day: Look| (day.sums.predictions(), fell::figures(&day.sums, scale()));
            let low = day.map(figures).map_or(0, |(n, figures)| {
                let each = [
                    (figures.accuracy, &watch.accuracy),
                    (figures.auc, &watch.auc),
                ];
                let is_low = |(figure, usual): &(Option<f64>, &Usual)| {
                    let known = figure.filter(|_| usual.is_learnt(rule.baseline_days));
                    known.is_some_and(|figure| usual.below(figure, n).p <= rule.level())
                };
                each.iter().filter(|of| is_low(of)).count()
            });
            looks += u32::from(watch.is_learnt(&rule));
            falls += low as u32;
        }
    }
    f64::from(falls) / f64::from(looks) * 4.0 * 365.25
}

#[test]
fn years_of_nothing_new_find_no_more_than_are_allowed() {
    println!("| days | falls found a year, of 5 allowed |\n|---|---:|");
    let worlds: [(&str, World, Comes); 6] = [
        ("alike", alike, always),
        ("of day and night", day_and_night, always),
        (
            "that go on from the one before, ρ = 0.5",
            following::<50>,
            always,
        ),
        ("the same, ρ = 0.9", following::<90>, always),
        ("alike, with pauses", alike, with_pauses),
        ("of day and night, with pauses", day_and_night, with_pauses),
    ];
    for (name, world, comes) in worlds {
        let falls = falls_by_chance(world, comes, 150);
        println!("| {name} | {falls:.1} |");
        let is_independent = ["alike", "of day and night", "alike, with pauses"].contains(&name);
        assert!(falls <= 5.0 || !is_independent, "{name}: {falls}");
    }
}

#[test]
fn no_input_panics_and_days_that_never_vary_have_no_chance() {
    let mut still = Usual::default();
    (0..14).for_each(|_| still.learn(Some(0.9), u64::MAX, 14));
    assert_eq!((still.below(0.8, 1).p, still.below(0.9, 0).p), (0.0, 0.5));
    let nothing = Usual::default();
    assert!(nothing.below(0.5, 0).p > 0.4);
    let mut watch = QualityWatch::default();
    let (reference, rule) = (reference(), QualityRule::default());
    let sums = ScoreSums {
        bins: [u64::MAX; 20],
        steps: [u64::MAX; 20],
        ..ScoreSums::default()
    };
    for ended in [0, u64::MAX, 5, u64::MAX - 1, SLOT_S * 9] {
        watch.take(UnixSeconds(ended), &sums, &reference, &rule);
    }
}
