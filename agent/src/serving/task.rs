//! The loop of one serving model: requests in, answers out, windows closed on time.
//!
//! A worker that dies is started again with growing pauses; requests that it took with it are
//! answered with what happened. Never cancels a run half-way: the worker would be lost.

use super::budget::{Answered, Budget};
use super::features::batch_of;
use super::{Closed, Event, Plan, Vitals};
use crate::clock;
use crate::serve::backend::{Answer, Failure, Job};
use crate::store::blobs::verify_file;
use crate::tensor::Tensor;
use crate::worker::{Loading, Worker, WorkerFault};
use muster_device::backoff::Backoff;
use muster_device::fold::{Pace, WindowFold};
use muster_device::updater::Verdict;
use muster_protocol::cbor;
use muster_protocol::message::Reason;
use muster_protocol::message::window::Window;
use muster_protocol::stats::FeatureFold;
use muster_protocol::time::Millis;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};

/// First and longest pause before a dead worker is started again.
const RESTART_MS: (u64, u64) = (50, 30_000);
/// Answers in a row after which a model that failed counts as recovered.
const RECOVERED_ANSWERS: u64 = 100;
/// Codes of failed requests in windows.
const CODE_RUN_FAILED: u8 = 1;
const CODE_DIED: u8 = 2;
const CODE_HUNG: u8 = 3;
const CODE_NO_WORKER: u8 = 4;

/// State of one serving model.
pub(super) struct Task {
    plan: Plan,
    events: mpsc::Sender<Event>,
    vitals: Arc<Mutex<Vitals>>,
    fold: WindowFold<Vec<FeatureFold>>,
    budget: Budget,
    restart: Backoff,
    worker: Option<Worker>,
    /// When the next start may be tried.
    start_at: Millis,
    died_at: Millis,
    announced: bool,
    /// Answers since the start or the last failure; `None` once all is known to be well.
    since_failure: Option<u64>,
    checkpoint_at: Millis,
    dirty: bool,
    /// A checkpoint of the open window was told: a power cut that takes of it is seen.
    marked: bool,
}

impl Task {
    pub(super) fn new(plan: Plan, events: mpsc::Sender<Event>, vitals: Arc<Mutex<Vitals>>) -> Self {
        let now = clock::monotonic();
        let fold = WindowFold::new(plan.subject(), plan.features.folds(), now);
        Self {
            budget: Budget::new(plan.budget.clone()),
            restart: Backoff::new(RESTART_MS.0, RESTART_MS.1, now.0),
            checkpoint_at: now.plus(plan.checkpoint_ms),
            plan,
            events,
            vitals,
            fold,
            worker: None,
            start_at: now,
            died_at: now,
            announced: false,
            since_failure: Some(0),
            dirty: false,
            marked: false,
        }
    }

    pub(super) async fn run(
        mut self,
        mut jobs: mpsc::Receiver<Job>,
        opened: oneshot::Receiver<()>,
        mut end: oneshot::Receiver<()>,
    ) {
        tokio::select! {
            _ = &mut end => return self.finish(jobs).await,
            // Open from the start, or when what served before has left.
            _ = opened => {}
        }
        loop {
            self.start_if_due().await;
            let due_ms = self.next_due().since(clock::monotonic());
            tokio::select! {
                biased;
                _ = &mut end => break,
                fault = death_of(&mut self.worker) => self.died(&fault).await,
                () = tokio::time::sleep(Duration::from_millis(due_ms)) => self.on_time().await,
                job = jobs.recv() => match job {
                    Some(job) => {
                        self.answer(job).await;
                        self.mark().await;
                    }
                    None => break,
                },
            }
        }
        self.finish(jobs).await;
    }

    /// What was queued before the route changed is still answered.
    async fn finish(mut self, mut jobs: mpsc::Receiver<Job>) {
        jobs.close();
        while let Ok(job) = jobs.try_recv() {
            // Dropped without a worker: the server then asks the new route.
            if self.worker.is_some() {
                self.answer(job).await;
            }
        }
        self.close_window().await;
        if let Some(worker) = self.worker.take() {
            worker.stop().await;
        }
        let (model, bundle) = self.name();
        self.tell(Event::Ended { model, bundle }).await;
    }

    fn next_due(&self) -> Millis {
        let window_ends = self.fold.started().plus(self.plan.window_ms);
        let start = if self.worker.is_none() {
            self.start_at
        } else {
            Millis(u64::MAX)
        };
        window_ends.min(self.checkpoint_at).min(start)
    }

