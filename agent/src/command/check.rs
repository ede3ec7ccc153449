//! `muster-agent check`: what a model is, whether it runs here, and what it answers.
//!
//! `muster bundle build` reads its JSON. Never loads the model in this process, never asks the
//! network, never changes a file.

mod probe;
mod report;
mod rows;
mod test_data;

use crate::error::exit;
use crate::infer::{Example, Graph};
use crate::tensor::Tensor;
use crate::trial::{Golden, GoldenError, Tolerance, TrialBudget, compare, run_trial};
use crate::worker::{Loading, Priority, Worker, WorkerFault, WorkerLimits};
use muster_protocol::limits::GOLDEN_BYTES_MAX;
use report::{Refusal, Report};
use rows::{Rows, RowsError};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use test_data::{TestDataSet, Unanswered};

/// How near the optimised graph must come to the unoptimised one.
const SELF_TOLERANCE: Tolerance = Tolerance {
    rtol: 1e-3,
    atol: 1e-4,
};

/// Arguments of `muster-agent check`.
#[derive(Clone, Debug, clap::Args)]
pub struct CheckArgs {
    /// ONNX file, uncompressed.
    pub model: PathBuf,
    /// Golden vectors (CBOR) that it must answer.
    #[arg(long)]
    pub golden: Option<PathBuf>,
    /// Folder of ONNX test data that it must answer: input_K.pb and output_K.pb, or folders
    /// test_data_set_N of them. Replaces the questions that the check would invent.
    #[arg(long, value_name = "FOLDER", conflicts_with_all = ["golden", "rows"])]
    pub test_data: Option<PathBuf>,
    /// Folder of ONNX test data whose first set tells what requests look like: the model is
    /// loaded for its shapes and settings. Its answers do not count.
    #[arg(long, value_name = "FOLDER", conflicts_with = "test_data")]
    pub example: Option<PathBuf>,
    /// Relative tolerance of test data.
    #[arg(long, default_value_t = 1e-3, requires = "test_data")]
    pub rtol: f64,
    /// Absolute tolerance of test data.
    #[arg(long, default_value_t = 1e-4, requires = "test_data")]
    pub atol: f64,
    /// CSV file with a header; each row is answered, its columns in order are the features.
    #[arg(long)]
    pub rows: Option<PathBuf>,
    /// How to report.
    #[arg(long, value_enum, default_value_t = Output::Text)]
    pub output: Output,
    /// Memory that loading and running may take, MiB.
    #[arg(long, default_value_t = 1024, value_parser = clap::value_parser!(u64).range(1..1 << 24))]
    pub memory_mib: u64,
    /// Seconds that loading, and then each run, may take.
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..86_400))]
    pub timeout_s: u64,
}

/// Form of the report on stdout.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Output {
    /// For programs.
    Json,
    /// For people.
    Text,
}

/// Why a check has no report.
#[derive(Debug, thiserror::Error)]
enum CheckError {
    #[error("{0}")]
    Refused(Refusal),
    #[error("{path}: {source}", path = path.display())]
    Golden { path: PathBuf, source: GoldenError },
    #[error("{path}: {because}", path = path.display())]
    TestData { path: PathBuf, because: String },
    #[error("{path}: {source}", path = path.display())]
    Rows { path: PathBuf, source: RowsError },
    #[error("{path}: {source}", path = path.display())]
    Read {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("{0}")]
    NotMade(WorkerFault),
}

/// Checks, prints to stdout, explains a failure on stderr. `program` is what workers are started
/// from: this binary.
pub async fn run(program: &Path, args: &CheckArgs) -> ExitCode {
    let result = check(program, args).await;
    match &result {
        Ok(report) => report.print(args.output),
        Err(CheckError::Refused(refusal)) if args.output == Output::Json => refusal.print_json(),
        Err(_) => {}
    }
    match result {
        Ok(_) => ExitCode::SUCCESS,
        Err(error) => {
            let model = args.model.display();
            eprintln!(
                "failed to check {model}: because {error}: hint: {}",
                error.hint()
            );
            ExitCode::from(error.exit_code())
        }
    }
}

