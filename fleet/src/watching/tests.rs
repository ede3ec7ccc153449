//! Windows of a few devices, day after day: what moved is written down once, and comes out again
//! bit for bit whatever happened in between.

use std::collections::BTreeSet;

use ed25519_dalek::SigningKey;
use muster_fleet::watch::{
    DeviceWatch, IncidentsPerYear, SeasonRule, Subject, WatchEvent, WatchRule,
};
use muster_protocol::cbor::List;
use muster_protocol::cose;
use muster_protocol::digest::Digest;
use muster_protocol::id::{BootId, DeviceId, EpochGeneration, ModelId, Sequence, StreamId};
use muster_protocol::message::{Document, FeatureWindow, Labels, Role, Scores, Settings, Window};
use muster_protocol::stats::FeatureCounts;
use muster_protocol::time::{Millis, UnixSeconds};

use super::*;
use crate::blobs::Blobs;
use crate::config::Retention;
use crate::drift::{BundleReference, ReferenceFeature, References, Side};
use crate::store::{
    self, InMemory, Kept, OfCohort, Page, Position, RolloutToStore, Tampering, Tx, WindowSums,
    WindowToStore,
};

mod quality;

const BEGIN: u64 = 1_800_000_000;
const WINDOW_S: u64 = 300;
const BUNDLE: Digest = Digest([5; 32]);
const REFERENCE: Digest = Digest([6; 32]);
const BINS: [u64; 6] = [1, 249, 250, 250, 249, 1];

struct Bench {
    store: InMemory,
    sources: Sources,
    rule: WatchRule,
    window_s: u64,
    next: u64,
    random: u64,
    _folder: tempfile::TempDir,
}

fn id(device: &str) -> DeviceId {
    DeviceId::parse(device).expect("valid")
}

fn model() -> ModelId {
    ModelId::parse("bearing").expect("valid")
}

fn rollout() -> RolloutToStore {
    RolloutToStore {
        model: model(),
        version: "1.0.0".parse().expect("valid"),
        role: Role::Serve,
        selector: String::new(),
        percent: 100,
        settings: Settings::default(),
    }
}

