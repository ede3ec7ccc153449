//! The loop of one shadow: samples in, counts out, windows closed on time.
//!
//! Its worker runs at the lowest priority, and is started again with growing pauses. Nothing here
//! is waited for by anybody who serves.

use super::compare;
use super::{Sample, Tap};
use crate::clock;
use crate::serving::budget::Answered;
use crate::serving::features::batch_of;
use crate::serving::teller::Teller;
use crate::serving::window::WindowKeeper;
use crate::serving::worker_keeper::{CODE_RUN_FAILED, Started, WorkerKeeper, code_of};
use crate::serving::{Columns, Event, Plan, RECOVERED_ANSWERS, Vitals};
use crate::tensor::Tensor;
use crate::worker::WorkerFault;
use muster_device::updater::Verdict;
use muster_protocol::digest::Digest;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};

/// State of one shadow.
pub(super) struct Task {
    plan: Arc<Plan>,
    tap: Arc<Tap>,
    teller: Teller,
    window: WindowKeeper,
    keeper: WorkerKeeper,
    announced: bool,
    /// Answers since its worker died.
    since_failure: u64,
}

/// What one sample gave.
struct Compared {
    sample: Sample,
    outputs: Vec<Tensor>,
    latency_us: u32,
}

impl Task {
    pub(super) fn new(
        plan: Plan,
        tap: Arc<Tap>,
        events: mpsc::Sender<Event>,
        vitals: Arc<Mutex<Vitals>>,
    ) -> Self {
        let (plan, now) = (Arc::new(plan), clock::monotonic());
        let teller = Teller::of(&plan, events);
        Self {
            window: WindowKeeper::new(plan.clone(), teller.clone(), now),
            keeper: WorkerKeeper::new(plan.clone(), vitals, now),
            plan,
            tap,
            teller,
            announced: false,
            since_failure: 0,
        }
    }

    pub(super) async fn run(
        mut self,
        mut samples: mpsc::Receiver<Sample>,
        mut end: oneshot::Receiver<()>,
    ) {
        loop {
            self.start_if_due().await;
            let due = self.window.next_due().min(self.keeper.next_due());
            let due_ms = due.since(clock::monotonic());
            tokio::select! {
                biased;
                _ = &mut end => break,
                fault = self.keeper.death() => self.died(&fault).await,
                () = tokio::time::sleep(Duration::from_millis(due_ms)) => self.on_time().await,
                sample = samples.recv() => match sample {
                    Some(sample) => self.take(sample).await,
                    None => break,
                },
            }
        }
        self.finish().await;
    }

    async fn finish(mut self) {
        self.count_served().await;
        self.window.close().await;
        self.keeper.stop().await;
        self.teller.ended().await;
    }

    async fn on_time(&mut self) {
        let now = clock::monotonic();
        self.count_served().await;
        self.window.on_time(now).await;
        self.keeper.note_vitals();
    }

    async fn start_if_due(&mut self) {
        match self.keeper.start_if_due().await {
            Started::NotDue => {}
            Started::Ready => self.started().await,
            Started::Failed(verdict) => self.give_up(verdict).await,
        }
    }

    async fn started(&mut self) {
        let Some(worker) = &self.keeper.worker else {
            return;
        };
        let (signature, load_ms) = (Arc::new(worker.signature().clone()), worker.load_ms());
        if !std::mem::replace(&mut self.announced, true) {
            let columns = Arc::new(Columns::new());
            self.teller.ready(signature, columns, load_ms).await;
        }
    }

    /// What was answered meanwhile, the bundle that is counted beside first.
    async fn count_served(&mut self) {
        let mut served: Vec<_> = self.tap.take_all_served().into_iter().collect();
        let beside = self.window.beside();
        served.sort_by_key(|(bundle, _)| Some(*bundle) != beside);
        for (bundle, rows) in served {
            self.turn_to(bundle).await;
            self.count_rows(rows);
        }
    }

    /// From here on it is counted beside this bundle; what the one before answered is counted
    /// first.
    async fn turn_to(&mut self, beside: Digest) {
        if let Some(before) = self.window.beside().filter(|before| *before != beside) {
            let rows = self.tap.take_served(before);
            self.count_rows(rows);
        }
        self.window.turn_to(beside).await;
        let rows = self.tap.take_served(beside);
        self.count_rows(rows);
    }

