//! Why a model was refused or a run failed: stage, operator, reason.
//!
//! Never holds the runtime's own error types, so that it can cross a process boundary.

use crate::tensor::InputError;
use std::fmt;

/// How far a model came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
#[cbor(index_only)]
pub enum Stage {
    /// Reading the file.
    #[n(0)]
    Read,
    /// Decoding ONNX and building the graph.
    #[n(1)]
    Parse,
    /// Inferring datatypes and shapes.
    #[n(2)]
    Analyse,
    /// Rewriting for speed.
    #[n(3)]
    Optimise,
    /// Ordering the operators and reserving state.
    #[n(4)]
    Plan,
    /// Answering a request.
    #[n(5)]
    Run,
}

/// A refused model.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
#[cbor(map)]
pub struct LoadError {
    /// Where it was refused.
    #[n(0)]
    pub stage: Stage,
    /// The operator at fault, with its domain unless that is `ai.onnx`, if it is known.
    #[n(1)]
    pub operator: Option<String>,
    /// Why, one line.
    #[n(2)]
    pub reason: String,
}

/// A run without a result; the model can be asked again.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RunError {
    /// The inputs do not fit the signature.
    #[error(transparent)]
    Input(#[from] InputError),
    /// No plan could be made for the shape of these inputs.
    #[error("no plan for these input shapes: {0}")]
    Shape(#[from] LoadError),
    /// `run` without `prepare`.
    #[error("the inputs were not prepared")]
    Unprepared,
    /// An operator failed.
    #[error("{} failed: {reason}", operator.as_deref().unwrap_or("an operator"))]
    Operator {
        /// The operator at fault, if it is known.
        operator: Option<String>,
        /// Why, one line.
        reason: String,
    },
    /// An output that this side cannot carry.
    #[error("output {name:?}: {reason}")]
    Output {
        /// Name of the output.
        name: String,
        /// Why, one line.
        reason: String,
    },
}

/// Longest reason that is passed on.
const REASON_CHARS_MAX: usize = 400;

impl Stage {
    /// One word, as reports show it.
    pub fn as_str(self) -> &'static str {
        match self {
            Stage::Read => "read",
            Stage::Parse => "parse",
            Stage::Analyse => "analyse",
            Stage::Optimise => "optimise",
            Stage::Plan => "plan",
            Stage::Run => "run",
        }
    }
}

impl LoadError {
    /// A refusal that no single operator is to blame for.
    pub fn new(stage: Stage, reason: impl AsRef<str>) -> LoadError {
        LoadError {
            stage,
            operator: None,
            reason: one_line(reason.as_ref()),
        }
    }
}

impl RunError {
    /// The operator at fault, if it is known.
    pub fn operator(&self) -> Option<&str> {
        match self {
            RunError::Operator { operator, .. } => operator.as_deref(),
            RunError::Shape(error) => error.operator.as_deref(),
            RunError::Input(_) | RunError::Unprepared | RunError::Output { .. } => None,
        }
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.operator {
            Some(operator) => write!(f, "stage {}, {operator}: {}", self.stage, self.reason),
            None => write!(f, "stage {}: {}", self.stage, self.reason),
        }
    }
}

impl std::error::Error for LoadError {}

/// Foreign text as one bounded line.
pub(super) fn one_line(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    let line = words.join(" ");
    match line.char_indices().nth(REASON_CHARS_MAX) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}
