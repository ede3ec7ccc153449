//! What one row of a model is, from the metadata that its server gives.
//!
//! Never the data itself.

use crate::error::Failure;
use crate::tensor::{Datatype, Dim};
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;

/// Inputs and outputs of the model that serves.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Form {
    /// In the model's order.
    pub(super) inputs: Vec<Input>,
    /// Names, in the model's order.
    pub(super) outputs: Vec<String>,
}

/// One input, as one row fills it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Input {
    pub(super) name: String,
    pub(super) datatype: Datatype,
    pub(super) axis: Axis,
    /// Dimensions of one row.
    pub(super) row: Vec<Dim>,
    /// Names of a row's elements, if its bundle knows all of them.
    pub(super) columns: Vec<String>,
}

/// What the first dimension of an input is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Axis {
    /// Any number of rows.
    Rows,
    /// One row.
    One,
    /// It belongs to the row: the input has no axis of rows.
    Absent,
}

#[derive(Deserialize)]
struct Metadata {
    inputs: Vec<Tensor>,
    outputs: Vec<Tensor>,
    #[serde(default)]
    parameters: Parameters,
}

#[derive(Default, Deserialize)]
struct Parameters {
    #[serde(default)]
    columns: BTreeMap<String, Vec<String>>,
}

#[derive(Deserialize)]
struct Tensor {
    name: String,
    datatype: String,
    shape: Vec<i64>,
}

impl Form {
    /// Reads the metadata of a model.
    ///
    /// # Errors
    /// It is none.
    pub(super) fn read(metadata: &Value) -> Result<Form, Failure> {
        let strange = |because: String| Failure::Data {
            what: "the model's metadata".into(),
            because,
            hint: "this program and the agent that answers should be of the same version",
        };
        let metadata = Metadata::deserialize(metadata).map_err(|e| strange(e.to_string()))?;
        let mut columns = metadata.parameters.columns;
        let input = |tensor: Tensor| {
            let datatype = tensor.datatype.parse::<Datatype>();
            let datatype = datatype.map_err(|error| strange(error.to_string()))?;
            let named = columns.remove(&tensor.name).unwrap_or_default();
            Ok(Input::new(tensor.name, datatype, &tensor.shape, named))
        };
        let inputs = metadata.inputs.into_iter().map(input);
        let inputs = inputs.collect::<Result<Vec<_>, Failure>>()?;
        if inputs.is_empty() {
            return Err(strange("it has no inputs".into()));
        }
        let outputs = metadata.outputs.into_iter().map(|tensor| tensor.name);
        Ok(Form {
            inputs,
            outputs: outputs.collect(),
        })
    }

    /// Rows that one request can carry.
    pub(super) fn rows_max(&self) -> usize {
        match self.inputs.iter().all(|input| input.axis == Axis::Rows) {
            true => usize::MAX,
            false => 1,
        }
    }

    /// The only input.
    pub(super) fn single(&self) -> Option<&Input> {
        match self.inputs.as_slice() {
            [input] => Some(input),
            _ => None,
        }
    }
}

impl Input {
    fn new(name: String, datatype: Datatype, shape: &[i64], columns: Vec<String>) -> Input {
        let dim = |&size: &i64| usize::try_from(size).map_or(Dim::Any, Dim::Fixed);
        let dims: Vec<Dim> = shape.iter().map(dim).collect();
        let (axis, row) = match dims.split_first() {
            Some((Dim::Any, rest)) => (Axis::Rows, rest.to_vec()),
            Some((Dim::Fixed(1), rest)) => (Axis::One, rest.to_vec()),
            Some((Dim::Fixed(_), _)) | None => (Axis::Absent, dims),
        };
        let mut input = Input {
            name,
            datatype,
            axis,
            row,
            columns: Vec::new(),
        };
        if input.elements() == Some(columns.len()) {
            input.columns = columns;
        }
        input
    }

    /// Elements of one row, unless that differs from row to row.
    pub(super) fn elements(&self) -> Option<usize> {
        let mut sizes = self.row.iter().map(|dim| match dim {
            Dim::Fixed(size) => Some(*size),
            Dim::Any => None,
        });
        sizes.try_fold(1_usize, |all, size| all.checked_mul(size?))
    }

    /// The shape of a row that is given as nested lists, or flat.
    pub(super) fn fit(&self, nested: &[usize], elements: usize) -> Result<Vec<usize>, String> {
        let admits = |(dim, &size): (&Dim, &usize)| dim.admits(size);
        if nested.len() == self.row.len() && self.row.iter().zip(nested).all(admits) {
            return Ok(nested.to_vec());
        }
        let flat = (nested.len() <= 1).then(|| self.shape_of(elements));
        flat.flatten().ok_or_else(|| {
            let dims: Vec<String> = self.row.iter().map(Dim::to_string).collect();
            let expected = dims.join(", ");
            format!(
                "input {:?}: a row has shape [{expected}], this one {nested:?}",
                self.name
            )
        })
    }

