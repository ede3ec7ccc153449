//! The table of rules, case by case, over counts that are made for it: where, which feature, and why.

use std::collections::BTreeMap;

use muster_protocol::digest::Digest;
use muster_protocol::id::{DeviceId, ModelId};
use muster_protocol::stats::{FeatureCounts, FeatureFold, FeatureSum, Scale, Transform};
use muster_protocol::time::UnixSeconds;
use proptest::prelude::*;

use super::*;
use crate::finding::{Cause, Scope};
use crate::random::Random;
use crate::watch::{Clock, Counted};

const DEVICES: usize = 12;
const NAMES: [&str; 4] = ["heat", "flow", "noise", "score"];
/// Three inputs and an output, all of mean 100 and standard deviation 5.
const SCALE: RawScale = RawScale {
    mean: 100.0,
    deviation: 5.0,
};

/// What happens to a value.
type Fault = fn(device: usize, feature: usize, value: f64) -> Option<f64>;

fn fold() -> FeatureFold {
    let edges = [83.5_f32, 95.0, 98.0, 100.0, 102.0, 105.0, 116.5];
    FeatureFold::new(Scale::new(edges, Transform::Identity, 100.0, 5.0).expect("a scale"))
}

/// About normal: the sum of twelve uniform numbers.
fn normal(random: &mut Random) -> f64 {
    let uniform = |random: &mut Random| random.below(1 << 32) as f64 / f64::from(u32::MAX);
    (0..12).map(|_| uniform(random)).sum::<f64>() - 6.0
}

fn feature(random: &mut Random, fault: impl Fn(f64) -> Option<f64>) -> FeatureSum {
    let mut fold = fold();
    for _ in 0..300 {
        let value = fault(100.0 + 5.0 * normal(random));
        fold.fold(value.map(|x| x as f32));
    }
    FeatureSum::of(fold.counts(), fold.bins())
}

fn counted(features: Vec<FeatureSum>, errors: u64, at: u64) -> Counted {
    Counted {
        features,
        closed_windows: 1,
        span_ms: 300_000,
        calls: 300,
        errors,
        measured: 300,
        misses: 0,
        ended: UnixSeconds(300 * at),
        clock: Clock::Trusted,
        usual: Vec::new(),
    }
}

/// Twelve devices at three sites, every fourth of firmware 2; the first fails `errors` requests.
fn panel(fault: Fault, errors: u64) -> Panel {
    let mut random = Random(5);
    let devices = (0..DEVICES).map(|device| {
        let learnt: Vec<Vec<FeatureSum>> = (0..NAMES.len())
            .map(|_| (0..40).map(|_| feature(&mut random, Some)).collect())
            .collect();
        let window = |at: u64| {
            let features =
                (0..NAMES.len()).map(|of| feature(&mut random, |x| fault(device, of, x)));
            let errors = if device == 0 { errors } else { 0 };
            Some(counted(features.collect(), errors, at))
        };
        let windows = (1..=2).map(window).collect();
        let label = |label: &str, value: usize| (label.to_owned(), value.to_string());
        PanelDevice {
            device: name(device),
            labels: BTreeMap::from([
                label("site", device / 4),
                label("firmware", 1 + usize::from(device % 4 == 3)),
            ]),
            normal: learnt.iter().map(|of| Normal::of_windows(of)).collect(),
            usual: Usual::default(),
            windows,
        }
    });
    let side = |at: usize| if at == 3 { Side::Output } else { Side::Input };
    let feature = |(at, name): (usize, &&str)| PanelFeature {
        name: (*name).to_owned(),
        side: side(at),
        scale: Some(SCALE),
    };
    Panel {
        model: ModelId::parse("m").expect("a name"),
        bundle: Digest::of(b"bundle"),
        devices: devices.collect(),
        features: NAMES.iter().enumerate().map(feature).collect(),
        quality: Quality::Unknown,
        cohort_quality: BTreeMap::new(),
    }
}

fn name(device: usize) -> DeviceId {
    DeviceId::parse(&format!("d{device}")).expect("a name")
}

fn device(device: usize) -> Scope {
    Scope::Device(name(device))
}

fn cohort(label: &str, value: &str) -> Scope {
    Scope::Cohort {
        label: label.to_owned(),
        value: value.to_owned(),
    }
}

/// What is found.
fn found(panel: &Panel) -> Vec<(Scope, Option<String>, Cause)> {
    let findings = place(panel, &PlaceRule::default(), UnixSeconds(600));
    let each = findings
        .into_iter()
        .map(|of| (of.scope, of.feature, of.cause));
    each.collect()
}

fn check(panel: &Panel, scope: Scope, feature: Option<&str>, cause: Cause) {
    let expect = vec![(scope, feature.map(str::to_owned), cause)];
    assert_eq!(found(panel), expect);
}

#[test]
fn nothing_is_found_where_nothing_moved() {
    assert_eq!(found(&panel(|_, _, x| Some(x), 0)), vec![]);
}

