//! A request from counts in a store in memory: what it says, whom it leaves out, that it is signed,
//! told and asked for once.

use std::collections::BTreeMap;

use muster_fleet::finding::{Cause, Finding};
use muster_fleet::incident::{AppliedRules, Command, Kind, Listener, Listens, Silence, State};
use muster_fleet::quality::{ReferenceScores, ScoreSums};
use muster_protocol::id::DeviceId;
use muster_protocol::key::PublicKey;
use muster_protocol::stats::{FeatureSum, ScoreScale};
use serde_json::Value;

use super::*;
use crate::drift::{ReferenceFeature, Side};
use crate::retraining::verify;
use crate::store::{self, FeatureHour, InMemory, ScoreHour, WindowSums};

const TODAY: u64 = 20_000;
const NOW: UnixSeconds = UnixSeconds(TODAY * DAY_S + 600);
/// The incident began in this hour, and so did the drift.
const BEGAN: u64 = (TODAY - 3) * 24;
const BINS: usize = 10;
const DEVICES: u8 = 4;

struct Bench {
    memory: InMemory,
    reference: BundleReference,
    desk: Desk,
    key: SigningKey,
}

impl Bench {
    /// Four devices of one site that count 50 rows an hour for three weeks, of which the first
    /// `drifting` moved when the incident began; and one of another site that moved as well.
    fn new(drifting: u8) -> Self {
        let feature = ReferenceFeature {
            name: "speed".to_owned(),
            source: Side::Input,
            edges: (1..BINS).map(|edge| edge as f32).collect(),
            counts: vec![1000; BINS],
            missing: 0,
            raw: None,
            limits: None,
        };
        let reference = BundleReference {
            digest: Digest([9; 32]),
            rows: 10_000,
            features: vec![feature],
            scores: None,
            variation: None,
        };
        let ops = Listener {
            name: "ops".to_owned(),
            to: Listens::All,
        };
        let bench = Self {
            memory: store::in_memory(),
            reference,
            desk: Desk {
                applied: AppliedRules::default(),
                listeners: vec![ops],
                source: "muster:test".to_owned(),
            },
            key: SigningKey::from_bytes(&[5; 32]),
        };
        for number in 0..DEVICES {
            bench.device(&format!("press-{number}"), "a", number < drifting);
        }
        bench.device("far-away", "b", true);
        bench
    }

    fn tx(&self) -> Tx<'_> {
        Tx::of(&self.memory)
    }

    fn device(&self, name: &str, site: &str, drifts: bool) {
        let device: DeviceId = name.parse().expect("valid");
        let labels = BTreeMap::from([("site".to_owned(), site.to_owned())]);
        self.tx().add_device(&device, NOW).expect("added");
        self.tx().set_labels(&device, &labels).expect("labelled");
        for hour in BEGAN - 14 * 24..TODAY * 24 {
            let moved = drifts && hour >= BEGAN;
            let counted = FeatureHour {
                device: name.to_owned(),
                bundle: Digest([1; 32]),
                reference: Some(self.reference.digest),
                sums: sums(moved, hour),
            };
            self.tx().put_hour(&model(), hour, &counted);
        }
    }

    fn find(&self, cause: Cause, scope: Scope) {
        let finding = Finding {
            model: model(),
            bundle: Digest([1; 32]),
            scope,
            feature: Some("speed".to_owned()),
            cause,
            devices: Vec::new(),
            because: "it moved".to_owned(),
            at: UnixSeconds(BEGAN * HOUR_S),
        };
        let recorded = self.tx().record_finding(&finding, &self.desk, NOW);
        recorded.expect("recorded");
    }

    /// Asks as often as it can; the requests that came of it.
    fn ask(&self, now: UnixSeconds) -> Vec<i64> {
        let causes = &self.desk.applied.rules.retrain.causes;
        let cohorts = self.tx().drifting_cohorts(causes, now).expect("read");
        let mut asked = Vec::new();
        for together in alike(cohorts) {
            let wish = wish(&self.tx(), &self.desk, &together, &self.reference, now);
            if let Some(wish) = wish.expect("looked") {
                let made = ask(&self.tx(), &self.desk, wish, &self.key, now);
                asked.extend(made.expect("stored"));
            }
        }
        asked
    }
}

