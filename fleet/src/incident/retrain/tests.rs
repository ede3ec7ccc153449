//! The rule, broken in one place each, and the states of a request.

use muster_protocol::stats::ScoreScale;

use super::*;
use crate::incident::Rules;
use crate::quality::{ReferenceScores, ScoreSums};

const TODAY: u64 = 20_000;
const NOW: UnixSeconds = UnixSeconds(TODAY * DAY_S + 7);

fn feature(feature: &str) -> FeatureDay {
    FeatureDay {
        feature: feature.to_owned(),
        n: 1000,
        psi: 0.21,
        p: Some(1e-7),
        devices: 10,
        devices_moved: 3,
        observed: vec![1, 2],
    }
}

/// Three days on which both features fulfil the rule exactly.
fn days() -> Vec<Day> {
    let day = |back| Day {
        day: TODAY - back,
        features: vec![feature("speed"), feature("load")],
        quality: None,
    };
    [3, 2, 1].map(day).to_vec()
}

fn check(days: &[Day], expect: Result<&[&str], &str>) {
    let rule = Rules::default().retrain;
    match (judge(&rule, days, None, NOW), expect) {
        (Verdict::Request { features, because }, Ok(expect)) => {
            assert_eq!(features, expect);
            assert!(because.contains(expect[0]), "{because}");
        }
        (Verdict::Wait { because }, Err(part)) => assert!(because.contains(part), "{because}"),
        (found, expect) => panic!("{found:?} instead of {expect:?}"),
    }
}

fn changed(day: usize, change: impl Fn(&mut FeatureDay)) -> Vec<Day> {
    let mut days = days();
    change(&mut days[day].features[0]);
    days
}

#[test]
fn a_request_takes_every_condition_on_every_day() {
    check(&days(), Ok(&["speed", "load"]));
    for day in 0..3 {
        let breaks: [fn(&mut FeatureDay); 6] = [
            |day| day.n = 999,
            |day| day.psi = 0.2,
            |day| day.p = Some(1e-6),
            |day| day.p = None,
            |day| day.devices_moved = 2,
            |day| (day.devices, day.devices_moved) = (0, 0),
        ];
        for change in breaks {
            check(&changed(day, change), Ok(&["load"]));
        }
    }
    let mut none = days();
    none[1].features.clear();
    check(&none, Err("has PSI 0.210 above 0.2"));
}

#[test]
fn days_are_whole_in_a_row_and_the_last_ones() {
    let mut gap = days();
    gap[0].day -= 1;
    check(&gap, Err("last 3 whole days"));
    check(&days()[1..], Err("last 3 whole days"));
    check(&[], Err("last 3 whole days"));
    let mut today = days();
    today.iter_mut().for_each(|day| day.day += 1);
    // Today has not ended, so only two of them count.
    check(&today, Err("last 3 whole days"));
    let mut more = days();
    more.insert(
        0,
        Day {
            day: TODAY - 4,
            features: vec![],
            quality: None,
        },
    );
    check(&more, Ok(&["speed", "load"]));
}

#[test]
fn a_model_is_left_alone_for_a_week() {
    let rule = Rules::default().retrain;
    let check = |newest: u64, expect: bool| {
        let rests = rule.rests(UnixSeconds(newest), NOW);
        assert_eq!(rests, expect, "{newest}");
    };
    let week = 7 * DAY_S;
    check(NOW.0 - week + 1, true);
    check(NOW.0 - week, false);
    // A clock that went back asks for nothing twice.
    check(NOW.0 + 5, true);
}

#[test]
fn how_much_counts_differ_is_learnt_from_fifty_stretches() {
    let median = median_chi_squared(17.0);
    // The median of χ² with 17 degrees of freedom, as scipy.stats.chi2.median(17) gives it.
    assert!((median - 16.338_182_377_392_37).abs() < 0.01, "{median}");
    let stretches = |x2: f64, count: usize| vec![(x2, 17); count];
    assert_eq!(dispersion(&stretches(median, 49)), None);
    assert_eq!(dispersion(&stretches(median, 50)), Some(1.0));
    assert_eq!(dispersion(&stretches(median / 2.0, 50)), Some(1.0));
    let tenfold = dispersion(&stretches(median * 10.0, 50)).expect("enough");
    assert!((tenfold - 10.0).abs() < 1e-9, "{tenfold}");
    assert_eq!(dispersion(&[(1.0, 0); 100]), None);
    assert_eq!(dispersion(&[(f64::NAN, 3); 100]), None);
}

