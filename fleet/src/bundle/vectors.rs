//! Golden vectors from files: matched to the model's inputs and outputs, cut into single rows.
//!
//! A batch becomes one vector for each row where the model takes any batch, because a trial
//! measures the latency of one request. Never invents or reorders a number.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use muster_protocol::bundle::card::CardTensor;
use muster_protocol::limits::{GOLDEN_BYTES_MAX, GOLDEN_VECTORS_MAX};

use super::agent::Signature;
use super::golden::Vector;
use super::tensor::Tensor;
use super::test_data_set::{self, TestDataSet};

/// Why files give no golden vectors.
#[derive(Debug, thiserror::Error)]
pub(crate) enum VectorsError {
    #[error("{}: {source}", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("{} has more than 128 MiB", .0.display())]
    TooLarge(PathBuf),
    #[error("{}: {because}", path.display())]
    File { path: PathBuf, because: String },
    #[error("{} has no array {name:?}, which the model takes; it has {found}", path.display())]
    NoInput {
        path: PathBuf,
        name: String,
        found: String,
    },
    #[error("{} has none of the model's outputs {expected}; it has {found}", path.display())]
    NoOutput {
        path: PathBuf,
        expected: String,
        found: String,
    },
    #[error("{}: {name:?} is {got}, the model has {expected}", path.display())]
    Form {
        path: PathBuf,
        name: String,
        got: String,
        expected: String,
    },
    #[error("there are more than {GOLDEN_VECTORS_MAX} golden vectors")]
    TooMany,
}

/// The vectors of all files and folders in order.
pub(super) fn read(paths: &[PathBuf], model: &Signature) -> Result<Vec<Vector>, VectorsError> {
    let mut vectors = Vec::new();
    for path in paths {
        let sets = match is_folder(path)? {
            true => test_data_set::read(path)?,
            false => vec![from_npz(path, model)?],
        };
        for set in sets {
            vectors.extend(rows(matched(path, set, model)?, model));
        }
    }
    if vectors.len() > GOLDEN_VECTORS_MAX {
        Err(VectorsError::TooMany)
    } else {
        Ok(vectors)
    }
}

/// The first folder of test data: what requests look like.
pub(super) fn example(paths: &[PathBuf]) -> Option<&Path> {
    let mut folders = paths.iter().filter(|path| path.is_dir());
    folders.next().map(PathBuf::as_path)
}

/// A whole file of at most [`GOLDEN_BYTES_MAX`] bytes.
pub(super) fn read_bounded(path: &Path) -> Result<Vec<u8>, VectorsError> {
    let failed = |source| VectorsError::Read {
        path: path.into(),
        source,
    };
    let file = File::open(path).map_err(failed)?;
    let mut bytes = Vec::new();
    file.take(GOLDEN_BYTES_MAX as u64 + 1)
        .read_to_end(&mut bytes)
        .map_err(failed)?;
    if bytes.len() > GOLDEN_BYTES_MAX {
        Err(VectorsError::TooLarge(path.into()))
    } else {
        Ok(bytes)
    }
}

fn is_folder(path: &Path) -> Result<bool, VectorsError> {
    let failed = |source| VectorsError::Read {
        path: path.into(),
        source,
    };
    test_data_set::is_folder(path).map_err(failed)
}

/// Arrays are told apart by name; those that the model does not have are passed over.
fn from_npz(path: &Path, model: &Signature) -> Result<TestDataSet, VectorsError> {
    let file = |because| VectorsError::File {
        path: path.into(),
        because,
    };
    let arrays = super::npz::read(&read_bounded(path)?).map_err(file)?;
    let side = |specs: &[CardTensor]| {
        let known = specs
            .iter()
            .filter_map(|spec| arrays.iter().find(|a| a.name == spec.name));
        known.cloned().collect::<Vec<Tensor>>()
    };
    let set = TestDataSet {
        inputs: side(&model.inputs),
        outputs: side(&model.outputs),
    };
    check_inputs(path, &set.inputs, model, &arrays)?;
    if set.outputs.is_empty() {
        let expected = joined(model.outputs.iter().map(|output| output.name.as_str()));
        let found = joined(arrays.iter().map(|array| array.name.as_str()));
        return Err(VectorsError::NoOutput {
            path: path.into(),
            expected,
            found,
        });
    }
    Ok(set)
}

