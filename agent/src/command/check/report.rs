//! The report of a check, as JSON for `muster bundle build` and as text for people.
//!
//! Never rounds: a number in JSON reads back to the same bits; NaN and infinities are null.

use super::Output;
use super::test_data::Answered;
use crate::infer::Stage;
use crate::tensor::{Dim, Signature, Tensor, TensorSpec};
use crate::trial::TrialOutcome;
use crate::worker::{Place, Worker, WorkerFault};
use serde_json::{Value, json};
use std::io::Write;

/// Planned peak = measured peak + a quarter + this: requests with larger batches, fragmentation.
const HEADROOM_BYTES: u64 = 8 << 20;

const HINT_EXPORT: &str = "export the model with operators and shapes that tract runs";
const HINT_CRASH: &str = "the runtime does not survive this model; do not ship it";
const HINT_MEMORY: &str = "raise --memory-mib if devices have that much";
const HINT_TIME: &str = "raise --timeout-s if devices may wait that long";
const HINT_RUN: &str = "the model does not run with inputs of its own signature";

/// What a check found.
#[derive(Default)]
pub(super) struct Report {
    pub(super) self_golden: Vec<(Vec<Tensor>, Vec<Tensor>)>,
    pub(super) row_outputs: Option<Vec<Value>>,
    pub(super) golden: Option<String>,
    pub(super) test_data: Option<Answered>,
    signature: Signature,
    operators: Vec<String>,
    metadata: Vec<(String, String)>,
    load_ms: u64,
    peak_bytes: u64,
    warnings: Vec<String>,
}

/// A model that does not pass: what `error` holds in JSON.
#[derive(Debug)]
pub(super) struct Refusal {
    stage: &'static str,
    operator: Option<String>,
    pub(super) reason: String,
    pub(super) hint: &'static str,
    /// How far a wrong answer is off.
    difference: Option<f64>,
}

impl Report {
    pub(super) fn describe(&mut self, worker: &Worker) {
        self.signature = worker.signature().clone();
        self.operators = worker.operators().to_vec();
        self.metadata = worker.metadata().to_vec();
        self.load_ms = worker.load_ms();
    }

    /// Call after the runs: the peak is of loading and running.
    pub(super) fn measure(&mut self, worker: &Worker) {
        self.peak_bytes = worker.peak_bytes().unwrap_or(0);
    }

    pub(super) fn warn(&mut self, warning: String) {
        self.warnings.push(warning);
    }

    pub(super) fn disagree(&mut self, vector: usize, difference: &impl std::fmt::Debug) {
        self.warn(format!(
            "the optimised graph answers seeded vector {vector} otherwise than the graph as \
             exported, its numbers cannot be trusted: {difference:?}"
        ));
    }

    pub(super) fn print(&self, output: Output) {
        match output {
            Output::Json => say(&format!("{}\n", self.to_json())),
            Output::Text => say(&self.to_text()),
        }
    }

    fn planned_peak_bytes(&self) -> u64 {
        self.peak_bytes + self.peak_bytes / 4 + HEADROOM_BYTES
    }

    pub(super) fn to_json(&self) -> Value {
        let vector = |(inputs, outputs): &(Vec<Tensor>, Vec<Tensor>)| {
            let tensors = |list: &[Tensor]| list.iter().map(tensor).collect::<Vec<_>>();
            json!({ "inputs": tensors(inputs), "outputs": tensors(outputs) })
        };
        json!({
            "signature": {
                "inputs": self.signature.inputs.iter().map(spec).collect::<Vec<_>>(),
                "outputs": self.signature.outputs.iter().map(spec).collect::<Vec<_>>(),
            },
            "operators": self.operators,
            "metadata": self.metadata.iter().cloned().collect::<std::collections::BTreeMap<_, _>>(),
            "load_ms": self.load_ms,
            "peak_bytes": self.peak_bytes,
            "planned_peak_bytes": self.planned_peak_bytes(),
            "self_golden": self.self_golden.iter().map(vector).collect::<Vec<_>>(),
            "golden": self.golden,
            "test_data": self.test_data.as_ref().map(|answered| json!({
                "sets": answered.sets, "worst_difference": answered.worst,
            })),
            "row_outputs": self.row_outputs,
            "warnings": self.warnings,
        })
    }

