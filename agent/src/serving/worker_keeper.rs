//! The worker of one task: started when it is due, and again with growing pauses after it died.
//!
//! It judges nothing but whether its worker lives. Never answers anybody.

use super::budget::Budget;
use super::{Plan, Vitals};
use crate::clock;
use crate::store::blobs::verify_file;
use crate::worker::{Loading, Worker, WorkerFault};
use muster_device::backoff::Backoff;
use muster_device::updater::Verdict;
use muster_protocol::message::Reason;
use muster_protocol::time::Millis;
use std::sync::{Arc, Mutex, PoisonError};

/// First and longest pause before a dead worker is started again.
const RESTART_MS: (u64, u64) = (50, 30_000);
/// Codes of failed requests in windows.
pub(super) const CODE_RUN_FAILED: u8 = 1;
const CODE_DIED: u8 = 2;
const CODE_HUNG: u8 = 3;
/// A request that came while there was no worker.
pub(super) const CODE_NO_WORKER: u8 = 4;

/// What became of a start that was due.
#[expect(clippy::large_enum_variant, reason = "few, and moved once")]
#[derive(Debug)]
pub(super) enum Started {
    /// None was due.
    NotDue,
    /// The worker is ready.
    Ready,
    /// There is no worker, and perhaps a verdict.
    Failed(Option<Verdict>),
}

/// A worker, or the pause until the next one.
pub(super) struct WorkerKeeper {
    plan: Arc<Plan>,
    vitals: Arc<Mutex<Vitals>>,
    pub(super) budget: Budget,
    pub(super) worker: Option<Worker>,
    restart: Backoff,
    /// When the next start may be tried.
    start_at: Millis,
    died_at: Millis,
}

impl WorkerKeeper {
    pub(super) fn new(plan: Arc<Plan>, vitals: Arc<Mutex<Vitals>>, now: Millis) -> Self {
        Self {
            vitals,
            budget: Budget::new(plan.budget.clone()),
            plan,
            worker: None,
            restart: Backoff::new(RESTART_MS.0, RESTART_MS.1, now.0),
            start_at: now,
            died_at: now,
        }
    }

    /// When a start is due; never while a worker lives.
    pub(super) const fn next_due(&self) -> Millis {
        match self.worker {
            None => self.start_at,
            Some(_) => Millis(u64::MAX),
        }
    }

    pub(super) async fn start_if_due(&mut self) -> Started {
        if self.worker.is_some() || clock::monotonic() < self.start_at {
            return Started::NotDue;
        }
        if !self.model_verifies().await {
            return Started::Failed(Some(self.damaged()));
        }
        let loading = Loading::like(self.plan.example.clone());
        let Plan {
            program,
            model_path,
            limits,
            ..
        } = &*self.plan;
        let started = Worker::start_with(program, model_path, loading, *limits).await;
        self.vitals().starts += 1;
        let started = match started {
            Ok(worker) => {
                self.worker = Some(worker);
                Started::Ready
            }
            Err(fault) => Started::Failed(self.died(&fault)),
        };
        self.note_vitals();
        started
    }

    /// Counts a death; gives a verdict when there were too many.
    pub(super) fn died(&mut self, fault: &WorkerFault) -> Option<Verdict> {
        let now = clock::monotonic();
        // Dropping the handle buries what is left of it.
        self.worker = None;
        self.died_at = now;
        self.start_at = now.plus(self.restart.next_ms());
        tracing::warn!(model = %self.plan.seat, because = %fault, "worker died");
        let reason = reason(fault);
        // What cannot even be loaded will not get better by waiting.
        if reason == Reason::Load {
            return Some(Verdict::new(reason, &fault.to_string()));
        }
        self.budget.died(&fault.to_string(), reason, now)
    }

    /// Whether a worker lives, and none died for as long as a death counts.
    pub(super) fn is_quiet(&self, now: Millis) -> bool {
        let quiet_ms = self.plan.budget.crash_window_s * 1000;
        self.worker.is_some() && now.since(self.died_at) >= quiet_ms
    }

    /// It did well for a while: the next pause is a short one.
    pub(super) const fn recovered(&mut self) {
        self.restart.reset();
    }

    /// Waits until the worker dies unasked; for ever when there is none.
    pub(super) async fn death(&mut self) -> WorkerFault {
        match &mut self.worker {
            Some(worker) => worker.ended().await,
            None => std::future::pending().await,
        }
    }

    pub(super) async fn stop(self) {
        if let Some(worker) = self.worker {
            worker.stop().await;
        }
    }

    pub(super) fn note_vitals(&self) {
        let mut vitals = self.vitals();
        vitals.pid = self.worker.as_ref().map(Worker::pid);
        vitals.resident_bytes = self.worker.as_ref().and_then(Worker::resident_bytes);
    }

    /// What lies on a disk is verified each time before it is used.
    async fn model_verifies(&self) -> bool {
        let (path, digest) = (self.plan.model_path.clone(), self.plan.model_digest);
        let bytes = self.plan.model_bytes;
        let verified = tokio::task::spawn_blocking(move || verify_file(&path, &digest, bytes));
        verified
            .await
            .is_ok_and(|verified| verified.is_ok_and(|same| same))
    }

    fn damaged(&mut self) -> Verdict {
        self.start_at = clock::monotonic().plus(RESTART_MS.1);
        let sentence = "the model on disk is not the one that was verified; roll it out again \
                        with --retry to fetch it anew";
        Verdict::new(Reason::Blob, sentence)
    }

    fn vitals(&self) -> std::sync::MutexGuard<'_, Vitals> {
        self.vitals.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Under which code a window counts a request that failed so; none where only the request was at
/// fault.
pub(super) const fn code_of(fault: &WorkerFault) -> Option<u8> {
    match fault {
        WorkerFault::Input(_) => None,
        WorkerFault::RunFailed { .. } => Some(CODE_RUN_FAILED),
        WorkerFault::HungRunning { .. } => Some(CODE_HUNG),
        WorkerFault::Crashed { .. }
        | WorkerFault::OutOfMemory { .. }
        | WorkerFault::HungLoading { .. }
        | WorkerFault::CpuExhausted { .. }
        | WorkerFault::Refused(_)
        | WorkerFault::Protocol(_)
        | WorkerFault::Spawn(_) => Some(CODE_DIED),
    }
}

fn reason(fault: &WorkerFault) -> Reason {
    match fault {
        WorkerFault::Refused(_) | WorkerFault::Input(_) => Reason::Load,
        WorkerFault::OutOfMemory { .. } => Reason::TooBig,
        WorkerFault::HungLoading { .. }
        | WorkerFault::HungRunning { .. }
        | WorkerFault::CpuExhausted { .. } => Reason::Hung,
        WorkerFault::Crashed { .. }
        | WorkerFault::RunFailed { .. }
        | WorkerFault::Protocol(_)
        | WorkerFault::Spawn(_) => Reason::Crashed,
    }
}