/// Refuses unless every input of the model is among `inputs`; `found` is what there is to choose.
fn check_inputs(
    path: &Path,
    inputs: &[Tensor],
    model: &Signature,
    found: &[Tensor],
) -> Result<(), VectorsError> {
    let missing = |spec: &&CardTensor| !inputs.iter().any(|input| input.name == spec.name);
    let Some(spec) = model.inputs.iter().find(missing) else {
        return Ok(());
    };
    let found = joined(found.iter().map(|tensor| tensor.name.as_str()));
    Err(VectorsError::NoInput {
        path: path.into(),
        name: spec.name.clone(),
        found,
    })
}

fn joined<'a>(names: impl Iterator<Item = &'a str>) -> String {
    names.collect::<Vec<_>>().join(", ")
}

/// Gives every tensor the model's name and datatype: by name, or by place where that is unknown.
fn matched(path: &Path, set: TestDataSet, model: &Signature) -> Result<Vector, VectorsError> {
    let side = |tensors: Vec<Tensor>, specs: &[CardTensor]| {
        let fitted = tensors.into_iter().enumerate();
        let fit = |(place, tensor)| fitted_to(path, place, tensor, specs);
        fitted
            .map(fit)
            .collect::<Result<Vec<Tensor>, VectorsError>>()
    };
    let inputs = side(set.inputs, &model.inputs)?;
    check_inputs(path, &inputs, model, &inputs)?;
    Ok(Vector {
        inputs,
        outputs: side(set.outputs, &model.outputs)?,
    })
}

fn fitted_to(
    path: &Path,
    place: usize,
    tensor: Tensor,
    specs: &[CardTensor],
) -> Result<Tensor, VectorsError> {
    let named = specs.iter().find(|spec| spec.name == tensor.name);
    let Some(spec) = named.or_else(|| specs.get(place)) else {
        let because = format!(
            "the model has no tensor {:?} and none at {place}",
            tensor.name
        );
        return Err(VectorsError::File {
            path: path.into(),
            because,
        });
    };
    let mut tensor = tensor.wanted_as(&spec.datatype);
    if tensor.datatype.as_str() != spec.datatype || !admits(spec, &tensor.shape) {
        return Err(VectorsError::Form {
            path: path.into(),
            name: spec.name.clone(),
            got: format!("{} {:?}", tensor.datatype.as_str(), tensor.shape),
            expected: format!("{} {:?}", spec.datatype, spec.shape),
        });
    }
    tensor.name.clone_from(&spec.name);
    Ok(tensor)
}

/// Whether a shape fits, where the first axis of a model of single rows may be any batch.
fn admits(spec: &CardTensor, shape: &[u64]) -> bool {
    let fits = |(place, (want, got)): (usize, (&i64, &u64))| match *want {
        want if want < 0 => *got > 0,
        1 if place == 0 => *got > 0,
        want => u64::try_from(want) == Ok(*got),
    };
    spec.shape.len() == shape.len() && spec.shape.iter().zip(shape).enumerate().all(fits)
}

/// One vector for each row, evenly spaced ones if there are too many; or the vector as it is.
fn rows(vector: Vector, model: &Signature) -> Vec<Vector> {
    let Some(count) = batch(&vector, model).filter(|count| *count > 1) else {
        return vec![vector];
    };
    let taken = count.min(GOLDEN_VECTORS_MAX as u64);
    let row = |place: u64| {
        let index = place * count / taken;
        let side = |tensors: &[Tensor]| tensors.iter().map(|t| t.row(index)).collect();
        let (inputs, outputs): (Option<Vec<_>>, Option<Vec<_>>) =
            (side(&vector.inputs), side(&vector.outputs));
        Some(Vector {
            inputs: inputs?,
            outputs: outputs?,
        })
    };
    (0..taken).filter_map(row).collect()
}