fn ada() -> Person {
    Person::new("ada", "a holiday").expect("valid")
}

fn model() -> ModelId {
    ModelId::parse("bearing").expect("valid")
}

fn site(value: &str) -> Scope {
    Scope::Cohort {
        label: "site".to_owned(),
        value: value.to_owned(),
    }
}

/// Five rows in each bin, give or take some from hour to hour; or all of them in the upper half.
fn sums(moved: bool, hour: u64) -> WindowSums {
    let lean = if hour.is_multiple_of(2) { 2 } else { 0 };
    let bin = |at: usize| match (moved, at >= BINS / 2) {
        (false, false) => 5 - lean,
        (false, true) => 5 + lean,
        (true, false) => 0,
        (true, true) => 10,
    };
    WindowSums {
        closed_windows: 12,
        calls: 50,
        misfits: 0,
        features: vec![FeatureSum {
            bins: (0..BINS).map(bin).collect(),
            ..FeatureSum::default()
        }],
    }
}

#[test]
fn a_cohort_that_drifts_for_three_days_asks_for_a_retrain_once() {
    let bench = Bench::new(DEVICES);
    assert_eq!(
        bench.ask(NOW),
        [0; 0],
        "without an incident nothing is asked for"
    );
    bench.find(Cause::RealDrift, site("a"));
    assert_eq!(
        bench.ask(UnixSeconds(NOW.0 - DAY_S)),
        [0; 0],
        "after two days"
    );
    assert_eq!(bench.ask(NOW), [1]);
    assert_eq!(bench.ask(UnixSeconds(NOW.0 + 60)), [0; 0]);

    let row = bench.tx().request(1).expect("read").expect("there");
    assert_eq!(
        (row.state.as_str(), row.place.as_str()),
        ("requested", "cohort:site=a")
    );
    let file = RetrainFile::of(&row.document).expect("whole");
    let keys: Vec<PublicKey> = vec![bench.key.verifying_key().into()];
    let text = serde_json::to_string(&file).expect("JSON");
    let record = verify(&text, &keys).expect("it holds");
    assert_eq!(record.features, ["speed"]);
    assert_eq!((record.incidents, record.cohort.devices), (vec![1], 4));
    assert_eq!(record.reference, bench.reference.digest.to_string());
    assert_eq!(record.windows_until - record.windows_from, 3 * DAY_S);
    let n: Vec<_> = record.days.iter().map(|day| day.features[0].n).collect();
    assert_eq!(n, [4800; 3]);
    assert_eq!(
        record.days[0].features[0].observed,
        [0, 0, 0, 0, 0, 960, 960, 960, 960, 960]
    );

    // The alert carries the same, and verifies as it is.
    let due = bench.tx().due_alerts("ops", NOW, 10).expect("due");
    let alert = due.last().expect("told");
    let body: Value = serde_json::from_str(&alert.body).expect("JSON");
    assert_eq!(body["type"], "dev.muster.retrain.requested");
    assert_eq!(
        verify(&alert.body, &keys).expect("it holds").features,
        ["speed"]
    );
}

#[test]
fn what_is_changed_or_signed_by_others_does_not_hold() {
    let bench = Bench::new(DEVICES);
    bench.find(Cause::RealDrift, site("a"));
    bench.ask(NOW);
    let row = bench.tx().request(1).expect("read").expect("there");
    let file = RetrainFile::of(&row.document).expect("whole");
    let own: Vec<PublicKey> = vec![bench.key.verifying_key().into()];
    let other: Vec<PublicKey> = vec![SigningKey::from_bytes(&[6; 32]).verifying_key().into()];
    let check = |file: &RetrainFile, keys: &[PublicKey], expect: &str| {
        let text = serde_json::to_string(file).expect("JSON");
        let said = verify(&text, keys).expect_err(expect).to_string();
        assert!(said.contains(expect), "{said}");
    };
    check(&file, &other, "a key that does not count");
    let mut changed = file.clone();
    changed.record["model"] = "pump".into();
    check(&changed, &own, "is not what was signed");
    let mut cut = file.clone();
    cut.signed.truncate(100);
    check(&cut, &own, "malformed");
    cut.signed = "?".to_owned();
    check(&cut, &own, "neither an exported request");
    assert!(verify("[]", &own).is_err());
    assert!(verify("", &own).is_err());
}

