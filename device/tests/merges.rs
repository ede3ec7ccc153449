//! Windows of one reference merge to the same counts in any order and grouping: those that the
//! device would have folded from all rows at once, and those that the fleet sums.
//!
//! `MUSTER_FULL=1` makes a million merges. Every number comes from a seed.

#[path = "../../tests/src/random.rs"]
mod random;

use muster_device::fold::{Subject, WindowFold};
use muster_device::scores::ScoreFold;
use muster_protocol::cbor::{self, List};
use muster_protocol::digest::Digest;
use muster_protocol::id::{EpochGeneration, ModelId};
use muster_protocol::limits::WINDOW_LABELS_MIN;
use muster_protocol::message::Window;
use muster_protocol::message::window::{ErrorCount, Merged};
use muster_protocol::stats::{
    FeatureFold, FeatureSum, LabelCounts, Outcome, Scale, ScoreCounts, ScoreScale, Transform,
};
use muster_protocol::time::{Millis, UnixSeconds};
use random::Random;

/// Windows of one reference, and trees of merges that are made of them.
const WINDOWS: usize = 40;
const TREES: usize = 20;
const ROWS_MAX: u64 = 6;
const MERGES: u64 = 20_000;
const MERGES_FULL: u64 = 1_000_000;

/// What one request brings.
struct Row {
    latency_us: u32,
    features: [Option<f32>; 3],
    scores: [f32; 2],
}

/// What is counted in one window.
struct Part {
    rows: Vec<Row>,
    failed: Vec<u8>,
    labels: LabelCounts,
}

/// A reference: one feature in bins, one in bins of its logarithm, one of categories.
struct Counted {
    features: [Scale; 3],
    scores: ScoreScale,
}

impl Counted {
    fn draw(random: &mut Random) -> Self {
        let edges = 2 + random.below(16) as u16;
        let edges = || (0..edges).map(|edge| f32::from(edge) - 4.25);
        let scale = |transform| Scale::new(edges(), transform, 0.5, 1.5).expect("ascending");
        let categories = [0.0, 1.0, 2.5];
        Self {
            features: [
                scale(Transform::Identity),
                scale(Transform::SignedLog),
                Scale::of_categories(categories, 1.0, 1.0).expect("ascending"),
            ],
            scores: ScoreScale::even(2, Some(1)).expect("two classes"),
        }
    }

    /// The window of these parts, as the device folds and writes it.
    fn fold<'p>(&self, parts: impl IntoIterator<Item = &'p Part>) -> Vec<u8> {
        let subject = Subject {
            model: ModelId::parse("bearing").expect("valid"),
            bundle: Digest([1; 32]),
            since: EpochGeneration::new(1, 1),
            reference: Some(Digest([2; 32])),
            latency_objective_us: Some(1 << 15),
        };
        let folds: Vec<_> = self
            .features
            .iter()
            .cloned()
            .map(FeatureFold::new)
            .collect();
        let mut fold = WindowFold::new(subject, folds, Millis(0));
        let mut scores = ScoreFold::new(self.scores);
        for part in parts {
            part.failed.iter().for_each(|code| fold.failed(*code));
            scores.labels(&part.labels);
            for row in &part.rows {
                fold.answered(1, row.latency_us);
                let features = row.features.iter().enumerate();
                features.for_each(|(index, value)| fold.value(index, *value));
                scores.row(row.scores);
            }
        }
        let beside = (None, Some(&scores));
        fold.with_window_beside(beside, Millis(1000), None, |window| cbor::to_vec(window))
    }
}

impl Part {
    /// The first value of each feature is of this window alone, so that none repeats one of the
    /// window before: only within a window is a repeat counted.
    fn draw(random: &mut Random, window: usize) -> Self {
        let first = 1000.0 + window as f32;
        let rows = 0..random.below(ROWS_MAX + 1);
        let row = |row: u64| Row {
            latency_us: 1 << random.below(20),
            features: std::array::from_fn(|_| match row {
                0 => Some(first),
                _ => value(random),
            }),
            scores: scores(random),
        };
        let rows: Vec<Row> = rows.map(row).collect();
        let failed = (0..random.below(3)).map(|_| random.below(4) as u8);
        Self {
            failed: failed.collect(),
            labels: labels(random),
            rows,
        }
    }
}

/// Often the same, sometimes none, rarely no number or beyond all bins.
fn value(random: &mut Random) -> Option<f32> {
    let rare = [f32::NAN, f32::INFINITY, 1e30, f32::MIN, -0.0, 1e-40];
    match random.below(8) {
        0 => None,
        1 => Some(rare[random.below(rare.len() as u64) as usize]),
        _ => Some(random.below(9) as f32 * 0.5 - 1.0),
    }
}

/// Mostly probabilities.
fn scores(random: &mut Random) -> [f32; 2] {
    let p = random.below(1001) as f32 / 1000.0;
    [1.0 - p, if random.below(10) == 0 { 2.0 } else { p }]
}

/// None, or as many as are told at once.
fn labels(random: &mut Random) -> LabelCounts {
    let mut labels = LabelCounts {
        unknown: random.below(3) as u32,
        stale: random.below(3) as u32,
        ..LabelCounts::default()
    };
    let came = match random.below(3) {
        0 => WINDOW_LABELS_MIN + random.below(5),
        _ => 0,
    };
    for _ in 0..came {
        let outcome = match random.below(2) {
            0 => Outcome::Negative,
            _ => Outcome::Positive,
        };
        labels.fold(random.below(20) as u8, outcome);
    }
    labels
}

/// Two windows as one, as they are written.
fn merge(one: &[u8], other: &[u8]) -> Vec<u8> {
    let (one, other): (Window<'_>, Window<'_>) = (read(one), read(other));
    cbor::to_vec(&Merged::of(&one, &other).expect("of one reference"))
}

