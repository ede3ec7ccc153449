//! Whole features, window after window, from seeds: each change is seen by the signal that is there for
//! it, nothing is seen without one, and nothing panics.

use std::num::NonZeroU32;

use muster_protocol::stats::{FeatureCounts, FeatureSum};
use muster_protocol::time::UnixSeconds;
use proptest::prelude::*;

use super::*;
use crate::random::Random;

const WINDOW: u64 = 300;
const REFERENCE: [u64; 6] = [1, 249, 250, 250, 249, 1];
/// Edges of those bins, in standard deviations.
const EDGES: [f64; 5] = [-3.0, -0.67, 0.0, 0.67, 3.0];

fn rule() -> Rule {
    Rule {
        shape: Shape::of(&REFERENCE),
        budget: Budget::new(IncidentsPerYear::TENTH, NonZeroU32::MIN),
        window_s: 300.0,
    }
}

/// What a feature does.
#[derive(Clone, Copy)]
struct World {
    mean: f64,
    deviation: f64,
    missing: u64,
    /// How far values are pushed from the middle into the flanks, the mean and variance kept about.
    flanks: f64,
}

const NORMAL: World = World {
    mean: 0.0,
    deviation: 1.0,
    missing: 0,
    flanks: 0.0,
};

/// About normal: the sum of twelve uniform numbers.
fn normal(random: &mut Random) -> f64 {
    let uniform = |random: &mut Random| random.below(1 << 32) as f64 / f64::from(u32::MAX);
    (0..12).map(|_| uniform(random)).sum::<f64>() - 6.0
}

fn window(random: &mut Random, world: World) -> FeatureSum {
    let mut counts = FeatureCounts {
        missing: world.missing as u32,
        ..FeatureCounts::default()
    };
    for _ in 0..WINDOW - world.missing {
        let plain = normal(random);
        let pushed = plain * (1.0 - world.flanks) + world.flanks * plain.signum();
        let x = world.mean + world.deviation * pushed;
        let bin = EDGES.partition_point(|edge| *edge <= x);
        counts.bins[bin] += 1;
        counts.out_of_range += u32::from(bin == 0 || bin == EDGES.len());
        let step = (256.0 * x).round() as i64;
        counts.sum += step;
        counts.sum_of_squares += step.unsigned_abs().pow(2);
    }
    FeatureSum::of(&counts, REFERENCE.len())
}

fn learnt(random: &mut Random) -> Watch {
    let mut watch = Watch::default();
    for _ in 0..700 {
        let alarms = watch.take(&window(random, NORMAL), &rule());
        assert!(alarms.is_empty(), "{alarms:?}");
    }
    assert!(matches!(watch, Watch::Watching(_)));
    watch
}

/// The first alarms of a learnt feature in this world, and after how many windows.
fn first(world: World, windows: u32) -> Option<(Vec<Alarm>, u32)> {
    let mut random = Random(7);
    let mut watch = learnt(&mut random);
    (1..=windows).find_map(|count| {
        let alarms = watch.take(&window(&mut random, world), &rule());
        (!alarms.is_empty()).then_some((alarms, count))
    })
}

fn check(world: World, windows: u32, expect: impl Fn(&Alarm) -> bool) {
    let (alarms, count) = first(world, windows).expect("it is seen");
    assert!(alarms.iter().any(expect), "after {count}: {alarms:?}");
    assert!(count >= 2, "one window never alarms");
}

#[test]
fn nothing_is_seen_where_nothing_changes() {
    assert_eq!(first(NORMAL, 3000), None);
}

#[test]
fn each_change_is_seen_by_its_signal() {
    let moved = |signal: Signal, up: bool| move |alarm: &Alarm| matches!(alarm, Alarm::Moved(of, excursion) if *of == signal && (excursion.shift > 0.0) == up);
    let up = World {
        mean: 0.2,
        ..NORMAL
    };
    let down = World {
        mean: -0.2,
        ..NORMAL
    };
    check(up, 10, moved(Signal::Location, true));
    check(down, 10, moved(Signal::Location, false));
    let wide = World {
        deviation: 1.2,
        ..NORMAL
    };
    let narrow = World {
        deviation: 0.8,
        ..NORMAL
    };
    check(wide, 20, moved(Signal::Spread, true));
    check(narrow, 20, moved(Signal::Spread, false));
    let flat = World {
        flanks: 0.4,
        deviation: 1.15,
        ..NORMAL
    };
    check(flat, 40, |alarm| {
        matches!(alarm, Alarm::Moved(Signal::Flanks, _))
    });
    let lost = World {
        missing: 15,
        ..NORMAL
    };
    check(lost, 12, |alarm| *alarm == Alarm::Absent);
    let far = World {
        mean: 3.0,
        ..NORMAL
    };
    check(far, 3, moved(Signal::Location, true));
    let still = World {
        deviation: 0.0,
        ..NORMAL
    };
    assert!(first(still, 6).is_some());
}

