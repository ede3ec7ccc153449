//! The runtime: an ONNX file becomes a model that runs. Only this module knows tract.
//!
//! Runs inside a worker process, because the runtime panics, aborts or burns time on some files.
//! Never talks to the network, never reads a second file (no external weights), never decides.

mod blame;
mod convert;
mod error;
mod names;
mod plan;
mod read;
mod survey;

pub use error::{LoadError, RunError, Stage};

use crate::tensor::{Signature, Tensor, TensorSpec};
use plan::{Plan, Plans};
use std::path::Path;
use survey::Survey;
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
    plans: Plans,
}

/// What plans are made from. Kept only if another input shape may come.
enum Source {
    Fixed,
    Open(Box<InferenceModel>),
}

/// Told of each stage before it begins, with the operator if the model uses only one: when the
/// process dies, this is all that is known.
pub type Progress<'a> = &'a mut dyn FnMut(Stage, Option<&str>);

/// Loads the ONNX file at `path`. The first plan has 1 for every open dimension; others are made
/// when a request brings another shape.
pub fn load(path: &Path, graph: Graph, progress: Progress<'_>) -> Result<Model, LoadError> {
    progress(Stage::Read, None);
    let bytes = read::file(path)?;
    progress(Stage::Parse, None);
    let proto = read::proto(bytes)?;
    let survey = Survey::of(&proto);
    progress(Stage::Parse, survey.only_operator());
    let parsed = read::graph(&proto, &survey)?;
    drop(proto);
    let inputs = plan::input_specs(&parsed, &survey)?;
    let shapes: Vec<_> = inputs.iter().map(TensorSpec::smallest_shape).collect();
    let mut entered = |stage| progress(stage, survey.only_operator());
    let plan = plan::build(&parsed, &inputs, &shapes, graph, &survey, &mut entered)?;
    let outputs = plan.output_specs(&inputs, &survey)?;
    let source = match plan::is_open(&inputs) {
        true => Source::Open(Box::new(parsed)),
        false => Source::Fixed,
    };
    let signature = Signature { inputs, outputs };
    Ok(Model {
        graph,
        survey,
        signature,
        source,
        plans: Plans::new(shapes, plan),
    })
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

    /// Puts the inputs in order and makes a plan for their shape unless one is cached.
    pub fn prepare(&mut self, inputs: Vec<Tensor>) -> Result<Vec<Tensor>, RunError> {
        let inputs = self.signature.arrange(inputs)?;
        let shapes: Vec<_> = inputs
            .iter()
            .map(|tensor| tensor.shape().to_vec())
            .collect();
        if !self.plans.has(&shapes) {
            let plan = self.plan_for(&shapes)?;
            self.plans.insert(shapes, plan);
        }
        Ok(inputs)
    }

    /// Runs inputs that [`Model::prepare`] has just returned. NaN in, NaN out: not an error.
    pub fn run(&mut self, inputs: &[Tensor]) -> Result<Vec<Tensor>, RunError> {
        let shapes: Vec<_> = inputs
            .iter()
            .map(|tensor| tensor.shape().to_vec())
            .collect();
        let plan = self.plans.get(&shapes).ok_or(RunError::Unprepared)?;
        plan.run(inputs, &self.survey)
    }

    fn plan_for(&self, shapes: &[Vec<usize>]) -> Result<Plan, RunError> {
        let Source::Open(parsed) = &self.source else {
            return Err(RunError::Unprepared);
        };
        let (inputs, survey) = (&self.signature.inputs, &self.survey);
        Ok(plan::build(
            parsed,
            inputs,
            shapes,
            self.graph,
            survey,
            &mut |_| {},
        )?)
    }
}

#[cfg(test)]
pub(crate) mod tests;
