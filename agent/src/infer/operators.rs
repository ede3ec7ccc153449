//! The runtime's operators, and those of its forms that it cannot take or gets wrong, put in its
//! own terms.
//!
//! Each is exact: what ONNX says, made of what the runtime can. Never an approximation, never for
//! one model.

mod compress;
mod matmul;
mod prelu;
mod recurrent;
mod reduce;
mod scan;
mod space_to_depth;
mod upsample;

use anyhow::Context as _;
use std::sync::LazyLock;
use tract_onnx::Onnx;
use tract_onnx::model::{OnnxOpRegister, ParsingContext};
use tract_onnx::pb::NodeProto;
use tract_onnx::prelude::TractResult;
use tract_onnx::tract_hir::internal::{Expansion, InferenceOp, Op};

/// What a builder makes of a node: the operator, and the names that its inner graphs close over.
type Built = TractResult<(Box<dyn InferenceOp>, Vec<String>)>;

/// The runtime's own.
static RUNTIME: LazyLock<OnnxOpRegister> = LazyLock::new(|| tract_onnx::onnx().op_register);

/// Reads ONNX with all operators that there are.
pub(super) fn onnx() -> Onnx {
    let mut onnx = tract_onnx::onnx();
    let known = &mut onnx.op_register;
    known.insert("Compress", compress::build);
    known.insert("MatMul", matmul::build);
    known.insert("PRelu", prelu::build);
    known.insert("GRU", recurrent::build);
    known.insert("LSTM", recurrent::build);
    known.insert("RNN", recurrent::build);
    known.insert("ReduceMax", reduce::build);
    known.insert("ReduceMin", reduce::build);
    known.insert("Scan", scan::build);
    known.insert("SpaceToDepth", space_to_depth::build);
    known.insert("Upsample", upsample::build);
    onnx
}

/// Whether there is such an operator.
pub(super) fn is_known(op_type: &str) -> bool {
    RUNTIME.0.contains_key(op_type) || op_type == "Upsample"
}

/// What the runtime itself makes of a node.
fn runtime(ctx: &ParsingContext<'_>, node: &NodeProto) -> Built {
    let build = RUNTIME.0.get(&node.op_type);
    build.context("the runtime does not have it")?(ctx, node)
}

/// The same, of an operator that the runtime expands into others.
fn runtime_expansion(
    ctx: &ParsingContext<'_>,
    node: &NodeProto,
) -> TractResult<Box<dyn Expansion>> {
    let (built, _) = runtime(ctx, node)?;
    let op: &dyn Op = built.as_op();
    let expansion = op.downcast_ref::<Box<dyn Expansion>>();
    expansion.cloned().context("the runtime does not expand it")
}

/// A text attribute.
fn text_attribute<'a>(node: &'a NodeProto, name: &str) -> Option<&'a [u8]> {
    let named = node.attribute.iter().find(|known| known.name == name);
    named.map(|attribute| &*attribute.s)
}
