//! ConstantOfShape without a value: ONNX says 0 in FP32, the runtime takes FP64.
//!
//! Never touches one that has a value.

use super::{Built, runtime};
use tract_onnx::model::ParsingContext;
use tract_onnx::pb::attribute_proto::AttributeType;
use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::pb::{AttributeProto, NodeProto, TensorProto};

pub(super) fn build(ctx: &ParsingContext<'_>, node: &NodeProto) -> Built {
    if node.attribute.iter().any(|known| known.name == "value") {
        return runtime(ctx, node);
    }
    let mut told = node.clone();
    told.attribute.push(zero());
    runtime(ctx, &told)
}

fn zero() -> AttributeProto {
    let zero = TensorProto {
        dims: vec![1],
        data_type: DataType::Float as i32,
        float_data: vec![0.0],
        ..TensorProto::default()
    };
    AttributeProto {
        name: "value".into(),
        r#type: AttributeType::Tensor as i32,
        t: Some(zero),
        ..AttributeProto::default()
    }
}
