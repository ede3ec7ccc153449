//! PRelu of operator sets before 7: its list of slopes belongs to the channels.
//!
//! Later sets broadcast the slopes from the last axis on: that is the runtime's own.

use super::{Built, runtime, runtime_expansion};
use tract_onnx::model::ParsingContext;
use tract_onnx::pb::NodeProto;
use tract_onnx::prelude::{OutletId, SpecialOps as _, TVec, TractResult, TypedModel};
use tract_onnx::tract_core::ops::change_axes::AxisOp;
use tract_onnx::tract_hir::infer::InferenceResult;
use tract_onnx::tract_hir::internal::{Expansion, Solver, StaticName, TensorProxy, expand};

/// The operator set since which slopes are broadcast.
const BROADCAST_SINCE: i64 = 7;

#[derive(Clone, Debug)]
struct ChannelPrelu(Box<dyn Expansion>);

pub(super) fn build(ctx: &ParsingContext<'_>, node: &NodeProto) -> Built {
    if ctx.onnx_operator_set_version >= BROADCAST_SINCE {
        return runtime(ctx, node);
    }
    Ok((expand(ChannelPrelu(runtime_expansion(ctx, node)?)), vec![]))
}

impl Expansion for ChannelPrelu {
    fn name(&self) -> StaticName {
        "PRelu".into()
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
        let (data, mut slopes) = (inputs[0], inputs[1]);
        // Axes after that of the channels, which is the second one.
        let after = model.outlet_fact(data)?.rank().saturating_sub(2);
        let is_list = model.outlet_fact(slopes)?.rank() == 1;
        for axis in 0..if is_list { after } else { 0 } {
            let name = format!("{prefix}.channel-{axis}");
            slopes = model.wire_node(name, AxisOp::Add(1), &[slopes])?[0];
        }
        self.0.wire(prefix, model, &[data, slopes])
    }
}
