//! The loop of one serving model: requests in, answers out, windows closed on time.
//!
//! A worker that dies is started again with growing pauses; requests that it took with it are
//! answered with what happened. Never cancels a run half-way: the worker would be lost.

use super::alarms::{Alarms, Board};
use super::budget::Answered;
use super::features::batch_of;
use super::predictions::Predictor;
use super::shadow::{Sample, Tap};
use super::teller::Teller;
use super::window::WindowKeeper;
use super::worker_keeper::{CODE_NO_WORKER, Started, WorkerKeeper, code_of};
use super::{Event, Plan, RECOVERED_ANSWERS, Vitals};
use crate::clock;
use crate::serve::backend::{Answer, Failure, Job};
use crate::tensor::Tensor;
use crate::worker::WorkerFault;
use muster_device::fold::Pace;
use muster_device::updater::Verdict;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};

/// State of one serving model.
pub(super) struct Task {
    plan: Arc<Plan>,
    tap: Arc<Tap>,
    teller: Teller,
    predictor: Predictor,
    window: WindowKeeper,
    keeper: WorkerKeeper,
    announced: bool,
    /// Answers since the start or the last failure; `None` once all is known to be well.
    since_failure: Option<u64>,
}

impl Task {
    pub(super) fn new(
        plan: Plan,
        (tap, predictor): (Arc<Tap>, Predictor),
        events: mpsc::Sender<Event>,
        vitals: Arc<Mutex<Vitals>>,
        board: Board,
    ) -> Self {
        let (plan, now) = (Arc::new(plan), clock::monotonic());
        let alarms = Alarms::new(plan.seat.clone(), &plan.features, board);
        let teller = Teller::of(&plan, events);
        let window = WindowKeeper::new(plan.clone(), teller.clone(), now);
        Self {
            window: window.watched(alarms).labelled(predictor.clone()),
            keeper: WorkerKeeper::new(plan.clone(), vitals, now),
            plan,
            tap,
            teller,
            predictor,
            announced: false,
            since_failure: Some(0),
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
                fault = self.keeper.death() => self.died(&fault).await,
                () = tokio::time::sleep(Duration::from_millis(due_ms)) => self.on_time().await,
                job = jobs.recv() => match job {
                    Some(job) => {
                        self.answer(job).await;
                        self.window.mark().await;
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
            if self.keeper.worker.is_some() {
                self.answer(job).await;
            }
        }
        self.window.close().await;
        self.keeper.stop().await;
        self.teller.ended().await;
    }

    fn next_due(&self) -> muster_protocol::time::Millis {
        self.window.next_due().min(self.keeper.next_due())
    }

    async fn on_time(&mut self) {
        let now = clock::monotonic();
        self.window.on_time(now).await;
        if self.keeper.is_quiet(now) && self.since_failure.is_some() {
            self.recovered().await;
        }
        self.keeper.note_vitals();
    }

    async fn start_if_due(&mut self) {
        match self.keeper.start_if_due().await {
            Started::NotDue => {}
            Started::Ready => self.started().await,
            Started::Failed(verdict) => {
                self.since_failure = Some(0);
                self.give_up(verdict).await;
            }
        }
    }

    async fn started(&mut self) {
        let Some(worker) = &self.keeper.worker else {
            return;
        };
        let signature = Arc::new(worker.signature().clone());
        let columns = Arc::new(self.plan.features.columns(&signature));
        let load_ms = worker.load_ms();
        if !std::mem::replace(&mut self.announced, true) {
            self.teller.ready(signature, columns, load_ms).await;
        }
    }

    async fn answer(&mut self, job: Job) {
        self.start_if_due().await;
        let Some(worker) = &mut self.keeper.worker else {
            self.window.fold.failed(CODE_NO_WORKER);
            self.window.touch();
            let because = "its worker is being started again".to_owned();
            return drop(job.reply.send(Err(Failure::Worker { because })));
        };
        let started = clock::monotonic_us();
        let finite = |tensors: &[Tensor]| tensors.iter().all(|tensor| tensor.non_finite() == 0);
        let (inputs, finite_inputs) = (job.inputs.clone(), finite(&job.inputs));
        match worker.run(job.inputs).await {
            Ok((outputs, _)) => {
                let latency_us = clock::monotonic_us().saturating_sub(started);
                let latency_us = u32::try_from(latency_us).unwrap_or(u32::MAX);
                let broken = finite_inputs && !finite(&outputs);
                let (rows, pace) = self.count(&inputs, &outputs, latency_us);
                self.score(job.id.as_deref(), &inputs, &outputs);
                self.let_shadow_see(rows, inputs, &outputs, latency_us);
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
    fn count(&mut self, inputs: &[Tensor], outputs: &[Tensor], latency_us: u32) -> (u32, Pace) {
        let fold = &mut self.window.fold;
        let rows = self.plan.features.count(fold, inputs, outputs);
        let worker = self.keeper.worker.as_ref();
        let batch = worker.map_or(1, |worker| batch_of(worker.signature(), rows));
        let pace = fold.answered_batch(rows, batch, latency_us);
        self.window.touch();
        (rows, pace)
    }

    /// Counts scores, and remembers them by the id of the request until their labels come.
    fn score(&mut self, id: Option<&str>, inputs: &[Tensor], outputs: &[Tensor]) {
        let Some(fold) = self.window.scores() else {
            return;
        };
        let scores = self.plan.features.score(fold, inputs, outputs);
        if let Some(id) = id {
            self.predictor.remember(id, &scores);
        }
    }

    /// Outputs are copied only for a shadow that takes them.
    fn let_shadow_see(&self, rows: u32, inputs: Vec<Tensor>, outputs: &[Tensor], latency_us: u32) {
        let beside = self.plan.release.bundle;
        self.tap.offer(beside, rows, clock::monotonic(), || Sample {
            beside,
            inputs,
            outputs: outputs.to_vec(),
            latency_us,
        });
    }

    async fn judge(&mut self, pace: Pace, broken: bool) {
        let how = match (broken, pace) {
            (true, _) => Answered::NotANumber,
            (false, Pace::Over) => Answered::Slowly,
            (false, Pace::Within) => Answered::Well,
        };
        if let Some(verdict) = self.keeper.budget.answered(how) {
            return self.give_up(Some(verdict)).await;
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
        self.keeper.recovered();
        self.teller.recovered().await;
    }

    async fn failed(&mut self, fault: WorkerFault) {
        self.window.touch();
        if let Some(code) = code_of(&fault) {
            self.window.fold.failed(code);
        }
        match &fault {
            // The request was at fault, or this one run: the worker serves on.
            WorkerFault::Input(_) => {}
            WorkerFault::RunFailed { .. } => {
                let verdict = self.keeper.budget.answered(Answered::Failed);
                self.give_up(verdict).await;
            }
            fault => self.died(fault).await,
        }
    }

    async fn died(&mut self, fault: &WorkerFault) {
        self.since_failure = Some(0);
        let verdict = self.keeper.died(fault);
        self.give_up(verdict).await;
    }

    /// Tells a verdict, if there is one.
    async fn give_up(&mut self, verdict: Option<Verdict>) {
        let Some(verdict) = verdict else { return };
        self.since_failure = Some(0);
        self.teller.failed(verdict).await;
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