#[test]
fn too_few_devices_other_causes_and_dismissed_incidents_ask_for_nothing() {
    let check = |drifting: u8, cause: Cause, scope: Scope, expect: usize| {
        let bench = Bench::new(drifting);
        bench.find(cause, scope.clone());
        assert_eq!(
            bench.ask(NOW).len(),
            expect,
            "{drifting} {cause:?} {scope:?}"
        );
    };
    // One of four is below 30 %; two of four move all of them together far enough.
    check(1, Cause::RealDrift, site("a"), 0);
    check(2, Cause::RealDrift, site("a"), 1);
    check(DEVICES, Cause::Regression, site("a"), 0);
    check(DEVICES, Cause::RealDrift, site("c"), 0);
    check(DEVICES, Cause::RealDrift, Scope::Fleet, 1);
    let device = Scope::Device("press-0".parse().expect("valid"));
    check(DEVICES, Cause::RealDrift, device, 0);
}

#[test]
fn under_a_silence_nothing_is_asked_for_and_after_it_is_also_without_another_finding() {
    let silence = |bench: &Bench, expires_in_s: u64| {
        let silence = Silence {
            cause: Some(Kind::Drift(Cause::RealDrift)),
            ..Silence::default()
        };
        let tx = bench.tx();
        tx.add_silence(&silence, expires_in_s, &ada(), NOW)
            .expect("made");
    };
    let bench = Bench::new(DEVICES);
    silence(&bench, 1000);
    bench.find(Cause::RealDrift, site("a"));
    // It is looked at while it is silenced, and so it is never told.
    let (command, to) = (Command::Ack, State::Acknowledged);
    let looked = bench.tx().judge_incident(1, command, to, &ada(), NOW);
    looked.expect("kept");
    assert_eq!(bench.ask(UnixSeconds(NOW.0 + 999)), [0; 0]);
    assert_eq!(bench.ask(UnixSeconds(NOW.0 + 1000)), [1]);

    let bench = Bench::new(DEVICES);
    bench.find(Cause::RealDrift, site("a"));
    silence(&bench, 1000);
    assert_eq!(
        bench.ask(NOW),
        [0; 0],
        "one that was told is silenced later"
    );
}

#[test]
fn a_person_who_asks_again_is_told_before_anything_is_counted() {
    let bench = Bench::new(DEVICES);
    bench.find(Cause::RealDrift, site("a"));
    let (found, feature) = asked_for(&bench.tx(), 1).expect("there");
    let asked = (found, feature.into_iter().collect());
    let wish = wish_of(
        &bench.tx(),
        &bench.desk,
        asked,
        &bench.reference,
        &ada(),
        NOW,
    );
    let wish = wish.expect("counted");
    assert_eq!(wish.record.because, "ada asks for it: a holiday");
    assert_eq!((wish.record.features.len(), wish.record.days.len()), (1, 3));
    let made = ask(&bench.tx(), &bench.desk, wish, &bench.key, NOW);
    assert_eq!(made.expect("stored"), Some(1));
    let again = asked_for(&bench.tx(), 1).expect_err("one is open");
    assert!(again.to_string().contains("muster retrain list"), "{again}");
    let unknown = asked_for(&bench.tx(), 2).expect_err("there is none");
    assert!(unknown.to_string().contains("incident 2"), "{unknown}");
}

#[test]
fn faulty_devices_are_left_out_and_named() {
    let bench = Bench::new(DEVICES);
    bench.find(Cause::RealDrift, site("a"));
    bench.find(
        Cause::Stuck,
        Scope::Device("press-3".parse().expect("valid")),
    );
    bench.find(
        Cause::Stuck,
        Scope::Device("far-away".parse().expect("valid")),
    );
    assert_eq!(bench.ask(NOW), [1]);
    let row = bench.tx().request(1).expect("read").expect("there");
    let record = RetrainFile::of(&row.document).expect("whole").record;
    assert_eq!(record["cohort"]["devices"], 3);
    assert_eq!(record["cohort"]["excluded"], serde_json::json!(["press-3"]));
}

