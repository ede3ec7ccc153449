//! The agent's program, which alone runs models: `muster-agent check`, and its report.
//!
//! Never judges a model by itself: what the agent refuses is passed on as it said it.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use muster_protocol::bundle::card::CardTensor;
use serde::Deserialize;
use serde_json::Value;

use super::golden::Vector;
use super::tensor::{Datatype, Tensor};
use crate::error::{Exit, OperatorError};

const PROGRAM: &str = "muster-agent";

/// The program.
pub(super) struct Agent {
    program: PathBuf,
}

/// What a check found.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Checked {
    pub(super) signature: Signature,
    pub(super) operators: Vec<String>,
    pub(super) planned_peak_bytes: u64,
    #[serde(default)]
    self_golden: Vec<VectorJson>,
    #[serde(default)]
    pub(super) row_outputs: Option<Vec<RowOutputs>>,
    #[serde(default)]
    pub(super) warnings: Vec<String>,
}

/// What a model takes and gives.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Signature {
    pub(super) inputs: Vec<CardTensor>,
    pub(super) outputs: Vec<CardTensor>,
}

/// Answer to one row: the numbers of each output; NaN and infinities are `None`.
pub(super) type RowOutputs = BTreeMap<String, Vec<Option<f64>>>;

#[derive(Debug, Clone, Deserialize)]
struct VectorJson {
    inputs: Vec<TensorJson>,
    outputs: Vec<TensorJson>,
}

#[derive(Debug, Clone, Deserialize)]
struct TensorJson {
    name: String,
    datatype: String,
    shape: Vec<u64>,
    data: Vec<Value>,
}

#[derive(Debug, Deserialize)]
struct RefusedJson {
    error: Refusal,
}

#[derive(Debug, Deserialize)]
struct Refusal {
    stage: String,
    operator: Option<String>,
    reason: String,
}

impl Agent {
    /// The program that was named, or the one beside this program.
    pub(super) fn find(named: Option<&Path>) -> Result<Self, OperatorError> {
        let beside = std::env::current_exe()
            .ok()
            .map(|own| own.with_file_name(PROGRAM));
        let program = named
            .map(Path::to_owned)
            .or(beside)
            .unwrap_or_else(|| PROGRAM.into());
        if program.is_file() {
            return Ok(Self { program });
        }
        Err(OperatorError::new(
            Exit::Missing,
            format!("start {}", program.display()),
            "there is no such program",
            "put muster-agent beside muster, or name it with --agent PATH",
        ))
    }

    /// Checks a model for requests like those of the test data in `example`, and answers `rows`
    /// with it.
    pub(super) fn check(
        &self,
        model: &Path,
        rows: Option<&Path>,
        example: Option<&Path>,
    ) -> Result<Checked, OperatorError> {
        let mut arguments = vec![model.as_os_str()];
        if let Some(example) = example {
            arguments.extend(["--example".as_ref(), example.as_os_str()]);
        }
        if let Some(rows) = rows {
            arguments.extend(["--rows".as_ref(), rows.as_os_str()]);
        }
        let output = self.run(&arguments, model, rows)?;
        serde_json::from_slice(&output.stdout).map_err(|error| {
            OperatorError::new(
                Exit::Bug,
                format!("read the report of {}", self.program.display()),
                error,
                "muster and muster-agent must be of the same version",
            )
        })
    }

    /// Lets a model answer golden vectors.
    pub(super) fn trial(&self, model: &Path, golden: &Path) -> Result<(), OperatorError> {
        let arguments = [model.as_os_str(), "--golden".as_ref(), golden.as_os_str()];
        self.run(&arguments, model, Some(golden)).map(drop)
    }

    fn run(
        &self,
        arguments: &[&OsStr],
        model: &Path,
        scratch: Option<&Path>,
    ) -> Result<Output, OperatorError> {
        let mut command = Command::new(&self.program);
        command
            .arg("check")
            .args(arguments)
            .args(["--output", "json"]);
        let output = command
            .output()
            .map_err(|error| OperatorError::file("start", &self.program, &error))?;
        match output.status.success() {
            true => Ok(output),
            false => Err(refused(model, scratch, &output)),
        }
    }
}

/// What the agent said, without the name of a file that only we know.
fn refused(model: &Path, scratch: Option<&Path>, output: &Output) -> OperatorError {
    let what = format!("build a bundle from {}", model.display());
    if let Ok(RefusedJson { error }) = serde_json::from_slice(&output.stdout) {
        let hint = hint(&error.stage);
        return OperatorError::new(Exit::BadInput, what, error, hint);
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let last = said.lines().rev().find(|line| !line.trim().is_empty());
    let last = last.unwrap_or("it said nothing");
    let because = last
        .split_once(": because ")
        .map_or(last, |(_, because)| because);
    let (because, hint) = because
        .rsplit_once(": hint: ")
        .unwrap_or((because, "run `muster-agent check MODEL` to see more"));
    let scratch = scratch
        .map(|path| format!("{}: ", path.display()))
        .unwrap_or_default();
    let because = because.strip_prefix(&scratch).unwrap_or(because);
    let exit = if matches!(output.status.code(), Some(2 | 3)) {
        Exit::BadInput
    } else {
        Exit::Resource
    };
    OperatorError::new(exit, what, because, hint)
}

fn hint(stage: &str) -> &'static str {
    match stage {
        "read" => "give a readable ONNX file that needs no second file beside it",
        "parse" => "give a whole ONNX file that holds its weights and known operators only",
        "trial" => "compare with the runtime that made the golden vectors; --no-trial skips this",
        "run" => "the model must run on inputs of its own signature",
        _ => "export the model with operators and shapes that the runtime takes",
    }
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.operator {
            Some(operator) => {
                write!(
                    f,
                    "the runtime refuses operator {operator} at stage {}",
                    self.stage
                )?;
            }
            None => write!(f, "the runtime refuses it at stage {}", self.stage)?,
        }
        write!(f, ": {}", self.reason)
    }
}

