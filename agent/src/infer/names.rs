//! Gives every node of a file its own name: ONNX does not ask for that, the runtime does.
//!
//! Never touches the names of tensors; nodes are wired by those, not by their own.

use std::collections::HashSet;
use tract_onnx::pb::GraphProto;

/// Renames nodes whose name is taken, in all graphs of the file together: inner graphs are
/// inlined. A node without a name is known by its first output.
pub(super) fn make_unique(graph: &mut GraphProto) {
    let mut taken = HashSet::new();
    reserve(graph, &mut taken);
    rename(graph, &mut taken);
}

/// Inputs and weights become nodes of the runtime too, under their own names.
fn reserve(graph: &GraphProto, taken: &mut HashSet<String>) {
    taken.extend(graph.input.iter().map(|input| input.name.clone()));
    taken.extend(graph.initializer.iter().map(|weight| weight.name.clone()));
    for attribute in graph.node.iter().flat_map(|node| &node.attribute) {
        attribute
            .g
            .iter()
            .chain(&attribute.graphs)
            .for_each(|inner| reserve(inner, taken));
    }
}

fn rename(graph: &mut GraphProto, taken: &mut HashSet<String>) {
    for node in &mut graph.node {
        if node.name.is_empty() {
            node.name = node.output.first().cloned().unwrap_or_default();
        }
        if !taken.insert(node.name.clone()) {
            node.name = format!("{}#{}", node.name, taken.len());
            taken.insert(node.name.clone());
        }
        for attribute in &mut node.attribute {
            let inner = attribute.g.iter_mut().chain(&mut attribute.graphs);
            inner.for_each(|inner| rename(inner, taken));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tract_onnx::pb::{NodeProto, ValueInfoProto};

    #[test]
    fn every_node_ends_with_its_own_name() {
        fn check(names: &[&str], expect: &[&str]) {
            let node = |name: &&str| NodeProto {
                name: name.to_string(),
                output: vec!["out".into()],
                ..NodeProto::default()
            };
            let input = ValueInfoProto {
                name: "in".into(),
                ..ValueInfoProto::default()
            };
            let node = names.iter().map(node).collect();
            let mut graph = GraphProto {
                node,
                input: vec![input],
                ..GraphProto::default()
            };
            make_unique(&mut graph);
            let got: Vec<&str> = graph.node.iter().map(|node| node.name.as_str()).collect();
            assert_eq!(got, expect);
        }
        check(&["a", "b"], &["a", "b"]);
        check(&["a", "a", ""], &["a", "a#2", "out"]);
        check(&["in"], &["in#1"]);
    }
}