    async fn on_time(&mut self) {
        let now = clock::monotonic();
        if now >= self.fold.started().plus(self.plan.window_ms) {
            self.close_window().await;
        }
        if now >= self.checkpoint_at {
            self.checkpoint_at = now.plus(self.plan.checkpoint_ms);
            self.checkpoint().await;
        }
        let quiet_ms = self.plan.budget.crash_window_s * 1000;
        let lives = self.worker.is_some() && now.since(self.died_at) >= quiet_ms;
        if lives && self.since_failure.is_some() {
            self.recovered().await;
        }
        self.note_vitals();
    }

    async fn start_if_due(&mut self) {
        if self.worker.is_some() || clock::monotonic() < self.start_at {
            return;
        }
        if !self.model_verifies().await {
            return self.damaged().await;
        }
        let loading = Loading::like(self.plan.example.clone());
        let Plan {
            program,
            model_path,
            limits,
            ..
        } = &self.plan;
        let started = Worker::start_with(program, model_path, loading, *limits).await;
        self.vitals().starts += 1;
        match started {
            Ok(worker) => self.started(worker).await,
            Err(fault) => self.died(&fault).await,
        }
        self.note_vitals();
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

    async fn damaged(&mut self) {
        self.start_at = clock::monotonic().plus(RESTART_MS.1);
        let sentence = "the model on disk is not the one that was verified; roll it out again \
                        with --retry to fetch it anew";
        self.give_up(Verdict::new(Reason::Blob, sentence)).await;
    }

    async fn started(&mut self, worker: Worker) {
        let (model, bundle) = self.name();
        let signature = Arc::new(worker.signature().clone());
        let columns = Arc::new(self.plan.features.columns(&signature));
        let load_ms = worker.load_ms();
        self.worker = Some(worker);
        if !std::mem::replace(&mut self.announced, true) {
            self.tell(Event::Ready {
                model,
                bundle,
                signature,
                columns,
                load_ms,
            })
            .await;
        }
    }

    async fn answer(&mut self, job: Job) {
        self.start_if_due().await;
        let Some(worker) = &mut self.worker else {
            self.fold.failed(CODE_NO_WORKER);
            let because = "its worker is being started again".to_owned();
            return drop(job.reply.send(Err(Failure::Worker { because })));
        };
        let started = clock::monotonic_us();
        let finite = |tensors: &[Tensor]| tensors.iter().all(|tensor| tensor.non_finite() == 0);
        let (inputs, finite_inputs) = (job.inputs.clone(), finite(&job.inputs));
        match worker.run(job.inputs).await {
            Ok((outputs, _)) => {
                let latency_us = clock::monotonic_us().saturating_sub(started);
                let broken = finite_inputs && !finite(&outputs);
                let pace = self.count(&inputs, &outputs, latency_us);
                let version = self.plan.release.version.to_string();
                // A client that has gone still counts: the model answered.
                let _ = job.reply.send(Ok(Answer { outputs, version }));
                self.judge(pace, broken).await;
            }
            Err(fault) => {
                let _ = job.reply.send(Err(failure(&fault)));
                self.failed(fault).await;
            }
        }
    }

    /// A request of many rows may take as long as they would one by one.
    fn count(&mut self, inputs: &[Tensor], outputs: &[Tensor], latency_us: u64) -> Pace {
        let rows = self.plan.features.count(&mut self.fold, inputs, outputs);
        let worker = self.worker.as_ref();
        let batch = worker.map_or(1, |worker| batch_of(worker.signature(), rows));
        self.dirty = true;
        let latency_us = u32::try_from(latency_us).unwrap_or(u32::MAX);
        self.fold.answered_batch(rows, batch, latency_us)
    }

    async fn judge(&mut self, pace: Pace, broken: bool) {
        let how = match (broken, pace) {
            (true, _) => Answered::NotANumber,
            (false, Pace::Over) => Answered::Slowly,
            (false, Pace::Within) => Answered::Well,
        };
        if let Some(verdict) = self.budget.answered(how) {
            return self.give_up(verdict).await;
        }
        if let Some(answers) = &mut self.since_failure {
            *answers += 1;
            if *answers >= RECOVERED_ANSWERS {
                self.recovered().await;
            }
        }
    }

    async fn recovered(&mut self) {
        self.since_failure = None;
        self.restart.reset();
        let (model, bundle) = self.name();
        self.tell(Event::Recovered { model, bundle }).await;
    }

    async fn failed(&mut self, fault: WorkerFault) {
        self.dirty = true;
        match &fault {
            // The request was at fault, or this one run: the worker serves on.
            WorkerFault::Input(_) => {}
            WorkerFault::RunFailed { .. } => {
                self.fold.failed(CODE_RUN_FAILED);
                if let Some(verdict) = self.budget.answered(Answered::Failed) {
                    self.give_up(verdict).await;
                }
            }
            WorkerFault::HungRunning { .. } => {
                self.fold.failed(CODE_HUNG);
                self.died(&fault).await;
            }
            WorkerFault::Crashed { .. }
            | WorkerFault::OutOfMemory { .. }
            | WorkerFault::HungLoading { .. }
            | WorkerFault::CpuExhausted { .. }
            | WorkerFault::Refused(_)
            | WorkerFault::Protocol(_)
            | WorkerFault::Spawn(_) => {
                self.fold.failed(CODE_DIED);
                self.died(&fault).await;
            }
        }
    }

    async fn died(&mut self, fault: &WorkerFault) {
        let now = clock::monotonic();
        // Dropping the handle buries what is left of it.
        self.worker = None;
        self.since_failure = Some(0);
        self.died_at = now;
        self.start_at = now.plus(self.restart.next_ms());
        tracing::warn!(model = %self.plan.model, because = %fault, "worker died");
        let reason = reason(fault);
        // What cannot even be loaded will not get better by waiting.
        let verdict = if reason == Reason::Load {
            Some(Verdict::new(reason, &fault.to_string()))
        } else {
            self.budget.died(&fault.to_string(), reason, now)
        };
        if let Some(verdict) = verdict {
            self.give_up(verdict).await;
        }
    }

    async fn give_up(&mut self, verdict: Verdict) {
        self.since_failure = Some(0);
        let (model, bundle) = self.name();
        self.tell(Event::Failed {
            model,
            bundle,
            verdict,
        })
        .await;
    }

    async fn close_window(&mut self) {
        let now = clock::monotonic();
        if !self.fold.is_empty() {
            let (subject, calls) = (self.fold.subject().clone(), self.fold.calls());
            let window = self.encode(now);
            self.tell(Event::Window(Box::new(Closed {
                subject,
                calls,
                window,
            })))
            .await;
        }
        self.fold.reset(now);
        self.dirty = false;
        self.marked = false;
    }

    /// What a window counts first is told at once: a power cut before its first checkpoint would
    /// take counts of which nobody knew.
    async fn mark(&mut self) {
        if !self.marked {
            self.checkpoint().await;
        }
    }

    async fn checkpoint(&mut self) {
        if std::mem::replace(&mut self.dirty, false) {
            self.marked = true;
            let window = self.encode(clock::monotonic());
            self.tell(Event::Checkpoint { window }).await;
        }
    }

    fn encode(&self, now: Millis) -> Vec<u8> {
        self.fold
            .with_window(now, None, |window: &Window<'_>| cbor::to_vec(window))
    }

    fn name(
        &self,
    ) -> (
        muster_protocol::id::ModelId,
        muster_protocol::digest::Digest,
    ) {
        (self.plan.model.clone(), self.plan.release.bundle)
    }

    async fn tell(&self, event: Event) {
        // Nobody listens any more only when the agent ends.
        let _ = self.events.send(event).await;
    }

    fn vitals(&self) -> std::sync::MutexGuard<'_, Vitals> {
        self.vitals.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note_vitals(&self) {
        let mut vitals = self.vitals();
        vitals.pid = self.worker.as_ref().map(Worker::pid);
        vitals.resident_bytes = self.worker.as_ref().and_then(Worker::resident_bytes);
    }
}

/// Waits until a worker dies unasked; for ever when there is none.
async fn death_of(worker: &mut Option<Worker>) -> WorkerFault {
    match worker {
        Some(worker) => worker.ended().await,
        None => std::future::pending().await,
    }
}

fn failure(fault: &WorkerFault) -> Failure {
    match fault {
        WorkerFault::Input(error) => Failure::Input(error.to_string()),
        WorkerFault::RunFailed { .. } => Failure::Run {
            because: fault.to_string(),
        },
        fault => Failure::Worker {
            because: fault.to_string(),
        },
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
