//! Predictions over the Open Inference Protocol (KServe v2), one row at a time.
//! Never retries: a prediction that failed is what the demo looks for.

use std::{collections::BTreeMap, path::Path};

use anyhow::{Context as _, ensure};
use serde::Deserialize;
use serde_json::json;

use super::{compare::Comparison, http::Http, npz::Array};
use std::os::unix::net::UnixStream;

/// A model that serves, and how to ask it.
#[derive(Debug, Clone)]
pub(super) struct Form {
    /// Its id.
    pub(super) model: String,
    /// Name of its only input.
    pub(super) input: String,
    /// Numbers of one row.
    pub(super) width: usize,
    /// Name of the output that alarms listen to.
    pub(super) score: String,
}

/// What the model said about one row.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Answer {
    /// The version that answered.
    pub(super) version: String,
    /// Outputs by name.
    pub(super) outputs: BTreeMap<String, Vec<f64>>,
}

/// A connection over which one model is asked.
pub(super) struct Inference {
    http: Http<UnixStream>,
    form: Form,
    path: String,
}

#[derive(Deserialize)]
struct Metadata {
    inputs: Vec<TensorMetadata>,
    outputs: Vec<TensorMetadata>,
}

#[derive(Deserialize)]
struct TensorMetadata {
    name: String,
    datatype: String,
    shape: Vec<i64>,
}

#[derive(Deserialize)]
struct Reply {
    model_version: String,
    outputs: Vec<Output>,
}

#[derive(Deserialize)]
struct Output {
    name: String,
    data: Vec<Option<f64>>,
}

impl Form {
    /// Asks a device what the model takes.
    ///
    /// # Errors
    /// It does not serve the model, or the model takes more than rows of FP32.
    pub(super) fn ask(socket: &Path, model: &str) -> anyhow::Result<Self> {
        let metadata = Http::connect(socket)?.get(&format!("/v2/models/{model}"))?;
        Self::of(model, serde_json::from_value(metadata)?)
    }

    fn of(model: &str, metadata: Metadata) -> anyhow::Result<Self> {
        let only = |because: &str| {
            format!(
                "failed to replay rows: because the model takes {because}: hint: the demo \
                 replays models of one FP32 input [batch, features]"
            )
        };
        ensure!(metadata.inputs.len() == 1, only("several inputs"));
        let input = &metadata.inputs[0];
        ensure!(input.datatype == "FP32", only(&input.datatype));
        ensure!(input.shape.len() == 2, only(&format!("{:?}", input.shape)));
        let width = usize::try_from(input.shape[1]).with_context(|| only("rows of any width"))?;
        let named = metadata
            .outputs
            .iter()
            .find(|output| output.name == "score");
        let score = named.or(metadata.outputs.first());
        Ok(Self {
            model: model.to_owned(),
            input: input.name.clone(),
            width,
            score: score.context("the model has no outputs")?.name.clone(),
        })
    }
}

impl Inference {
    /// Connects to a device.
    ///
    /// # Errors
    /// Nobody listens.
    pub(super) fn connect(socket: &Path, form: &Form) -> anyhow::Result<Self> {
        Ok(Self {
            http: Http::connect(socket)?,
            form: form.clone(),
            path: format!("/v2/models/{}/infer", form.model),
        })
    }

    /// Asks about one row.
    ///
    /// # Errors
    /// No answer, or another than 200.
    pub(super) fn predict(&mut self, row: &[f32]) -> anyhow::Result<Answer> {
        self.ask(1, row)
    }

    /// Asks about many rows in one request.
    ///
    /// # Errors
    /// No answer, or another than 200.
    pub(super) fn predict_rows(&mut self, rows: &[Vec<f32>]) -> anyhow::Result<Answer> {
        self.ask(rows.len(), &rows.concat())
    }

