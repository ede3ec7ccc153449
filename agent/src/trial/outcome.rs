//! How a trial ended: one sentence with because and numbers.
//!
//! Never holds anything that cannot go into a receipt.

use super::TrialBudget;
use super::compare::Difference;
use crate::infer::Stage;
use crate::worker::{Place, WorkerFault};

/// Verdict over a candidate.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum TrialOutcome {
    /// Every golden vector was answered, within the budget.
    #[error(
        "passed: loaded in {load_ms} ms, median latency {latency_us_median} us, peak memory \
         {peak_bytes} bytes"
    )]
    Pass {
        /// Milliseconds to load.
        load_ms: u64,
        /// Median of the golden runs, microseconds.
        latency_us_median: u64,
        /// Peak resident memory of the worker, bytes.
        peak_bytes: u64,
    },
    /// A number differs by more than its tolerance.
    #[error(
        "failed because golden vector {vector} expects {expected} in element {element} of output \
         {output:?} and got {got}"
    )]
    WrongOutput {
        /// Position of the golden vector.
        vector: usize,
        /// Name of the output.
        output: String,
        /// Position of the element, row-major.
        element: usize,
        /// What the golden vector says.
        expected: f64,
        /// What the candidate says.
        got: f64,
    },
    /// Inputs or outputs of a golden vector do not fit the model.
    #[error("failed because golden vector {vector} does not fit the model: {reason}")]
    WrongForm {
        /// Position of the golden vector.
        vector: usize,
        /// What does not fit.
        reason: String,
    },
    /// The median latency is beyond the budget.
    #[error(
        "failed because the median latency was {latency_us_median} us, the budget is \
         {latency_us_max} us"
    )]
    TooSlow {
        /// Median of the golden runs, microseconds.
        latency_us_median: u64,
        /// The budget.
        latency_us_max: u64,
    },
    /// It needs more memory than it may have.
    #[error(
        "failed because it needs {peak}, the budget is {memory_bytes_max} bytes",
        peak = peak_text(*peak_bytes)
    )]
    TooBig {
        /// Peak resident memory, if it lived to be measured.
        peak_bytes: Option<u64>,
        /// The budget.
        memory_bytes_max: u64,
    },
    /// The worker died.
    #[error("failed because {reason}")]
    Crashed {
        /// Where it had come to.
        stage: Stage,
        /// The operator at fault, if it is known.
        operator: Option<String>,
        /// How it died and its last words.
        reason: String,
    },
    /// The worker gave no answer in time, or burned its CPU seconds.
    #[error("failed because {reason}")]
    Hung {
        /// Where it had come to.
        stage: Stage,
        /// The operator at fault, if it is known.
        operator: Option<String>,
        /// What took how long.
        reason: String,
    },
    /// The runtime refused the model or a run.
    #[error(
        "failed because the runtime refused it at stage {stage}{by}: {reason}",
        by = operator.as_ref().map(|operator| format!(", {operator}")).unwrap_or_default()
    )]
    Refused {
        /// Where.
        stage: Stage,
        /// The operator at fault, if it is known.
        operator: Option<String>,
        /// Why, one line.
        reason: String,
    },
    /// The trial itself could not be held; says nothing about the model.
    #[error("could not be held because {reason}")]
    NotHeld {
        /// Why.
        reason: String,
    },
}

impl TrialOutcome {
    /// Whether the candidate may serve.
    pub fn passed(&self) -> bool {
        matches!(self, TrialOutcome::Pass { .. })
    }

    pub(super) fn from_difference(vector: usize, difference: Difference) -> TrialOutcome {
        match difference {
            Difference::Form(reason) => TrialOutcome::WrongForm { vector, reason },
            Difference::Value {
                output,
                element,
                expected,
                got,
            } => TrialOutcome::WrongOutput {
                vector,
                output,
                element,
                expected,
                got,
            },
        }
    }

    /// What a worker's fault means for the candidate.
    pub fn from_fault(fault: WorkerFault, budget: TrialBudget) -> TrialOutcome {
        let reason = fault.to_string();
        match fault {
            WorkerFault::Crashed {
                place: Place { stage, operator },
                ..
            } => TrialOutcome::Crashed {
                stage,
                operator,
                reason,
            },
            WorkerFault::OutOfMemory { .. } => TrialOutcome::TooBig {
                peak_bytes: None,
                memory_bytes_max: budget.memory_bytes_max,
            },
            WorkerFault::HungLoading {
                place: Place { stage, operator },
                ..
            }
            | WorkerFault::HungRunning {
                place: Place { stage, operator },
                ..
            }
            | WorkerFault::CpuExhausted {
                place: Place { stage, operator },
                ..
            } => TrialOutcome::Hung {
                stage,
                operator,
                reason,
            },
            WorkerFault::Refused(error) => TrialOutcome::Refused {
                stage: error.stage,
                operator: error.operator,
                reason: error.reason,
            },
            WorkerFault::RunFailed { operator, reason } => TrialOutcome::Refused {
                stage: Stage::Run,
                operator,
                reason,
            },
            WorkerFault::Protocol(_) => TrialOutcome::Crashed {
                stage: Stage::Run,
                operator: None,
                reason,
            },
            WorkerFault::Input(error) => TrialOutcome::WrongForm {
                vector: 0,
                reason: error.to_string(),
            },
            WorkerFault::Spawn(_) => TrialOutcome::NotHeld { reason },
        }
    }
}

fn peak_text(peak_bytes: Option<u64>) -> String {
    peak_bytes.map_or("more memory than its limit".into(), |bytes| {
        format!("{bytes} bytes")
    })
}
