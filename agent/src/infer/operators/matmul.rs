//! The product of two vectors, a number: the runtime wants a matrix on one side.
//!
//! Never touches any other product.

use super::{Built, runtime_expansion};
use tract_onnx::model::ParsingContext;
use tract_onnx::pb::NodeProto;
use tract_onnx::prelude::{OutletId, SpecialOps as _, TVec, TractResult, TypedModel};
use tract_onnx::tract_core::ops::einsum::EinSum;
use tract_onnx::tract_hir::infer::InferenceResult;
use tract_onnx::tract_hir::internal::{Expansion, Solver, StaticName, TensorProxy, expand};

#[derive(Clone, Debug)]
struct MatMul(Box<dyn Expansion>);

pub(super) fn build(ctx: &ParsingContext<'_>, node: &NodeProto) -> Built {
    Ok((expand(MatMul(runtime_expansion(ctx, node)?)), vec![]))
}

impl Expansion for MatMul {
    fn name(&self) -> StaticName {
        "MatMul".into()
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
        let fact = model.outlet_fact(inputs[0])?;
        let (rank, operating_dt) = (fact.rank(), fact.datum_type);
        if rank.max(model.outlet_fact(inputs[1])?.rank()) > 1 {
            return self.0.wire(prefix, model, inputs);
        }
        let product = EinSum {
            axes: "k,k->".parse()?,
            operating_dt,
            q_params: None,
        };
        model.wire_node(prefix, product, inputs)
    }
}
