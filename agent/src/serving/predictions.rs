//! What is remembered of predictions until their labels come: by the id of the request and the
//! row, the bin of the score and the class. Never an input, never a score.
//!
//! Bounded: the oldest are forgotten. In memory only: a restart forgets all.

mod ring;

use muster_protocol::stats::{LabelCounts, Score, ScoreScale};
use ring::{Key, Ring};
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The predictions of one model.
#[derive(Debug, Default)]
pub struct Predictions(Mutex<State>);

/// One task among those that predict for a model: the one that serves, or one that may come to.
#[derive(Debug, Clone)]
pub struct Predictor {
    predictions: Arc<Predictions>,
    turn: u32,
    /// How its scores are read, if it gives any.
    scale: Option<ScoreScale>,
}

#[derive(Debug, Default)]
struct State {
    ring: Ring,
    /// Turns that tasks were given.
    turns: u32,
    /// Whose turn it is, and how its scores are read.
    serving: Option<(u32, Option<ScoreScale>)>,
    /// Labels for what serves.
    labels: LabelCounts,
    /// Those of the turn before, until its last window takes them.
    left: Option<(u32, LabelCounts)>,
    ids: Ids,
}

/// Ids for requests that have none.
#[derive(Debug, Default)]
struct Ids {
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
    /// What predicted does not serve any more.
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

    /// An id for a request without one; none where no label can be used.
    pub fn new_id(&self) -> Option<String> {
        let mut state = self.state();
        state.serving.and_then(|(_, scale)| scale)?;
        let ids = &mut state.ids;
        let random = || RandomState::new().build_hasher().finish();
        let start = *ids.start.get_or_insert_with(random);
        ids.given = ids.given.wrapping_add(1);
        Some(format!("{start:016x}-{}", ids.given))
    }

