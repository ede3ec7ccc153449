//! The runtime's operators, and those of its forms that it cannot take or gets wrong, put in its
//! own terms.
//!
//! Each is exact: what ONNX says, made of what the runtime can. Never an approximation, never for
//! one model.

mod compress;
mod constant_of_shape;
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
    known.insert("ConstantOfShape", constant_of_shape::build);
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

#[cfg(test)]
mod tests {
    use crate::infer::tests::onnx::Onnx;
    use crate::infer::{Example, Graph, load};
    use crate::tensor::Tensor;

    /// The answer of `y`, by either graph, to the input `x`.
    fn check(model: Onnx, x: (&[usize], &[f32]), expect: (&[usize], &[f64])) {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("model.onnx");
        let shape: Vec<Option<u64>> = x.0.iter().map(|&dim| Some(dim as u64)).collect();
        let model = model.input("x", &shape).output("y", &[]);
        std::fs::write(&path, model.build()).expect("written");
        let x = Tensor::from_f32("x", x.0.to_vec(), x.1).expect("valid");
        for graph in [Graph::Unoptimised, Graph::Optimised] {
            let model = load(&path, graph, &Example::default(), &mut |_, _| {});
            let mut model = model.unwrap_or_else(|error| panic!("{error}"));
            let inputs = model.prepare(vec![x.clone()]).expect("fits");
            let outputs = model.run(&inputs, &mut |_, _| {}).expect("runs");
            let values: Vec<f64> = outputs[0].to_f64().collect();
            assert_eq!((outputs[0].shape(), values.as_slice()), expect, "{graph:?}");
        }
    }

    #[test]
    fn vectors_are_multiplied() {
        let model = Onnx::default().weight("w", &[3], &[1.0, 2.0, 3.0]);
        let model = model.node("", "MatMul", &["x", "w"], "y");
        check(model, (&[3], &[1.0, 1.0, 2.0]), (&[], &[9.0]));
    }

    #[test]
    fn the_largest_of_nothing_but_infinities_is_one() {
        const INF: f32 = f32::INFINITY;
        let reduce = |operator: &str, x: &[f32], expect: &[f64]| {
            let model = Onnx::default().node("", operator, &["x"], "y");
            let model = model.ints("axes", &[1]);
            check(model, (&[2, 2], x), (&[2, 1], expect));
        };
        let inf = f64::INFINITY;
        reduce("ReduceMax", &[-INF, -INF, -INF, 3.0], &[-inf, 3.0]);
        reduce("ReduceMin", &[INF, INF, 3.0, INF], &[inf, 3.0]);
        let lowest = f64::from(f32::MIN);
        reduce("ReduceMax", &[f32::MIN, -INF, INF, 1.0], &[lowest, inf]);
    }

    #[test]
    fn truth_values_are_reduced() {
        let model = Onnx::default().node("", "Cast", &["x"], "is").int("to", 9);
        let model = model
            .node("", "ReduceMax", &["is"], "any")
            .ints("axes", &[1]);
        let model = model.node("", "Cast", &["any"], "y").int("to", 1);
        check(
            model,
            (&[2, 2], &[0.0, 0.0, 5.0, 0.0]),
            (&[2, 1], &[0.0, 1.0]),
        );
    }

    #[test]
    fn a_constant_of_a_shape_is_single_precision() {
        let model = Onnx::default().node("", "Shape", &["x"], "shape");
        let model = model.node("", "ConstantOfShape", &["shape"], "zeros");
        let model = model.node("", "Add", &["x", "zeros"], "y");
        check(model, (&[2], &[1.0, 2.0]), (&[2], &[1.0, 2.0]));
    }

    #[test]
    fn blocks_go_to_channels_in_either_order() {
        let model = |mode: &str| {
            let model = Onnx::default().node("", "SpaceToDepth", &["x"], "y");
            model.int("blocksize", 2).text("mode", mode)
        };
        let x: (&[usize], &[f32]) = (&[1, 2, 2, 2], &[0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0]);
        let depth_first = [0.0, 4.0, 1.0, 5.0, 2.0, 6.0, 3.0, 7.0];
        check(model("DCR"), x, (&[1, 8, 1, 1], &depth_first));
        let channel_first = [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0];
        check(model("CRD"), x, (&[1, 8, 1, 1], &channel_first));
    }

    #[test]
    fn a_known_condition_compresses() {
        let model = |axis: Option<u64>| {
            let model = Onnx::default().weight("w", &[2], &[0.0, 1.0]);
            let model = model.node("", "Cast", &["w"], "is").int("to", 9);
            let model = model.node("", "Compress", &["x", "is"], "y");
            match axis {
                Some(axis) => model.int("axis", axis),
                None => model,
            }
        };
        let x: (&[usize], &[f32]) = (&[2, 2], &[1.0, 2.0, 3.0, 4.0]);
        check(model(Some(1)), x, (&[2, 1], &[2.0, 4.0]));
        check(model(Some(u64::MAX)), x, (&[2, 1], &[2.0, 4.0]));
        check(model(None), x, (&[1], &[2.0]));
    }

    #[test]
    fn the_upsampling_of_old_exporters_is_a_resizing() {
        let model = Onnx::default().weight("scales", &[4], &[1.0, 1.0, 1.0, 2.0]);
        let model = model.node("", "Upsample", &["x", "scales"], "y");
        let model = model.text("mode", "nearest").operator_set(9);
        check(
            model,
            (&[1, 1, 1, 2], &[1.0, 2.0]),
            (&[1, 1, 1, 4], &[1.0, 1.0, 2.0, 2.0]),
        );
    }

    #[test]
    fn slopes_of_old_exporters_belong_to_channels() {
        let model = Onnx::default().weight("slopes", &[2], &[0.5, 0.25]);
        let model = model
            .node("", "PRelu", &["x", "slopes"], "y")
            .operator_set(6);
        let x: (&[usize], &[f32]) = (&[1, 2, 1, 2], &[-1.0, 1.0, -1.0, 2.0]);
        check(model, x, (&[1, 2, 1, 2], &[-0.5, 1.0, -0.25, 2.0]));
    }
}
