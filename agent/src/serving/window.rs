//! The open window of one task: closed on time, told to the supervisor, marked before anything is
//! lost.
//!
//! Counts what it is given; never asks a worker.

use super::alarms::Alarms;
use super::{Closed, Event, Plan};
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
use tokio::sync::mpsc;

/// The open window and when it is due.
pub(super) struct WindowKeeper {
    pub(super) fold: WindowFold<Vec<FeatureFold>>,
    /// Of a shadow, once it is known what serves.
    comparison: Option<Box<ComparisonFold>>,
    /// Of a classifier.
    scores: Option<Box<ScoreFold>>,
    /// Of what serves.
    alarms: Option<Alarms>,
    plan: Arc<Plan>,
    events: mpsc::Sender<Event>,
    checkpoint_at: Millis,
    dirty: bool,
    /// A checkpoint of the open window was told: a power cut that takes of it is seen.
    marked: bool,
}

impl WindowKeeper {
    pub(super) fn new(plan: Arc<Plan>, events: mpsc::Sender<Event>, now: Millis) -> Self {
        Self {
            fold: WindowFold::new(plan.subject(), plan.features.folds(), now),
            comparison: None,
            scores: plan.features.scores().map(Box::new),
            alarms: None,
            checkpoint_at: now.plus(plan.checkpoint_ms),
            plan,
            events,
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
            self.tell(Event::Window(Box::new(Closed {
                subject,
                calls,
                served: self.rows_served(),
                window,
            })))
            .await;
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

    /// Labels that came for what this bundle has predicted; a shadow predicts for nobody.
    fn take_labels(&mut self) {
        if let Some(scores) = self.scores.as_mut().filter(|_| !self.plan.seat.is_shadow()) {
            let came = self.plan.predictions.take_labels(&self.plan.release.bundle);
            self.dirty |= !came.is_empty();
            scores.labels(&came);
        }
    }

    fn rows_served(&self) -> Option<u64> {
        self.comparison.as_ref().map(|fold| fold.rows_served())
    }

    async fn checkpoint(&mut self) {
        if std::mem::replace(&mut self.dirty, false) {
            self.marked = true;
            let window = self.encode(clock::monotonic());
            self.tell(Event::Checkpoint { window }).await;
        }
    }

    fn encode(&self, now: Millis) -> Vec<u8> {
        let to_vec = |window: &Window<'_>| cbor::to_vec(window);
        let beside = (self.comparison.as_deref(), self.scores.as_deref());
        self.fold.with_window_beside(beside, now, None, to_vec)
    }

    async fn tell(&self, event: Event) {
        // Nobody listens any more only when the agent ends.
        let _ = self.events.send(event).await;
    }
}