    /// The shape of a row of so many elements, if there is only one.
    pub(super) fn shape_of(&self, elements: usize) -> Option<Vec<usize>> {
        let mut fixed = self.row.iter().map(|dim| dim.or_one());
        let fixed = fixed.try_fold(1_usize, |all, size| all.checked_mul(size))?;
        let open = self.row.iter().filter(|dim| **dim == Dim::Any).count();
        let rest = elements.checked_div(fixed)?;
        let fits = rest.checked_mul(fixed) == Some(elements) && rest > 0;
        match open {
            0 if elements == fixed => Some(self.row.iter().map(|dim| dim.or_one()).collect()),
            1 if fits => Some(self.row.iter().map(|dim| size_or(*dim, rest)).collect()),
            _ => None,
        }
    }

    /// The shape of the tensor that carries `rows` rows of one shape.
    pub(super) fn shape(&self, rows: usize, row: &[usize]) -> Vec<usize> {
        match self.axis {
            Axis::Rows | Axis::One => [&[rows], row].concat(),
            Axis::Absent => row.to_vec(),
        }
    }
}

fn size_or(dim: Dim, size: usize) -> usize {
    match dim {
        Dim::Fixed(fixed) => fixed,
        Dim::Any => size,
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A model with these inputs, for tests beside this one.
    pub(in super::super) fn form(inputs: &[(&str, &str, &[i64], &[&str])]) -> Form {
        let tensor = |(name, datatype, shape, _): &(&str, &str, &[i64], &[&str])| serde_json::json!({"name": name, "datatype": datatype, "shape": shape});
        let columns: BTreeMap<&str, &[&str]> = inputs
            .iter()
            .filter(|input| !input.3.is_empty())
            .map(|input| (input.0, input.3))
            .collect();
        let metadata = serde_json::json!({
            "inputs": inputs.iter().map(tensor).collect::<Vec<_>>(),
            "outputs": [{"name": "score", "datatype": "FP32", "shape": [-1, 1]}],
            "parameters": {"bundle": "sha256:0", "columns": columns},
        });
        Form::read(&metadata).expect("valid")
    }

    #[test]
    fn the_first_dimension_counts_rows_or_belongs_to_one() {
        fn check(shape: &[i64], axis: Axis, elements: Option<usize>, of_three: Option<&[usize]>) {
            let form = form(&[("x", "FP32", shape, &[])]);
            let input = &form.inputs[0];
            assert_eq!(
                (input.axis, input.elements()),
                (axis, elements),
                "{shape:?}"
            );
            assert_eq!(input.shape_of(3).as_deref(), of_three, "{shape:?}");
        }
        check(&[-1, 3], Axis::Rows, Some(3), Some(&[3]));
        check(&[1, 3], Axis::One, Some(3), Some(&[3]));
        check(&[-1], Axis::Rows, Some(1), None);
        check(&[-1, -1], Axis::Rows, None, Some(&[3]));
        check(&[-1, -1, -1], Axis::Rows, None, None);
        check(&[-1, 3, -1], Axis::Rows, None, Some(&[3, 1]));
        check(&[2, 2], Axis::Absent, Some(4), None);
        check(&[], Axis::Absent, Some(1), None);
    }

    #[test]
    fn a_row_fits_nested_or_flat() {
        fn check(shape: &[i64], nested: &[usize], expect: Option<&[usize]>) {
            let form = form(&[("x", "FP32", shape, &[])]);
            let elements = nested.iter().product();
            let got = form.inputs[0].fit(nested, elements).ok();
            assert_eq!(got.as_deref(), expect, "{nested:?} as a row of {shape:?}");
        }
        check(&[-1, 2, 3], &[2, 3], Some(&[2, 3]));
        check(&[-1, 2, 3], &[6], Some(&[2, 3]));
        check(&[-1, 2, 3], &[3, 2], None);
        check(&[-1, 2, -1], &[2, 5], Some(&[2, 5]));
        check(&[-1, 1], &[], Some(&[1]));
        check(&[-1], &[], Some(&[]));
        check(&[-1, -1], &[0], None);
    }

    #[test]
    fn names_count_only_when_there_is_one_for_each_element() {
        let named = form(&[("x", "FP32", &[-1, 2], &["a", "b"])]);
        assert_eq!(named.inputs[0].columns, ["a", "b"]);
        let short = form(&[("x", "FP32", &[-1, 3], &["a", "b"])]);
        assert!(short.inputs[0].columns.is_empty());
        assert!(Form::read(&serde_json::json!({"inputs": []})).is_err());
    }
}
