//! From a file to a parsed graph, refusing early what the runtime would die of or misread.
//!
//! Never follows a path inside the model: weights in another file are refused.

use super::blame::refusal;
use super::error::{LoadError, Stage};
use super::survey::{Survey, qualified};
use super::{names, operators, test_data};
use muster_protocol::limits::BLOB_BYTES_MAX;
use std::collections::HashSet;
use std::fs::{self, File};
use std::io::Read;
use std::path::Path;
use tract_onnx::Onnx;
use tract_onnx::pb::tensor_proto::{DataLocation, DataType};
use tract_onnx::pb::type_proto::Value as TypeValue;
use tract_onnx::pb::{GraphProto, ModelProto, NodeProto, TensorProto};
use tract_onnx::prelude::{Framework, InferenceModel};

/// The bytes of a regular file of bounded size.
pub(super) fn file(path: &Path) -> Result<Vec<u8>, LoadError> {
    let refused = |reason: String| LoadError::new(Stage::Read, reason);
    let metadata = fs::metadata(path).map_err(|error| refused(error.to_string()))?;
    if !metadata.is_file() {
        return Err(refused("it is not a regular file".into()));
    }
    if metadata.len() > BLOB_BYTES_MAX {
        let size = metadata.len();
        return Err(refused(format!(
            "{size} bytes is more than the limit of {BLOB_BYTES_MAX}"
        )));
    }
    if metadata.len() == 0 {
        return Err(refused("the file is empty".into()));
    }
    let mut bytes = Vec::with_capacity(metadata.len() as usize);
    let file = File::open(path).map_err(|error| refused(error.to_string()))?;
    let read = file.take(BLOB_BYTES_MAX).read_to_end(&mut bytes);
    read.map_err(|error| refused(error.to_string()))?;
    Ok(bytes)
}

/// An ONNX document that is whole.
pub(super) fn proto(bytes: Vec<u8>) -> Result<ModelProto, LoadError> {
    let refused = |reason: String| LoadError::new(Stage::Parse, reason);
    // Every exporter writes `ir_version`, field 1, first.
    let looks_like_onnx = bytes.first() == Some(&0x08);
    let proto = tract_onnx::onnx().proto_model_for_read(&mut bytes.as_slice());
    let mut proto = proto.map_err(|error| match looks_like_onnx {
        true => refused(format!(
            "the ONNX file is truncated or damaged ({})",
            error.root_cause()
        )),
        false => refused("it is not an ONNX file".into()),
    })?;
    let Some(graph) = &mut proto.graph else {
        return Err(refused(
            "it is not a whole ONNX file: it holds no graph".into(),
        ));
    };
    check_outputs(graph)?;
    check_weights(graph)?;
    names::make_unique(graph);
    if proto.opset_import.is_empty() {
        return Err(refused(
            "it is not a whole ONNX file: it names no operator set".into(),
        ));
    }
    Ok(proto)
}

/// The runtime's graph. Declared inner and output shapes are ignored: exporters get them wrong.
pub(super) fn graph(proto: &ModelProto, survey: &Survey) -> Result<InferenceModel, LoadError> {
    let onnx = operators::onnx()
        .with_ignore_value_info(true)
        .with_ignore_output_shapes(true)
        .with_ignore_output_types(true);
    let refused = |error| refusal(Stage::Parse, &error, survey);
    let mut parsed = onnx.model_for_proto_model(proto).map_err(refused)?;
    Onnx::determinize(&mut parsed).map_err(refused)?;
    Ok(parsed)
}

/// Element types that the runtime does not have, named with who takes them: its own words name
/// neither.
pub(super) fn check_datatypes(proto: &ModelProto, survey: &Survey) -> Result<(), LoadError> {
    let Some(graph) = &proto.graph else {
        return Ok(());
    };
    let weights: HashSet<&String> = graph.initializer.iter().map(|w| &w.name).collect();
    let inputs = graph.input.iter().filter(|i| !weights.contains(&i.name));
    for input in inputs {
        let value = input.r#type.as_ref().and_then(|kind| kind.value.as_ref());
        let reason = match value {
            Some(TypeValue::TensorType(tensor)) => unsupported(tensor.elem_type),
            None => Some("it is no tensor (a sequence, a map, an optional)".into()),
        };
        if let Some(reason) = reason {
            let taker = survey.taker_of(&input.name).or(survey.only_operator());
            return Err(LoadError {
                stage: Stage::Parse,
                operator: taker.map(str::to_owned),
                reason: format!("input {:?}: {reason}", input.name),
            });
        }
    }
    Ok(())
}

/// Why elements of a type cannot be taken.
fn unsupported(element_type: i32) -> Option<String> {
    if test_data::datatype(element_type).is_some() {
        return None;
    }
    let known = DataType::try_from(element_type).ok();
    let name = known.map_or(element_type.to_string(), |known| known.as_str_name().into());
    Some(format!("element type {name} is not supported"))
}

/// The runtime panics on an output that nothing produces.
fn check_outputs(graph: &GraphProto) -> Result<(), LoadError> {
    let inputs = graph.input.iter().map(|input| &input.name);
    let weights = graph.initializer.iter().map(|weight| &weight.name);
    let nodes = graph.node.iter().flat_map(|node| &node.output);
    let known: HashSet<&String> = inputs.chain(weights).chain(nodes).collect();
    match graph
        .output
        .iter()
        .find(|output| !known.contains(&output.name))
    {
        Some(output) => {
            let reason = format!("nothing produces output {:?}", output.name);
            Err(LoadError::new(Stage::Parse, reason))
        }
        None => Ok(()),
    }
}

fn check_weights(graph: &GraphProto) -> Result<(), LoadError> {
    let taker = |weight: &TensorProto| {
        let takes = |node: &&NodeProto| node.input.contains(&weight.name);
        graph.node.iter().find(takes).map(qualified)
    };
    let mut weights = graph.initializer.iter();
    weights.try_for_each(|weight| check_weight(weight, || taker(weight)))?;
    for node in &graph.node {
        for attribute in &node.attribute {
            let mut tensors = attribute.t.iter().chain(&attribute.tensors);
            tensors.try_for_each(|weight| check_weight(weight, || Some(qualified(node))))?;
            let mut graphs = attribute.g.iter().chain(&attribute.graphs);
            graphs.try_for_each(check_weights)?;
        }
    }
    Ok(())
}

/// `taker` is asked for the operator at fault.
fn check_weight(weight: &TensorProto, taker: impl Fn() -> Option<String>) -> Result<(), LoadError> {
    if weight.data_location != Some(DataLocation::External as i32) {
        return Ok(());
    }
    let location = weight
        .external_data
        .iter()
        .find(|entry| entry.key == "location");
    let location = location.map_or("", |entry| entry.value.as_str());
    let reason = format!(
        "weight {:?} is in another file ({location:?}); a model is one file here",
        weight.name
    );
    Err(LoadError {
        operator: taker(),
        ..LoadError::new(Stage::Parse, reason)
    })
}

#[cfg(test)]
mod tests {
    use super::super::tests::onnx;
    use super::*;
    use crate::hostile::mutated;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_hostile_model_is_refused_or_a_whole_document(
            bytes in mutated(onnx::linear().build()),
        ) {
            match proto(bytes) {
                Ok(proto) => prop_assert!(proto.graph.is_some() && !proto.opset_import.is_empty()),
                Err(refused) => prop_assert!(!refused.to_string().is_empty()),
            }
        }
    }
}