#[test]
fn a_sensor_is_told_by_how_it_is_broken() {
    for (fault, cause) in [
        (
            (|d, f, x| Some(if (d, f) == (7, 1) { 103.0 } else { x })) as Fault,
            Cause::Stuck,
        ),
        (
            |d, f, x| Some(if (d, f) == (7, 1) { 120.0 } else { x }),
            Cause::OutOfRange,
        ),
        (
            |d, f, x| {
                Some(if (d, f) == (7, 1) && x > 105.0 {
                    -200.0
                } else {
                    x
                })
            },
            Cause::OutOfRange,
        ),
        // Farther than is counted.
        (
            |d, f, x| {
                Some(if (d, f) == (7, 1) && x > 99.0 {
                    -2000.0
                } else {
                    x
                })
            },
            Cause::OutOfRange,
        ),
        // Next to nothing, and it trembles.
        (
            |d, f, x| Some(if (d, f) == (7, 1) { 0.01 * x } else { x }),
            Cause::OutOfRange,
        ),
        (
            |d, f, x| ((d, f) != (7, 1) || x < 104.0).then_some(x),
            Cause::Absent,
        ),
        (
            |d, f, x| Some(if (d, f) == (7, 1) { x + 3.0 } else { x }),
            Cause::Calibration,
        ),
        (
            |d, f, x| Some(if (d, f) == (7, 1) { 2.0 * x - 100.0 } else { x }),
            Cause::Calibration,
        ),
    ] {
        check(&panel(fault, 0), device(7), Some("flow"), cause);
    }
}

#[test]
fn a_device_is_told_by_many_inputs_or_by_its_requests() {
    let many: Fault = |d, f, x| Some(if d == 2 && f < 2 { x + 4.0 } else { x });
    check(&panel(many, 0), device(2), None, Cause::BadDevice);
    let none: Fault = |_, _, x| Some(x);
    check(&panel(none, 60), device(0), None, Cause::BadDevice);
    // One sensor gives nothing, and requests fail for it.
    let absent: Fault = |d, f, x| ((d, f) != (0, 1) || x < 104.0).then_some(x);
    check(&panel(absent, 60), device(0), Some("flow"), Cause::Absent);
    // The whole of it reads nothing.
    let dead: Fault = |d, f, x| Some(if d == 2 && f < 3 { 0.01 * x } else { x });
    assert_eq!(found(&panel(dead, 0))[0].2, Cause::OutOfRange);
}

#[test]
fn what_devices_have_in_common_is_blamed() {
    let site: Fault = |d, f, x| {
        Some(if d / 4 == 1 && (f == 0 || f == 3) {
            x + 4.0
        } else {
            x
        })
    };
    check(
        &panel(site, 0),
        cohort("site", "1"),
        Some("heat"),
        Cause::RealDrift,
    );
    let ignored: Fault = |d, f, x| Some(if d / 4 == 1 && f == 2 { x + 4.0 } else { x });
    check(
        &panel(ignored, 0),
        cohort("site", "1"),
        Some("noise"),
        Cause::Benign,
    );
    let mut known = panel(ignored, 0);
    for (of_site, of_all, cause, says) in [
        (
            Quality::Changed,
            Quality::Unchanged,
            Cause::RealDrift,
            "quality fell with it",
        ),
        (
            Quality::Unchanged,
            Quality::Changed,
            Cause::Benign,
            "quality is as usual",
        ),
        (
            Quality::Unknown,
            Quality::Changed,
            Cause::Benign,
            "no output changed",
        ),
    ] {
        let key = ("site".to_owned(), "1".to_owned());
        known.cohort_quality.insert(key, of_site);
        known.quality = of_all;
        check(&known, cohort("site", "1"), Some("noise"), cause);
        let because = &place(&known, &PlaceRule::default(), UnixSeconds(600))[0].because;
        assert!(because.contains(says), "{because}");
    }
    // Scores of a model whose outputs are not counted tell as well.
    let mut uncounted = panel(ignored, 0);
    uncounted.features[3].side = Side::Input;
    check(
        &uncounted,
        cohort("site", "1"),
        Some("noise"),
        Cause::Unplaced,
    );
    let key = ("site".to_owned(), "1".to_owned());
    uncounted.cohort_quality.insert(key, Quality::Unchanged);
    check(
        &uncounted,
        cohort("site", "1"),
        Some("noise"),
        Cause::Benign,
    );
    let firmware: Fault = |d, f, x| {
        Some(if d % 4 == 3 && f == 0 {
            1.8 * x + 32.0
        } else {
            x
        })
    };
    check(
        &panel(firmware, 0),
        cohort("firmware", "2"),
        Some("heat"),
        Cause::Regression,
    );
    let model: Fault = |_, f, x| Some(if f == 3 { x + 4.0 } else { x });
    check(
        &panel(model, 0),
        Scope::Fleet,
        Some("score"),
        Cause::ModelMismatch,
    );
    let world: Fault = |_, f, x| Some(if f == 0 || f == 3 { x + 4.0 } else { x });
    check(
        &panel(world, 0),
        Scope::Fleet,
        Some("heat"),
        Cause::RealDrift,
    );
}

