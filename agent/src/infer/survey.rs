//! What the file says of itself: operators, names, metadata, declared output shapes.
//!
//! Never trusts a declaration for running: it only names things in reports and signatures.

use super::operators;
use crate::tensor::Dim;
use std::collections::{BTreeSet, HashMap};
use tract_onnx::pb::tensor_shape_proto::dimension::Value as DimValue;
use tract_onnx::pb::type_proto::Value as TypeValue;
use tract_onnx::pb::{GraphProto, ModelProto, NodeProto, ValueInfoProto};

/// Most operators and metadata entries that are reported.
const ENTRIES_MAX: usize = 512;

/// A summary that outlives the file.
#[derive(Clone, Debug, Default)]
pub(super) struct Survey {
    /// Sorted, unique, domain-qualified unless `ai.onnx`.
    pub operators: Vec<String>,
    /// `metadata_props` in the file's order.
    pub metadata: Vec<(String, String)>,
    /// Operators that the runtime does not have, in the order of the graph.
    pub unknown: Vec<String>,
    /// Outputs in the file's order.
    pub outputs: Vec<DeclaredOutput>,
    /// Operator of each node, by its name (unique: see `names`).
    nodes: HashMap<String, String>,
    /// Operator of the first node that takes a tensor, by the tensor's name.
    takers: HashMap<String, String>,
}

/// An output as the file declares it.
#[derive(Clone, Debug)]
pub(super) struct DeclaredOutput {
    pub name: String,
    /// `None` when no shape is declared.
    pub shape: Option<Vec<Dim>>,
}

impl Survey {
    pub(super) fn of(proto: &ModelProto) -> Survey {
        let mut survey = Survey::default();
        let Some(graph) = &proto.graph else {
            return survey;
        };
        let mut operators = BTreeSet::new();
        visit(graph, &mut |node| {
            let operator = qualified(node);
            if !operators::is_known(&node.op_type) && !survey.unknown.contains(&operator) {
                survey.unknown.push(operator.clone());
            }
            for input in &node.input {
                let taker = survey.takers.entry(input.clone());
                taker.or_insert_with(|| operator.clone());
            }
            survey.nodes.insert(node.name.clone(), operator.clone());
            operators.insert(operator);
        });
        let metadata = proto.metadata_props.iter().take(ENTRIES_MAX);
        survey.metadata = metadata.map(|p| (p.key.clone(), p.value.clone())).collect();
        survey.operators = operators.into_iter().take(ENTRIES_MAX).collect();
        survey.unknown.truncate(ENTRIES_MAX);
        survey.outputs = graph.output.iter().map(declared).collect();
        survey
    }

    /// The operator, if the model uses no other.
    pub(super) fn only_operator(&self) -> Option<&str> {
        match self.operators.as_slice() {
            [only] => Some(only),
            _ => None,
        }
    }

    /// The operator that takes a tensor first.
    pub(super) fn taker_of(&self, tensor: &str) -> Option<&str> {
        self.takers.get(tensor).map(String::as_str)
    }

    /// The operator of a node; the runtime appends `.suffix` to nodes that it splits.
    pub(super) fn operator_of(&self, node: &str) -> Option<&str> {
        let mut name = node;
        loop {
            if let Some(operator) = self.nodes.get(name) {
                return Some(operator);
            }
            name = &name[..name.rfind('.')?];
        }
    }
}

fn visit(graph: &GraphProto, seen: &mut dyn FnMut(&NodeProto)) {
    for node in &graph.node {
        seen(node);
        for attribute in &node.attribute {
            attribute
                .g
                .iter()
                .chain(&attribute.graphs)
                .for_each(|inner| visit(inner, seen));
        }
    }
}

pub(super) fn qualified(node: &NodeProto) -> String {
    match node.domain.as_str() {
        "" | "ai.onnx" => node.op_type.clone(),
        domain => format!("{domain}.{}", node.op_type),
    }
}

fn declared(output: &ValueInfoProto) -> DeclaredOutput {
    let value = output
        .r#type
        .as_ref()
        .and_then(|declared| declared.value.as_ref());
    let shape = value.and_then(|TypeValue::TensorType(tensor)| tensor.shape.as_ref());
    let shape = shape.map(|shape| {
        let dims = shape.dim.iter().map(|dim| match &dim.value {
            Some(DimValue::DimValue(size)) => usize::try_from(*size).map_or(Dim::Any, Dim::Fixed),
            Some(DimValue::DimParam(_)) | None => Dim::Any,
        });
        dims.collect()
    });
    DeclaredOutput {
        name: output.name.clone(),
        shape,
    }
}
