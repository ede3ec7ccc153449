//! ReduceMax and ReduceMin of truth values, which the runtime does not take, and of infinities,
//! where it gives the largest finite number instead.
//!
//! Attention masks are such rows: -inf throughout.

use super::{Built, runtime_expansion};
use tract_onnx::model::ParsingContext;
use tract_onnx::pb::NodeProto;
use tract_onnx::prelude::{
    DatumType, OutletId, SpecialOps as _, TVec, Tensor, TractResult, TypedModel, tensor0,
};
use tract_onnx::tract_core::ops::binary::TypedBinOp;
use tract_onnx::tract_core::ops::cast::cast;
use tract_onnx::tract_core::ops::logic::{Iff, comp_eq, comp_ne};
use tract_onnx::tract_hir::infer::InferenceResult;
use tract_onnx::tract_hir::internal::{Expansion, Solver, StaticName, TensorProxy, expand};

#[derive(Clone, Copy, Debug)]
enum Extreme {
    Max,
    Min,
}

#[derive(Clone, Debug)]
struct Reduce {
    extreme: Extreme,
    numbers: Box<dyn Expansion>,
}

pub(super) fn build(ctx: &ParsingContext<'_>, node: &NodeProto) -> Built {
    let extreme = match node.op_type.as_str() {
        "ReduceMax" => Extreme::Max,
        _ => Extreme::Min,
    };
    let numbers = runtime_expansion(ctx, node)?;
    Ok((expand(Reduce { extreme, numbers }), vec![]))
}

impl Reduce {
    /// Reduces truth values as the numbers 0 and 1.
    fn truth(
        &self,
        name: &str,
        model: &mut TypedModel,
        inputs: &[OutletId],
    ) -> TractResult<OutletId> {
        let mut inputs = inputs.to_vec();
        let number = cast(DatumType::U8);
        inputs[0] = model.wire_node(format!("{name}.number"), number, &inputs[..1])?[0];
        let reduced = self
            .numbers
            .wire(&format!("{name}.reduced"), model, &inputs)?;
        Ok(model.wire_node(name, cast(DatumType::Bool), &reduced)?[0])
    }

    /// The infinity where there is nothing else: the largest is -inf only if all are, or none is
    /// there.
    fn numbers(
        &self,
        name: &str,
        model: &mut TypedModel,
        inputs: &[OutletId],
    ) -> TractResult<OutletId> {
        let finite = self
            .numbers
            .wire(&format!("{name}.finite"), model, inputs)?[0];
        let (infinity, compare) = match self.extreme {
            Extreme::Max => (f32::NEG_INFINITY, comp_ne()),
            Extreme::Min => (f32::INFINITY, comp_eq()),
        };
        let mut is = inputs.to_vec();
        let infinite = constant(&format!("{name}.infinity"), model, infinity, inputs[0])?;
        let compare = TypedBinOp(compare, None);
        is[0] = model.wire_node(format!("{name}.compared"), compare, &[inputs[0], infinite])?[0];
        let is = self.truth(&format!("{name}.is"), model, &is)?;
        let infinite = constant(&format!("{name}.extreme"), model, infinity, finite)?;
        let choice = match self.extreme {
            Extreme::Max => [is, finite, infinite],
            Extreme::Min => [is, infinite, finite],
        };
        Ok(model.wire_node(name, Iff, &choice)?[0])
    }
}

/// A number of the datatype and rank of another outlet.
fn constant(
    name: &str,
    model: &mut TypedModel,
    value: f32,
    like: OutletId,
) -> TractResult<OutletId> {
    let fact = model.outlet_fact(like)?;
    let value: Tensor = tensor0(value).cast_to_dt(fact.datum_type)?.into_owned();
    let value = value.broadcast_into_rank(fact.rank())?;
    model.add_const(name, value)
}

impl Expansion for Reduce {
    fn name(&self) -> StaticName {
        "Reduce".into()
    }

    fn rules<'r, 'p: 'r, 's: 'r>(
        &'s self,
        solver: &mut Solver<'r>,
        inputs: &'p [TensorProxy],
        outputs: &'p [TensorProxy],
    ) -> InferenceResult {
        self.numbers.rules(solver, inputs, outputs)
    }

    fn wire(
        &self,
        prefix: &str,
        model: &mut TypedModel,
        inputs: &[OutletId],
    ) -> TractResult<TVec<OutletId>> {
        let datum_type = model.outlet_fact(inputs[0])?.datum_type;
        let output = match datum_type {
            DatumType::Bool => self.truth(prefix, model, inputs)?,
            DatumType::F16 | DatumType::F32 | DatumType::F64 => {
                self.numbers(prefix, model, inputs)?
            }
            _ => return self.numbers.wire(prefix, model, inputs),
        };
        Ok([output].into_iter().collect())
    }
}
