//! Counts of hours become days: which of them, and what is never mixed.

use muster_fleet::incident::Rules;
use muster_protocol::digest::Digest;

use super::*;
use crate::drift::Side;
use crate::store::WindowSums;

const DAY: u64 = 20_000;

fn reference() -> BundleReference {
    BundleReference {
        digest: Digest([9; 32]),
        rows: 2000,
        features: vec![ReferenceFeature {
            name: "speed".to_owned(),
            source: Side::Input,
            edges: vec![1.0],
            counts: vec![1000, 1000],
            missing: 0,
            raw: None,
            limits: None,
        }],
        scores: None,
        variation: None,
    }
}

fn hour(device: &str, reference: u8, bins: &[u64]) -> FeatureHour {
    FeatureHour {
        device: device.to_owned(),
        bundle: Digest([1; 32]),
        reference: Some(Digest([reference; 32])),
        sums: WindowSums {
            closed_windows: 1,
            calls: 1,
            misfits: 0,
            features: vec![FeatureSum {
                bins: bins.iter().copied().collect(),
                ..FeatureSum::default()
            }],
        },
    }
}

#[test]
fn hours_are_summed_by_day_and_device_and_others_are_left_out() {
    let (reference, rule) = (reference(), Rules::default().retrain);
    let mut counts = CohortCounts::new(&reference, &rule, DAY * 24, DAY * 24);
    counts.add(DAY * 24 - 1, hour("a", 9, &[400, 0]));
    counts.add(DAY * 24, hour("a", 9, &[150, 0]));
    counts.add(DAY * 24 + 23, hour("a", 9, &[150, 0]));
    counts.add(DAY * 24 + 5, hour("b", 9, &[100, 100]));
    // Too few to be looked at by themselves.
    counts.add(DAY * 24 + 5, hour("c", 9, &[50, 50]));
    counts.add(DAY * 24 + 5, hour("a", 8, &[7, 7]));
    counts.add(DAY * 24 + 5, hour("a", 9, &[7, 7, 7]));
    counts.add(DAY * 24 + 24, hour("d", 9, &[0, 300]));
    assert_eq!(counts.devices(), 4);
    let days = counts.days();
    let found: Vec<_> = days.iter().map(|day| (day.day, &day.features[0])).collect();
    let [(first, today), (second, tomorrow)] = found[..] else {
        panic!("{found:?}");
    };
    assert_eq!((first, second), (DAY, DAY + 1));
    assert_eq!(today.observed, [450, 150]);
    assert_eq!((today.n, today.devices, today.devices_moved), (600, 2, 1));
    assert_eq!((tomorrow.n, tomorrow.devices_moved), (300, 1));
    // One hour before the incident is too little to learn from.
    assert_eq!(today.p, None);
}

#[test]
fn devices_are_counted_by_features_and_by_scores_each_once() {
    let (reference, rule) = (reference(), Rules::default().retrain);
    let scored = |device: &str, reference: Option<u8>| ScoreHour {
        device: device.to_owned(),
        bundle: Digest([1; 32]),
        reference: reference.map(|byte| Digest([byte; 32])),
        sums: ScoreSums::default(),
    };
    let check = |features: &[&str], scores: &[(u64, ScoreHour)], expect: u64| {
        let mut counts = CohortCounts::new(&reference, &rule, DAY * 24, DAY * 24);
        for device in features {
            counts.add(DAY * 24, hour(device, 9, &[150, 0]));
        }
        for (hour, scores) in scores {
            counts.add_scores(*hour, scores);
        }
        assert_eq!(counts.devices(), expect, "{features:?} {scores:?}");
    };
    let now = DAY * 24;
    check(&[], &[], 0);
    check(
        &[],
        &[(now, scored("a", Some(9))), (now, scored("b", None))],
        2,
    );
    check(
        &["a", "b"],
        &[(now, scored("a", Some(9))), (now + 24, scored("c", None))],
        3,
    );
    // Before the days, and of another reference.
    check(
        &[],
        &[(now - 1, scored("a", None)), (now, scored("b", Some(8)))],
        0,
    );
}

#[test]
fn p_is_that_of_counts_divided_by_how_much_they_differ_anyway() {
    let (reference, rule) = (reference(), Rules::default().retrain);
    let p = |lean: u64| {
        let mut counts = CohortCounts::new(&reference, &rule, DAY * 24, DAY * 24);
        for at in 1..=60 {
            counts.add(DAY * 24 - at, hour("a", 9, &[200 + lean, 200 - lean]));
        }
        counts.add(DAY * 24, hour("a", 9, &[260, 140]));
        counts.days()[0].features[0].p.expect("known")
    };
    let (calm, restless) = (p(0), p(60));
    // By hand: X² of (260, 140) beside (1000, 1000) is 30.4 with one degree of freedom.
    assert!(calm < 1e-7, "{calm}");
    // An hour that differs as much on every day is nothing new.
    assert!((0.3..0.7).contains(&restless), "{restless}");
}
