//! Verdicts for evidence with a defect each, and what holds for any counts.

use std::num::{NonZeroU32, NonZeroU64};

use muster_protocol::digest::Digest;
use muster_protocol::id::{DeviceId, Epoch, EpochGeneration, Generation};

use super::*;
use crate::random::Random;

mod properties;
mod shadow;

fn share(number: f64) -> Share {
    Share::try_from(number).expect("a share")
}

fn device(n: usize) -> DeviceId {
    DeviceId::parse(&format!("device-{n}")).expect("an id")
}

fn since(generation: u64) -> EpochGeneration {
    EpochGeneration {
        epoch: Epoch(1),
        generation: Generation(generation),
    }
}

fn arm(devices: impl IntoIterator<Item = DeviceCounts>) -> Evidence {
    let mut evidence = Evidence::of(Digest([1; 32]));
    for (n, counts) in devices.into_iter().enumerate() {
        evidence.add(device(n), since(1), &counts);
    }
    evidence
}

/// A device that runs it, with this many failed and late of 10,000 requests.
fn serving(failed: u64, late: u64) -> DeviceCounts {
    DeviceCounts {
        contacts: 3,
        installed: 1,
        closed_windows: 10,
        soaked_ms: 3_600_000,
        ok: 10_000 - failed,
        errors: [(1, failed / 2), (7, failed - failed / 2)].into(),
        latencies: 10_000,
        latency_misses: late,
        classes: [(0, 4000), (1, 6000)].into(),
        ..DeviceCounts::default()
    }
}

fn predicting(first: u64) -> DeviceCounts {
    DeviceCounts {
        classes: [(0, first), (1, 10_000 - first)].into(),
        ..serving(100, 200)
    }
}

fn silent() -> DeviceCounts {
    DeviceCounts::default()
}

fn refused() -> DeviceCounts {
    DeviceCounts {
        contacts: 1,
        refused: 1,
        ..silent()
    }
}

fn reverted() -> DeviceCounts {
    DeviceCounts {
        reverted: 1,
        ..serving(100, 200)
    }
}

/// Twenty devices around this many failed of 10,000.
fn around(failed: u64) -> Evidence {
    let spread = [60, 80, 90, 100, 100, 100, 110, 110, 120, 130];
    let devices = spread.iter().chain(&spread);
    arm(devices.map(|percent| serving(failed * percent / 100, failed * percent / 50)))
}

fn some(counts: DeviceCounts, n: usize) -> Vec<DeviceCounts> {
    vec![counts; n]
}

fn both(first: Vec<DeviceCounts>, second: Vec<DeviceCounts>) -> Evidence {
    arm(first.into_iter().chain(second))
}

fn errors(margin: Option<f64>, limit: Option<f64>) -> Gate {
    let tolerance = Tolerance::new("error_rate", margin.map(share), limit.map(share));
    Gate::ErrorRate(tolerance.expect("a tolerance"))
}

fn misses(margin: Option<f64>, limit: Option<f64>) -> Gate {
    let tolerance = Tolerance::new("latency_misses", margin.map(share), limit.map(share));
    Gate::LatencyMisses(tolerance.expect("a tolerance"))
}

fn verdict(gate: &Gate, canary: &Evidence, control: Option<&Evidence>) -> Verdict {
    let gates = std::slice::from_ref(gate);
    let rings = NonZeroU32::new(3).expect("rings");
    let budget = Budget::split(share(0.05), rings, gates).expect("a budget");
    let facts = Facts {
        canary,
        control,
        approval: Approval::Awaited,
    };
    let mut verdicts = judge_all(gates, facts, &budget);
    verdicts.pop().expect("one verdict").1
}

type Expected<'a> = (Outcome, Ground, &'a str);

const PASS: (Outcome, Ground) = (Outcome::Pass, Ground::Signed);
const FAIL: (Outcome, Ground) = (Outcome::Fail, Ground::Signed);
const UNDECIDED: (Outcome, Ground) = (Outcome::Inconclusive, Ground::Signed);
const MISSING: (Outcome, Ground) = (Outcome::Inconclusive, Ground::Absence);