async fn check(program: &Path, args: &CheckArgs) -> Result<Report, CheckError> {
    if let Err(source) = std::fs::File::open(&args.model) {
        let path = args.model.clone();
        return Err(CheckError::Read { path, source });
    }
    for folder in args.test_data.iter().chain(&args.example) {
        std::fs::read_dir(folder).map_err(|source| CheckError::Read {
            path: folder.clone(),
            source,
        })?;
    }
    if let Some(folder) = &args.test_data {
        return check_test_data(program, args, folder).await;
    }
    let golden = args.golden.as_deref().map(read_golden).transpose()?;
    let rows = args.rows.as_deref().map(read_rows).transpose()?;
    let example = args.example.as_deref().map(read_example).transpose()?;
    let example = example.unwrap_or_default();
    let mut report = Report::default();
    let probes = first_opinion(program, args, &example, rows.as_ref(), &mut report).await?;
    if let Some(probes) = probes {
        second_opinion(program, args, example, probes, &mut report).await;
    }
    if let Some(golden) = golden {
        report.golden = Some(trial(program, args, &golden).await?);
    }
    Ok(report)
}

/// Whether the model answers as its test data say. What the model is to blame for comes before
/// what is wrong with the data.
async fn check_test_data(
    program: &Path,
    args: &CheckArgs,
    folder: &Path,
) -> Result<Report, CheckError> {
    let sets = test_data::read(folder);
    let example = sets
        .as_deref()
        .map_or_else(|_| Example::default(), test_data::example);
    let loading = Loading::like(example);
    let mut worker = Worker::start_with(program, &args.model, loading, limits(args)).await?;
    let mut report = Report::default();
    report.describe(&worker);
    let answered = match sets {
        Ok(sets) => answer_test_data(&mut worker, args, sets).await,
        Err(because) => Err(CheckError::TestData {
            path: folder.into(),
            because,
        }),
    };
    report.measure(&worker);
    worker.stop().await;
    report.test_data = Some(answered?);
    Ok(report)
}

async fn answer_test_data(
    worker: &mut Worker,
    args: &CheckArgs,
    sets: Vec<TestDataSet>,
) -> Result<test_data::Answered, CheckError> {
    let (rtol, atol) = (args.rtol, args.atol);
    let answered = test_data::answer(worker, sets, Tolerance { rtol, atol }).await;
    answered.map_err(|unanswered| match unanswered {
        Unanswered::Fault(fault) => fault.into(),
        Unanswered::Wrong { reason, worst } => {
            CheckError::Refused(Refusal::of_difference(reason, worst))
        }
    })
}

/// Seeded inputs and their answers, one list of tensors for each vector.
type Probes = (Vec<Vec<Tensor>>, Vec<Vec<Tensor>>);

/// The graph that will serve: signature, answers to probes and rows, memory.
async fn first_opinion(
    program: &Path,
    args: &CheckArgs,
    example: &Example,
    rows: Option<&Rows>,
    report: &mut Report,
) -> Result<Option<Probes>, CheckError> {
    let loading = Loading::like(example.clone());
    let mut worker = Worker::start_with(program, &args.model, loading, limits(args)).await?;
    report.describe(&worker);
    let inputs = probe::inputs(worker.signature(), example);
    let probes = match answers(&mut worker, &inputs).await {
        Ok(outputs) => Some((inputs, outputs)),
        Err(WorkerFault::RunFailed { reason, .. }) if probe::may_not_fit(worker.signature()) => {
            report.warn(format!("it does not answer seeded inputs: {reason}"));
            None
        }
        Err(fault) => return Err(fault.into()),
    };
    if let (Some(rows), Some(path)) = (rows, &args.rows) {
        let answered = rows::answer(&mut worker, rows).await;
        let outputs = answered.map_err(|source| CheckError::Rows {
            path: path.clone(),
            source,
        })?;
        report.row_outputs = Some(outputs);
    }
    report.measure(&worker);
    worker.stop().await;
    Ok(probes)
}