    fn ask(&mut self, rows: usize, data: &[f32]) -> anyhow::Result<Answer> {
        let width = data.len() / rows.max(1);
        let body = json!({ "inputs": [{
            "name": self.form.input, "datatype": "FP32", "shape": [rows, width], "data": data,
        }] });
        let reply: Reply = serde_json::from_value(self.http.post(&self.path, &body)?)?;
        let numbers = |data: Vec<Option<f64>>| {
            let numbers = data.into_iter().map(|number| number.unwrap_or(f64::NAN));
            numbers.collect()
        };
        let outputs = reply.outputs.into_iter();
        Ok(Answer {
            version: reply.model_version,
            outputs: outputs
                .map(|output| (output.name, numbers(output.data)))
                .collect(),
        })
    }

    /// Asks what another runtime was asked, and compares; with the number of rows.
    ///
    /// # Errors
    /// The arrays lack the input.
    pub(super) fn compare(
        &mut self,
        arrays: &BTreeMap<String, Array>,
    ) -> anyhow::Result<(usize, Comparison)> {
        let inputs = arrays.get(&self.form.input);
        let inputs = inputs
            .with_context(|| format!("the golden vectors have no array {:?}", self.form.input))?;
        let mut comparison = Comparison::default();
        for (row, input) in inputs.iter().enumerate() {
            let input: Vec<f32> = input.iter().map(|&value| value as f32).collect();
            match self.predict(&input) {
                Ok(answer) => answer.compare(row, arrays, &mut comparison),
                Err(error) => comparison.miss(format!("row {row}: {error:#}")),
            }
        }
        Ok((inputs.len(), comparison))
    }
}

impl Answer {
    /// Compares every output of the arrays with their `row`.
    pub(super) fn compare(
        &self,
        row: usize,
        arrays: &BTreeMap<String, Array>,
        comparison: &mut Comparison,
    ) {
        for (name, got) in &self.outputs {
            let Some(array) = arrays.get(name) else {
                continue;
            };
            let what = format!("row {row} of {name}");
            match array.get(row) {
                Some(expect) => comparison.row(&what, got, expect),
                None => comparison.miss(format!("{what}: nothing to compare with")),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(inputs: &str, expect: Result<(&str, usize), &str>) {
        let outputs = r#"[{"name": "x", "datatype": "FP32", "shape": [-1]},
            {"name": "score", "datatype": "FP32", "shape": [-1, 1]}]"#;
        let text = format!(r#"{{"inputs": {inputs}, "outputs": {outputs}}}"#);
        let metadata = serde_json::from_str(&text).expect("valid");
        match (Form::of("m", metadata), expect) {
            (Ok(form), Ok((input, width))) => {
                assert_eq!((form.input.as_str(), form.width), (input, width));
                assert_eq!(form.score, "score");
            }
            (Err(error), Err(part)) => assert!(error.to_string().contains(part), "{error}"),
            (got, expect) => panic!("{inputs}: {got:?} instead of {expect:?}"),
        }
    }

    #[test]
    fn only_rows_of_floats_are_replayed() {
        let input = |kind: &str, shape: &str| {
            format!(r#"{{"name": "a", "datatype": "{kind}", "shape": {shape}}}"#)
        };
        let rows = input("FP32", "[-1, 4]");
        check(&format!("[{rows}]"), Ok(("a", 4)));
        check(&format!("[{rows}, {rows}]"), Err("several inputs"));
        check(&format!("[{}]", input("INT64", "[-1, 4]")), Err("INT64"));
        check(
            &format!("[{}]", input("FP32", "[-1, 2, 4]")),
            Err("[-1, 2, 4]"),
        );
        check(
            &format!("[{}]", input("FP32", "[-1, -1]")),
            Err("any width"),
        );
    }

    #[test]
    fn a_missing_row_is_a_difference() {
        let answer = Answer {
            version: "1.0.0".into(),
            outputs: BTreeMap::from([("score".into(), vec![1.0]), ("other".into(), vec![9.0])]),
        };
        let arrays = BTreeMap::from([("score".to_owned(), vec![vec![1.0]])]);
        let mut comparison = Comparison::default();
        answer.compare(0, &arrays, &mut comparison);
        assert!(comparison.is_equal() && comparison.numbers == 1);
        answer.compare(1, &arrays, &mut comparison);
        assert!(!comparison.is_equal());
    }
}
