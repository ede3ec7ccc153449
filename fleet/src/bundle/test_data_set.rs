//! A folder of ONNX test data: `input_K.pb` and `output_K.pb`, one TensorProto each.
//!
//! A folder that holds `test_data_set_N` folders is read as those, in their order.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::tensor::Tensor;
use super::vectors::{self, VectorsError};

/// Most tensors on one side of a set.
const TENSORS_MAX: usize = 64;
/// Most sets of one folder.
const SETS_MAX: usize = 256;

/// Inputs and outputs of one set, in the order of their files.
#[derive(Debug)]
pub(super) struct TestDataSet {
    pub(super) inputs: Vec<Tensor>,
    pub(super) outputs: Vec<Tensor>,
}

/// The sets below `folder`, or `folder` itself as one.
pub(super) fn read(folder: &Path) -> Result<Vec<TestDataSet>, VectorsError> {
    let set = |index| folder.join(format!("test_data_set_{index}"));
    let sets: Vec<PathBuf> = (0..SETS_MAX)
        .map(set)
        .take_while(|path| path.is_dir())
        .collect();
    match sets.is_empty() {
        true => Ok(vec![read_set(folder)?]),
        false => sets.iter().map(|path| read_set(path)).collect(),
    }
}

fn read_set(folder: &Path) -> Result<TestDataSet, VectorsError> {
    let set = TestDataSet {
        inputs: side(folder, "input")?,
        outputs: side(folder, "output")?,
    };
    if set.inputs.is_empty() || set.outputs.is_empty() {
        let because = "it holds no input_0.pb or no output_0.pb".to_owned();
        return Err(VectorsError::File {
            path: folder.into(),
            because,
        });
    }
    Ok(set)
}

fn side(folder: &Path, side: &str) -> Result<Vec<Tensor>, VectorsError> {
    let file = |index| folder.join(format!("{side}_{index}.pb"));
    let files = (0..TENSORS_MAX).map(file).take_while(|path| path.is_file());
    files.map(|path| read_tensor(&path)).collect()
}

fn read_tensor(path: &Path) -> Result<Tensor, VectorsError> {
    let bytes = vectors::read_bounded(path)?;
    let file = |because| VectorsError::File {
        path: path.into(),
        because,
    };
    super::protobuf::tensor(&bytes).map_err(file)
}

/// Whether `path` is a folder, as against a file.
pub(super) fn is_folder(path: &Path) -> io::Result<bool> {
    Ok(fs::metadata(path)?.is_dir())
}