fn read(bytes: &[u8]) -> Window<'_> {
    cbor::decode(bytes).expect("a window")
}

/// Takes any two and puts what they make in their place, until one is left.
fn merged<T>(random: &mut Random, mut all: Vec<T>, merge: impl Fn(T, T) -> T) -> T {
    let mut any = |all: &mut Vec<T>| all.swap_remove(random.below(all.len() as u64) as usize);
    loop {
        let one = any(&mut all);
        if all.is_empty() {
            return one;
        }
        let other = any(&mut all);
        all.push(merge(one, other));
    }
}

/// The counts of a window, without when and in how many windows they were counted.
fn counts(bytes: &[u8]) -> Vec<u8> {
    let window = read(bytes);
    let mut errors: Vec<ErrorCount> = window.errors.iter().collect();
    errors.sort_unstable_by_key(|error| error.code);
    cbor::to_vec(&Window {
        started: Millis(0),
        ended: Millis(0),
        unix: Some(UnixSeconds(0)),
        closed_windows: 0,
        errors: List::of(&errors),
        ..window.clone()
    })
}

/// What the fleet adds up: wider counts of its own.
#[derive(Debug, Clone, PartialEq, Default)]
struct Sums {
    features: Vec<FeatureSum>,
    scores: ScoreCounts,
    labels: LabelCounts,
}

impl Sums {
    fn of(bytes: &[u8]) -> Self {
        let window = read(bytes);
        let features = window.features.iter();
        let scores = window.scores.as_ref().map(|scores| scores.counts());
        let labels = window.labels.as_ref().map(|labels| labels.counts());
        Self {
            features: features
                .map(|feature| FeatureSum::of(&feature.counts(), feature.bins.len()))
                .collect(),
            scores: scores.unwrap_or_default(),
            labels: labels.unwrap_or_default(),
        }
    }

    fn and(mut self, other: Self) -> Self {
        for (mine, theirs) in self.features.iter_mut().zip(&other.features) {
            mine.merge(theirs).expect("the same bins");
        }
        self.scores.merge(&other.scores);
        self.labels.merge(&other.labels);
        self
    }
}

fn parts(random: &mut Random) -> Vec<Part> {
    (0..WINDOWS)
        .map(|window| Part::draw(random, window))
        .collect()
}

/// Merges the windows of this seed in trees of any shape; how many merges it were.
fn check(seed: u64) -> u64 {
    let random = &mut Random(seed);
    let (counted, parts) = (Counted::draw(random), parts(random));
    let whole = counted.fold(&parts);
    let windows: Vec<Vec<u8>> = parts.iter().map(|part| counted.fold([part])).collect();
    for _ in 0..TREES {
        let one = merged(random, windows.clone(), |one, other| merge(&one, &other));
        assert_eq!(read(&one).closed_windows as usize, WINDOWS, "seed {seed}");
        assert_eq!(counts(&one), counts(&whole), "seed {seed}");
        let sums = windows.iter().map(|window| Sums::of(window)).collect();
        let sums = merged(random, sums, Sums::and);
        assert_eq!(sums, Sums::of(&whole), "seed {seed}: as the fleet sums");
    }
    (TREES * (WINDOWS - 1)) as u64
}

#[test]
fn windows_merge_to_what_the_device_folds_at_once_and_the_fleet_sums() {
    let full = std::env::var("MUSTER_FULL").is_ok_and(|value| value == "1");
    let wanted = if full { MERGES_FULL } else { MERGES };
    let (mut merges, mut seed) = (0, 0);
    while merges < wanted {
        merges += check(seed);
        seed += 1;
    }
    println!("{merges} merges of windows, seeds 0 to {}", seed - 1);
}

#[test]
fn a_window_that_is_lost_or_merged_twice_is_noticed() {
    let random = &mut Random(7);
    let (counted, parts) = (Counted::draw(random), parts(random));
    let whole = counts(&counted.fold(&parts));
    let windows: Vec<Vec<u8>> = parts.iter().map(|part| counted.fold([part])).collect();
    let full = parts.iter().position(|part| part.rows.len() > 1);
    let at = full.expect("a window of some rows");
    let lost = [&windows[..at], &windows[at + 1..]].concat();
    let twice = [&windows[..], &windows[at..=at]].concat();
    for wrong in [lost, twice] {
        let one = merged(random, wrong.clone(), |one, other| merge(&one, &other));
        assert_ne!(counts(&one), whole);
        let sums = wrong.iter().map(|window| Sums::of(window)).collect();
        assert_ne!(
            merged(random, sums, Sums::and),
            Sums::of(&counted.fold(&parts))
        );
    }
}

/// Counts of nothing would be equal in any order.
#[test]
fn what_is_merged_reaches_every_count() {
    let random = &mut Random(7);
    let (counted, parts) = (Counted::draw(random), parts(random));
    let whole = counted.fold(&parts);
    let window = read(&whole);
    assert!(window.calls > 50 && window.latency.len() > 5 && window.errors.len() > 2);
    assert!(window.latency_misses.is_some_and(|misses| misses.count > 0));
    for feature in window.features.iter() {
        assert!(feature.bins.iter().filter(|count| *count > 0).count() > 2);
        assert!(feature.missing > 0 && feature.non_finite > 0 && feature.out_of_range > 0);
        assert!(feature.repeats > 0 && feature.longest_run > 0 && feature.sum != 0);
    }
    let scores = window.scores.as_ref().expect("scores").counts();
    assert!(scores.n() > 50 && scores.improper > 0);
    let labels = window.labels.as_ref().expect("labels").counts();
    assert!(labels.n() > 50 && labels.unknown > 0 && labels.stale > 0);
}
