//! What two arms count of windows, over a store in memory: misses of one objective and classes
//! that mean the same, and nothing else.

use muster_fleet::gate::Pair;
use muster_fleet::planner::{DeviceFacts, Inventory, Plan, Policy, Rollout, RolloutId};
use muster_protocol::cbor::List;
use muster_protocol::id::{ModelId, Rank, TargetClass, Version};
use muster_protocol::message::{
    AgreementCount, Bins, DifferenceCount, FeatureWindow, LatencyCount, LatencyMisses,
    Requirements, ScoreCount, Scores, Settings, Shadow, Statement,
};
use muster_protocol::time::{Millis, UnixSeconds};

use super::super::{self as store, Classes, InMemory, RolloutToStore, ScoresOf};
use super::*;
use muster_fleet::planner::Told;

const NOW: UnixSeconds = UnixSeconds(1_800_000_000);
const OBJECTIVE_US: u32 = 500;
const POLICY: &str = "model = 'bearing'\nversion = '2.0.0'\nmembership = 'frozen'\n\
                      on_halt = 'hold'\n[[rings]]\nname = 'all'\nreach = { percent = 100 }\n\
                      soak_s = 0\ndeadline_s = 20\n";

fn device(name: &str) -> DeviceId {
    DeviceId::parse(name).expect("valid")
}

fn model() -> ModelId {
    ModelId::parse("bearing").expect("valid")
}

fn since(generation: u64) -> EpochGeneration {
    EpochGeneration::new(1, generation)
}

fn bundle(version: &str) -> Digest {
    Digest::of(version.as_bytes())
}

fn reference(version: &str) -> Digest {
    Digest::of(format!("reference of {version}").as_bytes())
}

fn release(tx: &Tx<'_>, rank: u32, version: &str, meaning: u8) {
    let statement = Statement {
        model: model(),
        version: Version::parse(version).expect("valid"),
        rank: Rank(rank),
        bundle: bundle(version),
        manifest_size: 1,
        class: TargetClass::parse("any").expect("valid"),
        requirements: Requirements::default(),
        issued_at: NOW,
    };
    tx.add_release(&statement, version.as_bytes(), &[], NOW)
        .expect("a store");
    let countable = Countable {
        features: None,
        layout: None,
        scores: (meaning == 5).then_some(ScoresOf::TwoClasses),
        latency_objective_us: Some(OBJECTIVE_US),
        classes: Some(Classes {
            reference: reference(version),
            feature: 0,
            bins: 2,
            meaning: Digest([meaning; 32]),
        }),
        compares: None,
    };
    tx.set_countable(&statement.model, &statement.version, &countable)
        .expect("a store");
}

/// A rollout of 2.0.0 that has told the device `new`, beside releases of which one counts alike.
fn rollout_as(role: Role) -> InMemory {
    let connection = store::in_memory();
    let tx = Tx::of(&connection);
    release(&tx, 1, "0.9.0", 7);
    release(&tx, 2, "1.0.0", 5);
    release(&tx, 3, "2.0.0", 5);
    let policy = Policy::read(POLICY).expect("a policy");
    let wanted = RolloutToStore {
        model: model(),
        version: policy.version.clone(),
        role,
        selector: String::new(),
        percent: 100,
        settings: Settings::default(),
    };
    let number = tx.add_rollout(&wanted, NOW).expect("a store");
    let inventory = Inventory::new(vec![DeviceFacts::new(device("new"))]);
    let id = RolloutId(number.cast_unsigned());
    let plan = Plan::make(id, policy, &inventory, NOW).expect("a plan");
    tx.begin_planned(&plan, &Rollout::begin(&plan, NOW))
        .expect("a store");
    let told = Told {
        ring: 0,
        at: NOW,
        contact_at: None,
        since: since(5),
        retries: 0,
        previous: None,
        back: None,
    };
    tx.set_told(number, &device("new"), &model(), &told)
        .expect("a store");
    connection
}

const DIFFERENCES: [DifferenceCount; 1] = [DifferenceCount {
    bucket: 20,
    count: 10,
}];