impl Bench {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let feature = |name: &str, source| ReferenceFeature {
            name: name.to_owned(),
            source,
            edges: vec![-3.0, -0.67, 0.0, 0.67, 3.0],
            counts: BINS.to_vec(),
            missing: 0,
            raw: None,
            limits: None,
        };
        let reference = BundleReference {
            digest: REFERENCE,
            rows: 1000,
            features: vec![feature("speed", Side::Input), feature("wear", Side::Output)],
            scores: None,
            variation: None,
        };
        Self {
            store: store::in_memory(),
            sources: Sources {
                references: std::sync::Arc::new(References::with(BUNDLE, reference)),
                blobs: Blobs::open(&folder.path().join("blobs")).expect("a folder"),
            },
            rule: WatchRule::default(),
            window_s: WINDOW_S,
            next: 0,
            random: 9,
            _folder: folder,
        }
    }

    fn tx(&self) -> Tx<'_> {
        Tx::of(&self.store)
    }

    /// A standard normal number, nearly.
    fn noise(&mut self) -> f64 {
        let mut sum = -6.0;
        for _ in 0..12 {
            self.random = self
                .random
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            sum += (self.random >> 11) as f64 / (1_u64 << 53) as f64;
        }
        sum
    }

    /// Whom findings from `at` on name, as a gate of a rollout would ask: only those of its bundle,
    /// and only since it was made.
    fn check_drifted(&self, at: u64, expect: &[&str]) {
        let all: BTreeSet<_> = expect.iter().map(|device| id(device)).collect();
        let (none, other) = (BTreeSet::new(), Digest([7; 32]));
        let tx = self.tx();
        let before = tx.add_rollout(&rollout(), UnixSeconds(at)).expect("kept");
        let newest = tx.placings(None, &Page::default()).expect("a list").items;
        let newest = newest.last().map_or(at, |placing| placing.at);
        let after = tx.add_rollout(&rollout(), UnixSeconds(newest + 1));
        let after = after.expect("kept");
        for (rollout, bundle, expect) in [
            (before, BUNDLE, &all),
            (before, other, &none),
            (after, BUNDLE, &none),
            (after + 1, BUNDLE, &none),
        ] {
            let drifted = tx.drifted(rollout, bundle).expect("read");
            assert_eq!(drifted, *expect, "rollout {rollout}, bundle {bundle}");
        }
    }

    /// 300 values of each feature on each device, whose second feature lies `shift` off.
    fn say(&mut self, devices: &[&str], shift: f64) {
        let each: Vec<_> = devices.iter().map(|device| (*device, shift, 0)).collect();
        self.say_each(&each);
    }

    /// The same, where each device has its own shift, and rows without a value.
    fn say_each(&mut self, devices: &[(&str, f64, u32)]) {
        for (device, shift, missing) in devices {
            let counts = [0.0, *shift].map(|shift| {
                let mean = 256.0 * (shift + self.noise() / 300_f64.sqrt());
                let mut counts = FeatureCounts::default();
                counts.bins[..6].copy_from_slice(&[0, 75, 75, 75, 75, 0]);
                counts.sum = (300.0 * mean) as i64;
                counts.sum_of_squares = (300.0 * (mean * mean + 65_536.0)) as u64;
                (counts.repeats, counts.longest_run) = (3, 2);
                counts.missing = *missing;
                counts
            });
            let features: Vec<_> = counts
                .iter()
                .map(|counts| FeatureWindow::of(counts, 6))
                .collect();
            self.store_window(device, &features);
        }
        self.next += 1;
    }

    fn store_window(&self, device: &str, features: &[FeatureWindow<'_>]) {
        self.store_scored(device, features, None, None);
    }

    fn store_scored(
        &self,
        device: &str,
        features: &[FeatureWindow<'_>],
        scores: Option<Scores<'_>>,
        labels: Option<Labels<'_>>,
    ) {
        let (device, stream, boot) = (id(device), StreamId([2; 8]), BootId([4; 8]));
        let sequence = Sequence(self.next + 1);
        let at_ms = self.next * self.window_s * 1000;
        let received = UnixSeconds(BEGIN + self.next * self.window_s);
        let window = Window {
            model: model(),
            bundle: BUNDLE,
            since: EpochGeneration::new(1, 1),
            reference: Some(REFERENCE),
            started: Millis(at_ms),
            ended: Millis(at_ms + self.window_s * 1000),
            unix: Some(received),
            closed_windows: 1,
            calls: 300,
            errors: List::default(),
            latency: List::default(),
            features: List::of(features),
            latency_misses: None,
            shadow: None,
            scores,
            labels,
        };
        let document = Document {
            device: device.clone(),
            stream,
            sequence,
            boot,
            receipt: None,
            window: Some(window.clone()),
            gap: None,
        };
        let document = cose::seal_vec(&document, &SigningKey::from_bytes(&[1; 32]));
        let stored = WindowToStore {
            device: &device,
            stream,
            sequence,
            boot,
            window: &window,
            document: &document,
        };
        self.tx().add_window(&stored, received).expect("a store");
    }

    /// Looks at all that is there; the features that were told.
    fn watch(&self) -> Vec<String> {
        let mut told = Vec::new();
        loop {
            let round = Round::compute(&self.tx(), &self.sources, &self.rule).expect("computed");
            let windows = round.windows;
            let kept = round.keep(&self.tx(), UnixSeconds(BEGIN)).expect("kept");
            told.extend(kept.expect("alone").into_iter().filter_map(|f| f.feature));
            if windows == 0 {
                return told;
            }
        }
    }

    fn again(&self) -> Replayed {
        replay(&self.tx(), &self.sources).expect("computed again")
    }

    fn alarms(&self) -> u64 {
        let page = Page {
            limit: Some(500),
            ..Page::default()
        };
        self.tx().alarms(None, &page).expect("a list").items.len() as u64
    }

    fn label(&self, device: &str, site: &str) {
        let labelled = self.tx().make_labelled_device(&id(device), "site", site);
        labelled.expect("a store");
    }

    /// Orders that the first device learns its normal anew.
    fn learn_anew(&self) {
        let event = WatchEvent::Rebaseline {
            model: model(),
            device: Some(id("d-1")),
            operator: "ada".to_owned(),
            reason: "the sensor was changed".to_owned(),
        };
        let after = self.tx().watching(Kept::Now).expect("read").looked_at();
        let added = self.tx().add_watch_event(after, &event, UnixSeconds(BEGIN));
        added.expect("written");
    }

    /// How far it has come, and the charts of all devices.
    fn state(&self) -> (Position, Vec<(DeviceId, DeviceWatch)>) {
        let subject = Subject {
            model: model(),
            bundle: BUNDLE,
        };
        let position = self.tx().watching(Kept::Now).expect("read");
        let watches = self.tx().device_watches(Kept::Now, &subject);
        (position, watches.expect("read"))
    }

    /// Lets the first `windows` go.
    fn forget(&self, windows: i64) {
        rebase(&self.tx(), &self.sources, windows).expect("moved");
        self.tx().remove_windows(windows).expect("a store");
    }
}

fn nothing_differs(replayed: &Replayed) {
    assert_eq!(replayed.differences, [], "{replayed:?}");
}

#[test]
fn what_moved_is_told_once_and_comes_out_again() {
    let mut bench = Bench::new();
    bench.label("d-1", "north");
    bench.rule.cohort_labels = vec!["site".to_owned()];
    for _ in 0..640 {
        bench.say(&["d-1", "d-2"], 0.0);
    }
    assert_eq!(bench.watch(), [] as [&str; 0]);
    for _ in 0..10 {
        bench.say(&["d-1"], 0.0);
        bench.say(&["d-2"], 1.0);
    }
    let told = bench.watch();
    assert!(
        !told.is_empty() && told.iter().all(|feature| feature == "wear"),
        "{told:?}"
    );
    assert_eq!(bench.watch(), [] as [&str; 0], "once");
    let again = bench.again();
    nothing_differs(&again);
    assert_eq!((again.windows, again.alarms), (1300, bench.alarms()));
    // Two devices, two cohorts, the rule.
    assert_eq!(again.states, 5);
}

#[test]
fn what_no_chart_has_seen_yet_is_placed_as_slots_begin() {
    let mut bench = Bench::new();
    let devices = ["d-1", "d-2", "d-3", "d-4"];
    for _ in 0..640 {
        bench.say(&devices, 0.0);
    }
    assert_eq!(bench.watch(), [] as [&str; 0]);
    // Both features lack a value in every tenth row: charts look at rates for much longer.
    for _ in 0..3 {
        let sound = devices[..3].iter().map(|device| (*device, 0.0, 0));
        let all: Vec<_> = sound.chain([("d-4", 0.0, 33)]).collect();
        bench.say_each(&all);
    }
    let told = bench.watch();
    assert_eq!(bench.alarms(), 0);
    let page = Page::default();
    let placings = bench.tx().placings(None, &page).expect("a list").items;
    let devices: Vec<_> = placings.iter().map(|of| of.found.devices.clone()).collect();
    assert!(!devices.is_empty(), "{told:?}");
    assert!(devices.iter().all(|of| *of == ["d-4"]), "{placings:?}");
    nothing_differs(&bench.again());
    bench.check_drifted(placings[0].at, &["d-4"]);
}

#[test]
fn what_happened_in_between_happens_again_where_it_did() {
    let mut bench = Bench::new();
    bench.rule.cohort_labels = vec!["site".to_owned()];
    bench.label("d-1", "north");
    for at in 0..900 {
        bench.say(&["d-1", "d-2"], if at % 300 > 290 { 1.0 } else { 0.0 });
        match at {
            200 => bench.label("d-1", "south"),
            400 => {
                bench.rule.incidents_per_device_year =
                    IncidentsPerYear::try_from(2.0).expect("known")
            }
            500 => bench.learn_anew(),
            700 => bench.forget(1000),
            _ => {}
        }
        if at % 50 == 0 {
            bench.watch();
        }
    }
    bench.watch();
    let again = bench.again();
    nothing_differs(&again);
    assert_eq!((again.after_window, again.windows), (1000, 800));
    assert!(again.states == 4 && again.alarms > 0, "{again:?}");
}

#[test]
fn what_was_written_otherwise_is_a_difference() {
    let mut bench = Bench::new();
    for at in 0..660 {
        bench.say(&["d-1"], if at < 640 { 0.0 } else { 1.0 });
    }
    bench.watch();
    nothing_differs(&bench.again());
    let mut so_far = 0;
    let mut check = |tampering: Tampering, more: Option<usize>| {
        let changed = bench.tx().tamper(tampering).expect("changed");
        let differences = bench.again().differences.len();
        assert_eq!(
            differences,
            so_far + more.unwrap_or(changed),
            "{tampering:?}"
        );
        assert!(changed > 0, "{tampering:?}");
        so_far = differences;
    };
    check(Tampering::AlarmsSaySkew, None);
    check(Tampering::ChartsOfDevicesLost, Some(1));
    check(Tampering::PlacingLost, Some(1));
}

#[test]
fn a_round_that_something_happened_to_is_computed_again() {
    let mut bench = Bench::new();
    bench.say(&["d-1"], 0.0);
    let round = Round::compute(&bench.tx(), &bench.sources, &bench.rule).expect("computed");
    bench.watch();
    assert!(
        round
            .keep(&bench.tx(), UnixSeconds(BEGIN))
            .expect("asked")
            .is_none()
    );
    assert_eq!(bench.tx().watching(Kept::Now).expect("read").window, 1);

    bench.say(&["d-1"], 0.0);
    let round = Round::compute(&bench.tx(), &bench.sources, &bench.rule).expect("computed");
    bench.learn_anew();
    let kept = round.keep(&bench.tx(), UnixSeconds(BEGIN)).expect("asked");
    assert!(
        kept.is_none(),
        "an order holds for the windows that came after it"
    );
    bench.watch();
    nothing_differs(&bench.again());
}

#[test]
fn states_of_another_program_are_computed_anew_and_nothing_is_told_twice() {
    let mut bench = Bench::new();
    for at in 0..660 {
        bench.say(&["d-1"], if at < 640 { 0.0 } else { 1.0 });
    }
    let told = bench.watch();
    assert!(!told.is_empty());
    bench.tx().tamper(Tampering::OtherFormat).expect("changed");
    assert_eq!(bench.watch(), [] as [&str; 0]);
    nothing_differs(&bench.again());
}

/// What happened long after the windows that are looked at anew waits until then, whatever has become of
/// rules and labels in between.
#[test]
fn what_happened_before_another_program_came_happens_again_where_it_did() {
    let mut bench = Bench::new();
    bench.rule.cohort_labels = vec!["site".to_owned()];
    bench.label("d-1", "north");
    for at in 0..700 {
        bench.say(&["d-1", "d-2"], if at % 300 > 290 { 1.0 } else { 0.0 });
        match at {
            100 => {
                bench.rule.incidents_per_device_year =
                    IncidentsPerYear::try_from(2.0).expect("known")
            }
            300 => bench.learn_anew(),
            600 => bench.label("d-1", "south"),
            _ => {}
        }
        if at % 50 == 0 {
            bench.watch();
        }
    }
    bench.watch();
    let (before, watches) = bench.state();
    bench.tx().tamper(Tampering::OtherFormat).expect("changed");
    assert_eq!(bench.watch(), [] as [&str; 0]);
    let (after, again) = bench.state();
    assert_eq!((&after.rule, after.event), (&before.rule, before.event));
    assert!(again == watches, "charts are those of before");
    nothing_differs(&bench.again());
}

#[test]
fn an_order_holds_for_what_comes_next_also_while_old_windows_are_looked_at_anew() {
    let mut bench = Bench::new();
    for _ in 0..600 {
        bench.say(&["d-1"], 0.0);
    }
    bench.watch();
    bench.tx().tamper(Tampering::OtherFormat).expect("changed");
    let round = Round::compute(&bench.tx(), &bench.sources, &bench.rule).expect("computed");
    let kept = round.keep(&bench.tx(), UnixSeconds(BEGIN)).expect("asked");
    assert!(kept.is_some());
    assert_eq!(bench.state().0.window, 500, "a round is no more than that");
    bench.learn_anew();
    bench.watch();
    assert_eq!(bench.state().1[0].1.recent.len(), 3);
    bench.say(&["d-1"], 0.0);
    bench.watch();
    assert_eq!(bench.state().1[0].1.recent.len(), 1, "it has begun anew");
    nothing_differs(&bench.again());
}

/// A sensor that swings by two standard deviations every day, and moves by a fraction of one.
#[test]
fn what_follows_the_hour_of_the_week_is_judged_without_it_and_comes_out_again() {
    let mut bench = Bench::new();
    bench.window_s = 3600;
    bench.rule.cohort_labels = vec!["site".to_owned()];
    let day = |at: u64| 2.0 * (std::f64::consts::TAU * at as f64 / 24.0).sin();
    for at in 0..1300 {
        if at == 50 {
            bench.rule.seasons = vec![SeasonRule {
                model: Some(model()),
                features: vec!["wear".to_owned()],
                hold_s: 86_400,
            }];
        }
        bench.say(&["d-1", "d-2"], day(at));
        if at % 400 == 0 {
            bench.watch();
        }
    }
    assert_eq!(bench.watch(), [] as [&str; 0]);
    let watches = bench.state().1;
    for (_, watch) in &watches {
        let seasonal = watch.seasonal[1].as_ref().expect("it follows the week");
        assert_eq!((seasonal.season.known(), seasonal.judges()), (168, true));
        assert!(watch.seasonal[0].is_none());
        assert!(watch.recent[0].usual_of(1).is_some());
    }
    for at in 1300..1300 + 48 {
        let each = [("d-1", day(at), 0), ("d-2", day(at) + 0.4, 0)];
        bench.say_each(&each);
    }
    let told = bench.watch();
    assert!(
        !told.is_empty() && told.iter().all(|of| of == "wear"),
        "{told:?}"
    );
    let again = bench.again();
    nothing_differs(&again);
    assert!(again.alarms > 0);
    let before = bench.state().1;
    bench.tx().tamper(Tampering::OtherFormat).expect("changed");
    assert_eq!(bench.watch(), [] as [&str; 0]);
    assert!(
        bench.state().1 == before,
        "the week is learnt from windows alone"
    );
}

#[test]
fn hours_of_cohorts_are_those_of_their_devices_wherever_they_were() {
    let mut bench = Bench::new();
    bench.rule.cohort_labels = vec!["site".to_owned()];
    bench.label("d-1", "north");
    for at in 0..60 {
        bench.say(&["d-1", "d-2"], 0.01 * f64::from(at));
        if at == 29 {
            bench.watch();
            bench.label("d-1", "south");
        }
    }
    bench.watch();
    let check = |bench: &Bench| {
        let tx = bench.tx();
        let mut of_devices: Option<WindowSums> = None;
        let sum = |sums: &mut Option<WindowSums>, more: WindowSums| match sums {
            Some(sums) => sums.merge(&more),
            None => *sums = Some(more),
        };
        let now = UnixSeconds(BEGIN + 100_000);
        let each = tx.each_feature_hour(&model(), None, 200_000, now, |hour| {
            sum(&mut of_devices, hour.sums);
        });
        each.expect("read");
        let of = |cohort: &str| {
            let asked = OfCohort {
                model: &model(),
                cohort,
                from: 0,
                until: u64::MAX >> 1,
            };
            let mut found = None;
            let each = tx.each_cohort_hour(asked, |hour| sum(&mut found, hour.sums));
            each.expect("read");
            let devices = tx.cohort_devices(&model(), cohort, 0).expect("read");
            (found, devices.len())
        };
        assert_eq!(of("all"), (of_devices, 2));
        for cohort in ["site=north", "site=south"] {
            let (sums, devices) = of(cohort);
            assert_eq!(
                (sums.map(|sums| sums.closed_windows), devices),
                (Some(30), 1)
            );
        }
        assert_eq!(of("site=east"), (None, 0));
        assert_eq!(tx.cohorts_through().expect("read"), 120);
    };
    check(&bench);
    // What is looked at anew is not counted again.
    bench.tx().tamper(Tampering::OtherFormat).expect("changed");
    bench.watch();
    check(&bench);
}

#[test]
fn charts_of_a_device_that_is_long_silent_go_and_what_is_left_comes_out_again() {
    let mut bench = Bench::new();
    for at in 0..40 {
        bench.say(if at < 20 { &["d-1", "d-2"] } else { &["d-1"] }, 0.0);
    }
    bench.watch();
    // The newest window of the second device is number 40.
    bench.say(&["d-2"], 0.0);
    let before = Round::compute(&bench.tx(), &bench.sources, &bench.rule).expect("computed");
    bench.forget(41);
    let now = UnixSeconds(BEGIN);
    let removed = bench.tx().forget(&Retention::default(), now);
    assert!(removed.expect("removed") > 0);
    assert!(before.keep(&bench.tx(), now).expect("asked").is_none());
    bench.watch();
    nothing_differs(&bench.again());
    let subject = Subject {
        model: model(),
        bundle: BUNDLE,
    };
    let left = bench
        .tx()
        .device_watches(Kept::Now, &subject)
        .expect("read");
    let windows: Vec<usize> = left.iter().map(|(_, watch)| watch.recent.len()).collect();
    assert_eq!(windows, [3, 1], "the second began anew");
}
