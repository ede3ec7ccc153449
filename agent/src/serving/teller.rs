//! What a task tells the supervisor, in the name of its seat and bundle.
//!
//! Never waits for an answer, and never decides what is told.

use super::{Closed, Columns, Event, Plan};
use crate::seat::Seat;
use crate::tensor::Signature;
use muster_device::updater::Verdict;
use muster_protocol::digest::Digest;
use std::sync::Arc;
use tokio::sync::mpsc;

/// Speaks for one task.
#[derive(Debug, Clone)]
pub(super) struct Teller {
    seat: Seat,
    bundle: Digest,
    events: mpsc::Sender<Event>,
}

impl Teller {
    pub(super) fn of(plan: &Plan, events: mpsc::Sender<Event>) -> Self {
        Self {
            seat: plan.seat.clone(),
            bundle: plan.release.bundle,
            events,
        }
    }

    /// Its first worker is there.
    pub(super) async fn ready(
        &self,
        signature: Arc<Signature>,
        columns: Arc<Columns>,
        load_ms: u64,
    ) {
        let (seat, bundle) = self.name();
        self.tell(Event::Ready {
            seat,
            bundle,
            signature,
            columns,
            load_ms,
        })
        .await;
    }

    /// It failed beyond its budget.
    pub(super) async fn failed(&self, verdict: Verdict) {
        let (seat, bundle) = self.name();
        self.tell(Event::Failed {
            seat,
            bundle,
            verdict,
        })
        .await;
    }

    /// It does well again.
    pub(super) async fn recovered(&self) {
        let (seat, bundle) = self.name();
        self.tell(Event::Recovered { seat, bundle }).await;
    }

    /// A window was closed.
    pub(super) async fn window(&self, closed: Closed) {
        self.tell(Event::Window(Box::new(closed))).await;
    }

    /// The open window as it stands.
    pub(super) async fn checkpoint(&self, window: Vec<u8>) {
        self.tell(Event::Checkpoint { window }).await;
    }

    /// It has ended, and tells nothing more.
    pub(super) async fn ended(&self) {
        let (seat, bundle) = self.name();
        self.tell(Event::Ended { seat, bundle }).await;
    }

    fn name(&self) -> (Seat, Digest) {
        (self.seat.clone(), self.bundle)
    }

    async fn tell(&self, event: Event) {
        // Nobody listens any more only when the agent ends.
        let _ = self.events.send(event).await;
    }
}
