//! The rule, broken in one place each, and the states of a request.

use super::*;
use crate::incident::Rules;

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
    };
    [3, 2, 1].map(day).to_vec()
}

fn check(days: &[Day], expect: Result<&[&str], &str>) {
    let rule = Rules::default().retrain;
    match (judge(&rule, days, NOW), expect) {
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