/// The number of rows, if each is a request of its own: the first axis of every tensor is the
/// batch, and inputs are flat. Deeper ones may be sequences, whose steps depend on each other.
fn batch(vector: &Vector, model: &Signature) -> Option<u64> {
    let tensors = || vector.inputs.iter().chain(&vector.outputs);
    let count = *tensors().next()?.shape.first()?;
    let same = tensors().all(|tensor| tensor.shape.first() == Some(&count));
    let specs = || model.inputs.iter().chain(&model.outputs);
    let fixed = specs().all(|spec| spec.shape.first() == Some(&1));
    let open = specs().all(|spec| spec.shape.first().is_some_and(|dim| *dim < 0));
    let flat = model.inputs.iter().all(|spec| spec.shape.len() <= 2);
    Some(count).filter(|_| same && (fixed || open && flat))
}

#[cfg(test)]
mod tests {
    use super::super::npz::tests::stored;
    use super::super::sample;
    use super::*;

    fn file(bytes: &[u8]) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), bytes).expect("written");
        file
    }

    fn check(name: &str, bytes: &[u8], expect: &str) {
        let file = file(bytes);
        let said = read(&[file.path().into()], &sample::signature())
            .expect_err(name)
            .to_string();
        assert!(said.contains(expect), "{name}: {said}");
    }

    #[test]
    fn a_wrong_archive_says_why() {
        let f4 = "{'descr': '<f4', 'fortran_order': False, 'shape': (1, 2), }";
        check("no archive", b"PK", "no zip archive");
        check(
            "other name",
            &stored("x", f4, &[0; 8]),
            "no array \"features\"",
        );
        check(
            "no output",
            &stored("features", f4, &[0; 8]),
            "none of the model's outputs",
        );
        let missing = read(&["/nowhere.npz".into()], &sample::signature()).expect_err("missing");
        assert!(missing.to_string().contains("/nowhere.npz"), "{missing}");
    }

    fn tensor(name: &str, shape: &[u64]) -> Tensor {
        let count = shape.iter().product::<u64>();
        let data = (0..count)
            .flat_map(|value| (value as f32).to_le_bytes())
            .collect();
        Tensor::new(
            name,
            super::super::tensor::Datatype::F32,
            shape.to_vec(),
            data,
        )
        .expect("fits")
    }

    fn check_rows(rows_in: u64, expect: usize) {
        let set = TestDataSet {
            inputs: vec![tensor("", &[rows_in, 2])],
            outputs: vec![tensor("score", &[rows_in])],
        };
        let model = sample::signature();
        let vector = matched(Path::new("set"), set, &model).expect("fits");
        let vectors = rows(vector, &model);
        assert_eq!(vectors.len(), expect);
        assert_eq!(vectors[0].inputs[0].name, "features", "matched by place");
        assert!(
            vectors
                .iter()
                .all(|vector| vector.inputs[0].shape == [1, 2])
        );
        assert!(vectors.iter().all(|vector| vector.outputs[0].shape == [1]));
    }

    #[test]
    fn a_batch_is_cut_into_rows() {
        check_rows(1, 1);
        check_rows(3, 3);
        check_rows(1000, GOLDEN_VECTORS_MAX);
    }

    #[test]
    fn another_shape_is_refused_with_both() {
        let set = TestDataSet {
            inputs: vec![tensor("features", &[1, 3])],
            outputs: vec![tensor("score", &[1])],
        };
        let error = matched(Path::new("set"), set, &sample::signature()).expect_err("refused");
        assert_eq!(
            error.to_string(),
            "set: \"features\" is FP32 [1, 3], the model has FP32 [-1, 2]"
        );
    }
}
