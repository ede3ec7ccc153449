//! One plan per form of request (see `request`), the few last used ones kept.
//!
//! Never leaves a symbol in a plan: symbolic shapes are several times slower and panic in places.

use super::blame::{failure, refusal};
use super::convert;
use super::error::{LoadError, RunError, Stage};
use super::example::Example;
use super::request::{Form, FormInput, has_values};
use super::survey::{DeclaredOutput, Survey};
use super::{Graph, Progress};
use crate::tensor::{Dim, TENSORS_MAX, Tensor, TensorSpec};
use std::cell::Cell;
use tract_onnx::prelude::{
    InferenceFact, InferenceModel, InferenceModelExt, IntoArcTensor, OutletId, TractResult,
    TypedModel, TypedSimplePlan, TypedSimpleState,
};
use tract_onnx::tract_core::plan::eval;
use tract_onnx::tract_hir::internal::{DimFact, Factoid, TypedFact};
use tract_onnx::tract_hir::ops::konst::Const;

/// Plans that are kept.
const PLANS_MAX: usize = 4;

/// A graph for one form of request, ready to run.
pub(super) struct Plan {
    state: TypedSimpleState,
    carry: Carry,
    form: Form,
    /// The node that runs, or ran last: to blame when the runtime does not come back.
    node: Cell<usize>,
    runs: u64,
}

/// What operators keep from one run to the next.
enum Carry {
    Nothing,
    /// Recurrent operators would start where the last request ended; ONNX starts them afresh.
    FreshStateEachRun,
}

/// The last used plans, newest last.
pub(super) struct Plans(Vec<Plan>);

/// Inputs of the parsed graph, with [`Dim::Any`] for what is symbolic or unknown.
pub(super) fn input_specs(
    parsed: &InferenceModel,
    survey: &Survey,
    example: &Example,
) -> Result<Vec<TensorSpec>, LoadError> {
    if parsed.inputs.len().max(survey.outputs.len()) > TENSORS_MAX {
        let reason = format!("more than {TENSORS_MAX} inputs or outputs");
        return Err(LoadError::new(Stage::Analyse, reason));
    }
    let spec = |(place, outlet): (usize, &OutletId)| {
        let name = parsed.node(outlet.node).name.clone();
        let refused = |why: String| LoadError {
            stage: Stage::Analyse,
            operator: survey.taker_of(&name).map(str::to_owned),
            reason: format!("input {name:?}: {why}"),
        };
        let fact = parsed
            .outlet_fact(*outlet)
            .map_err(|error| refused(error.to_string()))?;
        let datum_type = fact.datum_type.concretize();
        let datum_type = datum_type.ok_or_else(|| refused("it declares no datatype".into()))?;
        let datatype = convert::datatype(datum_type);
        let datatype = datatype.ok_or_else(|| refused(convert::unsupported(datum_type)))?;
        let shape = match (fact.shape.is_open(), example.rank_of(&name, place)) {
            (false, _) => fact.shape.dims().map(input_dim).collect(),
            (true, Some(rank)) => vec![Dim::Any; rank],
            (true, None) => return Err(refused("it declares no shape".into())),
        };
        Ok(TensorSpec {
            name: name.clone(),
            datatype,
            shape,
        })
    };
    parsed.inputs.iter().enumerate().map(spec).collect()
}

/// Whether a request may bring more than one shape.
pub(super) fn is_open(inputs: &[TensorSpec]) -> bool {
    inputs.iter().any(|spec| spec.shape.contains(&Dim::Any))
}

/// A plan for exactly this form of request.
pub(super) fn build(
    parsed: &InferenceModel,
    inputs: &[TensorSpec],
    form: &[FormInput],
    graph: Graph,
    survey: &Survey,
    entered: &mut dyn FnMut(Stage),
) -> Result<Plan, LoadError> {
    entered(Stage::Analyse);
    let refused = |stage| move |error| refusal(stage, &error, survey);
    let typed = typed(parsed, inputs, form).map_err(refused(Stage::Analyse))?;
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
    Ok(Plan {
        state,
        carry,
        form: form.to_vec(),
        node: Cell::new(usize::MAX),
        runs: 0,
    })
}

