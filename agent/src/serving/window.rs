//! The open window of one task: closed on time, told to the supervisor, marked before anything is
//! lost.
//!
//! Counts what it is given; never asks a worker.

use super::alarms::Alarms;
use super::predictions::Predictor;
use super::teller::Teller;
use super::{Closed, Plan};
use crate::clock;
use muster_device::comparison::ComparisonFold;
use muster_device::fold::WindowFold;
use muster_device::scores::ScoreFold;
use muster_protocol::cbor;
use muster_protocol::digest::Digest;
use muster_protocol::message::window::Window;
use muster_protocol::stats::FeatureFold;
use muster_protocol::time::Millis;
use std::sync::Arc;

/// The open window and when it is due.
pub(super) struct WindowKeeper {
    pub(super) fold: WindowFold<Vec<FeatureFold>>,
    /// Of a shadow, once it is known what serves.
    comparison: Option<Box<ComparisonFold>>,
    /// Of a classifier.
    scores: Option<Box<ScoreFold>>,
    /// Of what serves.
    alarms: Option<Alarms>,
    /// Of what serves: labels come for what it predicts.
    predictor: Option<Predictor>,
    plan: Arc<Plan>,
    teller: Teller,
    checkpoint_at: Millis,
    dirty: bool,
    /// A checkpoint of the open window was told: a power cut that takes of it is seen.
    marked: bool,
}

impl WindowKeeper {
    pub(super) fn new(plan: Arc<Plan>, teller: Teller, now: Millis) -> Self {
        Self {
            fold: WindowFold::new(plan.subject(), plan.features.folds(), now),
            comparison: None,
            scores: plan.features.scores().map(Box::new),
            alarms: None,
            predictor: None,
            checkpoint_at: now.plus(plan.checkpoint_ms),
            plan,
            teller,
            dirty: false,
            marked: false,
        }
    }

    /// Lets closed windows be watched.
    pub(super) fn watched(self, alarms: Alarms) -> Self {
        Self {
            alarms: Some(alarms),
            ..self
        }
    }

    /// Lets labels be counted that come for what `predictor` remembers.
    pub(super) fn labelled(self, predictor: Predictor) -> Self {
        Self {
            predictor: Some(predictor),
            ..self
        }
    }

    /// What the window of a shadow is counted beside.
    pub(super) fn beside(&self) -> Option<Digest> {
        self.comparison.as_ref().map(|fold| fold.beside())
    }

    /// Closes the window if something else serves from now on: two of them never merge.
    pub(super) async fn turn_to(&mut self, beside: Digest) {
        if self.beside() != Some(beside) {
            self.close().await;
            self.comparison = Some(Box::new(ComparisonFold::new(beside)));
        }
    }

    /// The comparison of a shadow, to count into.
    pub(super) fn comparison(&mut self) -> Option<&mut ComparisonFold> {
        self.comparison.as_deref_mut()
    }

    /// The scores of a classifier, to count into.
    pub(super) fn scores(&mut self) -> Option<&mut ScoreFold> {
        self.scores.as_deref_mut()
    }

    /// Something was counted that a power cut would take.
    pub(super) const fn touch(&mut self) {
        self.dirty = true;
    }

    /// When [`Self::on_time`] has something to do.
    pub(super) fn next_due(&self) -> Millis {
        self.window_ends().min(self.checkpoint_at)
    }

    /// Whether the window is over.
    pub(super) fn is_due(&self, now: Millis) -> bool {
        now >= self.window_ends()
    }

    pub(super) async fn on_time(&mut self, now: Millis) {
        self.take_labels();
        if self.is_due(now) {
            self.close().await;
        }
        if now >= self.checkpoint_at {
            self.checkpoint_at = now.plus(self.plan.checkpoint_ms);
            self.checkpoint().await;
        }
    }

    /// What a window counts first is told at once: a power cut before its first checkpoint would
    /// take counts of which nobody knew.
    pub(super) async fn mark(&mut self) {
        if !self.marked {
            self.checkpoint().await;
        }
    }

    pub(super) async fn close(&mut self) {
        let now = clock::monotonic();
        self.take_labels();
        if !self.is_empty() {
            if let Some(alarms) = &mut self.alarms {
                alarms.take(self.fold.features(), now);
            }
            let (subject, calls) = (self.fold.subject().clone(), self.fold.calls());
            let window = self.encode(now);
            let closed = Closed {
                subject,
                calls,
                served: self.rows_served(),
                window,
            };
            self.teller.window(closed).await;
        }
        self.fold.reset(now);
        if let Some(comparison) = &mut self.comparison {
            comparison.reset();
        }
        if let Some(scores) = &mut self.scores {
            scores.reset();
        }
        self.dirty = false;
        self.marked = false;
    }