fn check(gate: &Gate, canary: &Evidence, control: Option<&Evidence>, expect: Expected<'_>) {
    let got = verdict(gate, canary, control);
    let (outcome, ground, because) = expect;
    assert_eq!((got.outcome, got.ground), (outcome, ground), "{got:?}");
    assert!(got.because.starts_with(because), "{}", got.because);
    assert_eq!(
        got.may_roll_back(),
        (outcome, ground) == FAIL,
        "only signed failures roll back"
    );
}

fn auc(margin: Option<f64>, limit: Option<f64>) -> Gate {
    let tolerance = Tolerance::new("estimated_auc_drop", margin.map(share), limit.map(share));
    Gate::EstimatedAucDrop(tolerance.expect("a tolerance"))
}

fn drift(margin: Option<f64>, limit: Option<f64>) -> Gate {
    Gate::Drift {
        margin: margin.map(share),
        limit: limit.map(share),
    }
}

/// So many devices that have moved, and so many that were watched and have not.
fn watched(moved: usize, sound: usize) -> Evidence {
    let of = |drifted| DeviceCounts {
        drifted,
        closed_windows: 3,
        ..DeviceCounts::default()
    };
    let moved = std::iter::repeat_n(of(1), moved);
    arm(moved.chain(std::iter::repeat_n(of(0), sound)))
}

#[test]
fn a_world_that_drifts_for_all_stops_no_version_and_one_that_drifts_alone_is_stopped() {
    let expect = |(outcome, ground), because| (outcome, ground, because);
    let margin = drift(Some(0.2), None);
    let both = drift(Some(0.2), Some(0.5));
    let seen = |moved, others| {
        format!("{moved} of 30 devices have drifted, on the control {others} of 60")
    };
    for (gate, moved, others, outcome) in [
        (&margin, 0, 0, PASS),
        (&margin, 27, 54, PASS),
        (&margin, 27, 6, FAIL),
        (&margin, 8, 0, FAIL),
        // Worse, but the margin allows it.
        (&margin, 6, 0, PASS),
        (&margin, 9, 6, PASS),
        (&margin, 10, 6, UNDECIDED),
        (&both, 27, 54, UNDECIDED),
        (&both, 9, 6, PASS),
    ] {
        let because = seen(moved, others);
        let control = watched(others, 60 - others);
        let canary = watched(moved, 30 - moved);
        check(
            gate,
            &canary,
            Some(&control),
            (outcome.0, outcome.1, because.as_str()),
        );
    }
    let alone = expect(MISSING, "25 of 30 devices have drifted: no control");
    check(&margin, &watched(25, 5), None, alone);
    check(
        &margin,
        &watched(25, 5),
        Some(&arm(some(DeviceCounts::default(), 5))),
        alone,
    );
    let limit = expect(FAIL, "25 of 30 devices have drifted, at most");
    check(&both, &watched(25, 5), None, limit);
    let one = expect(MISSING, "1 of 1 devices have drifted: no control");
    check(&margin, &watched(1, 0), Some(&watched(0, 60)), one);
}

#[test]
fn a_limit_on_drift_judges_where_fewer_than_two_devices_can_be_compared() {
    let expect = |(outcome, ground), because| (outcome, ground, because);
    let both = drift(Some(0.2), Some(0.5));
    let few = [watched(0, 0), watched(0, 1), watched(1, 0)];
    for control in &few {
        let most = expect(FAIL, "25 of 30 devices have drifted, at most 50.0 %");
        check(&both, &watched(25, 5), Some(control), most);
        let kept = expect(PASS, "3 of 30 devices have drifted, at most 50.0 %");
        check(&both, &watched(3, 27), Some(control), kept);
        let alone = expect(MISSING, "25 of 30 devices have drifted: no control");
        check(
            &drift(Some(0.2), None),
            &watched(25, 5),
            Some(control),
            alone,
        );
    }
    let small = expect(PASS, "0 of 1 devices have drifted, at most 50.0 %");
    check(&both, &watched(0, 1), Some(&watched(0, 60)), small);
}

