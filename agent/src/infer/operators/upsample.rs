//! Upsample, which ONNX has replaced by Resize: old exporters still write it.
//!
//! Never where its scales are an attribute (operator sets 7 and 8): Resize takes an input.

use super::{Built, runtime};
use tract_onnx::model::ParsingContext;
use tract_onnx::pb::attribute_proto::AttributeType;
use tract_onnx::pb::{AttributeProto, NodeProto};
use tract_onnx::tract_hir::internal::ensure;

/// The first operator set whose Resize can be told to place pixels as Upsample does.
const RESIZE_SET: i64 = 13;

pub(super) fn build(ctx: &ParsingContext<'_>, node: &NodeProto) -> Built {
    ensure!(
        node.input.len() == 2,
        "its scales are an attribute, as before operator set 9"
    );
    let mut resize = node.clone();
    resize.op_type = "Resize".into();
    // Its second input would be a region of interest.
    resize.input.insert(1, String::new());
    let told = [
        ("coordinate_transformation_mode", "asymmetric"),
        ("nearest_mode", "floor"),
    ];
    resize
        .attribute
        .extend(told.map(|(name, value)| text(name, value)));
    let mut ctx = ctx.clone();
    ctx.onnx_operator_set_version = RESIZE_SET;
    runtime(&ctx, &resize)
}

fn text(name: &str, value: &str) -> AttributeProto {
    AttributeProto {
        name: name.into(),
        r#type: AttributeType::String as i32,
        s: value.as_bytes().to_vec(),
        ..AttributeProto::default()
    }
}
