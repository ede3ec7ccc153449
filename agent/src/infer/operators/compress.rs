//! Compress as Gather: the condition is a setting, so the plan knows what is kept.
//!
//! Never with a condition that is computed from data: the size of the output would be unknown.

use super::Built;
use anyhow::Context as _;
use tract_onnx::model::ParsingContext;
use tract_onnx::pb::NodeProto;
use tract_onnx::prelude::{
    DatumType, OutletId, SpecialOps as _, TVec, Tensor, TractResult, TypedModel,
};
use tract_onnx::tract_core::ops::array::Gather;
use tract_onnx::tract_core::ops::change_axes::AxisOp;
use tract_onnx::tract_hir::infer::InferenceResult;
use tract_onnx::tract_hir::internal::{
    Expansion, Solver, StaticName, TensorProxy, ToDim as _, ensure, expand, tensor1,
};

/// Along an axis, counted from the end if it is negative; along the flattened input without one.
#[derive(Clone, Debug)]
struct Compress {
    axis: Option<i64>,
}

pub(super) fn build(_: &ParsingContext<'_>, node: &NodeProto) -> Built {
    let mut attributes = node.attribute.iter();
    let axis = attributes.find(|attribute| attribute.name == "axis");
    let axis = axis.map(|attribute| attribute.i);
    Ok((expand(Compress { axis }), vec![]))
}

impl Compress {
    fn axis_of(&self, rank: usize) -> TractResult<Option<usize>> {
        let Some(axis) = self.axis else {
            return Ok(None);
        };
        let from_start = if axis < 0 { axis + rank as i64 } else { axis };
        let axis = usize::try_from(from_start).ok().filter(|&at| at < rank);
        Ok(Some(axis.context("its axis is none of the input's")?))
    }
}

/// Places that the condition keeps.
fn kept(condition: &Tensor) -> TractResult<Vec<i64>> {
    ensure!(
        condition.datum_type() == DatumType::Bool,
        "its condition is not BOOL"
    );
    let flags = condition.as_bytes().iter().enumerate();
    Ok(flags
        .filter(|(_, flag)| **flag != 0)
        .map(|(at, _)| at as i64)
        .collect())
}

impl Expansion for Compress {
    fn name(&self) -> StaticName {
        "Compress".into()
    }

    fn rules<'r, 'p: 'r, 's: 'r>(
        &'s self,
        solver: &mut Solver<'r>,
        inputs: &'p [TensorProxy],
        outputs: &'p [TensorProxy],
    ) -> InferenceResult {
        solver.equals(&inputs[0].datum_type, &outputs[0].datum_type)?;
        solver.equals(&inputs[1].datum_type, DatumType::Bool)?;
        solver.equals(&inputs[1].rank, 1)?;
        let (shape, condition) = (&inputs[0].shape, &inputs[1].value);
        solver.given_2(shape, condition, move |solver, mut shape, condition| {
            let count = kept(&condition)?.len().to_dim();
            match self.axis_of(shape.len())? {
                Some(axis) => shape[axis] = count,
                None => shape = [count].into_iter().collect(),
            }
            solver.equals(&outputs[0].shape, shape)
        })
    }

    fn wire(
        &self,
        prefix: &str,
        model: &mut TypedModel,
        inputs: &[OutletId],
    ) -> TractResult<TVec<OutletId>> {
        let condition = model.outlet_fact(inputs[1])?.konst.clone();
        let condition = condition.context("its condition is not known before it runs")?;
        let kept = tensor1(&kept(&condition)?);
        let kept = model.add_const(format!("{prefix}.kept"), kept)?;
        let shape = model.outlet_fact(inputs[0])?.shape.to_tvec();
        let (mut data, mut gather) = (inputs[0], Gather::new(0));
        match self.axis_of(shape.len())? {
            Some(axis) => gather = Gather::new(axis),
            None => {
                let flat = [shape.iter().product()].into_iter().collect();
                let flatten = AxisOp::Reshape(0, shape, flat);
                data = model.wire_node(format!("{prefix}.flat"), flatten, &[data])?[0];
            }
        }
        model.wire_node(prefix, gather, &[data, kept])
    }
}