/// Rings of twenty beside forty others of the same world, in which a device drifts in one window of so
/// many: how often a ring is ever stopped in forty windows.
fn stopped(one_in: u64) -> f64 {
    let (rollouts, gate) = (200, drift(Some(0.1), None));
    let mut random = Random(5);
    let mut stopped = 0;
    for _ in 0..rollouts {
        let (mut ring, mut others) = (0, 0);
        let fails = (0..40).any(|_| {
            let mut more = |sound: usize| {
                let drifts = |_: &usize| random.below(one_in) == 0;
                (0..sound).filter(drifts).count()
            };
            ring += more(20 - ring);
            others += more(40 - others);
            let (canary, control) = (watched(ring, 20 - ring), watched(others, 40 - others));
            verdict(&gate, &canary, Some(&control)).outcome == Outcome::Fail
        });
        stopped += u32::from(fails);
    }
    f64::from(stopped) / f64::from(rollouts)
}

#[test]
fn a_world_in_which_devices_drift_by_and_by_stops_few_good_rings() {
    for one_in in [20, 100] {
        let stopped = stopped(one_in);
        // One gate of three rings is allowed a third of a twentieth.
        assert!(stopped <= 0.05 / 3.0, "one in {one_in}: {stopped}");
    }
}

#[test]
fn an_estimated_auc_is_held_against_the_control_a_limit_or_what_its_reference_promises() {
    // The AUC lacks so much of 1, over 4000 predictions of the rarer class.
    let scoring = |lacks: f64, n| {
        let counts = DeviceCounts {
            ranked: 4000,
            misranked_steps: (lacks * 4000.0 * 65_536.0) as u64,
            ..serving(100, 200)
        };
        arm(some(counts, n))
    };
    let promising = |lacks, promised| {
        scoring(lacks, 30).promising(Promised {
            misranked: Some(share(promised)),
            wrong: None,
        })
    };
    let expect = |(outcome, ground), because| (outcome, ground, because);
    let (margin, limit) = (auc(Some(0.03), None), auc(None, Some(0.1)));
    let control = scoring(0.05, 30);
    let five = expect(PASS, "estimated 1 - AUC 5.0 % of 120000 on 30 devices");
    let fifteen = expect(FAIL, "estimated 1 - AUC 15.0 % of");
    check(&margin, &scoring(0.05, 30), Some(&control), five);
    check(&margin, &scoring(0.15, 30), Some(&control), fifteen);
    check(&margin, &promising(0.15, 0.15), Some(&control), fifteen);
    check(&limit, &scoring(0.05, 30), None, five);
    check(&limit, &scoring(0.15, 30), None, fifteen);
    // Without a control the reference passes or holds, and stops nothing.
    check(&margin, &promising(0.05, 0.04), None, five);
    let holds = expect(UNDECIDED, "estimated 1 - AUC 15.0 % of");
    check(&margin, &promising(0.15, 0.04), None, holds);
    let near = expect(UNDECIDED, "estimated 1 - AUC 6.9 % of");
    check(&margin, &promising(0.069, 0.04), None, near);
    let unknown = expect(MISSING, "estimated 1 - AUC 5.0 % of");
    check(&margin, &scoring(0.05, 30), None, unknown);
    let none = arm(some(serving(100, 200), 30));
    let missing = expect(MISSING, "estimated 1 - AUC: fewer than two");
    check(&margin, &none, Some(&control), missing);
    assert!(margin.has_control() && margin.is_statistical());
}

#[test]
fn devices_that_have_drifted_are_counted_of_those_that_sent_a_window() {
    let gate = drift(None, Some(0.2));
    let arm_of = |moved: usize, sound: usize| {
        let drifted = DeviceCounts {
            drifted: 2,
            ..serving(100, 200)
        };
        let moved = std::iter::repeat_n(drifted, moved);
        let sound = std::iter::repeat_n(serving(100, 200), sound);
        arm(moved.chain(sound).chain([silent()]))
    };
    let expect = |(outcome, ground), because| (outcome, ground, because);
    let none = expect(PASS, "0 of 30 devices have drifted");
    check(&gate, &arm_of(0, 30), None, none);
    let most = expect(FAIL, "25 of 30 devices have drifted");
    check(&gate, &arm_of(25, 5), None, most);
    let silence = expect(MISSING, "0 of 0 devices have drifted");
    check(&gate, &arm_of(0, 0), None, silence);
    assert!(gate.is_statistical() && !gate.has_control());
}

