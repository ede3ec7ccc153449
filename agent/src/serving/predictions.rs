//! What is remembered of predictions until their labels come: by the id of the request and the
//! row, the bin of the score and the class. Never an input, never a score.
//!
//! Bounded: the oldest are forgotten. In memory only: a restart forgets all.

mod ring;

use muster_protocol::digest::Digest;
use muster_protocol::stats::{LabelCounts, Score, ScoreScale};
use ring::{Key, Ring};
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The predictions of one model.
#[derive(Debug, Default)]
pub struct Predictions(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    ring: Ring,
    /// Whose scores were remembered last, and how they are read.
    serving: Option<(Digest, ScoreScale)>,
    /// How often that changed: what was remembered before is stale.
    turn: u32,
    labels: LabelCounts,
    ids: Ids,
}

/// Ids for requests that have none.
#[derive(Debug, Default)]
struct Ids {
    wanted: bool,
    /// So that an id of before a restart is not taken for one of after it.
    start: Option<u64>,
    given: u64,
}

/// What became of a label.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Labelled {
    /// It counts.
    Counted,
    /// The prediction has one already, which counts.
    Duplicate,
    /// Nobody remembers the prediction.
    Unknown,
    /// The bundle that predicted does not serve any more.
    Stale,
    /// There is no such class.
    NoClass {
        /// Classes that there are, from 0.
        classes: u32,
    },
}

impl Predictions {
    /// Predictions that are remembered, rows counted.
    pub const REMEMBERED_MAX: usize = ring::ENTRIES_MAX;

    /// What serves from now on gives scores, or does not.
    pub fn serve(&self, scores: bool) {
        self.state().ids.wanted = scores;
    }

    /// An id for a request without one; none where no label can be used.
    pub fn new_id(&self) -> Option<String> {
        let ids = &mut self.state().ids;
        let random = || RandomState::new().build_hasher().finish();
        let start = *ids.start.get_or_insert_with(random);
        ids.given = ids.given.wrapping_add(1);
        ids.wanted.then(|| format!("{start:016x}-{}", ids.given))
    }

    /// Remembers the rows of one answered request. An id that was used before means the newest.
    pub fn remember(&self, bundle: Digest, scale: ScoreScale, id: &str, rows: &[Option<Score>]) {
        let mut state = self.state();
        if state.serving.is_none_or(|(served, _)| served != bundle) {
            state.serving = Some((bundle, scale));
            state.turn = state.turn.wrapping_add(1);
            // Those of the bundle before, which its last window did not take: nobody else may.
            state.labels = LabelCounts {
                unknown: state.labels.unknown,
                stale: state.labels.stale,
                ..LabelCounts::default()
            };
        }
        let (turn, key) = (state.turn, Key::of(id));
        for (row, score) in (0..).zip(rows) {
            if let Some(score) = score {
                state.ring.put(key.row(row), *score, turn);
            }
        }
    }

    /// Counts a label for a prediction; `serving` is the bundle that serves now.
    pub fn label(&self, serving: &Digest, id: &str, row: u32, label: u32) -> Labelled {
        let mut state = self.state();
        let current = state.serving.filter(|(bundle, _)| bundle == serving);
        let turn = state.turn;
        let Some(entry) = state.ring.get(Key::of(id).row(row)) else {
            state.labels.unknown = state.labels.unknown.saturating_add(1);
            return Labelled::Unknown;
        };
        let Some((_, scale)) = current.filter(|_| entry.turn == turn) else {
            state.labels.stale = state.labels.stale.saturating_add(1);
            return Labelled::Stale;
        };
        let Some(outcome) = scale.outcome(entry.class, label) else {
            let classes = scale.classes();
            return Labelled::NoClass { classes };
        };
        if std::mem::replace(&mut entry.labelled, true) {
            return Labelled::Duplicate;
        }
        let bin = entry.bin;
        state.labels.fold(bin, outcome);
        Labelled::Counted
    }