/// The graph as exported answers the same probes: these are the self-golden outputs.
async fn second_opinion(
    program: &Path,
    args: &CheckArgs,
    example: Example,
    (inputs, first): Probes,
    report: &mut Report,
) {
    let limits = limits(args);
    let loading = Loading {
        graph: Graph::Unoptimised,
        example,
    };
    let started = Worker::start_with(program, &args.model, loading, limits).await;
    let second = match started {
        Ok(mut worker) => {
            let outputs = answers(&mut worker, &inputs).await;
            worker.stop().await;
            outputs
        }
        Err(fault) => Err(fault),
    };
    match second {
        Ok(outputs) => {
            for (index, (expected, got)) in outputs.iter().zip(&first).enumerate() {
                if let Err(difference) = compare(expected, got, SELF_TOLERANCE) {
                    report.disagree(index, &difference);
                }
            }
            report.self_golden = inputs.into_iter().zip(outputs).collect();
        }
        Err(fault) => report.warn(format!("its unoptimised graph does not run: {fault}")),
    }
}

async fn answers(
    worker: &mut Worker,
    inputs: &[Vec<Tensor>],
) -> Result<Vec<Vec<Tensor>>, WorkerFault> {
    let mut outputs = Vec::with_capacity(inputs.len());
    for vector in inputs {
        outputs.push(worker.run(vector.clone()).await?.0);
    }
    Ok(outputs)
}

async fn trial(program: &Path, args: &CheckArgs, golden: &Golden) -> Result<String, CheckError> {
    let budget = TrialBudget {
        load_ms_max: limits(args).load_timeout_ms,
        latency_us_max: None,
        memory_bytes_max: limits(args).memory_bytes_max,
    };
    let outcome = run_trial(program, &args.model, golden, budget).await;
    match outcome.passed() {
        true => Ok(outcome.to_string()),
        false => Err(CheckError::Refused(Refusal::of_trial(&outcome))),
    }
}

fn limits(args: &CheckArgs) -> WorkerLimits {
    WorkerLimits {
        memory_bytes_max: args.memory_mib.saturating_mul(1 << 20),
        cpu_seconds_max: None,
        load_timeout_ms: args.timeout_s.saturating_mul(1_000),
        run_timeout_ms: args.timeout_s.saturating_mul(1_000),
        priority: Priority::Usual,
    }
}

fn read_golden(path: &Path) -> Result<Golden, CheckError> {
    let bytes = rows::read_bounded(path, GOLDEN_BYTES_MAX as u64);
    let bytes = bytes.map_err(|source| CheckError::Read {
        path: path.into(),
        source,
    })?;
    Golden::from_cbor(&bytes).map_err(|source| CheckError::Golden {
        path: path.into(),
        source,
    })
}

fn read_example(folder: &Path) -> Result<Example, CheckError> {
    let sets = test_data::read(folder);
    let sets = sets.map_err(|because| CheckError::TestData {
        path: folder.into(),
        because,
    })?;
    Ok(test_data::example(&sets))
}

fn read_rows(path: &Path) -> Result<Rows, CheckError> {
    let bytes = rows::read_bounded(path, rows::ROWS_BYTES_MAX);
    let bytes = bytes.map_err(|source| CheckError::Read {
        path: path.into(),
        source,
    })?;
    Rows::parse(&bytes).map_err(|source| CheckError::Rows {
        path: path.into(),
        source,
    })
}

impl From<WorkerFault> for CheckError {
    fn from(fault: WorkerFault) -> CheckError {
        match Refusal::of_fault(&fault) {
            Some(refusal) => CheckError::Refused(refusal),
            None => CheckError::NotMade(fault),
        }
    }
}

impl CheckError {
    fn exit_code(&self) -> u8 {
        match self {
            CheckError::Read { source, .. } => exit::of_file(source),
            CheckError::Refused(_)
            | CheckError::Golden { .. }
            | CheckError::TestData { .. }
            | CheckError::Rows { .. } => exit::BAD_INPUT,
            CheckError::NotMade(_) => exit::UNEXPECTED,
        }
    }

    fn hint(&self) -> &str {
        match self {
            CheckError::Refused(refusal) => refusal.hint,
            CheckError::Golden { .. } => "make golden vectors with `muster bundle build`",
            CheckError::TestData { .. } => {
                "give a folder with input_0.pb and output_0.pb, or with folders test_data_set_N"
            }
            CheckError::Rows { .. } => {
                "give a CSV file with a header and one number for each feature of the model"
            }
            CheckError::Read { .. } => "check the path and its permissions",
            CheckError::NotMade(_) => "is the agent's own binary in place and executable?",
        }
    }
}

#[cfg(test)]
mod tests;