impl Checked {
    /// The agent's own answers to its own questions, as golden vectors; none if it gave none.
    pub(super) fn self_golden(&self) -> Option<Vec<Vector>> {
        let side = |tensors: &[TensorJson]| tensors.iter().map(TensorJson::tensor).collect();
        let vector = |json: &VectorJson| {
            let (inputs, outputs): (Option<_>, Option<_>) =
                (side(&json.inputs), side(&json.outputs));
            Some(Vector {
                inputs: inputs?,
                outputs: outputs?,
            })
        };
        let vectors: Option<Vec<Vector>> = self.self_golden.iter().map(vector).collect();
        vectors.filter(|vectors| !vectors.is_empty())
    }
}

impl TensorJson {
    fn tensor(&self) -> Option<Tensor> {
        let datatype = Datatype::named(&self.datatype)?;
        let mut data = Vec::new();
        for number in &self.data {
            push(datatype, number, &mut data)?;
        }
        Tensor::new(&self.name, datatype, self.shape.clone(), data).ok()
    }
}

fn push(datatype: Datatype, number: &Value, data: &mut Vec<u8>) -> Option<()> {
    match datatype {
        Datatype::F64 => data.extend(float(number)?.to_le_bytes()),
        Datatype::F32 => data.extend((float(number)? as f32).to_le_bytes()),
        Datatype::F16 => data.extend(half(float(number)?).to_le_bytes()),
        Datatype::Bool
        | Datatype::U8
        | Datatype::I8
        | Datatype::U16
        | Datatype::I16
        | Datatype::U32
        | Datatype::I32
        | Datatype::U64
        | Datatype::I64 => {
            let bits = number
                .as_u64()
                .or(number.as_i64().map(i64::cast_unsigned))?;
            data.extend(&bits.to_le_bytes()[..datatype.size()]);
        }
    }
    Some(())
}

fn float(number: &Value) -> Option<f64> {
    if number.is_null() {
        Some(f64::NAN)
    } else {
        number.as_f64()
    }
}

/// The half-precision bits of a number that is one.
fn half(value: f64) -> u16 {
    let (bits, size) = (value.to_bits(), value.abs());
    let sign = (bits >> 48) as u16 & 0x8000;
    let magnitude = match size {
        _ if size.is_nan() => 0x7e00,
        _ if size > 65_504.0 => 0x7c00,
        _ if size < 1.0 / 16_384.0 => (size * 16_777_216.0) as u16,
        _ => (((bits >> 52 & 0x7ff) as u16 - 1008) << 10) | (bits >> 42) as u16 & 0x3ff,
    };
    sign | magnitude
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;

    #[test]
    fn a_report_is_read() {
        let checked = sample::checked();
        assert_eq!(checked.operators, ["Gemm", "Relu"]);
        let vectors = checked.self_golden().expect("vectors");
        assert_eq!(vectors, sample::golden().vectors);
    }

    #[test]
    fn halves_have_their_bits() {
        for (value, bits) in [
            (0.0, 0x0000),
            (-0.5, 0xb800),
            (1.0, 0x3c00),
            (65_504.0, 0x7bff),
            (f64::NEG_INFINITY, 0xfc00),
            (5.960_464_477_539_063e-8, 0x0001),
            (6.103_515_625e-5, 0x0400),
        ] {
            assert_eq!(half(value), bits, "{value}");
        }
    }

    fn check(stdout: &str, stderr: &str, code: i32, expect: &str) {
        use std::os::unix::process::ExitStatusExt as _;
        let status = std::process::ExitStatus::from_raw(code << 8);
        let output = Output {
            status,
            stdout: stdout.into(),
            stderr: stderr.into(),
        };
        let error = refused(Path::new("m.onnx"), Some(Path::new("/s/rows.csv")), &output);
        assert!(error.to_string().contains(expect), "{error}");
    }

    #[test]
    fn a_refusal_is_passed_on() {
        let json = r#"{"error":{"stage":"analyse","operator":"Scaler","reason":"no such op"}}"#;
        check(
            json,
            "",
            3,
            "refuses operator Scaler at stage analyse: no such op",
        );
        let other = "failed to check m.onnx: because the disk is full: hint: free some";
        check("", other, 1, "because the disk is full: hint: free some");
        let rows = "failed to check m: because /s/rows.csv: 640 features: hint: give a CSV file";
        check(
            "",
            rows,
            2,
            "m.onnx: because 640 features: hint: give a CSV file",
        );
        check("", "", 1, "it said nothing");
    }
}
