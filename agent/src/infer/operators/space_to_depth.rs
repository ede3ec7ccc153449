//! SpaceToDepth of mode CRD: the runtime knows only DCR and would not say so.
//!
//! The two differ in the order of the channels alone.

use super::{Built, runtime, runtime_expansion, text_attribute};
use tract_onnx::model::ParsingContext;
use tract_onnx::pb::NodeProto;
use tract_onnx::prelude::{OutletId, SpecialOps as _, TVec, TractResult, TypedModel};
use tract_onnx::tract_core::ops::change_axes::AxisOp;
use tract_onnx::tract_hir::infer::InferenceResult;
use tract_onnx::tract_hir::internal::{
    DimLike as _, Expansion, Solver, StaticName, TensorProxy, expand,
};

#[derive(Clone, Debug)]
struct ChannelFirst(Box<dyn Expansion>);

pub(super) fn build(ctx: &ParsingContext<'_>, node: &NodeProto) -> Built {
    match text_attribute(node, "mode") {
        Some(b"CRD") => Ok((expand(ChannelFirst(runtime_expansion(ctx, node)?)), vec![])),
        Some(_) | None => runtime(ctx, node),
    }
}

impl Expansion for ChannelFirst {
    fn name(&self) -> StaticName {
        "SpaceToDepth".into()
    }

    fn rules<'r, 'p: 'r, 's: 'r>(
        &'s self,
        solver: &mut Solver<'r>,
        inputs: &'p [TensorProxy],
        outputs: &'p [TensorProxy],
    ) -> InferenceResult {
        self.0.rules(solver, inputs, outputs)
    }

    fn wire(
        &self,
        prefix: &str,
        model: &mut TypedModel,
        inputs: &[OutletId],
    ) -> TractResult<TVec<OutletId>> {
        let channels = model.outlet_fact(inputs[0])?.shape[1].clone();
        let depth_first = self.0.wire(&format!("{prefix}.depth"), model, inputs)?;
        let all = model.outlet_fact(depth_first[0])?.shape[1].clone();
        let block = all.clone().maybe_div(&channels)?.0;
        let list = |dims: &[_]| dims.iter().cloned().collect::<TVec<_>>();
        let steps = [
            AxisOp::Reshape(
                1,
                list(std::slice::from_ref(&all)),
                list(&[block.clone(), channels.clone()]),
            ),
            AxisOp::Move(1, 2),
            AxisOp::Reshape(1, list(&[channels, block]), list(&[all])),
        ];
        let mut wires = depth_first;
        for (at, step) in steps.into_iter().enumerate() {
            wires = model.wire_node(format!("{prefix}.{at}"), step, &wires)?;
        }
        Ok(wires)
    }
}