#[test]
fn a_request_is_taken_once_and_ends_once() {
    use RetrainCommand::{Decline, Done, PickUp};
    use RetrainState::{Declined, PickedUp, Requested};
    let check = |state: RetrainState, expect: [Option<RetrainState>; 3]| {
        let after = [PickUp, Done, Decline].map(|command| state.after(command));
        assert_eq!(after, expect, "{state:?}");
        assert_eq!(RetrainState::of(state.as_str()), Some(state));
    };
    check(Requested, [Some(PickedUp), None, Some(Declined)]);
    check(PickedUp, [None, Some(RetrainState::Done), Some(Declined)]);
    check(RetrainState::Done, [None; 3]);
    check(Declined, [None; 3]);
}

/// Three days of a classifier whose scores were as sure as this, with so many labels of each class, of
/// which this share contradicts them; features have not moved.
fn quality_days(p: f64, predictions: u64, labels: u64, wrong: f64) -> Vec<Day> {
    let mut days = days();
    for day in &mut days {
        day.features.clear();
        day.quality = Some(QualityDay::of(
            &reference_scores(),
            &scores(p, predictions, labels, wrong),
        ));
    }
    days
}

fn reference_scores() -> ReferenceScores {
    ReferenceScores {
        scale: ScoreScale::even(1, None).expect("valid"),
        sums: scores(0.95, 10_000, 5000, 0.05),
    }
}

/// Half of the predictions are this sure of one class, half of the other; so are the labels.
fn scores(p: f64, predictions: u64, labels: u64, wrong: f64) -> ScoreSums {
    let mut sums = ScoreSums::default();
    for (p, is_positive) in [(p, true), (1.0 - p, false)] {
        let steps = (p * 65_536.0) as u64;
        let bin = (steps * 20 / 65_536) as usize;
        sums.bins[bin] += predictions / 2;
        sums.steps[bin] += steps * (predictions / 2);
        let other = (wrong * labels as f64) as u64;
        let (right, other) = (labels - other, other);
        let (positive, negative) = if is_positive {
            (right, other)
        } else {
            (other, right)
        };
        sums.positive[bin] += positive;
        sums.negative[bin] += negative;
    }
    sums
}

#[test]
fn quality_asks_without_any_feature_estimated_by_the_day_and_measured_over_all() {
    let check = |days: &[Day], expect: Result<&[&str], &str>| {
        let rule = Rules::default().retrain;
        let span = QualitySpan::of(&reference_scores(), days);
        match (judge(&rule, days, span.as_ref(), NOW), expect) {
            (Verdict::Request { features, because }, Ok(says)) => {
                assert_eq!(features, [""; 0]);
                for says in says {
                    assert!(because.contains(says), "{says:?} is not in {because:?}");
                }
            }
            (Verdict::Wait { because }, Err(part)) => assert!(because.contains(part), "{because}"),
            (found, expect) => panic!("{found:?} instead of {expect:?}"),
        }
    };
    let estimated = [
        "on each of 3 days, the estimated AUC lies 0.0",
        "the estimated accuracy lies 0.05",
        "assumes calibrated scores",
    ];
    check(&quality_days(0.9, 1000, 0, 0.0), Ok(&estimated));
    check(
        &quality_days(0.9, 998, 0, 0.0),
        Err("neither a feature nor quality"),
    );
    check(
        &quality_days(0.93, 1000, 0, 0.0),
        Err("the estimated accuracy fell by 0.02"),
    );
    let mut once = quality_days(0.9, 1000, 0, 0.0);
    once[1] = quality_days(0.95, 1000, 0, 0.0).remove(1);
    check(&once, Err("neither a feature nor quality"));
    once[1].quality = None;
    check(&once, Err("neither a feature nor quality"));

    let measured = [
        "over all days, the measured accuracy lies 0.1",
        "600 labels",
    ];
    check(&quality_days(0.95, 1000, 100, 0.2), Ok(&measured));
    check(
        &quality_days(0.95, 1000, 33, 0.2),
        Err("neither a feature nor quality"),
    );
    check(
        &quality_days(0.95, 1000, 100, 0.06),
        Err("neither a feature nor quality"),
    );

    let never = RetrainRule {
        estimated_auc_drop: None,
        estimated_accuracy_drop: None,
        ..Rules::default().retrain
    };
    let days = quality_days(0.9, 1000, 0, 0.0);
    assert!(matches!(
        judge(&never, &days, None, NOW),
        Verdict::Wait { .. }
    ));
}

#[test]
fn a_rule_from_before_quality_asked_is_written_as_it_was() {
    let old = r#"{"causes":["real_drift"],"psi_min":0.2,"samples_min":1000,"device_share_min":0.3,"p_max":1e-6,"days":3,"cooldown_days":7}"#;
    let rule: RetrainRule = serde_json::from_str(old).expect("read");
    assert_eq!(serde_json::to_string(&rule).expect("written"), old);
}