#[test]
fn an_estimated_drop_is_judged_against_the_control_or_a_limit() {
    let gate = |margin: Option<f64>, limit: Option<f64>| {
        let name = "estimated_accuracy_drop";
        let tolerance = Tolerance::new(name, margin.map(share), limit.map(share));
        Gate::EstimatedAccuracyDrop(tolerance.expect("a tolerance"))
    };
    let scoring = |wrong, n| {
        let counts = DeviceCounts {
            scored: 10_000,
            estimated_wrong: wrong,
            ..serving(100, 200)
        };
        arm(some(counts, n))
    };
    let (margin, limit) = (gate(Some(0.03), None), gate(None, Some(0.1)));
    let control = scoring(500, 30);
    let expect = |(outcome, ground), because| (outcome, ground, because);
    let five = expect(PASS, "estimated wrong predictions 5.0 % of");
    let fifteen = expect(FAIL, "estimated wrong predictions 15.0 % of");
    check(&margin, &scoring(500, 30), Some(&control), five);
    check(&margin, &scoring(1500, 30), Some(&control), fifteen);
    check(&limit, &scoring(500, 30), None, five);
    check(&limit, &scoring(1500, 30), None, fifteen);
    let none = arm(some(serving(100, 200), 30));
    let missing = expect(MISSING, "estimated wrong predictions: fewer than two");
    check(&margin, &none, Some(&control), missing);
    assert!(margin.has_control() && margin.is_statistical());
}

#[test]
fn gates_that_count_devices_judge_by_what_was_signed() {
    let installed = Gate::InstalledShare { min: share(0.9) };
    let refusals = |limit| Gate::SelfTestRefusals {
        limit: share(limit),
    };
    let crashes = |limit| Gate::CrashesAndReverts {
        limit: share(limit),
    };
    let nobody = arm([]);
    let all_silent = arm(some(silent(), 10));
    let one_silent = both(some(serving(100, 200), 9), some(silent(), 1));
    let two_silent = both(some(serving(100, 200), 8), some(silent(), 2));
    let two_refused = both(some(serving(100, 200), 8), some(refused(), 2));
    let one_refused = both(some(serving(100, 200), 19), some(refused(), 1));
    let six_refused = both(some(serving(100, 200), 14), some(refused(), 6));
    let one_reverted = both(some(serving(100, 200), 19), some(reverted(), 1));
    for (gate, canary, (outcome, ground), because) in [
        (&installed, &nobody, MISSING, "0 of 0 devices run it"),
        (&installed, &all_silent, MISSING, "0 of 10 devices run it"),
        (&installed, &one_silent, PASS, "9 of 10 devices run it"),
        // Silence holds, it never fails.
        (
            &installed,
            &two_silent,
            MISSING,
            "8 of 10 devices run it and 0 have refused",
        ),
        (
            &installed,
            &two_refused,
            FAIL,
            "8 of 10 devices run it and 2 have refused",
        ),
        (
            &refusals(0.1),
            &all_silent,
            MISSING,
            "0 of 0 devices refused it",
        ),
        (
            &refusals(0.1),
            &one_refused,
            PASS,
            "1 of 20 devices refused it in their self-test, at most 10.0 %",
        ),
        (
            &refusals(0.02),
            &one_refused,
            UNDECIDED,
            "1 of 20 devices refused it",
        ),
        (
            &refusals(0.02),
            &six_refused,
            FAIL,
            "6 of 20 devices refused it",
        ),
        (
            &refusals(0.0),
            &one_refused,
            FAIL,
            "1 of 20 devices refused it",
        ),
        (
            &crashes(0.1),
            &one_reverted,
            PASS,
            "1 of 20 devices saw it crash or reverted it",
        ),
        (
            &crashes(0.0),
            &one_reverted,
            FAIL,
            "1 of 20 devices saw it crash or reverted it",
        ),
        (
            &crashes(0.0),
            &one_refused,
            PASS,
            "0 of 20 devices saw it crash",
        ),
    ] {
        check(gate, canary, None, (outcome, ground, because));
    }
}

