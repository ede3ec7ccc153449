//! One plan per concrete input shape, the few last used ones kept.
//!
//! Never leaves a symbol in a plan: symbolic shapes are several times slower and panic in places.

use super::Graph;
use super::blame::{failure, refusal};
use super::convert;
use super::error::{LoadError, RunError, Stage};
use super::survey::{DeclaredOutput, Survey};
use crate::tensor::{Dim, TENSORS_MAX, Tensor, TensorSpec};
use tract_onnx::prelude::{
    InferenceFact, InferenceModel, InferenceModelExt, TypedModel, TypedSimplePlan, TypedSimpleState,
};
use tract_onnx::tract_hir::internal::{DimFact, Factoid, TypedFact};

/// Plans that are kept.
const PLANS_MAX: usize = 4;

/// A graph for one input shape, ready to run.
pub(super) struct Plan {
    state: TypedSimpleState,
    carry: Carry,
}

/// What operators keep from one run to the next.
enum Carry {
    Nothing,
    /// Recurrent operators would start where the last request ended; ONNX starts them afresh.
    FreshStateEachRun,
}

/// The last used plans, newest last.
pub(super) struct Plans(Vec<(Vec<Vec<usize>>, Plan)>);

/// Inputs of the parsed graph, with [`Dim::Any`] for what is symbolic or unknown.
pub(super) fn input_specs(
    parsed: &InferenceModel,
    survey: &Survey,
) -> Result<Vec<TensorSpec>, LoadError> {
    if parsed.inputs.len().max(survey.outputs.len()) > TENSORS_MAX {
        let reason = format!("more than {TENSORS_MAX} inputs or outputs");
        return Err(LoadError::new(Stage::Analyse, reason));
    }
    let spec = |outlet: &tract_onnx::prelude::OutletId| {
        let name = parsed.node(outlet.node).name.clone();
        let refused =
            |why: String| LoadError::new(Stage::Analyse, format!("input {name:?}: {why}"));
        let fact = parsed
            .outlet_fact(*outlet)
            .map_err(|error| refused(error.to_string()))?;
        let datum_type = fact.datum_type.concretize();
        let datum_type = datum_type.ok_or_else(|| refused("it declares no datatype".into()))?;
        let datatype = convert::datatype(datum_type);
        let datatype = datatype.ok_or_else(|| refused(convert::unsupported(datum_type)))?;
        if fact.shape.is_open() {
            return Err(refused("it declares no shape".into()));
        }
        let shape = fact.shape.dims().map(input_dim).collect();
        Ok(TensorSpec {
            name: name.clone(),
            datatype,
            shape,
        })
    };
    parsed.inputs.iter().map(spec).collect()
}

/// Whether a request may bring more than one shape.
pub(super) fn is_open(inputs: &[TensorSpec]) -> bool {
    inputs.iter().any(|spec| spec.shape.contains(&Dim::Any))
}

/// A plan for exactly these input shapes.
pub(super) fn build(
    parsed: &InferenceModel,
    inputs: &[TensorSpec],
    shapes: &[Vec<usize>],
    graph: Graph,
    survey: &Survey,
    entered: &mut dyn FnMut(Stage),
) -> Result<Plan, LoadError> {
    entered(Stage::Analyse);
    let refused = |stage| move |error| refusal(stage, &error, survey);
    let typed = typed(parsed, inputs, shapes).map_err(refused(Stage::Analyse))?;
    let typed = match graph {
        Graph::Unoptimised => typed,
        Graph::Optimised => {
            entered(Stage::Optimise);
            typed.into_optimized().map_err(refused(Stage::Optimise))?
        }
    };
    entered(Stage::Plan);
    let plan = TypedSimplePlan::new(typed).map_err(refused(Stage::Plan))?;
    let state = plan.spawn().map_err(refused(Stage::Plan))?;
    let carry = match state.op_states.iter().any(Option::is_some) {
        true => Carry::FreshStateEachRun,
        false => Carry::Nothing,
    };
    Ok(Plan { state, carry })
}