/// What a window says.
#[derive(Debug, Clone, Copy)]
struct Said<'s> {
    device: &'s str,
    version: &'s str,
    generation: u64,
    objective_us: Option<u32>,
    bins: &'s [u32],
    /// Rows of each pair of classes, where it is a shadow.
    agreement: Option<&'s [AgreementCount]>,
    scores: &'s [ScoreCount],
}

fn count(tx: &Tx<'_>, said: Said<'_>) {
    let features = [FeatureWindow {
        bins: Bins::of(said.bins),
        missing: 1,
        non_finite: 0,
        out_of_range: 0,
        sum: 0,
        sum_of_squares: 0,
        repeats: 0,
        longest_run: 0,
    }];
    let latency = [LatencyCount {
        bucket: 40,
        count: 10,
    }];
    let window = Window {
        model: model(),
        bundle: bundle(said.version),
        since: since(said.generation),
        reference: Some(reference(said.version)),
        started: Millis(0),
        ended: Millis(1000),
        unix: None,
        closed_windows: 1,
        calls: 10,
        errors: List::default(),
        latency: List::of(&latency),
        features: List::of(&features),
        latency_misses: said.objective_us.map(|objective_us| LatencyMisses {
            objective_us,
            count: 4,
        }),
        scores: (!said.scores.is_empty()).then(|| Scores {
            bins: List::of(said.scores),
            classes: List::default(),
            improper: 0,
        }),
        labels: None,
        shadow: said.agreement.map(|agreement| Shadow {
            beside: bundle("1.0.0"),
            served: 100,
            compared: 10,
            agreement: List::of(agreement),
            differences: List::of(&DIFFERENCES),
            latency: List::of(&latency),
        }),
    };
    tx.count_for_rings(&device(said.device), &window)
        .expect("a store");
}

/// Calls, latencies, misses and classes of one device in one arm.
type Counted<'c> = (u64, u64, u64, &'c [(u32, u64)]);

fn check(said: &[Said<'_>], expect: &[(Arm, Counted<'_>)]) {
    check_as(Role::Serve, said, expect);
}

fn check_as(role: Role, said: &[Said<'_>], expect: &[(Arm, Counted<'_>)]) {
    let connection = rollout_as(role);
    let tx = Tx::of(&connection);
    said.iter().for_each(|said| count(&tx, *said));
    let rows = tx.ring_counts(1, 0).expect("a store");
    let found: Vec<_> = rows
        .iter()
        .map(|row| {
            let counts = &row.counts;
            let classes: Vec<_> = counts.classes.iter().map(|(k, v)| (*k, *v)).collect();
            let numbers = (counts.calls, counts.latencies, counts.latency_misses);
            (row.arm, numbers, classes)
        })
        .collect();
    let expect: Vec<_> = expect
        .iter()
        .map(|(arm, (calls, latencies, misses, classes))| {
            (*arm, (*calls, *latencies, *misses), classes.to_vec())
        })
        .collect();
    assert_eq!(found, expect, "{said:?}");
}

const NEW: Said<'static> = Said {
    device: "new",
    version: "2.0.0",
    generation: 5,
    objective_us: Some(OBJECTIVE_US),
    bins: &[3, 6],
    agreement: None,
    scores: &[],
};
const OLD: Said<'static> = Said {
    device: "old",
    version: "1.0.0",
    generation: 2,
    bins: &[9, 0],
    ..NEW
};

#[test]
fn both_arms_count_misses_and_classes() {
    check(
        &[NEW, OLD, NEW],
        &[
            (Arm::Ring, (20, 20, 8, &[(0, 6), (1, 12)])),
            (Arm::Control, (10, 10, 4, &[(0, 9)])),
        ],
    );
}

#[test]
fn windows_without_the_counter_or_of_another_objective_count_no_latency() {
    for objective_us in [None, Some(OBJECTIVE_US + 1)] {
        let (new, old) = (
            Said {
                objective_us,
                ..NEW
            },
            Said {
                objective_us,
                ..OLD
            },
        );
        check(
            &[NEW, new, old],
            &[
                (Arm::Ring, (20, 10, 4, &[(0, 6), (1, 12)])),
                (Arm::Control, (10, 0, 0, &[(0, 9)])),
            ],
        );
    }
}

