//! What holds for any counts: order does not matter, good news never stops, nothing panics.

use super::*;
use proptest::prelude::*;

/// Any count, with the ends of the range more often than chance has them.
fn count() -> impl Strategy<Value = u64> {
    prop_oneof![Just(0), Just(1), Just(u64::MAX), 0..2000_u64, any::<u64>(),]
}

fn counts() -> impl Strategy<Value = DeviceCounts> {
    let few = || proptest::collection::vec(count(), 10);
    (
        few(),
        few(),
        proptest::collection::btree_map(0..4_u32, count(), 0..4),
    )
        .prop_map(|(a, b, classes)| DeviceCounts {
            contacts: a[0],
            installed: a[1],
            refused: a[2],
            reverted: a[3],
            crashes: a[4],
            closed_windows: a[5],
            soaked_ms: a[6],
            ok: a[7],
            errors: [(1, a[8]), (2, b[0])].into(),
            latencies: a[9],
            latency_misses: b[1],
            scored: a[9],
            drifted: b[0],
            estimated_wrong: b[1].min(a[9]),
            ranked: a[3],
            misranked_steps: b[2],
            classes,
            shadow: Compared {
                served: b[2],
                compared: b[3],
                agreement: [(pair(0, 0), b[4]), (pair(0, 18), b[5])].into(),
                differences: [(0, b[6]), (31, b[7])].into(),
                latency: [(3, b[8]), (255, b[9])].into(),
                serving_latency: [(3, b[9])].into(),
            },
        })
}

const fn pair(serving: u8, shadow: u8) -> Pair {
    Pair { serving, shadow }
}

/// Devices, entries and counts, in some order.
fn told() -> impl Strategy<Value = Vec<(usize, u64, DeviceCounts)>> {
    proptest::collection::vec((0..5_usize, 0..3_u64, counts()), 0..12)
}

fn evidence(told: &[(usize, u64, DeviceCounts)]) -> Evidence {
    let mut evidence = Evidence::of(Digest([1; 32]));
    for (n, generation, counts) in told {
        evidence.add(device(*n), since(*generation), counts);
    }
    evidence
}

fn gates() -> Vec<Gate> {
    vec![
        Gate::InstalledShare { min: share(0.9) },
        Gate::SelfTestRefusals { limit: share(0.0) },
        Gate::SelfTestRefusals { limit: share(0.05) },
        Gate::CrashesAndReverts {
            limit: share(0.999_999),
        },
        errors(Some(0.000_001), None),
        errors(None, Some(0.999_999)),
        errors(Some(0.01), Some(0.05)),
        misses(Some(0.999_999), Some(0.000_001)),
        Gate::PredictionMix {
            margin: share(0.05),
        },
        auc(Some(0.000_001), None),
        auc(Some(0.01), Some(0.05)),
        drift(Some(0.000_001), None),
        drift(Some(0.2), Some(0.0)),
        Gate::Disagreement {
            limit: share(0.000_001),
        },
        Gate::ScoreDifference {
            over: Gap::try_from(512.0).expect("a bound"),
            limit: share(0.05),
        },
        Gate::SlowerThanServing {
            ratio: Ratio::try_from(1.0).expect("a ratio"),
            limit: share(0.0),
        },
        Gate::SoakTime {
            min_s: NonZeroU64::MAX,
            share: share(0.9),
        },
        Gate::MinimumDevices {
            min: NonZeroU32::MAX,
        },
        Gate::MinimumInferences {
            min: NonZeroU64::MAX,
        },
        Gate::ManualApproval,
    ]
}

proptest! {
    #[test]
    fn no_counts_make_a_verdict_panic(ring in told(), others in told()) {
        let (canary, control) = (evidence(&ring), evidence(&others));
        for gate in gates() {
            for control in [None, Some(&control)] {
                let verdict = verdict(&gate, &canary, control);
                prop_assert!(!verdict.because.contains("NaN"), "{}", verdict.because);
            }
        }
    }

    #[test]
    fn the_order_of_evidence_does_not_matter(told in told(), cut in 0..12_usize) {
        let whole = evidence(&told);
        let backwards: Vec<_> = told.iter().rev().cloned().collect();
        prop_assert_eq!(&evidence(&backwards), &whole);
        let (early, late) = told.split_at(cut.min(told.len()));
        let mut merged = evidence(late);
        merged.merge(&evidence(early)).expect("the same bundle");
        prop_assert_eq!(&merged, &whole);
    }

    /// What a ring that passes has done so far, done again and again, never fails it.
    #[test]
    fn more_of_the_same_good_data_never_fails(
        ring in proptest::collection::vec((0..300_u64, 0..600_u64, 0..10_000_u64), 2..20),
        others in proptest::collection::vec((0..300_u64, 0..600_u64, 0..10_000_u64), 2..20),
        times in 1..6_u32,
    ) {
        let arm_of = |devices: &[(u64, u64, u64)]| {
            let counts = |&(failed, late, first): &(u64, u64, u64)| DeviceCounts {
                classes: [(0, first), (1, 10_000 - first)].into(),
                ..serving(failed, late)
            };
            arm(devices.iter().map(counts))
        };
        let (mut canary, mut control) = (arm_of(&ring), arm_of(&others));
        for gate in gates() {
            if verdict(&gate, &canary, Some(&control)).outcome != Outcome::Pass {
                continue;
            }
            for _ in 0..times {
                let (again, control_again) = (canary.clone(), control.clone());
                canary.merge(&again).expect("the same bundle");
                control.merge(&control_again).expect("the same bundle");
                let verdict = verdict(&gate, &canary, Some(&control));
                prop_assert_ne!(verdict.outcome, Outcome::Fail, "{}", verdict.because);
            }
        }
    }

    /// Silent devices, however many, never make a gate fail, and nothing of theirs rolls back.
    #[test]
    fn silence_never_fails(silent_devices in 0..50_usize, serving_devices in 0..5_usize) {
        let canary = both(some(serving(100, 200), serving_devices), some(silent(), silent_devices));
        let control = around(100);
        for gate in gates() {
            let verdict = verdict(&gate, &canary, Some(&control));
            prop_assert_ne!(verdict.outcome, Outcome::Fail, "{}", verdict.because);
        }
    }

    /// The more of a ring's devices have refused, the nearer it is to failing, and never back.
    #[test]
    fn refusals_only_make_it_worse(devices in 1..60_usize, limit in 0..20_u32) {
        let gate = Gate::SelfTestRefusals { limit: share(f64::from(limit) / 100.0) };
        let rank = |refusals: usize| {
            let ring = both(some(serving(0, 0), devices - refusals), some(refused(), refusals));
            match verdict(&gate, &ring, None).outcome {
                Outcome::Pass => 0,
                Outcome::Inconclusive => 1,
                Outcome::Fail => 2,
            }
        };
        let ranks: Vec<i32> = (0..=devices).map(rank).collect();
        prop_assert!(ranks.is_sorted(), "{ranks:?}");
    }
}
