//! Scan whose body does not declare the types of its inputs: ONNX takes them from outside.
//!
//! The runtime wants a declaration to read the body; what it was told is forgotten at once.

use super::{Built, runtime};
use tract_onnx::model::ParsingContext;
use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::pb::type_proto::{Tensor as TensorType, Value as TypeValue};
use tract_onnx::pb::{GraphProto, NodeProto, TypeProto};
use tract_onnx::prelude::{InferenceFact, InferenceModel, TractResult};
use tract_onnx::tract_hir::ops::scan::InferenceScan;

pub(super) fn build(ctx: &ParsingContext<'_>, node: &NodeProto) -> Built {
    let mut declared = node.clone();
    let mut bodies = declared
        .attribute
        .iter_mut()
        .filter_map(|known| known.g.as_mut());
    let undeclared: Vec<String> = bodies.by_ref().flat_map(declare).collect();
    let (mut scan, closures) = runtime(ctx, &declared)?;
    if let Some(scan) = scan.as_op_mut().downcast_mut::<InferenceScan>() {
        for name in &undeclared {
            forget(&mut scan.body, name)?;
        }
    }
    Ok((scan, closures))
}

/// Declares some type where there is none; the names of these inputs.
fn declare(body: &mut GraphProto) -> Vec<String> {
    let is_declared = |kind: &TypeProto| kind.value.is_some();
    let inputs = body.input.iter_mut();
    let without = inputs.filter(|input| !input.r#type.as_ref().is_some_and(is_declared));
    without
        .map(|input| {
            let some = TensorType {
                elem_type: DataType::Float as i32,
                shape: None,
            };
            input.r#type = Some(TypeProto {
                value: Some(TypeValue::TensorType(some)),
                ..TypeProto::default()
            });
            input.name.clone()
        })
        .collect()
}

/// Forgets the type of an input, and of the node that the runtime puts after a scanned one.
fn forget(body: &mut InferenceModel, input: &str) -> TractResult<()> {
    let node = body.node_by_name(input)?;
    let taken = node.outputs.iter().flat_map(|output| &output.successors);
    let after: Vec<usize> = taken.map(|inlet| inlet.node).collect();
    let id = node.id;
    body.set_outlet_fact(id.into(), InferenceFact::default())?;
    for id in after {
        if body.node(id).name.ends_with(".adjust-dim") {
            body.set_outlet_fact(id.into(), InferenceFact::default())?;
        }
    }
    Ok(())
}