    fn to_text(&self) -> String {
        let mut lines = Vec::new();
        for (kind, specs) in [
            ("input", &self.signature.inputs),
            ("output", &self.signature.outputs),
        ] {
            let line =
                |s: &TensorSpec| format!("{kind} {} {} {}", s.name, s.datatype, s.shape_text());
            lines.extend(specs.iter().map(line));
        }
        lines.push(format!("operators {}", self.operators.join(", ")));
        lines.extend(
            self.metadata
                .iter()
                .map(|(key, value)| format!("metadata {key} = {value}")),
        );
        lines.push(format!("loaded in {} ms", self.load_ms));
        let (peak, planned) = (self.peak_bytes >> 10, self.planned_peak_bytes() >> 10);
        lines.push(format!("memory peak {peak} KiB, planned {planned} KiB"));
        lines.extend(
            self.golden
                .iter()
                .map(|golden| format!("golden vectors: {golden}")),
        );
        lines.extend(self.test_data.iter().map(|answered| {
            let Answered { sets, worst } = answered;
            format!("test data: {sets} sets answered, worst difference {worst:e}")
        }));
        let rows = self.row_outputs.iter().flatten();
        lines.extend(
            rows.enumerate()
                .map(|(row, outputs)| format!("row {row}: {outputs}")),
        );
        lines.extend(
            self.warnings
                .iter()
                .map(|warning| format!("warning: {warning}")),
        );
        lines.push(String::new());
        lines.join("\n")
    }
}

impl Refusal {
    /// `None` when the fault is not the model's.
    pub(super) fn of_fault(fault: &WorkerFault) -> Option<Refusal> {
        let (stage, operator, hint) = match fault {
            WorkerFault::Refused(error) => (error.stage, error.operator.clone(), HINT_EXPORT),
            WorkerFault::Crashed {
                place: Place { stage, operator },
                ..
            } => (*stage, operator.clone(), HINT_CRASH),
            WorkerFault::OutOfMemory {
                place: Place { stage, operator },
                ..
            } => (*stage, operator.clone(), HINT_MEMORY),
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
            } => (*stage, operator.clone(), HINT_TIME),
            WorkerFault::Input(_) => (Stage::Run, None, HINT_RUN),
            WorkerFault::RunFailed { operator, .. } => (Stage::Run, operator.clone(), HINT_RUN),
            WorkerFault::Protocol(_) | WorkerFault::Spawn(_) => return None,
        };
        let reason = if let WorkerFault::Refused(error) = fault {
            error.reason.clone()
        } else {
            fault.to_string()
        };
        Some(Refusal {
            stage: stage.as_str(),
            operator,
            reason,
            hint,
            difference: None,
        })
    }

    pub(super) fn of_trial(outcome: &TrialOutcome) -> Refusal {
        let reason = format!("its trial {outcome}");
        let hint = "compare with the runtime that made the golden vectors";
        Refusal {
            stage: "trial",
            operator: None,
            reason,
            hint,
            difference: None,
        }
    }

    /// Test data that were answered otherwise.
    pub(super) fn of_difference(reason: String, difference: Option<f64>) -> Refusal {
        Refusal {
            stage: "trial",
            operator: None,
            reason,
            hint: "compare with the runtime that made the test data",
            difference,
        }
    }

    pub(super) fn print_json(&self) {
        let Refusal {
            stage,
            operator,
            reason,
            hint: _,
            difference,
        } = self;
        let mut error = json!({ "stage": stage, "operator": operator, "reason": reason });
        if let Some(difference) = difference {
            error["difference"] = json!(difference);
        }
        say(&format!("{}\n", json!({ "error": error })));
    }
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.operator {
            Some(operator) => write!(f, "stage {}, {operator}: {}", self.stage, self.reason),
            None => write!(f, "stage {}: {}", self.stage, self.reason),
        }
    }
}

/// A reader that has gone is not our failure.
fn say(text: &str) {
    let _ = std::io::stdout().write_all(text.as_bytes());
}

fn spec(spec: &TensorSpec) -> Value {
    let dims = spec.shape.iter().map(|dim| match dim {
        Dim::Fixed(size) => json!(size),
        Dim::Any => json!(-1),
    });
    let shape: Vec<Value> = dims.collect();
    json!({ "name": spec.name, "datatype": spec.datatype.as_str(), "shape": shape })
}

fn tensor(tensor: &Tensor) -> Value {
    json!({
        "name": tensor.name(),
        "datatype": tensor.datatype().as_str(),
        "shape": tensor.shape(),
        "data": numbers(tensor),
    })
}

/// The elements, row-major; integers exactly, NaN and infinities as null.
pub(super) fn numbers(tensor: &Tensor) -> Value {
    let datatype = tensor.datatype();
    let number = |bytes: &[u8]| match datatype.is_float() {
        true => json!(datatype.read_f64(bytes)),
        false => match i64::try_from(datatype.read_int(bytes)) {
            Ok(value) => json!(value),
            Err(_) => json!(datatype.read_int(bytes) as u64),
        },
    };
    tensor
        .data()
        .chunks_exact(datatype.size())
        .map(number)
        .collect()
}
