//! The trial: a candidate must answer its golden vectors in a worker, within its budget.
//!
//! Never activates anything, never tries twice: it says what happened, in one sentence.

mod compare;
mod outcome;

pub use compare::{Difference, Tolerance, compare, worst_difference};
pub use muster_protocol::bundle::GoldenError;
pub use outcome::TrialOutcome;

use crate::infer::Example;
use crate::tensor::Tensor;
use crate::worker::{Loading, Priority, Worker, WorkerFault, WorkerLimits};
use std::path::Path;

/// Golden vectors of one model.
pub type Golden = muster_protocol::bundle::Golden<Tensor>;
/// One question and its answer.
pub type GoldenVector = muster_protocol::bundle::GoldenVector<Tensor>;

/// Longest golden run when the budget names no latency, milliseconds.
const RUN_TIMEOUT_MS: u64 = 10_000;
/// Shortest timeout of a run: a busy machine is not a hung model, milliseconds.
const RUN_TIMEOUT_MS_MIN: u64 = 2_000;
/// A run that takes this many times its latency budget is called hung.
const HUNG_FACTOR: u64 = 20;

/// What a candidate may use on trial.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TrialBudget {
    /// Wall-clock time for starting and loading, milliseconds.
    pub load_ms_max: u64,
    /// Median of the golden runs after one warm-up, microseconds.
    pub latency_us_max: Option<u64>,
    /// Peak resident memory of the worker, and its address space beyond the idle program, bytes.
    pub memory_bytes_max: u64,
}

/// What a finished trial measured.
struct Measured {
    latencies_us: Vec<u64>,
    verdict: Option<TrialOutcome>,
}

/// Loads `model` in a worker of `program`, runs every golden vector, and judges. The worker is
/// gone afterwards, whatever the outcome.
pub async fn run_trial(
    program: &Path,
    model: &Path,
    golden: &Golden,
    budget: TrialBudget,
) -> TrialOutcome {
    let limits = limits(golden, budget);
    let first = golden.vectors.first();
    let example = first.map_or_else(Example::default, |vector| Example::of(&vector.inputs));
    let loading = Loading::like(example);
    let mut worker = match Worker::start_with(program, model, loading, limits).await {
        Ok(worker) => worker,
        Err(fault) => return TrialOutcome::from_fault(fault, budget),
    };
    let outcome = match answer(&mut worker, golden).await {
        Ok(measured) => judge(&worker, measured, budget),
        Err(fault) => TrialOutcome::from_fault(fault, budget),
    };
    worker.stop().await;
    outcome
}

fn limits(golden: &Golden, budget: TrialBudget) -> WorkerLimits {
    let run_timeout_ms = budget.latency_us_max.map_or(RUN_TIMEOUT_MS, |latency_us| {
        latency_us
            .saturating_mul(HUNG_FACTOR)
            .div_ceil(1_000)
            .max(RUN_TIMEOUT_MS_MIN)
    });
    let runs = golden.vectors.len() as u64 + 1;
    let total_ms = budget
        .load_ms_max
        .saturating_add(run_timeout_ms.saturating_mul(runs));
    WorkerLimits {
        memory_bytes_max: budget.memory_bytes_max,
        cpu_seconds_max: Some(total_ms.div_ceil(1_000).max(1)),
        load_timeout_ms: budget.load_ms_max,
        run_timeout_ms,
        priority: Priority::Usual,
    }
}

/// Runs the vectors until one answers wrongly. The first is run once before, unmeasured.
async fn answer(worker: &mut Worker, golden: &Golden) -> Result<Measured, WorkerFault> {
    let mut measured = Measured {
        latencies_us: Vec::new(),
        verdict: None,
    };
    if golden.vectors.is_empty() {
        let reason = GoldenError::Empty.to_string();
        measured.verdict = Some(TrialOutcome::WrongForm { vector: 0, reason });
        return Ok(measured);
    }
    worker.run(golden.vectors[0].inputs.clone()).await?;
    let tolerance = Tolerance {
        rtol: golden.rtol,
        atol: golden.atol,
    };
    for (index, vector) in golden.vectors.iter().enumerate() {
        let (outputs, run_us) = worker.run(vector.inputs.clone()).await?;
        measured.latencies_us.push(run_us);
        if let Err(difference) = compare(&vector.outputs, &outputs, tolerance) {
            measured.verdict = Some(TrialOutcome::from_difference(index, difference));
            break;
        }
    }
    Ok(measured)
}

fn judge(worker: &Worker, mut measured: Measured, budget: TrialBudget) -> TrialOutcome {
    if let Some(wrong) = measured.verdict {
        return wrong;
    }
    let peak_bytes = worker.peak_bytes().unwrap_or(0);
    if peak_bytes > budget.memory_bytes_max {
        let memory_bytes_max = budget.memory_bytes_max;
        return TrialOutcome::TooBig {
            peak_bytes: Some(peak_bytes),
            memory_bytes_max,
        };
    }
    measured.latencies_us.sort_unstable();
    let latency_us_median = measured.latencies_us[measured.latencies_us.len() / 2];
    match budget.latency_us_max {
        Some(latency_us_max) if latency_us_median > latency_us_max => TrialOutcome::TooSlow {
            latency_us_median,
            latency_us_max,
        },
        Some(_) | None => {
            let load_ms = worker.load_ms();
            TrialOutcome::Pass {
                load_ms,
                latency_us_median,
                peak_bytes,
            }
        }
    }
}

#[cfg(test)]
mod tests;