#[test]
fn gates_that_wait_never_fail() {
    let soak = |min_s, of| Gate::SoakTime {
        min_s: NonZeroU64::new(min_s).expect("a time"),
        share: share(of),
    };
    let devices = |min| Gate::MinimumDevices {
        min: NonZeroU32::new(min).expect("devices"),
    };
    let inferences = |min| Gate::MinimumInferences {
        min: NonZeroU64::new(min).expect("inferences"),
    };
    let nobody = arm([]);
    let ten = arm(some(serving(100, 200), 10));
    let one_silent = both(some(serving(100, 200), 9), some(silent(), 1));
    let one_new = both(
        some(serving(100, 200), 9),
        some(
            DeviceCounts {
                soaked_ms: 3_599_999,
                ..serving(0, 0)
            },
            1,
        ),
    );
    for (gate, canary, (outcome, ground), because) in [
        (
            &soak(3600, 1.0),
            &nobody,
            MISSING,
            "0 of 0 devices that run it",
        ),
        (&soak(3600, 1.0), &ten, PASS, "10 of 10 devices that run it"),
        (
            &soak(3601, 1.0),
            &ten,
            MISSING,
            "0 of 10 devices that run it",
        ),
        (
            &soak(3600, 1.0),
            &one_new,
            MISSING,
            "9 of 10 devices that run it have done so for 3600 s, needed 100.0 %",
        ),
        (
            &soak(3600, 0.9),
            &one_new,
            PASS,
            "9 of 10 devices that run it",
        ),
        (
            &soak(u64::MAX, 1.0),
            &ten,
            MISSING,
            "0 of 10 devices that run it",
        ),
        (
            &devices(20),
            &nobody,
            MISSING,
            "0 of 0 devices have predicted",
        ),
        (
            &devices(20),
            &ten,
            PASS,
            "10 of 10 devices have predicted, needed 20 or all of fewer",
        ),
        (
            &devices(20),
            &one_silent,
            MISSING,
            "9 of 10 devices have predicted",
        ),
        (
            &devices(9),
            &one_silent,
            PASS,
            "9 of 10 devices have predicted",
        ),
        (
            &inferences(100_000),
            &ten,
            PASS,
            "100000 inferences, needed 100000",
        ),
        (&inferences(100_001), &ten, MISSING, "100000 inferences"),
        (
            &Gate::ManualApproval,
            &ten,
            MISSING,
            "no operator has approved it",
        ),
    ] {
        check(gate, canary, None, (outcome, ground, because));
    }
}

#[test]
fn rates_are_compared_with_the_control_or_with_a_limit() {
    let (one, three) = (around(100), around(300));
    let few = arm([serving(100, 600), serving(700, 580), serving(100, 640)]);
    let one_device = arm([serving(300, 600)]);
    let nobody = arm(some(silent(), 20));
    let zero = around(0);
    let margin = errors(Some(0.01), None);
    let limit = errors(None, Some(0.02));
    let either = errors(Some(0.01), Some(0.02));
    for (gate, canary, control, (outcome, ground), because) in [
        (
            &margin,
            &three,
            Some(&one),
            FAIL,
            "error rate 3.0 % of 200000 on 20 devices, on the control 1.0 % of 200000 on 20 devices, may be 1.0 % worse",
        ),
        (&margin, &one, Some(&one), PASS, "error rate 1.0 %"),
        (&margin, &one, Some(&three), PASS, "error rate 1.0 %"),
        (
            &margin,
            &few,
            Some(&one),
            UNDECIDED,
            "error rate 3.0 % of 30000 on 3 devices",
        ),
        (
            &margin,
            &one_device,
            Some(&one),
            MISSING,
            "error rate: fewer than two devices of the ring",
        ),
        (
            &margin,
            &nobody,
            Some(&one),
            MISSING,
            "error rate: fewer than two devices of the ring",
        ),
        (
            &margin,
            &three,
            Some(&nobody),
            MISSING,
            "error rate 3.0 % of 200000 on 20 devices: no control",
        ),
        (
            &margin,
            &three,
            None,
            MISSING,
            "error rate 3.0 % of 200000 on 20 devices: no control",
        ),
        (&margin, &zero, Some(&zero), PASS, "error rate 0 %"),
        (
            &limit,
            &three,
            Some(&three),
            FAIL,
            "error rate 3.0 % of 200000 on 20 devices, at most 2.0 %",
        ),
        (
            &limit,
            &one,
            None,
            PASS,
            "error rate 1.0 % of 200000 on 20 devices, and surely below 1.1 %",
        ),
        (
            &limit,
            &few,
            None,
            UNDECIDED,
            "error rate 3.0 % of 30000 on 3 devices, at most 2.0 %",
        ),
        // The limit stands in for a control that is not there.
        (
            &either,
            &three,
            None,
            FAIL,
            "error rate 3.0 % of 200000 on 20 devices, at most 2.0 %",
        ),
        // No worse than the control, but over the limit: it neither stops nor passes.
        (
            &either,
            &three,
            Some(&three),
            UNDECIDED,
            "error rate 3.0 % of 200000 on 20 devices, on the control 3.0 %",
        ),
        (&either, &one, Some(&one), PASS, "error rate 1.0 %"),
        (
            &misses(Some(0.02), None),
            &three,
            Some(&one),
            FAIL,
            "latency misses 6.0 %",
        ),
        (
            &misses(None, Some(0.05)),
            &one,
            None,
            PASS,
            "latency misses 2.0 % of 200000 on 20 devices, and surely below 2.1 %, at most 5.0 %",
        ),
        (
            &misses(None, Some(0.0205)),
            &one,
            None,
            UNDECIDED,
            "latency misses 2.0 % of 200000 on 20 devices, and perhaps up to 2.1 %",
        ),
    ] {
        check(gate, canary, control, (outcome, ground, because));
    }
}

