//! Scores and labels of a classifier, day after day: a fall is told once, stands beside what moved, and
//! comes out again bit for bit.

use muster_fleet::finding::{Cause, Scope};
use muster_fleet::place::Quality;
use muster_fleet::quality::{ReferenceScores, ScoreSums};
use muster_fleet::watch::QualityRule;
use muster_protocol::message::window::{LabelLists, ScoreLists};
use muster_protocol::stats::{LabelCounts, Outcome, ScoreCounts, ScoreScale};

use super::*;
use crate::watching::placing::newest;
use crate::watching::quality::stands;
use crate::watching::run::Run;

/// Windows between two that are sent: six hours.
const PAUSE: u64 = 72;

fn scale() -> ScoreScale {
    ScoreScale::even(1, None).expect("valid")
}

/// As many predictions of `p` and its opposite as windows have; every tenth has a label, and so many
/// of a hundred of these are wrong more.
fn counts(p: f32, wrong: u32) -> (ScoreCounts, LabelCounts) {
    let (mut scores, mut labels) = (ScoreCounts::default(), LabelCounts::default());
    for at in 0..300_u32 {
        let said = if at % 2 == 0 { p } else { 1.0 - p };
        let score = scale().read([said]).expect("a probability");
        scores.fold(&scale(), Some(score));
        let is_wrong = at * 7 % 100 < wrong + ((1.0 - p) * 100.0) as u32;
        let outcome = match (at % 2 == 0) == is_wrong {
            true => Outcome::Negative,
            false => Outcome::Positive,
        };
        labels.fold(score.bin, outcome);
    }
    (scores, labels)
}

fn bench() -> Bench {
    let mut bench = Bench::new();
    let (scores, labels) = counts(0.95, 0);
    let (scores, labels) = (ScoreLists::of(&scores), LabelLists::of(&labels));
    let known = bench.sources.references.get(&bench.sources.blobs, BUNDLE);
    let mut reference = known.expect("it is there").as_ref().clone();
    reference.scores = Some(ReferenceScores {
        scale: scale(),
        sums: ScoreSums::of(Some(&scores.scores()), Some(&labels.labels())),
    });
    bench.sources.references = std::sync::Arc::new(References::with(BUNDLE, reference));
    bench.rule.quality = Some(QualityRule::default());
    bench.rule.cohort_labels = vec!["site".to_owned()];
    bench.label("d-1", "north");
    bench.label("d-2", "south");
    bench
}

impl Bench {
    /// One window each six hours, for so many of them: how sure the scores of each device are, and how
    /// many of a hundred labels contradict them.
    fn classify(&mut self, windows: u32, devices: &[(&str, f32, Option<u32>)]) {
        for _ in 0..windows {
            for (device, p, wrong) in devices {
                let (scores, labels) = counts(*p, wrong.unwrap_or(0));
                let (scores, labels) = (ScoreLists::of(&scores), LabelLists::of(&labels));
                let labels = wrong.map(|_| labels.labels());
                self.store_scored(device, &[], Some(scores.scores()), labels);
            }
            self.next += PAUSE;
        }
    }

    /// Looks at all that is there; where quality fell, each place and cause once.
    fn fallen(&self) -> Vec<(Scope, Cause)> {
        self.watch();
        let page = Page {
            limit: Some(500),
            ..Page::default()
        };
        let placings = self.tx().placings(None, &page).expect("a list").items;
        let mut fallen: Vec<_> = placings
            .into_iter()
            .map(|of| (of.found.scope, of.found.cause))
            .collect();
        fallen.sort();
        fallen.dedup();
        fallen
    }
}

fn subject() -> Subject {
    Subject {
        model: model(),
        bundle: BUNDLE,
    }
}

fn site(value: &str) -> Scope {
    Scope::Cohort {
        label: "site".to_owned(),
        value: value.to_owned(),
    }
}

