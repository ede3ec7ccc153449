//! The runtime: an ONNX file becomes a model that runs. Only this module knows tract.
//!
//! Runs inside a worker process, because the runtime panics, aborts or burns time on some files.
//! Never talks to the network, never reads a second file (no external weights), never decides.

mod blame;
mod convert;
mod culprit;
mod error;
mod example;
mod names;
mod operators;
mod plan;
mod read;
mod request;
mod survey;
pub mod test_data;

pub use culprit::culprit;
pub use error::{LoadError, RunError, Stage};
pub use example::Example;

use crate::tensor::{Signature, Tensor, TensorSpec};
use plan::{Plan, Plans};
use request::{Fixed, FormInput, has_values};
use std::path::Path;
use survey::Survey;
use tract_onnx::pb::ModelProto;
use tract_onnx::prelude::InferenceModel;

/// Which form of the graph runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
#[cbor(index_only)]
pub enum Graph {
    /// Rewritten for speed: what serves.
    #[n(0)]
    Optimised,
    /// As exported, without the optimiser's rewrites: a slow second opinion.
    #[n(1)]
    Unoptimised,
}

/// A model that runs.
pub struct Model {
    graph: Graph,
    survey: Survey,
    signature: Signature,
    source: Source,
    fixed: Fixed,
    plans: Plans,
}

/// What plans are made from. Kept only if another form of request may come.
enum Source {
    Fixed,
    Open(Box<InferenceModel>),
}

/// Told of each stage before it begins, with the operator if the model uses only one, and in the
/// first run of each operator: when the process dies, this is all that is known.
pub type Progress<'a> = &'a mut dyn FnMut(Stage, Option<&str>);

/// Loads the ONNX file at `path`. The first plan is for requests like `example`, with 1 for every
/// open dimension that it does not tell; others are made when a request brings another shape.
pub fn load(
    path: &Path,
    graph: Graph,
    example: &Example,
    progress: Progress<'_>,
) -> Result<Model, LoadError> {
    progress(Stage::Read, None);
    let bytes = read::file(path)?;
    progress(Stage::Parse, None);
    let proto = read::proto(bytes)?;
    plan_first(proto, graph, example, progress)
}

fn plan_first(
    proto: ModelProto,
    graph: Graph,
    example: &Example,
    progress: Progress<'_>,
) -> Result<Model, LoadError> {
    let survey = Survey::of(&proto);
    progress(Stage::Parse, survey.only_operator());
    read::check_datatypes(&proto, &survey)?;
    let parsed = read::graph(&proto, &survey)?;
    drop(proto);
    let inputs = plan::input_specs(&parsed, &survey, example)?;
    let mut entered = |stage| progress(stage, survey.only_operator());
    let mut attempt =
        |form: &[FormInput]| plan::build(&parsed, &inputs, form, graph, &survey, &mut entered);
    let (fixed, plan) = first_success(example, &inputs, &survey, &mut attempt)?;
    let outputs = plan.output_specs(&inputs, &survey)?;
    let source = match plan::is_open(&inputs) || fixed != Fixed::Nothing {
        true => Source::Open(Box::new(parsed)),
        false => Source::Fixed,
    };
    let signature = Signature { inputs, outputs };
    Ok(Model {
        graph,
        survey,
        signature,
        source,
        fixed,
        plans: Plans::new(plan),
    })
}

/// Tries with more and more of the example's settings as part of the plan. No setting helps a
/// model whose operators the runtime does not have.
fn first_success(
    example: &Example,
    inputs: &[TensorSpec],
    survey: &Survey,
    attempt: &mut dyn FnMut(&[FormInput]) -> Result<Plan, LoadError>,
) -> Result<(Fixed, Plan), LoadError> {
    let mut tried = Fixed::Nothing.form_like(example, inputs);
    let mut last = attempt(&tried).map(|plan| (Fixed::Nothing, plan));
    for fixed in [Fixed::IntegerSettings, Fixed::Settings] {
        let form = fixed.form_like(example, inputs);
        let hopeless = !survey.unknown.is_empty() || !has_values(&form) || form == tried;
        if last.is_err() && !hopeless {
            last = attempt(&form).map(|plan| (fixed, plan));
            tried = form;
        }
    }
    last
}

impl Model {
    /// What it takes and gives.
    pub fn signature(&self) -> &Signature {
        &self.signature
    }

    /// Operators that it uses, sorted, unique, with their domain unless that is `ai.onnx`.
    pub fn operators(&self) -> &[String] {
        &self.survey.operators
    }

    /// The file's `metadata_props`, in its order.
    pub fn metadata(&self) -> &[(String, String)] {
        &self.survey.metadata
    }

    /// Puts the inputs in order and makes a plan for their form unless one is cached.
    pub fn prepare(&mut self, inputs: Vec<Tensor>) -> Result<Vec<Tensor>, RunError> {
        let inputs = self.signature.arrange(inputs)?;
        let form = self.fixed.form(&inputs);
        if !self.plans.has(&form) {
            let plan = self.plan_for(&form)?;
            self.plans.insert(plan);
        }
        Ok(inputs)
    }

    /// Runs inputs that [`Model::prepare`] has just returned. NaN in, NaN out: not an error.
    pub fn run(
        &mut self,
        inputs: &[Tensor],
        progress: Progress<'_>,
    ) -> Result<Vec<Tensor>, RunError> {
        let form = self.fixed.form(inputs);
        let plan = self.plans.get(&form).ok_or(RunError::Unprepared)?;
        plan.run(inputs, &self.survey, progress)
    }

    /// The operator that ran last: at fault when a run did not come back.
    pub fn at_work(&self) -> Option<&str> {
        self.plans.last()?.at_work(&self.survey)
    }

    fn plan_for(&self, form: &[FormInput]) -> Result<Plan, RunError> {
        let Source::Open(parsed) = &self.source else {
            return Err(RunError::Unprepared);
        };
        let (inputs, survey) = (&self.signature.inputs, &self.survey);
        Ok(plan::build(
            parsed,
            inputs,
            form,
            self.graph,
            survey,
            &mut |_| {},
        )?)
    }
}

#[cfg(test)]
pub(crate) mod tests;