    fn window_ends(&self) -> Millis {
        self.fold.started().plus(self.plan.window_ms)
    }

    /// Without a comparison there was nothing beside which a shadow could run.
    fn is_empty(&self) -> bool {
        let served = self.comparison.as_ref().is_some_and(|c| !c.is_empty());
        let scored = self.scores.as_ref().is_some_and(|s| !s.is_empty());
        self.fold.is_empty() && !served && !scored
    }

    /// Labels that came for what was predicted; a shadow predicts for nobody.
    fn take_labels(&mut self) {
        if let (Some(scores), Some(predictor)) = (&mut self.scores, &self.predictor) {
            let came = predictor.take_labels();
            self.dirty |= !came.is_empty();
            scores.labels(&came);
        }
    }

    fn rows_served(&self) -> Option<u64> {
        self.comparison.as_ref().map(|fold| fold.rows_served())
    }

    /// Of an empty window there is none: the next start would tell of a power cut that took
    /// nothing. Labels that are held until there are enough do not fill one.
    async fn checkpoint(&mut self) {
        if std::mem::replace(&mut self.dirty, false) && !self.is_empty() {
            self.marked = true;
            let window = self.encode(clock::monotonic());
            self.teller.checkpoint(window).await;
        }
    }

    fn encode(&self, now: Millis) -> Vec<u8> {
        let to_vec = |window: &Window<'_>| cbor::to_vec(window);
        let beside = (self.comparison.as_deref(), self.scores.as_deref());
        self.fold.with_window_beside(beside, now, None, to_vec)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Event, sample};
    use super::*;
    use crate::serving::Labelled;
    use muster_protocol::limits::WINDOW_LABELS_MIN;
    use muster_protocol::message::Role;
    use tokio::sync::mpsc;

    struct Bench {
        window: WindowKeeper,
        predictor: Predictor,
        events: mpsc::Receiver<Event>,
        now: Millis,
    }

    impl Bench {
        /// The window of a classifier that serves, which does not end.
        fn new() -> Self {
            let plan = Plan {
                features: sample::classifier(),
                window_ms: u64::MAX,
                ..sample::plan(Role::Serve, 1)
            };
            let scale = plan.features.scores().expect("a classifier").scale();
            let predictor = Predictor::new(plan.predictions.clone(), Some(scale));
            predictor.serve();
            let (told, events) = mpsc::channel(8);
            let (plan, now) = (Arc::new(plan), clock::monotonic());
            let teller = Teller::of(&plan, told);
            let window = WindowKeeper::new(plan, teller, now).labelled(predictor.clone());
            Self {
                window,
                predictor,
                events,
                now,
            }
        }

        /// Labels come for so many predictions.
        fn label(&self, id: &str, rows: u32) {
            let scale = self.window.plan.features.scores().expect("one").scale();
            let scores = vec![scale.read([0.75]); rows as usize];
            self.predictor.remember(id, &scores);
            for row in 0..rows {
                let labelled = self.predictor.predictions().label(id, row, 1);
                assert_eq!(labelled, Labelled::Counted);
            }
        }

        /// The time of a checkpoint comes; whether one was told.
        async fn has_checkpoint(&mut self) -> bool {
            self.now = self.now.plus(self.window.plan.checkpoint_ms);
            self.window.on_time(self.now).await;
            matches!(self.events.try_recv(), Ok(Event::Checkpoint { .. }))
        }
    }

    #[tokio::test]
    async fn labels_that_are_held_make_no_checkpoint() {
        let few = u32::try_from(WINDOW_LABELS_MIN).expect("few") - 1;
        let mut bench = Bench::new();
        bench.label("a", few);
        assert!(!bench.has_checkpoint().await, "of {few} labels");
        bench.label("b", 1);
        assert!(bench.has_checkpoint().await, "of one more");
        assert!(!bench.has_checkpoint().await, "of nothing new");
    }

    #[tokio::test]
    async fn a_request_at_fault_makes_no_checkpoint() {
        let mut bench = Bench::new();
        bench.window.touch();
        bench.window.mark().await;
        assert!(bench.events.try_recv().is_err(), "nothing was counted");
        bench.window.fold.answered(1, 100);
        bench.window.touch();
        bench.window.mark().await;
        let told = bench.events.try_recv();
        assert!(matches!(told, Ok(Event::Checkpoint { .. })), "{told:?}");
    }
}