    /// Counts a label for a prediction.
    pub fn label(&self, id: &str, row: u32, label: u32) -> Labelled {
        let mut state = self.state();
        let serving = state.serving;
        let Some(entry) = state.ring.get(Key::of(id).row(row)) else {
            state.labels.unknown = state.labels.unknown.saturating_add(1);
            return Labelled::Unknown;
        };
        let current = serving.filter(|(turn, _)| *turn == entry.turn);
        let Some(scale) = current.and_then(|(_, scale)| scale) else {
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

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Predictor {
    /// A task that does not serve yet.
    #[must_use]
    pub fn new(predictions: Arc<Predictions>, scale: Option<ScoreScale>) -> Self {
        let turn = {
            let mut state = predictions.state();
            state.turns = state.turns.wrapping_add(1);
            state.turns
        };
        Self {
            predictions,
            turn,
            scale,
        }
    }

    /// The predictions of its model.
    #[must_use]
    pub const fn predictions(&self) -> &Arc<Predictions> {
        &self.predictions
    }

    /// It serves from now on: what others have predicted, or still do, is stale.
    pub fn serve(&self) {
        let mut state = self.predictions.state();
        let before = state.serving.replace((self.turn, self.scale));
        if let Some((before, _)) = before.filter(|(before, _)| *before != self.turn) {
            let LabelCounts { unknown, stale, .. } = state.labels;
            let next = LabelCounts {
                unknown,
                stale,
                ..LabelCounts::default()
            };
            let labels = std::mem::replace(&mut state.labels, next);
            let counted = LabelCounts {
                unknown: 0,
                stale: 0,
                ..labels
            };
            state.left = Some((before, counted));
        }
    }

    /// Remembers the rows of one answered request. An id that was used before means the newest.
    pub fn remember(&self, id: &str, rows: &[Option<Score>]) {
        let (mut state, key) = (self.predictions.state(), Key::of(id));
        for (row, score) in (0..).zip(rows) {
            if let Some(score) = score {
                state.ring.put(key.row(row), *score, self.turn);
            }
        }
    }

    /// Hands over the labels that came for what it predicted, to be counted in its window.
    #[must_use]
    pub fn take_labels(&self) -> LabelCounts {
        let mut state = self.predictions.state();
        if state.serving.is_some_and(|(turn, _)| turn == self.turn) {
            return std::mem::take(&mut state.labels);
        }
        let left = state.left.take_if(|(turn, _)| *turn == self.turn);
        left.map_or_else(LabelCounts::default, |(_, labels)| labels)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scale() -> ScoreScale {
        ScoreScale::even(1, None).expect("valid")
    }

    fn score(p: f32) -> Option<Score> {
        scale().read([p])
    }

    fn predictor(predictions: &Arc<Predictions>) -> Predictor {
        Predictor::new(predictions.clone(), Some(scale()))
    }

    /// One that serves.
    fn serving() -> (Arc<Predictions>, Predictor) {
        let predictions = Arc::<Predictions>::default();
        let predictor = predictor(&predictions);
        predictor.serve();
        (predictions, predictor)
    }

    fn check(predictions: &Predictions, (id, row, label): (&str, u32, u32), expect: Labelled) {
        let labelled = predictions.label(id, row, label);
        assert_eq!(labelled, expect, "{id} {row}");
    }

    #[test]
    fn a_label_counts_once_by_the_bin_of_its_prediction() {
        let (predictions, predictor) = serving();
        predictor.remember("a", &[score(0.9), None, score(0.1)]);
        check(&predictions, ("a", 0, 1), Labelled::Counted);
        check(&predictions, ("a", 0, 1), Labelled::Duplicate);
        check(&predictions, ("a", 0, 0), Labelled::Duplicate);
        check(&predictions, ("a", 2, 1), Labelled::Counted);
        check(&predictions, ("a", 1, 1), Labelled::Unknown);
        check(&predictions, ("b", 0, 1), Labelled::Unknown);
        check(&predictions, ("a", 0, 2), Labelled::NoClass { classes: 2 });
        let labels = predictor.take_labels();
        assert_eq!((labels.positive[18], labels.positive[2]), (1, 1));
        assert_eq!((labels.n(), labels.unknown), (2, 2));
        assert!(predictor.take_labels().is_empty());
    }

    #[test]
    fn what_served_before_predicted_is_stale() {
        let (predictions, old) = serving();
        old.remember("a", &[score(0.9), score(0.9)]);
        let new = predictor(&predictions);
        new.serve();
        check(&predictions, ("a", 0, 1), Labelled::Stale);
        new.remember("b", &[score(0.9)]);
        check(&predictions, ("a", 1, 1), Labelled::Stale);
        check(&predictions, ("b", 0, 1), Labelled::Counted);
        assert!(old.take_labels().is_empty());
        let labels = new.take_labels();
        assert_eq!((labels.n(), labels.stale), (1, 2));
        // The same bundle comes back: what it predicted before is as old as it was.
        let back = predictor(&predictions);
        back.serve();
        back.remember("c", &[score(0.9)]);
        check(&predictions, ("a", 1, 1), Labelled::Stale);
        check(&predictions, ("c", 0, 1), Labelled::Counted);
    }

    #[test]
    fn what_the_old_one_answers_still_takes_nothing_from_the_new_one() {
        let (predictions, old) = serving();
        let new = predictor(&predictions);
        new.serve();
        new.remember("new", &[score(0.9), score(0.9)]);
        check(&predictions, ("new", 0, 1), Labelled::Counted);
        old.remember("queued", &[score(0.9)]);
        check(&predictions, ("queued", 0, 1), Labelled::Stale);
        check(&predictions, ("new", 1, 1), Labelled::Counted);
        assert_eq!(new.take_labels().n(), 2);
    }

    #[test]
    fn labels_that_came_before_a_swap_are_for_the_last_window_of_the_old_one() {
        let (predictions, old) = serving();
        old.remember("a", &[score(0.9)]);
        check(&predictions, ("a", 0, 1), Labelled::Counted);
        check(&predictions, ("b", 0, 1), Labelled::Unknown);
        let new = predictor(&predictions);
        new.serve();
        let (new, of_old) = (new.take_labels(), old.take_labels());
        assert_eq!((new.n(), new.unknown), (0, 1));
        assert_eq!((of_old.n(), of_old.unknown), (1, 0));
        assert!(old.take_labels().is_empty());
    }

    #[test]
    fn what_is_predicted_before_it_is_known_to_serve_counts_once_it_is() {
        let (predictions, old) = serving();
        let next = predictor(&predictions);
        // While the old worker leaves, requests wait for the next one, which may be quick.
        next.remember("waited", &[score(0.9)]);
        check(&predictions, ("waited", 0, 1), Labelled::Stale);
        next.serve();
        check(&predictions, ("waited", 0, 1), Labelled::Counted);
        assert_eq!((next.take_labels().n(), old.take_labels().n()), (1, 0));
    }

    #[test]
    fn the_oldest_are_forgotten() {
        let (predictions, predictor) = serving();
        predictor.remember("first", &[score(0.5), score(0.5)]);
        let many = vec![score(0.5); Predictions::REMEMBERED_MAX - 1];
        predictor.remember("many", &many);
        check(&predictions, ("first", 0, 1), Labelled::Unknown);
        check(&predictions, ("first", 1, 1), Labelled::Counted);
        check(&predictions, ("many", 7, 1), Labelled::Counted);
    }

    #[test]
    fn an_id_that_is_used_again_means_the_newest() {
        let (predictions, predictor) = serving();
        predictor.remember("a", &[score(0.9)]);
        check(&predictions, ("a", 0, 1), Labelled::Counted);
        predictor.remember("a", &[score(0.1)]);
        check(&predictions, ("a", 0, 0), Labelled::Counted);
        assert_eq!(predictor.take_labels().negative[2], 1);
    }

    #[test]
    fn only_a_classifier_that_serves_gives_ids() {
        let predictions = Arc::<Predictions>::default();
        let classifier = predictor(&predictions);
        assert_eq!(predictions.new_id(), None);
        classifier.serve();
        let (one, other) = (predictions.new_id(), predictions.new_id());
        assert!(one.is_some() && one != other, "{one:?} {other:?}");
        let without = Predictor::new(predictions.clone(), None);
        assert!(
            predictions.new_id().is_some(),
            "a candidate that may never serve changes nothing"
        );
        without.serve();
        assert_eq!(predictions.new_id(), None);
    }
}