#[test]
fn an_estimated_fall_of_one_site_is_told_for_it_and_comes_out_again() {
    let mut bench = bench();
    bench.classify(70, &[("d-1", 0.95, None), ("d-2", 0.95, None)]);
    assert_eq!(bench.fallen(), []);
    bench.classify(4, &[("d-1", 0.95, None), ("d-2", 0.92, None)]);
    assert_eq!(bench.fallen(), [], "two points and a half are no fall");
    bench.classify(6, &[("d-1", 0.95, None), ("d-2", 0.9, None)]);
    assert_eq!(
        bench.fallen(),
        [(site("south"), Cause::EstimatedQualityDrop)]
    );
    let again = bench.again();
    nothing_differs(&again);
    assert!(again.findings > 0, "{again:?}");
    // Two devices, the quality of two sites and of all, the rule.
    assert_eq!(again.states, 6);
    let (tx, subject) = (bench.tx(), subject());
    let mut run = Run::begin(&tx, Kept::Now, &bench.sources).expect("begun");
    run.load_all(&subject).expect("read");
    let at = newest(&run, &subject).expect("windows");
    let (all, sites) = stands(&run, &subject, at);
    let of = |value: &str| sites.get(&("site".to_owned(), value.to_owned()));
    assert_eq!(
        all,
        Quality::Unchanged,
        "less than three points of the fleet"
    );
    assert_eq!(of("north"), Some(&Quality::Unchanged));
    assert_eq!(of("south"), Some(&Quality::Changed));
    // Two days of no window, or rules that judge none.
    let unknown = |run: &Run<'_, '_>, at| {
        let (all, sites) = stands(run, &subject, at);
        let mut sites = sites.values();
        sites.len() == 2 && sites.all(|site| *site == Quality::Unknown) && all == Quality::Unknown
    };
    assert!(!unknown(&run, at));
    assert!(unknown(&run, UnixSeconds(at.0 + 2 * 86_400)));
    let rule = WatchRule {
        quality: None,
        ..bench.rule.clone()
    };
    run.watches.heed(WatchEvent::Rule(rule));
    assert!(unknown(&run, at), "what was judged before holds no more");
}

#[test]
fn a_measured_fall_is_named_apart_and_needs_nothing_learnt() {
    let mut bench = bench();
    bench.classify(3, &[("d-1", 0.95, Some(0)), ("d-2", 0.95, Some(30))]);
    let measured = Cause::MeasuredQualityDrop;
    assert_eq!(
        bench.fallen(),
        [(site("south"), measured), (Scope::Fleet, measured)]
    );
    nothing_differs(&bench.again());
}

#[test]
fn rules_labels_orders_and_windows_that_go_change_nothing_that_comes_out_again() {
    let mut bench = bench();
    bench.rule.quality = None;
    bench.classify(70, &[("d-1", 0.8, None)]);
    assert_eq!(bench.fallen(), [], "nobody looks for it");
    bench.rule.quality = Some(QualityRule {
        baseline_days: 3,
        ..QualityRule::default()
    });
    bench.classify(10, &[("d-1", 0.8, None)]);
    assert_eq!(bench.fallen(), []);
    bench.label("d-1", "south");
    bench.classify(10, &[("d-1", 0.8, None)]);
    let estimated = Cause::EstimatedQualityDrop;
    assert_eq!(bench.fallen(), [(Scope::Fleet, estimated)]);
    bench.forget(60);
    nothing_differs(&bench.again());
    bench.classify(10, &[("d-1", 0.8, None)]);
    assert_eq!(
        bench.fallen(),
        [(site("south"), estimated), (Scope::Fleet, estimated)]
    );
    bench.forget(95);
    let again = bench.again();
    nothing_differs(&again);
    assert!(again.findings > 0, "{again:?}");
}

#[test]
fn quality_that_was_lost_behind_its_back_is_a_difference() {
    let mut bench = bench();
    bench.classify(8, &[("d-1", 0.95, Some(0))]);
    bench.watch();
    nothing_differs(&bench.again());
    let changed = bench.tx().tamper(Tampering::QualityLost).expect("changed");
    assert_eq!(changed, 2, "of the site and of all");
    assert_eq!(bench.again().differences.len(), 2);
}