    /// Hands the labels that came to the window of the bundle that serves.
    pub fn take_labels(&self, bundle: &Digest) -> LabelCounts {
        let mut state = self.state();
        match state.serving {
            Some((serving, _)) if serving == *bundle => std::mem::take(&mut state.labels),
            // Nothing was predicted yet: only what is unknown can have come.
            None => std::mem::take(&mut state.labels),
            Some(_) => LabelCounts::default(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: Digest = Digest([1; 32]);
    const NEW: Digest = Digest([2; 32]);

    fn scale() -> ScoreScale {
        ScoreScale::even(1, None).expect("valid")
    }

    fn score(p: f32) -> Option<Score> {
        scale().read([p])
    }

    fn remember(predictions: &Predictions, bundle: Digest, id: &str, rows: &[Option<Score>]) {
        predictions.remember(bundle, scale(), id, rows);
    }

    fn check(predictions: &Predictions, (id, row, label): (&str, u32, u32), expect: Labelled) {
        assert_eq!(
            predictions.label(&OLD, id, row, label),
            expect,
            "{id} {row}"
        );
    }

    #[test]
    fn a_label_counts_once_by_the_bin_of_its_prediction() {
        let predictions = Predictions::default();
        remember(&predictions, OLD, "a", &[score(0.9), None, score(0.1)]);
        check(&predictions, ("a", 0, 1), Labelled::Counted);
        check(&predictions, ("a", 0, 1), Labelled::Duplicate);
        check(&predictions, ("a", 0, 0), Labelled::Duplicate);
        check(&predictions, ("a", 2, 1), Labelled::Counted);
        check(&predictions, ("a", 1, 1), Labelled::Unknown);
        check(&predictions, ("b", 0, 1), Labelled::Unknown);
        check(&predictions, ("a", 0, 2), Labelled::NoClass { classes: 2 });
        let labels = predictions.take_labels(&OLD);
        assert_eq!((labels.positive[18], labels.positive[2]), (1, 1));
        assert_eq!((labels.n(), labels.unknown), (2, 2));
        assert!(predictions.take_labels(&OLD).is_empty());
    }

    #[test]
    fn what_another_bundle_predicted_is_stale() {
        let predictions = Predictions::default();
        remember(&predictions, OLD, "a", &[score(0.9), score(0.9)]);
        let early = predictions.label(&NEW, "a", 0, 1);
        assert_eq!(
            early,
            Labelled::Stale,
            "nothing of the new one is remembered yet"
        );
        remember(&predictions, NEW, "b", &[score(0.9)]);
        check(&predictions, ("a", 1, 1), Labelled::Stale);
        assert_eq!(predictions.label(&NEW, "a", 1, 1), Labelled::Stale);
        assert_eq!(predictions.label(&NEW, "b", 0, 1), Labelled::Counted);
        assert!(predictions.take_labels(&OLD).is_empty());
        let labels = predictions.take_labels(&NEW);
        assert_eq!((labels.n(), labels.stale), (1, 3));
        // The old one comes back: what it predicted before is as old as it was.
        remember(&predictions, OLD, "c", &[score(0.9)]);
        check(&predictions, ("a", 1, 1), Labelled::Stale);
        check(&predictions, ("c", 0, 1), Labelled::Counted);
    }

    #[test]
    fn the_oldest_are_forgotten() {
        let predictions = Predictions::default();
        remember(&predictions, OLD, "first", &[score(0.5), score(0.5)]);
        let many = vec![score(0.5); Predictions::REMEMBERED_MAX - 1];
        remember(&predictions, OLD, "many", &many);
        check(&predictions, ("first", 0, 1), Labelled::Unknown);
        check(&predictions, ("first", 1, 1), Labelled::Counted);
        check(&predictions, ("many", 7, 1), Labelled::Counted);
    }

    #[test]
    fn an_id_that_is_used_again_means_the_newest() {
        let predictions = Predictions::default();
        remember(&predictions, OLD, "a", &[score(0.9)]);
        check(&predictions, ("a", 0, 1), Labelled::Counted);
        remember(&predictions, OLD, "a", &[score(0.1)]);
        check(&predictions, ("a", 0, 0), Labelled::Counted);
        assert_eq!(predictions.take_labels(&OLD).negative[2], 1);
    }

    #[test]
    fn only_a_classifier_gives_ids() {
        let predictions = Predictions::default();
        assert_eq!(predictions.new_id(), None);
        predictions.serve(true);
        let (one, other) = (predictions.new_id(), predictions.new_id());
        assert!(one.is_some() && one != other, "{one:?} {other:?}");
        predictions.serve(false);
        assert_eq!(predictions.new_id(), None);
    }
}