#[test]
fn a_declined_request_is_not_asked_for_again_within_a_week() {
    let bench = Bench::new(DEVICES);
    bench.find(Cause::RealDrift, site("a"));
    assert_eq!(bench.ask(NOW), [1]);
    let (command, to) = (RetrainCommand::Decline, RetrainState::Declined);
    let moved = bench.tx().move_request(1, command, to, &ada(), NOW);
    moved.expect("kept");
    assert_eq!(bench.ask(UnixSeconds(NOW.0 + 3600)), [0; 0]);
    let row = bench.tx().request(1).expect("read").expect("there");
    assert_eq!(
        (row.state.as_str(), row.orders[0].command.as_str()),
        ("declined", "decline")
    );
}

/// Fifty predictions, half of them this sure of one class and half of the other, and a label of each.
fn scores(p: f64) -> ScoreSums {
    let mut sums = ScoreSums::default();
    for p in [p, 1.0 - p] {
        let steps = (p * 65_536.0) as u64;
        let bin = (steps * 20 / 65_536) as usize;
        sums.bins[bin] = 25;
        sums.steps[bin] = 25 * steps;
        sums.positive[bin] = u64::from(p > 0.5);
        sums.negative[bin] = u64::from(p < 0.5);
    }
    sums
}

#[test]
fn a_classifier_whose_scores_become_unsure_asks_with_figures_and_without_any_feature() {
    // No feature moves.
    let mut bench = Bench::new(0);
    bench.reference.scores = Some(ReferenceScores {
        scale: ScoreScale::even(1, None).expect("valid"),
        sums: scores(0.95),
    });
    // One counts no features.
    let blind: DeviceId = "press-4".parse().expect("valid");
    let labels = BTreeMap::from([("site".to_owned(), "a".to_owned())]);
    bench.tx().add_device(&blind, NOW).expect("added");
    bench.tx().set_labels(&blind, &labels).expect("labelled");
    let unsure = ["press-0", "press-1", "press-2", "press-4"];
    let devices = unsure.iter().chain(&["press-3", "far-away"]);
    for (device, hour) in devices.flat_map(|d| (BEGAN..TODAY * 24).map(move |h| (d, h))) {
        // A device that is broken is sure of everything, and one elsewhere does not count.
        let unsure = unsure.contains(device);
        let counted = ScoreHour {
            device: (*device).to_owned(),
            bundle: Digest([1; 32]),
            reference: Some(bench.reference.digest),
            sums: scores(if unsure { 0.85 } else { 0.99 }),
        };
        bench.tx().put_score_hour(&model(), hour, &counted);
    }
    assert_eq!(bench.ask(NOW), [0; 0], "without an incident");
    bench.find(Cause::EstimatedQualityDrop, site("a"));
    let broken = Scope::Device("press-3".parse().expect("valid"));
    bench.find(Cause::Stuck, broken);
    assert_eq!(bench.ask(NOW), [1]);
    let row = bench.tx().request(1).expect("read").expect("there");
    assert!(
        row.because.contains("the estimated accuracy"),
        "{}",
        row.because
    );
    let file = RetrainFile::of(&row.document).expect("whole");
    let keys: Vec<PublicKey> = vec![bench.key.verifying_key().into()];
    let text = serde_json::to_string(&file).expect("JSON");
    let record = verify(&text, &keys).expect("it holds");
    assert_eq!((record.features.len(), record.days.len()), (0, 3));
    assert_eq!(record.cohort.devices, 4);
    let day = record.days[0].quality.as_ref().expect("a classifier");
    assert_eq!(day.bins.iter().sum::<u64>(), 4 * 24 * 50);
    let span = record.quality.expect("a classifier");
    assert_eq!((span.positive, span.negative), (4 * 72, 4 * 72));
    let estimated = span.estimated.expect("enough").accuracy.expect("known");
    let drop = estimated.drop.expect("beside the reference");
    assert!(
        (drop.value - 0.1).abs() < 1e-3 && drop.low < 0.1,
        "{drop:?}"
    );
    let measured = span.measured.expect("labels").accuracy.expect("known");
    // Labels say that all of them were right: what is measured is named apart.
    assert_eq!((measured.value, measured.reference), (1.0, Some(1.0)));
}