    fn count_rows(&mut self, rows: u64) {
        if let Some(comparison) = self.window.comparison().filter(|_| rows > 0) {
            comparison.served(rows);
            self.window.touch();
        }
    }

    async fn take(&mut self, sample: Sample) {
        self.turn_to(sample.beside).await;
        let began_us = clock::monotonic_us();
        self.ask(sample).await;
        let took_us = clock::monotonic_us().saturating_sub(began_us);
        self.tap.settle(took_us, clock::monotonic());
        self.window.mark().await;
    }

    async fn ask(&mut self, sample: Sample) {
        // Without a worker the sample is skipped: that it died was counted.
        let Some(worker) = &mut self.keeper.worker else {
            return;
        };
        let began_us = clock::monotonic_us();
        match worker.run(sample.inputs.clone()).await {
            Ok((outputs, _)) => {
                let latency_us = clock::monotonic_us().saturating_sub(began_us);
                let latency_us = u32::try_from(latency_us).unwrap_or(u32::MAX);
                self.compare(Compared {
                    sample,
                    outputs,
                    latency_us,
                })
                .await;
            }
            Err(fault) => self.failed(&fault).await,
        }
    }

    async fn compare(&mut self, answers: Compared) {
        let broken = is_finite(&answers.sample.inputs) && !is_finite(&answers.outputs);
        self.count(&answers);
        let bins = self.plan.features.first_output().cloned();
        let Compared {
            sample, outputs, ..
        } = answers;
        // Outputs may be large, and predictions do not wait for this.
        let pairs = tokio::task::spawn_blocking(move || {
            compare::pairs(&sample.outputs, &outputs, bins.as_ref())
        });
        let pairs = pairs.await.unwrap_or_default();
        if let Some(comparison) = self.window.comparison() {
            pairs.into_iter().for_each(|pair| comparison.pair(pair));
        }
        self.judge(broken).await;
    }

    /// Counts what the shadow said as if it had served.
    fn count(&mut self, answers: &Compared) {
        let Compared {
            sample,
            outputs,
            latency_us,
        } = answers;
        let fold = &mut self.window.fold;
        let rows = self.plan.features.count(fold, &sample.inputs, outputs);
        let worker = self.keeper.worker.as_ref();
        let batch = worker.map_or(1, |worker| batch_of(worker.signature(), rows));
        // How slow a worker of the lowest priority is fails nobody.
        let _ = fold.answered_batch(rows, batch, *latency_us);
        if let Some(comparison) = self.window.comparison() {
            comparison.compared(rows, sample.latency_us);
        }
        if let Some(fold) = self.window.scores() {
            self.plan.features.score(fold, &sample.inputs, outputs);
        }
        self.window.touch();
    }

    async fn judge(&mut self, broken: bool) {
        let how = match broken {
            true => Answered::NotANumber,
            false => Answered::Well,
        };
        let verdict = self.keeper.budget.answered(how);
        self.give_up(verdict).await;
        self.since_failure = self.since_failure.saturating_add(1);
        if self.since_failure == RECOVERED_ANSWERS {
            self.keeper.recovered();
        }
    }

    /// A request that serves but that the shadow does not take counts against the shadow.
    async fn failed(&mut self, fault: &WorkerFault) {
        let code = code_of(fault).unwrap_or(CODE_RUN_FAILED);
        self.window.fold.failed(code);
        self.window.touch();
        match fault {
            WorkerFault::Input(_) | WorkerFault::RunFailed { .. } => {
                let verdict = self.keeper.budget.answered(Answered::Failed);
                self.give_up(verdict).await;
            }
            fault => self.died(fault).await,
        }
    }

    async fn died(&mut self, fault: &WorkerFault) {
        self.since_failure = 0;
        let verdict = self.keeper.died(fault);
        self.give_up(verdict).await;
    }

    /// Tells a verdict, if there is one.
    async fn give_up(&mut self, verdict: Option<Verdict>) {
        if let Some(verdict) = verdict {
            self.teller.failed(verdict).await;
        }
    }
}

fn is_finite(tensors: &[Tensor]) -> bool {
    tensors.iter().all(|tensor| tensor.non_finite() == 0)
}
