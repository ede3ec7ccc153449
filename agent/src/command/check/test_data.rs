//! ONNX test data as questions: `input_K.pb` and `output_K.pb`, one tensor each.
//!
//! A folder that holds `test_data_set_N` folders is read as those, in their order. Sets are
//! independent: what a stateful model carries on is among its inputs and outputs. Never invents a
//! value, never answers for the model.

use super::rows::read_bounded;
use crate::infer::{Example, test_data};
use crate::tensor::{TENSOR_BYTES_MAX, TENSORS_MAX, Tensor, TensorSpec};
use crate::trial::{Difference, Tolerance, compare, worst_difference};
use crate::worker::{Worker, WorkerFault};
use std::path::{Path, PathBuf};

/// Most sets of one folder.
const SETS_MAX: usize = 256;
/// Names and lengths beside the elements of a tensor.
const FRAME_BYTES: u64 = 64 * 1024;

/// Inputs and outputs of one set, in the order of their files.
#[derive(Debug)]
pub(super) struct TestDataSet {
    inputs: Vec<Tensor>,
    outputs: Vec<Tensor>,
}

/// What came of sets that were all answered as expected.
#[derive(Debug, PartialEq)]
pub(super) struct Answered {
    pub(super) sets: usize,
    /// The largest difference of all elements, within the tolerance.
    pub(super) worst: f64,
}

/// Why a model does not answer its test data.
#[derive(Debug)]
pub(super) enum Unanswered {
    Fault(WorkerFault),
    /// Another answer: what differs, and by how much if that is a number.
    Wrong {
        reason: String,
        worst: Option<f64>,
    },
}

/// The sets below `folder`, or `folder` itself as one; what is wrong otherwise.
pub(super) fn read(folder: &Path) -> Result<Vec<TestDataSet>, String> {
    let set = |index| folder.join(format!("test_data_set_{index}"));
    let sets = (0..SETS_MAX).map(set).take_while(|path| path.is_dir());
    let sets: Vec<PathBuf> = sets.collect();
    match sets.is_empty() {
        true => Ok(vec![read_set(folder)?]),
        false => sets.iter().map(|path| read_set(path)).collect(),
    }
}

fn read_set(folder: &Path) -> Result<TestDataSet, String> {
    let set = TestDataSet {
        inputs: side(folder, "input")?,
        outputs: side(folder, "output")?,
    };
    match set.outputs.is_empty() {
        true => Err("it holds no output_0.pb".into()),
        false => Ok(set),
    }
}

fn side(folder: &Path, side: &str) -> Result<Vec<Tensor>, String> {
    let file = |index| folder.join(format!("{side}_{index}.pb"));
    let files = (0..TENSORS_MAX).map(file).take_while(|path| path.is_file());
    files.map(|path| read_tensor(&path)).collect()
}

fn read_tensor(path: &Path) -> Result<Tensor, String> {
    let said = |because: String| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        format!("{name}: {because}")
    };
    let bytes = read_bounded(path, TENSOR_BYTES_MAX as u64 + FRAME_BYTES);
    let bytes = bytes.map_err(|error| said(error.to_string()))?;
    test_data::tensor(bytes.as_slice()).map_err(said)
}

/// What requests of these sets look like.
pub(super) fn example(sets: &[TestDataSet]) -> Example {
    let first = sets.first();
    first.map_or_else(Example::default, |set| Example::of(&set.inputs))
}

/// Asks every set; the first one that is not answered as expected ends it.
pub(super) async fn answer(
    worker: &mut Worker,
    sets: Vec<TestDataSet>,
    tolerance: Tolerance,
) -> Result<Answered, Unanswered> {
    let mut answered = Answered {
        sets: sets.len(),
        worst: 0.0,
    };
    for (index, set) in sets.into_iter().enumerate() {
        let inputs = named(set.inputs, &worker.signature().inputs);
        let expected = named(set.outputs, &worker.signature().outputs);
        let (outputs, _) = worker.run(inputs).await.map_err(Unanswered::Fault)?;
        let worst = worst_difference(&expected, &outputs);
        if let Err(difference) = compare(&expected, &outputs, tolerance) {
            let reason = format!("test data set {index}: {}", sentence(&difference));
            return Err(Unanswered::Wrong { reason, worst });
        }
        answered.worst = answered.worst.max(worst.unwrap_or(0.0));
    }
    Ok(answered)
}

/// Gives every tensor the model's name: its own if the model has it, otherwise by its place.
fn named(tensors: Vec<Tensor>, specs: &[TensorSpec]) -> Vec<Tensor> {
    let named = |(place, tensor): (usize, Tensor)| {
        let known = specs.iter().any(|spec| spec.name == tensor.name());
        match specs.get(place) {
            Some(spec) if !known => {
                // The model's own names have the right length.
                let placed = tensor.clone().renamed(&spec.name);
                placed.unwrap_or(tensor)
            }
            Some(_) | None => tensor,
        }
    };
    tensors.into_iter().enumerate().map(named).collect()
}

fn sentence(difference: &Difference) -> String {
    match difference {
        Difference::Form(form) => form.clone(),
        Difference::Value {
            output,
            element,
            expected,
            got,
        } => format!("element {element} of output {output:?} is {got}, expected is {expected}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensor::{Datatype, Dim};

    #[test]
    fn a_folder_without_answers_is_said_so() {
        let folder = tempfile::tempdir().expect("a folder");
        let error = read(folder.path()).expect_err("empty");
        assert_eq!(error, "it holds no output_0.pb");
        std::fs::write(folder.path().join("output_0.pb"), [0x10, 8]).expect("written");
        let error = read(folder.path()).expect_err("text");
        let expect = "output_0.pb: its element type STRING is not supported";
        assert_eq!(error, expect);
    }

    #[test]
    fn tensors_are_known_by_name_or_by_place() {
        let spec = |name: &str| TensorSpec {
            name: name.into(),
            datatype: Datatype::F32,
            shape: vec![Dim::Any],
        };
        let tensor = |name: &str| Tensor::from_f32(name, vec![1], &[0.0]).expect("valid");
        let check = |names: [&str; 2], expect: [&str; 2]| {
            let tensors = names.map(tensor).to_vec();
            let got = named(tensors, &[spec("a"), spec("b")]);
            assert_eq!([got[0].name(), got[1].name()], expect);
        };
        check(["a", "b"], ["a", "b"]);
        check(["b", "a"], ["b", "a"]);
        check(["", ""], ["a", "b"]);
        check(["x", "b"], ["a", "b"]);
    }
}
