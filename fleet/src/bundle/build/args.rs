//! Arguments of `muster bundle build`, and what clap alone cannot check of them.
//!
//! Never opens a file.

use std::path::PathBuf;

use muster_protocol::bundle::card::GoldenSource;
use muster_protocol::id::{ModelId, TargetClass, Version};

use crate::error::{Exit, OperatorError};

/// Arguments of `muster bundle build`.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct BuildArgs {
    /// ONNX file.
    pub(super) model: PathBuf,
    /// Id of the model.
    #[arg(long = "model", value_name = "ID")]
    pub(super) id: ModelId,
    /// Version of the model, MAJOR.MINOR.PATCH.
    #[arg(long)]
    pub(super) version: Version,
    /// CSV file with a header: what the model's inputs looked like when it was made.
    #[arg(long, value_name = "CSV")]
    pub(super) reference: Option<PathBuf>,
    /// Columns of the reference in the order of the model's input; all columns without it.
    #[arg(long, value_delimiter = ',', value_name = "NAMES")]
    pub(super) columns: Option<Vec<String>>,
    /// Output that holds probabilities of classes: a row of them, or one of the positive class. Of
    /// two classes, K (0 or 1; 1 without it) is the positive one.
    #[arg(long, value_name = "OUTPUT[:positive=K]", requires = "reference")]
    pub(super) probabilities: Option<ProbabilitiesArg>,
    /// Column of the reference that holds the right classes, from 0: then its quality is measured.
    #[arg(long, value_name = "COLUMN", requires = "probabilities")]
    pub(super) label: Option<String>,
    /// Rows of the blocks that the reference is cut into, to know how much it varies by itself: what
    /// a window of a device holds is best. By itself a twentieth of all rows, 20 to 300.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(20..=12_500))]
    pub(super) block_rows: Option<u32>,
    /// Features whose values are categories, at most 17 each: one bin for each value that the
    /// reference has.
    #[arg(long, value_delimiter = ',', value_name = "NAMES")]
    pub(super) categorical: Vec<String>,
    /// Golden vectors: npz files or folders of ONNX test data.
    #[arg(long, value_name = "PATH")]
    pub(super) golden: Vec<PathBuf>,
    /// Which runtime made the golden vectors.
    #[arg(long, value_enum, default_value = "onnxruntime")]
    pub(super) golden_source: SourceArg,
    /// Relative tolerance of golden outputs.
    #[arg(long, default_value_t = 1e-3)]
    pub(super) rtol: f64,
    /// Absolute tolerance of golden outputs.
    #[arg(long, default_value_t = 1e-4)]
    pub(super) atol: f64,
    /// What kind of machine it is for.
    #[arg(long, default_value = "any")]
    pub(super) class: TargetClass,
    /// Slowest answer that passes a trial, milliseconds.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) latency_ms_max: Option<u32>,
    /// Peak memory to plan for, MiB; measured without it.
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..1 << 24))]
    pub(super) planned_peak_mib: Option<u64>,
    /// TOML file with intended_use, limits, licence, training_commit, training_data and a table of
    /// metrics, for the card.
    #[arg(long, value_name = "FILE")]
    pub(super) about: Option<PathBuf>,
    /// Size of the pieces that layers travel in, KiB.
    #[arg(long, default_value_t = 32, value_parser = clap::value_parser!(u32).range(4..=96))]
    pub(super) piece_kib: u32,
    /// Folder to make.
    #[arg(long, value_name = "DIR")]
    pub(super) out: PathBuf,
    /// The agent's program; without it, the one beside this program.
    #[arg(long, value_name = "PATH")]
    pub(super) agent: Option<PathBuf>,
    /// Do not let the model answer its golden vectors.
    #[arg(long)]
    pub(super) no_trial: bool,
}

/// Which output holds probabilities.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ProbabilitiesArg {
    pub(in crate::bundle) output: String,
    /// The positive one of two classes, if one is named.
    pub(in crate::bundle) positive: Option<u8>,
}

impl std::str::FromStr for ProbabilitiesArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        // Names of tensors have colons, too.
        let (output, positive) = match text.rsplit_once(":positive=") {
            Some((output, class)) => (output, Some(class)),
            None => (text, None),
        };
        let number = |class: &str| {
            let class = class.parse().ok().filter(|class| *class <= 1);
            class.ok_or_else(|| "positive= names one of two classes: 0 or 1".to_owned())
        };
        if output.is_empty() {
            return Err("name an output of the model, as OUTPUT or OUTPUT:positive=1".to_owned());
        }
        Ok(Self {
            output: output.to_owned(),
            positive: positive.map(number).transpose()?,
        })
    }
}

/// Which runtime made golden vectors that were given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum SourceArg {
    /// ONNX Runtime.
    Onnxruntime,
    /// Another one.
    Other,
}

impl From<SourceArg> for GoldenSource {
    fn from(source: SourceArg) -> Self {
        match source {
            SourceArg::Onnxruntime => Self::Onnxruntime,
            SourceArg::Other => Self::Other,
        }
    }
}

impl BuildArgs {
    /// Tolerances are numbers from 0.
    pub(super) fn check(&self) -> Result<(), OperatorError> {
        let tolerable = |tolerance: &f64| tolerance.is_finite() && *tolerance >= 0.0;
        match [self.rtol, self.atol]
            .iter()
            .find(|tolerance| !tolerable(tolerance))
        {
            None => Ok(()),
            Some(tolerance) => Err(OperatorError::new(
                Exit::Usage,
                "build a bundle",
                format_args!("the tolerance {tolerance} is not a number from 0"),
                "leave --rtol and --atol away, or give small numbers such as 1e-3",
            )),
        }
    }

    /// Arguments for tests.
    #[cfg(test)]
    pub(super) fn sample() -> Self {
        Self {
            model: "bearing.onnx".into(),
            id: ModelId::parse("bearing").expect("valid"),
            version: Version::parse("1.2.0").expect("valid"),
            reference: None,
            columns: None,
            probabilities: None,
            label: None,
            block_rows: None,
            categorical: Vec::new(),
            golden: Vec::new(),
            golden_source: SourceArg::Other,
            rtol: 1e-3,
            atol: 1e-4,
            class: TargetClass::parse("any").expect("valid"),
            latency_ms_max: Some(20),
            planned_peak_mib: None,
            about: None,
            piece_kib: 4,
            out: "out".into(),
            agent: None,
            no_trial: true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_output_and_its_positive_class_are_read() {
        let check = |text: &str, expect: Option<(&str, Option<u8>)>| {
            let read: Result<ProbabilitiesArg, _> = text.parse();
            let read = read.as_ref().ok();
            let read = read.map(|read| (read.output.as_str(), read.positive));
            assert_eq!(read, expect, "{text}");
        };
        check("probs", Some(("probs", None)));
        check("probs:positive=0", Some(("probs", Some(0))));
        check("probs:0", Some(("probs:0", None)));
        check("probs:0:positive=1", Some(("probs:0", Some(1))));
        check("probs:positive=2", None);
        check("probs:positive=", None);
        check(":positive=1", None);
        check("", None);
    }
}
