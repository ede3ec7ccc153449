//! One serving model: the task that owns its worker, answers its requests and counts them.
//!
//! It judges nothing but whether its worker lives: verdicts go to the supervisor, which decides
//! what serves. Never keeps a value that it has counted.

mod alarms;
mod budget;
mod features;
mod predictions;
#[cfg(test)]
mod sample;
pub mod shadow;
mod task;
mod teller;
mod window;
mod worker_keeper;

pub use alarms::Board;
pub use features::{Columns, Features};
pub use predictions::{Labelled, Predictions, Predictor};

use crate::infer::Example;
use crate::seat::Seat;
use crate::tensor::Signature;
use crate::worker::WorkerLimits;
use muster_device::fold::Subject;
use muster_device::updater::{Release, Verdict};
use muster_protocol::digest::Digest;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::sync::{mpsc, oneshot};

/// Requests that wait for one worker, at most.
pub const QUEUE_MAX: usize = 64;
/// Answers in a row after which a worker that failed counts as well again.
const RECOVERED_ANSWERS: u64 = 100;

/// What a serving task needs, and a shadow's.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Which model, in which role.
    pub seat: Seat,
    /// What serves, or runs beside what serves.
    pub release: Release,
    /// The program of the worker.
    pub program: PathBuf,
    /// The unpacked model, verified again before each start of a worker.
    pub model_path: PathBuf,
    /// Its digest.
    pub model_digest: Digest,
    /// Its size in bytes.
    pub model_bytes: u64,
    /// What its golden vectors ask: the form of request that it was tried with.
    pub example: Example,
    /// Limits of the worker.
    pub limits: WorkerLimits,
    /// What is counted, and against which reference.
    pub features: Features,
    /// What is remembered of predictions until their labels come; shared by all bundles of a model.
    pub predictions: Arc<Predictions>,
    /// When it has failed.
    pub budget: crate::config::BudgetConfig,
    /// The card's latency, microseconds; none that no count could tell apart.
    pub latency_objective_us: Option<u32>,
    /// Milliseconds of one window.
    pub window_ms: u64,
    /// Milliseconds between two checkpoints.
    pub checkpoint_ms: u64,
}

impl Plan {
    fn subject(&self) -> Subject {
        Subject {
            model: self.seat.model.clone(),
            bundle: self.release.bundle,
            since: self.release.since,
            reference: self.features.reference(),
            latency_objective_us: self.latency_objective_us,
        }
    }
}

/// What a serving task tells the supervisor, and a shadow's.
#[expect(clippy::large_enum_variant, reason = "few, and moved once")]
#[derive(Debug)]
pub enum Event {
    /// The first worker is ready.
    Ready {
        /// Whose task.
        seat: Seat,
        /// What serves.
        bundle: Digest,
        /// What it takes and gives.
        signature: Arc<Signature>,
        /// What its bundle calls the elements of its inputs.
        columns: Arc<Columns>,
        /// Milliseconds to load.
        load_ms: u64,
    },
    /// It failed beyond its budget.
    Failed {
        /// Whose task.
        seat: Seat,
        /// What failed.
        bundle: Digest,
        /// Why.
        verdict: Verdict,
    },
    /// After a failure, it answered for a while.
    Recovered {
        /// Whose task.
        seat: Seat,
        /// What serves.
        bundle: Digest,
    },
    /// A window was closed: to be stored before its checkpoint is removed.
    Window(Box<Closed>),
    /// The open window as it stands, encoded.
    Checkpoint {
        /// The encoded window.
        window: Vec<u8>,
    },
    /// The task has ended; its last window was sent before.
    Ended {
        /// Whose task.
        seat: Seat,
        /// What served.
        bundle: Digest,
    },
}

/// A closed window.
#[derive(Debug)]
pub struct Closed {
    /// Whose.
    pub subject: Subject,
    /// Rows in it.
    pub calls: u64,
    /// Of a shadow: rows that what serves answered meanwhile.
    pub served: Option<u64>,
    /// The encoded window.
    pub window: Vec<u8>,
}

/// How the supervisor speaks to a serving task. Dropping it ends the task, once its queue is
/// empty.
#[derive(Debug)]
pub struct Handle {
    /// What serves.
    pub bundle: Digest,
    /// For the route.
    pub requests: mpsc::Sender<crate::serve::backend::Job>,
    /// Process id of the worker and its memory, as last seen.
    pub vitals: Arc<std::sync::Mutex<Vitals>>,
    /// What it finds by itself.
    pub alarms: Board,
    /// To be told when it takes the route.
    pub predictor: Predictor,
    end: Option<oneshot::Sender<()>>,
    gate: Option<oneshot::Sender<()>>,
}

/// When a task may start its worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// At once, beside what serves.
    Now,
    /// When [`Handle::open`] is called: what serves leaves first.
    Gated,
}

impl Handle {
    /// Lets a gated task start its worker.
    pub fn open(&mut self) {
        self.gate.take();
    }

    /// Asks the task to end even while requests come in.
    pub fn end(&mut self) {
        self.end.take();
    }
}

/// How a worker does.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct Vitals {
    /// Its process.
    pub pid: Option<u32>,
    /// Resident memory, bytes.
    pub resident_bytes: Option<u64>,
    /// Times it was started.
    pub starts: u64,
}

/// Starts a serving task on this thread's runtime.
#[must_use]
pub fn start(
    plan: Plan,
    start: Start,
    tap: Arc<shadow::Tap>,
    events: mpsc::Sender<Event>,
) -> Handle {
    let (requests, jobs) = mpsc::channel(QUEUE_MAX);
    let (end, ended) = oneshot::channel();
    let (gate, opened) = oneshot::channel();
    let vitals = Arc::new(std::sync::Mutex::new(Vitals::default()));
    let bundle = plan.release.bundle;
    let alarms = Board::default();
    let scale = plan.features.scores().map(|fold| fold.scale());
    let predictor = Predictor::new(plan.predictions.clone(), scale);
    let meets = (tap, predictor.clone());
    let task = task::Task::new(plan, meets, events, vitals.clone(), alarms.clone());
    tokio::spawn(task.run(jobs, opened, ended));
    Handle {
        gate: Some(gate).filter(|_| start == Start::Gated),
        bundle,
        requests,
        vitals,
        alarms,
        predictor,
        end: Some(end),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use muster_protocol::message::Role;

    #[tokio::test]
    async fn a_candidate_that_never_serves_leaves_the_ids_of_what_does() {
        let plan = Plan {
            features: sample::classifier(),
            ..sample::plan(Role::Serve, 1)
        };
        let predictions = plan.predictions.clone();
        let (told, _events) = mpsc::channel(8);
        let run = |plan| start(plan, Start::Gated, Arc::default(), told.clone());
        let serving = run(plan);
        assert_eq!(predictions.new_id(), None, "it has no route yet");
        serving.predictor.serve();
        assert!(predictions.new_id().is_some());
        let candidate = Plan {
            predictions: predictions.clone(),
            ..sample::plan(Role::Serve, 2)
        };
        let candidate = run(candidate);
        assert!(predictions.new_id().is_some(), "it only waits");
        candidate.predictor.serve();
        assert_eq!(predictions.new_id(), None);
    }
}