#[test]
fn weather_is_nobodys_fault_and_one_that_lags_is() {
    // All get warmer, but one.
    let lags: Fault = |d, f, x| Some(if f == 0 && d != 4 { x + 4.0 } else { x });
    check(&panel(lags, 0), Scope::Fleet, Some("heat"), Cause::Benign);
}

#[test]
fn alone_a_device_is_not_told_from_the_world() {
    let fault: Fault = |_, f, x| Some(if f == 0 { x + 4.0 } else { x });
    let mut alone = panel(fault, 0);
    alone.devices.truncate(1);
    check(&alone, device(0), Some("heat"), Cause::Unplaced);
    let stuck: Fault = |_, f, x| Some(if f == 0 { 101.0 } else { x });
    let mut alone = panel(stuck, 0);
    alone.devices.truncate(1);
    check(&alone, device(0), Some("heat"), Cause::Stuck);
}

#[test]
fn what_is_old_or_has_gaps_is_not_judged() {
    let fault: Fault = |d, f, x| Some(if (d, f) == (7, 1) { 103.0 } else { x });
    let late = place(&panel(fault, 0), &PlaceRule::default(), UnixSeconds(3600));
    assert!(late.is_empty(), "{late:?}");
    let mut gap = panel(fault, 0);
    gap.devices[7].windows[0] = None;
    assert_eq!(found(&gap), vec![]);
}

#[test]
fn a_sentence_has_value_threshold_and_n() {
    let fault: Fault = |d, f, x| Some(if (d, f) == (7, 1) { x + 3.0 } else { x });
    let findings = place(&panel(fault, 0), &PlaceRule::default(), UnixSeconds(600));
    let because = &findings[0].because;
    for part in [
        "flow moved by +0.6",
        "n 300",
        "at most 1e-3",
        "0 of its 11 peers",
    ] {
        assert!(because.contains(part), "no `{part}`: {because}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    /// Any counts, honest or not: nothing panics, and all names are those of the panel.
    #[test]
    fn nothing_panics(
        counts in proptest::collection::vec(
            (any::<[u32; 8]>(), any::<u32>(), any::<i64>(), any::<u64>()), 8..9),
        usual in any::<f64>(),
        errors in any::<u64>(),
    ) {
        let mut panel = panel(|_, _, x| Some(x), 0);
        for (device, (bins, missing, sum, sum_of_squares)) in counts.into_iter().enumerate() {
            let mut of = FeatureCounts { missing, out_of_range: bins[0], sum, sum_of_squares, ..FeatureCounts::default() };
            of.bins[..8].copy_from_slice(&bins);
            panel.devices[device].usual.errors = usual;
            for window in panel.devices[device].windows.iter_mut().flatten() {
                window.features[device % 4] = FeatureSum::of(&of, 8);
                window.errors = errors;
            }
        }
        for finding in place(&panel, &PlaceRule::default(), UnixSeconds(600)) {
            prop_assert!(!finding.because.is_empty());
        }
    }
}

/// What is usual at nine in the morning is not at three at night.
#[test]
fn a_window_is_read_by_what_is_usual_at_its_time() {
    let normal = Normal {
        mean: 0.0,
        deviation: 0.25,
        of_mean: 0.02,
        centre: 0.0,
        spread: 1.0,
        of_spread: 0.05,
        looks: 500,
        absent: 0.01,
        apart: None,
        constant_run: Some(1),
        basis: Basis::WithoutWeek,
    };
    let usual = crate::watch::Usual {
        mean: 2.0,
        scale: 0.5,
        spread: 0.0625_f64.cbrt(),
        skew: 0.0,
        flanks: 0.0,
        outside: 0.0,
    };
    let at = normal.at(Some(&usual)).expect("known");
    let check = |mean: f64, location: f64| {
        let steps = 256.0 * mean;
        let window = FeatureSum {
            bins: [150, 150].into_iter().collect(),
            sum: (300.0 * steps) as i64,
            sum_of_squares: (300.0 * (steps * steps + 64.0 * 64.0)) as u64,
            ..FeatureSum::default()
        };
        let reading = reading::read(&window, &at, None, 20);
        assert!((reading.location - location).abs() < 0.1, "{reading:?}");
        assert!(reading.mode.is_none());
        reading.spread
    };
    assert!(check(2.0, 0.0).abs() < 0.5);
    // Four hundredths of a distance that counts half are a standard error.
    check(2.2, 5.0);
    check(0.0, -50.0);
    assert_eq!(normal.at(None), None);
    assert_eq!(at.at(None), Some(at));
}
