//! Scores and labels that come are summed by the hour; windows that carry none leave no row.

use muster_protocol::cbor::List;
use muster_protocol::digest::Digest;
use muster_protocol::message::Shadow;
use muster_protocol::message::window::{LabelLists, ScoreLists};
use muster_protocol::stats::{LabelCounts, Outcome, ScoreCounts, ScoreScale};

use super::super::hours::bench::{NOW, model, take, window};
use super::*;
use crate::store::{self, InMemory};

/// What a window of a classifier carries.
#[derive(Clone, Copy)]
struct Said {
    device: &'static str,
    reference: Option<u8>,
    scores: &'static [f32],
    labels: u32,
    is_shadow: bool,
}

const PLAIN: Said = Said {
    device: "press-01",
    reference: Some(6),
    scores: &[0.25, 0.75, 0.75],
    labels: 20,
    is_shadow: false,
};

fn say(store: &InMemory, said: &[Said]) {
    for (sequence, said) in (1..).zip(said) {
        let mut scores = ScoreCounts::default();
        let scale = ScoreScale::even(1, None).expect("valid");
        let read = said.scores.iter().map(|p| scale.read([*p]));
        read.for_each(|score| scores.fold(&scale, score));
        let mut labels = LabelCounts::default();
        (0..said.labels).for_each(|_| labels.fold(3, Outcome::Positive));
        let (scores, labels) = (ScoreLists::of(&scores), LabelLists::of(&labels));
        let shadow = said.is_shadow.then(|| Shadow {
            beside: Digest([1; 32]),
            served: 3,
            compared: 3,
            agreement: List::default(),
            differences: List::default(),
            latency: List::default(),
        });
        let window = Window {
            calls: said.scores.len() as u64,
            shadow,
            scores: (!said.scores.is_empty()).then(|| scores.scores()),
            labels: (said.labels > 0).then(|| labels.labels()),
            ..window(said.reference)
        };
        take(store, said.device, sequence, &window);
    }
}

/// Device, reference, predictions and labels of each hour.
type Hour = (&'static str, Option<u8>, u64, u64);

fn check(said: &[Said], expect: &[Hour]) {
    let store = store::in_memory();
    say(&store, said);
    let hours = |device: Option<&str>| {
        let mut rows = Vec::new();
        let take = |hour: ScoreHour| {
            let reference = hour.reference.map(|digest| digest.0[0]);
            let (n, labels) = (hour.sums.predictions(), hour.sums.labels());
            rows.push((hour.device, reference, n, labels));
        };
        let tx = Tx::of(&store);
        tx.each_score_hour(&model(), device, 3600, NOW, take)
            .expect("a store");
        rows.sort();
        rows
    };
    let named = |hour: &Hour| (hour.0.to_owned(), hour.1, hour.2, hour.3);
    let expect: Vec<_> = expect.iter().map(named).collect();
    assert_eq!(hours(None), expect);
    let mine = expect.into_iter().filter(|row| row.0 == "press-01");
    assert_eq!(hours(Some("press-01")), mine.collect::<Vec<_>>());
}

#[test]
fn windows_of_one_hour_add_up_and_other_references_stay_apart() {
    let other = Said {
        device: "press-02",
        ..PLAIN
    };
    let late_labels = Said {
        scores: &[],
        labels: 25,
        ..PLAIN
    };
    let unnamed = Said {
        reference: None,
        scores: &[],
        ..PLAIN
    };
    check(
        &[PLAIN, late_labels, other, unnamed, PLAIN],
        &[
            ("press-01", None, 0, 20),
            ("press-01", Some(6), 6, 65),
            ("press-02", Some(6), 3, 20),
        ],
    );
}

#[test]
fn windows_without_scores_and_those_of_shadows_are_in_no_sum() {
    let none = Said {
        scores: &[],
        labels: 0,
        ..PLAIN
    };
    let shadow = Said {
        is_shadow: true,
        ..PLAIN
    };
    check(&[none, shadow], &[]);
}

#[test]
fn what_is_stored_is_read_to_the_last_count() {
    let store = store::in_memory();
    say(&store, &[PLAIN]);
    let mut found = Vec::new();
    let tx = Tx::of(&store);
    tx.each_score_hour(&model(), None, 3600, NOW, |hour| found.push(hour.sums))
        .expect("a store");
    let sums = found.pop().expect("one hour");
    assert_eq!((sums.bins[5], sums.steps[5]), (1, 16_384));
    assert_eq!((sums.bins[15], sums.steps[15]), (2, 98_304));
    assert_eq!((sums.squares[5], sums.squares[15]), (0, 0));
    assert_eq!((sums.classes.0[0], sums.classes.0[1]), (1, 2));
    assert_eq!((sums.positive[3], sums.negative[3]), (20, 0));
}
