//! Which operator the runtime died of while it loaded a model: the shortest beginning of the
//! graph that it dies of too ends with it.
//!
//! Only after a panic, in a process that is about to end: never while it serves. Never on a large
//! graph: the search must not take longer than the verdict is worth.

use super::error::LoadError;
use super::example::Example;
use super::survey::qualified;
use super::{Graph, plan_first, read};
use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use tract_onnx::pb::{GraphProto, ModelProto, NodeProto, ValueInfoProto};

/// Most nodes of a graph that is searched.
const NODES_MAX: usize = 2_000;
/// Most outputs of a beginning: a model may not have more.
const OUTPUTS_MAX: usize = crate::tensor::TENSORS_MAX;

/// The operator that loading the file at `path` panics in, if it can be told.
pub fn culprit(path: &Path, graph: Graph, example: &Example) -> Option<String> {
    let whole = read::proto(read::file(path).ok()?).ok()?;
    let nodes = &whole.graph.as_ref()?.node;
    if nodes.is_empty() || nodes.len() > NODES_MAX {
        return None;
    }
    let dies = |count: usize| dies(beginning(&whole, count), graph, example);
    let (mut lives_with, mut dies_with) = (0, nodes.len());
    while dies_with - lives_with > 1 {
        let middle = lives_with.midpoint(dies_with);
        match dies(middle) {
            true => dies_with = middle,
            false => lives_with = middle,
        }
    }
    dies(dies_with).then(|| qualified(&nodes[dies_with - 1]))
}

fn dies(proto: ModelProto, graph: Graph, example: &Example) -> bool {
    let load =
        || -> Result<(), LoadError> { plan_first(proto, graph, example, &mut |_, _| {}).map(drop) };
    catch_unwind(AssertUnwindSafe(load)).is_err()
}

/// The first `count` nodes; their outputs that none of them takes are the model's.
fn beginning(whole: &ModelProto, count: usize) -> ModelProto {
    let mut proto = whole.clone();
    if let Some(graph) = &mut proto.graph {
        graph.node.truncate(count);
        graph.output = loose_ends(graph);
    }
    proto
}

fn loose_ends(graph: &GraphProto) -> Vec<ValueInfoProto> {
    let taken: HashSet<&String> = graph.node.iter().flat_map(|node| &node.input).collect();
    let made = |node: &NodeProto| node.output.clone();
    // The newest first: the last node is the one that matters.
    let names = graph.node.iter().rev().flat_map(made);
    let loose = names.filter(|name| !name.is_empty() && !taken.contains(name));
    let output = |name| ValueInfoProto {
        name,
        ..ValueInfoProto::default()
    };
    loose.take(OUTPUTS_MAX).map(output).collect()
}