#[test]
fn bins_of_other_edges_are_no_classes() {
    let other_edges = Said {
        version: "0.9.0",
        ..OLD
    };
    let other_shape = Said {
        bins: &[1, 2, 3],
        ..NEW
    };
    let unknown = Said {
        device: "odd",
        version: "0.1.0",
        ..OLD
    };
    check(
        &[other_edges, other_shape, unknown],
        &[
            (Arm::Ring, (10, 10, 4, &[])),
            (Arm::Control, (10, 10, 4, &[])),
            (Arm::Control, (10, 10, 4, &[])),
        ],
    );
}

#[test]
fn a_retry_begins_anew() {
    let again = Said {
        generation: 6,
        bins: &[1, 1],
        ..NEW
    };
    let before = Said {
        generation: 4,
        ..NEW
    };
    check(
        &[before, NEW, again, NEW],
        &[(Arm::Ring, (10, 10, 4, &[(0, 1), (1, 1)]))],
    );
}

const fn cell(serving: u8, shadow: u8, count: u32) -> AgreementCount {
    AgreementCount {
        serving,
        shadow,
        count,
    }
}

#[test]
fn a_shadow_counts_for_the_rollout_of_a_shadow_and_for_no_other() {
    let shadow = Said {
        agreement: Some(&[cell(0, 0, 5), cell(0, 1, 1), cell(1, 0, 2)]),
        ..NEW
    };
    let beside = Said {
        device: "new",
        ..OLD
    };
    let ours: Counted<'_> = (20, 20, 8, &[(0, 6), (1, 12)]);
    check_as(
        Role::Shadow,
        &[shadow, OLD, beside, shadow, NEW],
        &[(Arm::Ring, ours)],
    );
    check(
        &[shadow, OLD, NEW],
        &[
            (Arm::Ring, (10, 10, 4, &[(0, 3), (1, 6)])),
            (Arm::Control, (10, 10, 4, &[(0, 9)])),
        ],
    );
    let connection = rollout_as(Role::Shadow);
    let tx = Tx::of(&connection);
    (0..2).for_each(|_| count(&tx, shadow));
    let rows = tx.ring_counts(1, 0).expect("a store");
    let pair = |serving, shadow| Pair { serving, shadow };
    let expect = Compared {
        served: 200,
        compared: 20,
        agreement: [(pair(0, 0), 10), (pair(0, 1), 2), (pair(1, 0), 4)].into(),
        differences: [(20, 20)].into(),
        latency: [(40, 20)].into(),
        serving_latency: [(40, 20)].into(),
    };
    let counted = rows.first().map(|row| &row.counts.shadow);
    assert_eq!(counted, Some(&expect));
}

#[test]
fn scores_of_two_classes_are_kept_by_bin_and_those_of_others_are_not() {
    let bin = |bin, count, sum| ScoreCount {
        bin,
        count,
        sum,
        squares: 7,
    };
    let (low, high) = (bin(2, 30, 30 * 6000), bin(18, 10, 10 * 60_000));
    let scored = |said: Said<'static>, scores: &'static [ScoreCount]| Said { scores, ..said };
    let both: &'static [ScoreCount] = Box::leak(Box::new([low, high]));
    let connection = rollout_as(Role::Serve);
    let tx = Tx::of(&connection);
    let other = Said {
        version: "0.9.0",
        ..OLD
    };
    for said in [NEW, NEW, OLD, other] {
        count(&tx, scored(said, both));
    }
    let rows = tx.ring_counts(1, 0).expect("a store");
    let found: Vec<_> = rows
        .iter()
        .map(|row| {
            let sums = &row.counts.scores;
            (row.arm, sums.bins[2], sums.steps[18], sums.squares[2])
        })
        .collect();
    let expect = [
        (Arm::Ring, 60, 1_200_000, 14),
        (Arm::Control, 0, 0, 0),
        (Arm::Control, 30, 600_000, 7),
    ];
    let mut found = found;
    found.sort();
    assert_eq!(found, expect);
}