fn typed(
    parsed: &InferenceModel,
    inputs: &[TensorSpec],
    form: &[FormInput],
) -> TractResult<TypedModel> {
    let mut model = parsed.clone();
    let mut free = Vec::new();
    for (outlet, (spec, input)) in parsed.inputs.iter().zip(inputs.iter().zip(form)) {
        match &input.value {
            Some(value) => fix(&mut model, *outlet, value)?,
            None => {
                let datum_type = convert::datum_type(spec.datatype);
                let fact = InferenceFact::dt_shape(datum_type, input.shape.clone());
                model.set_outlet_fact(*outlet, fact)?;
                free.push(*outlet);
            }
        }
    }
    model.set_input_outlets(&free)?;
    model.into_typed()
}

/// Makes an input a constant of this plan.
fn fix(model: &mut InferenceModel, outlet: OutletId, value: &Tensor) -> TractResult<()> {
    let value = convert::to_runtime(value)?.into_arc_tensor();
    model.set_outlet_fact(outlet, InferenceFact::try_from(&value)?)?;
    model.node_mut(outlet.node).op = Box::new(Const::new(value)?);
    Ok(())
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
        let open = is_open(inputs) || has_values(&self.form);
        let refused = |name: &str, why: String| {
            LoadError::new(Stage::Plan, format!("output {name:?}: {why}"))
        };
        let spec = |(index, declared): (usize, &DeclaredOutput)| {
            let fact = model.output_fact(index);
            let fact = fact.map_err(|error| refused(&declared.name, error.to_string()))?;
            let datatype = convert::datatype(fact.datum_type)
                .ok_or_else(|| refused(&declared.name, convert::unsupported(fact.datum_type)))?;
            let shape = output_dims(fact, declared, open);
            Ok(TensorSpec {
                name: declared.name.clone(),
                datatype,
                shape,
            })
        };
        survey.outputs.iter().enumerate().map(spec).collect()
    }

    /// Runs inputs in the order of the signature. The first run of a plan tells each operator
    /// before it begins: what kills the process mostly does so at once.
    pub(super) fn run(
        &mut self,
        inputs: &[Tensor],
        survey: &Survey,
        progress: Progress<'_>,
    ) -> Result<Vec<Tensor>, RunError> {
        let free = inputs.iter().zip(&self.form);
        let values = free
            .filter(|(_, input)| input.value.is_none())
            .map(|(tensor, _)| convert::to_runtime(tensor))
            .collect::<Result<_, _>>();
        let values = values.map_err(|error| failure(&error, survey, None))?;
        let (at, telling, mut told) = (&self.node, self.runs == 0, None);
        let ran = self
            .state
            .run_plan_with_eval(values, |context, state, node, inputs| {
                at.set(node.id);
                let operator = survey.operator_of(&node.name).filter(|_| telling);
                if operator.is_some() && operator != told {
                    progress(Stage::Run, operator);
                    told = operator;
                }
                eval(context, state, node, inputs)
            });
        self.runs += 1;
        let failed = |error| failure(&error, survey, self.at_work(survey));
        if ran.is_err() || matches!(self.carry, Carry::FreshStateEachRun) {
            self.state = self.state.plan().clone().spawn().map_err(failed)?;
        }
        let failed = |error| failure(&error, survey, self.at_work(survey));
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

    /// The operator that runs, or ran last.
    pub(super) fn at_work<'a>(&self, survey: &'a Survey) -> Option<&'a str> {
        let nodes = self.state.plan().model().nodes();
        survey.operator_of(&nodes.get(self.node.get())?.name)
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
    pub(super) fn new(plan: Plan) -> Plans {
        Plans(vec![plan])
    }

    pub(super) fn has(&self, form: &[FormInput]) -> bool {
        self.0.iter().any(|known| known.form == form)
    }

    /// Adds a plan; the one that was not used for longest makes room.
    pub(super) fn insert(&mut self, plan: Plan) {
        if self.0.len() >= PLANS_MAX {
            self.0.remove(0);
        }
        self.0.push(plan);
    }

    pub(super) fn get(&mut self, form: &[FormInput]) -> Option<&mut Plan> {
        let at = self.0.iter().position(|known| known.form == form)?;
        let used = self.0.remove(at);
        self.0.push(used);
        self.0.last_mut()
    }

    /// The plan that was used last.
    pub(super) fn last(&self) -> Option<&Plan> {
        self.0.last()
    }
}