#[test]
fn a_constant_feature_is_told_as_stuck() {
    let mut random = Random(3);
    let mut watch = learnt(&mut random);
    let still = World {
        deviation: 0.0,
        ..NORMAL
    };
    let mut seen = (0..10).flat_map(|_| watch.take(&window(&mut random, still), &rule()));
    assert!(seen.any(|alarm| alarm == Alarm::Stuck));
}

#[test]
fn the_state_survives_being_written_down() {
    let mut random = Random(5);
    let mut watch = learnt(&mut random);
    let text = serde_json::to_string(&watch).expect("writable");
    let mut again: Watch = serde_json::from_str(&text).expect("readable");
    let drift = World {
        mean: 0.15,
        ..NORMAL
    };
    for _ in 0..30 {
        let window = window(&mut random, drift);
        assert_eq!(watch.take(&window, &rule()), again.take(&window, &rule()));
    }
}

#[test]
fn a_cohort_shows_what_no_device_does() {
    let mut random = Random(11);
    let rule = CohortRule {
        incidents_per_year: 0.1,
        window_s: 300.0,
        windows_per_look: 1,
    };
    // Means of windows of 300 values, of a hundred devices.
    let mut standings = |shift: f64| -> Vec<f64> {
        (0..100)
            .map(|_| shift + normal(&mut random) / 17.3)
            .collect()
    };
    let mut cohort = CohortWatch::default();
    for _ in 0..1500 {
        assert_eq!(cohort.take(&standings(0.0), &rule), None);
    }
    assert!(cohort.baseline().is_some());
    assert_eq!(
        cohort.take(&standings(0.05)[..40], &rule),
        None,
        "too few speak"
    );
    let mut seen = (0..6).filter_map(|_| cohort.take(&standings(0.05), &rule));
    let excursion = seen.next().expect("it is seen");
    assert!((0.02..0.08).contains(&excursion.shift), "{excursion:?}");
}

/// Three weeks of windows of an hour, of values that swing with the day.
fn swinging(follows: Follows, clock: Clock) -> DeviceWatch {
    let feature = ExpectedFeature {
        bins: REFERENCE.to_vec(),
        follows,
        ..ExpectedFeature::default()
    };
    let rule = DeviceRule {
        features: vec![FeatureRule::of(&feature)],
        budget: rule().budget,
    };
    let (mut random, mut watch) = (Random(3), DeviceWatch::default());
    for hour in 0..3 * 168_u64 {
        let world = World {
            mean: (std::f64::consts::TAU * hour as f64 / 24.0).sin(),
            ..NORMAL
        };
        let window = Counted {
            features: vec![window(&mut random, world)],
            closed_windows: 1,
            span_ms: 3_600_000,
            calls: WINDOW,
            errors: 0,
            measured: 0,
            misses: 0,
            ended: UnixSeconds(1_800_000_000 + 3600 * hour),
            clock,
            usual: Vec::new(),
        };
        assert_eq!(watch.take(window, &rule), []);
    }
    watch
}

/// Until a week is known a feature is judged as any other, and without time none is ever known.
#[test]
fn a_week_is_learnt_beside_the_one_normal() {
    let by_week = Follows::HourOfWeek { hold_s: 86_400 };
    let plain = swinging(Follows::Nothing, Clock::Trusted);
    assert!(plain.seasonal[0].is_none());
    for (clock, known) in [(Clock::Trusted, 168), (Clock::Received, 0)] {
        let watch = swinging(by_week, clock);
        assert_eq!(watch.features, plain.features, "{clock:?}");
        let seasonal = watch.seasonal[0].as_ref().expect("it follows the week");
        assert_eq!(seasonal.season.known(), known, "{clock:?}");
        assert!(!seasonal.judges());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Any counts, honest or not: the same state goes on, and numbers stay numbers.
    #[test]
    fn nothing_panics(
        windows in proptest::collection::vec(
            (proptest::array::uniform6(prop_oneof![Just(0), 0..500_u64, any::<u64>()]),
             any::<i64>(), any::<u64>(), any::<u64>(), any::<u64>()),
            1..40,
        ),
    ) {
        let mut random = Random(1);
        let (mut fresh, mut old) = (Watch::default(), learnt(&mut random));
        for (bins, sum, sum_of_squares, missing, out_of_range) in windows {
            let window = FeatureSum {
                bins: bins.iter().copied().collect(),
                missing,
                non_finite: missing,
                out_of_range,
                sum,
                sum_of_squares,
                ..FeatureSum::default()
            };
            fresh.take(&window, &rule());
            old.take(&window, &rule());
        }
        prop_assert!(serde_json::to_string(&old).is_ok());
    }
}
