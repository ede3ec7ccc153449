//! LSTM, GRU and RNN of direction reverse: the runtime does not read the attribute and would run
//! them forward.
//!
//! Forward over the steps in reverse order is the same; the steps of the output are put back.

use super::{Built, runtime, runtime_expansion, text_attribute};
use anyhow::Context as _;
use tract_onnx::model::ParsingContext;
use tract_onnx::pb::NodeProto;
use tract_onnx::prelude::{OutletId, SpecialOps as _, TVec, TractResult, TypedModel};
use tract_onnx::tract_core::ops::array::Gather;
use tract_onnx::tract_hir::infer::InferenceResult;
use tract_onnx::tract_hir::internal::{
    Expansion, Solver, StaticName, TensorProxy, expand, tensor1,
};

#[derive(Clone, Debug)]
struct Reverse {
    forward: Box<dyn Expansion>,
    /// The axis of the steps, in the input and in the output.
    axis: usize,
    /// Whether the first output is that of all steps.
    gives_steps: bool,
    outputs: usize,
}

pub(super) fn build(ctx: &ParsingContext<'_>, node: &NodeProto) -> Built {
    if text_attribute(node, "direction") != Some(b"reverse") {
        return runtime(ctx, node);
    }
    let mut attributes = node.attribute.iter();
    let batch_first = attributes.any(|known| known.name == "layout" && known.i == 1);
    let reverse = Reverse {
        forward: runtime_expansion(ctx, node)?,
        axis: usize::from(batch_first),
        gives_steps: node.output.first().is_some_and(|name| !name.is_empty()),
        outputs: node.output.iter().filter(|name| !name.is_empty()).count(),
    };
    Ok((expand(reverse), vec![]))
}

impl Reverse {
    /// The same steps, the last one first.
    fn turn(&self, name: &str, model: &mut TypedModel, steps: OutletId) -> TractResult<OutletId> {
        let count = model.outlet_fact(steps)?.shape[self.axis].to_i64();
        let count = count.context("the number of steps is not known before it runs")?;
        let order: Vec<i64> = (0..count).rev().collect();
        let order = model.add_const(format!("{name}.order"), tensor1(&order))?;
        Ok(model.wire_node(name, Gather::new(self.axis), &[steps, order])?[0])
    }
}

impl Expansion for Reverse {
    fn name(&self) -> StaticName {
        "Reverse".into()
    }

    fn nboutputs(&self) -> TractResult<usize> {
        Ok(self.outputs)
    }

    fn rules<'r, 'p: 'r, 's: 'r>(
        &'s self,
        solver: &mut Solver<'r>,
        inputs: &'p [TensorProxy],
        outputs: &'p [TensorProxy],
    ) -> InferenceResult {
        self.forward.rules(solver, inputs, outputs)
    }

    fn wire(
        &self,
        prefix: &str,
        model: &mut TypedModel,
        inputs: &[OutletId],
    ) -> TractResult<TVec<OutletId>> {
        let mut turned = inputs.to_vec();
        turned[0] = self.turn(&format!("{prefix}.turned"), model, inputs[0])?;
        let forward = format!("{prefix}.forward");
        let mut outputs = self.forward.wire(&forward, model, &turned)?;
        if self.gives_steps {
            outputs[0] = self.turn(&format!("{prefix}.steps"), model, outputs[0])?;
        }
        Ok(outputs)
    }
}
