//! What gates of quality and drift are given: of each arm by the bins of its own bundle, and of its own
//! findings.

use muster_fleet::finding::{Cause, Finding, Scope};
use muster_fleet::planner::{DeviceFacts, Policy, Role, Rollout, RolloutId, Told};
use muster_fleet::quality::ScoreSums;
use muster_fleet::ring_evidence::Arm;
use muster_protocol::cbor::List;
use muster_protocol::id::{DeviceId, EpochGeneration, ModelId, Rank, TargetClass, Version};
use muster_protocol::message::window::ScoreLists;
use muster_protocol::message::{Requirements, Settings, Statement, Window};
use muster_protocol::stats::{ScoreCounts, ScoreScale};
use muster_protocol::time::{Millis, UnixSeconds};

use super::*;
use crate::store::{self, Countable, InMemory, RolloutToStore, ScoreLayout, ScoresOf};

const NOW: UnixSeconds = UnixSeconds(1_800_000_000);
const POLICY: &str = "model = 'bearing'\nversion = '2.0.0'\nmembership = 'frozen'\n\
                      on_halt = 'hold'\n[[rings]]\nname = 'all'\nreach = { percent = 100 }\n\
                      soak_s = 0\ndeadline_s = 20\n";
/// Where bins end differs from version to version.
const EDGES: [(&str, &[u32]); 2] = [("1.0.0", &[32_768]), ("2.0.0", &[9000, 32_768, 50_000])];

fn model() -> ModelId {
    ModelId::parse("bearing").expect("valid")
}

fn device(name: &str) -> DeviceId {
    DeviceId::parse(name).expect("valid")
}

fn bundle(version: &str) -> Digest {
    Digest::of(version.as_bytes())
}

fn scale(version: &str) -> ScoreScale {
    let (_, edges) = EDGES.into_iter().find(|of| of.0 == version).expect("one");
    ScoreScale::new(1, None, edges.iter().copied()).expect("valid")
}

/// A hundred scores of this and its opposite, twice as sure and once unsure.
fn counts(version: &str, p: f32) -> ScoreCounts {
    let mut counts = ScoreCounts::default();
    for at in 0..300_u32 {
        let p = if at % 3 == 0 {
            0.5 + 0.1 * (p - 0.5)
        } else {
            p
        };
        let p = if at % 2 == 0 { p } else { 1.0 - p };
        counts.fold(&scale(version), scale(version).read([p]));
    }
    counts
}

fn release(tx: &Tx<'_>, rank: u32, version: &str) {
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
    let counts = counts(version, 0.95);
    let sums = ScoreSums::of(Some(&ScoreLists::of(&counts).scores()), None);
    let countable = Countable {
        scores: Some(ScoresOf::TwoClasses),
        layout: ScoreLayout::of(scale(version), &sums),
        ..Countable::default()
    };
    tx.set_countable(&statement.model, &statement.version, &countable)
        .expect("a store");
}

/// A rollout of 2.0.0 that has told the device `new`.
fn rollout() -> (InMemory, Plan) {
    let connection = store::in_memory();
    let tx = Tx::of(&connection);
    release(&tx, 1, "1.0.0");
    release(&tx, 2, "2.0.0");
    let policy = Policy::read(POLICY).expect("a policy");
    let wanted = RolloutToStore {
        model: model(),
        version: policy.version.clone(),
        role: Role::Serve.into(),
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
        since: EpochGeneration::new(1, 5),
        retries: 0,
        previous: None,
        back: None,
    };
    tx.set_told(number, &device("new"), &model(), &told)
        .expect("a store");
    (connection, plan)
}

fn say(tx: &Tx<'_>, name: &str, version: &str, p: f32) {
    let counts = counts(version, p);
    let scores = ScoreLists::of(&counts);
    let window = Window {
        model: model(),
        bundle: bundle(version),
        since: EpochGeneration::new(1, 5),
        reference: None,
        started: Millis(0),
        ended: Millis(1000),
        unix: None,
        closed_windows: 1,
        calls: 300,
        errors: List::default(),
        latency: List::default(),
        features: List::default(),
        latency_misses: None,
        shadow: None,
        scores: Some(scores.scores()),
        labels: None,
    };
    tx.count_for_rings(&device(name), &window).expect("a store");
}

fn find(tx: &Tx<'_>, name: &str, version: &str, cause: Cause) {
    let finding = Finding {
        model: model(),
        bundle: bundle(version),
        scope: Scope::Fleet,
        feature: None,
        cause,
        devices: vec![device(name)],
        because: "it moved".to_owned(),
        at: NOW,
    };
    tx.add_placing(1, &finding).expect("a store");
}

#[test]
fn each_arm_is_read_by_its_own_bins_and_marked_by_its_own_findings() {
    let (connection, plan) = rollout();
    let tx = Tx::of(&connection);
    // The same scores in other bins, and twice as many.
    say(&tx, "new", "2.0.0", 0.95);
    say(&tx, "old", "1.0.0", 0.95);
    say(&tx, "old", "1.0.0", 0.95);
    say(&tx, "worse", "1.0.0", 0.7);
    find(&tx, "old", "1.0.0", Cause::RealDrift);
    find(&tx, "new", "1.0.0", Cause::RealDrift);
    find(&tx, "worse", "1.0.0", Cause::Benign);
    let gates: Vec<Gate> = [
        r#"{ "gate": "estimated_auc_drop", "margin": 0.03 }"#,
        r#"{ "gate": "drift", "margin": 0.1 }"#,
    ]
    .iter()
    .map(|gate| serde_json::from_str(gate).expect("a gate"))
    .collect();
    let found = counted(&tx, &plan, 0, &gates).expect("read");
    let lacks = |row: &Counted| {
        let steps = row.counts.misranked_steps as f64 / f64::from(STEPS_PER_ONE);
        steps / row.counts.ranked as f64
    };
    let rows: Vec<_> = found
        .iter()
        .map(|row| {
            (
                row.arm,
                row.device.as_str(),
                row.counts.ranked,
                row.counts.drifted,
            )
        })
        .collect();
    assert_eq!(
        rows,
        [
            (Arm::Ring, "new", 150, 0),
            (Arm::Control, "old", 300, 1),
            (Arm::Control, "worse", 150, 0),
        ]
    );
    let [new, old, worse] = &found[..] else {
        panic!("{found:?}");
    };
    assert!((lacks(new) - lacks(old)).abs() < 0.02, "{found:?}");
    assert!(lacks(worse) > lacks(old) + 0.1, "{found:?}");

    // Whatever no gate asks for is not looked up.
    let none = counted(&tx, &plan, 0, &[]).expect("read");
    let known = |row: &Counted| row.counts.ranked + row.counts.drifted;
    assert!(none.iter().all(|row| known(row) == 0));
}