fn typed(
    parsed: &InferenceModel,
    inputs: &[TensorSpec],
    shapes: &[Vec<usize>],
) -> tract_onnx::prelude::TractResult<TypedModel> {
    let mut model = parsed.clone();
    for (index, (spec, shape)) in inputs.iter().zip(shapes).enumerate() {
        let datum_type = convert::datum_type(spec.datatype);
        model.set_input_fact(index, InferenceFact::dt_shape(datum_type, shape.clone()))?;
    }
    model.into_typed()
}

fn input_dim(dim: &DimFact) -> Dim {
    let size = dim.concretize().and_then(|dim| dim.to_i64().ok());
    size.and_then(|size| usize::try_from(size).ok())
        .map_or(Dim::Any, Dim::Fixed)
}

impl Plan {
    /// Outputs as this plan makes them, [`Dim::Any`] where another input shape may change them.
    pub(super) fn output_specs(
        &self,
        inputs: &[TensorSpec],
        survey: &Survey,
    ) -> Result<Vec<TensorSpec>, LoadError> {
        let model = self.state.plan().model();
        let refused = |name: &str, why: String| {
            LoadError::new(Stage::Plan, format!("output {name:?}: {why}"))
        };
        let spec = |(index, declared): (usize, &DeclaredOutput)| {
            let fact = model.output_fact(index);
            let fact = fact.map_err(|error| refused(&declared.name, error.to_string()))?;
            let datatype = convert::datatype(fact.datum_type)
                .ok_or_else(|| refused(&declared.name, convert::unsupported(fact.datum_type)))?;
            let shape = output_dims(fact, declared, is_open(inputs));
            Ok(TensorSpec {
                name: declared.name.clone(),
                datatype,
                shape,
            })
        };
        survey.outputs.iter().enumerate().map(spec).collect()
    }

    /// Runs inputs in the order of the signature.
    pub(super) fn run(
        &mut self,
        inputs: &[Tensor],
        survey: &Survey,
    ) -> Result<Vec<Tensor>, RunError> {
        let failed = |error| failure(&error, survey);
        let values = inputs
            .iter()
            .map(convert::to_runtime)
            .collect::<Result<_, _>>();
        let values = values.map_err(failed)?;
        let ran = self.state.run(values);
        if ran.is_err() || matches!(self.carry, Carry::FreshStateEachRun) {
            self.state = self.state.plan().clone().spawn().map_err(failed)?;
        }
        let named = survey.outputs.iter().zip(ran.map_err(failed)?);
        named
            .map(|(declared, value)| {
                let name = &declared.name;
                let output = convert::from_runtime(name, &value);
                output.map_err(|reason| RunError::Output {
                    name: name.clone(),
                    reason,
                })
            })
            .collect()
    }
}

fn output_dims(fact: &TypedFact, declared: &DeclaredOutput, open: bool) -> Vec<Dim> {
    let declared = declared
        .shape
        .as_ref()
        .filter(|shape| shape.len() == fact.shape.rank());
    let made = fact
        .shape
        .iter()
        .map(|dim| dim.to_i64().ok().and_then(|size| size.try_into().ok()));
    made.enumerate()
        .map(
            |(axis, made)| match (made, declared.map(|shape| shape[axis])) {
                (Some(size), _) if !open => Dim::Fixed(size),
                (Some(size), Some(Dim::Fixed(said))) if said == size => Dim::Fixed(size),
                (Some(_), _) | (None, _) => Dim::Any,
            },
        )
        .collect()
}

impl Plans {
    pub(super) fn new(shapes: Vec<Vec<usize>>, plan: Plan) -> Plans {
        Plans(vec![(shapes, plan)])
    }

    pub(super) fn has(&self, shapes: &[Vec<usize>]) -> bool {
        self.0.iter().any(|(known, _)| known == shapes)
    }

    /// Adds a plan; the one that was not used for longest makes room.
    pub(super) fn insert(&mut self, shapes: Vec<Vec<usize>>, plan: Plan) {
        if self.0.len() >= PLANS_MAX {
            self.0.remove(0);
        }
        self.0.push((shapes, plan));
    }

    pub(super) fn get(&mut self, shapes: &[Vec<usize>]) -> Option<&mut Plan> {
        let at = self.0.iter().position(|(known, _)| known == shapes)?;
        let used = self.0.remove(at);
        self.0.push(used);
        self.0.last_mut().map(|(_, plan)| plan)
    }
}