/// One device that fails always says nothing about the version: devices are the unit.
#[test]
fn one_broken_device_does_not_stop_a_ring() {
    let broken = both(some(serving(100, 200), 19), some(serving(10_000, 0), 1));
    let gate = errors(Some(0.01), None);
    let expect = "error rate 5.9 %";
    check(
        &gate,
        &broken,
        Some(&around(100)),
        (UNDECIDED.0, UNDECIDED.1, expect),
    );
}

#[test]
fn a_moved_mix_is_seen_and_named() {
    let mix = Gate::PredictionMix {
        margin: share(0.05),
    };
    let around = |first: u64| {
        let spread = [80_u64, 90, 95, 100, 100, 100, 100, 105, 110, 120];
        arm(spread
            .iter()
            .chain(&spread)
            .map(|p| predicting(first * p / 100)))
    };
    let (usual, moved) = (around(4000), around(5500));
    let new_class = arm((0..20).map(|n| DeviceCounts {
        classes: [(0, 4000), (9, 6000 + n)].into(),
        ..serving(100, 200)
    }));
    let unclassified = arm(some(
        DeviceCounts {
            classes: [].into(),
            ..serving(100, 200)
        },
        20,
    ));
    for (canary, control, (outcome, ground), because) in [
        (&usual, Some(&usual), PASS, "prediction mix: class"),
        (&moved, Some(&usual), FAIL, "prediction mix: class"),
        (&usual, Some(&moved), FAIL, "prediction mix: class"),
        (
            &new_class,
            Some(&usual),
            FAIL,
            "prediction mix: class 9 is 60.0 %",
        ),
        (
            &usual,
            None,
            MISSING,
            "prediction mix: fewer than two devices",
        ),
        (
            &unclassified,
            Some(&unclassified),
            MISSING,
            "prediction mix: fewer than two devices",
        ),
    ] {
        check(&mix, canary, control, (outcome, ground, because));
    }
}

#[test]
fn evidence_counts_for_its_bundle_and_generation_alone() {
    let mut evidence = arm([serving(100, 200)]);
    let other = Evidence::of(Digest([2; 32]));
    let refused = evidence.merge(&other).expect_err("another bundle");
    assert!(refused.to_string().contains("another model"), "{refused}");
    evidence.add(device(0), since(0), &serving(9, 9));
    assert_eq!(
        evidence,
        arm([serving(100, 200)]),
        "what is older is left out"
    );
    evidence.add(device(0), since(2), &serving(0, 0));
    assert_eq!(evidence.inferences(), 10_000, "a retry begins anew");
    evidence.add(device(0), since(2), &serving(0, 0));
    assert_eq!(evidence.inferences(), 20_000);
}
