//! Writes tiny ONNX files for tests, by the protobuf field numbers of `onnx.proto`.
//!
//! Never a general writer: FP32 tensors, attributes of integers and text, one graph.

/// A graph under construction. `None` in a shape is a symbolic dimension.
#[derive(Clone, Default)]
pub(crate) struct Onnx {
    nodes: Vec<Vec<u8>>,
    weights: Vec<Vec<u8>>,
    inputs: Vec<Vec<u8>>,
    outputs: Vec<Vec<u8>>,
    /// 13 without one.
    operator_set: Option<u64>,
}

impl Onnx {
    pub(crate) fn node(mut self, domain: &str, op: &str, inputs: &[&str], output: &str) -> Onnx {
        let mut node = Vec::new();
        inputs
            .iter()
            .for_each(|input| bytes(&mut node, 1, input.as_bytes()));
        bytes(&mut node, 2, output.as_bytes());
        bytes(&mut node, 3, b"same name");
        bytes(&mut node, 4, op.as_bytes());
        bytes(&mut node, 7, domain.as_bytes());
        self.nodes.push(node);
        self
    }

    /// An attribute `name = [values]` of the last node.
    pub(crate) fn ints(mut self, name: &str, values: &[i64]) -> Onnx {
        let mut attribute = Vec::new();
        bytes(&mut attribute, 1, name.as_bytes());
        values
            .iter()
            .for_each(|&value| number(&mut attribute, 8, value as u64));
        number(&mut attribute, 20, 7);
        if let Some(node) = self.nodes.last_mut() {
            bytes(node, 5, &attribute);
        }
        self
    }

    /// An attribute `name = value` of the last node.
    pub(crate) fn int(mut self, name: &str, value: u64) -> Onnx {
        let mut attribute = Vec::new();
        bytes(&mut attribute, 1, name.as_bytes());
        number(&mut attribute, 3, value);
        number(&mut attribute, 20, 2);
        if let Some(node) = self.nodes.last_mut() {
            bytes(node, 5, &attribute);
        }
        self
    }

    /// The same of text.
    pub(crate) fn text(mut self, name: &str, value: &str) -> Onnx {
        let mut attribute = Vec::new();
        bytes(&mut attribute, 1, name.as_bytes());
        bytes(&mut attribute, 4, value.as_bytes());
        number(&mut attribute, 20, 3);
        if let Some(node) = self.nodes.last_mut() {
            bytes(node, 5, &attribute);
        }
        self
    }

    pub(crate) fn operator_set(self, version: u64) -> Onnx {
        Onnx {
            operator_set: Some(version),
            ..self
        }
    }

    pub(crate) fn weight(mut self, name: &str, shape: &[u64], values: &[f32]) -> Onnx {
        let mut weight = Vec::new();
        shape.iter().for_each(|&dim| number(&mut weight, 1, dim));
        number(&mut weight, 2, 1);
        bytes(&mut weight, 8, name.as_bytes());
        let raw: Vec<u8> = values
            .iter()
            .flat_map(|value| value.to_le_bytes())
            .collect();
        bytes(&mut weight, 9, &raw);
        self.weights.push(weight);
        self
    }

    pub(crate) fn external_weight(mut self, name: &str, location: &str) -> Onnx {
        let (mut weight, mut entry) = (Vec::new(), Vec::new());
        bytes(&mut entry, 1, b"location");
        bytes(&mut entry, 2, location.as_bytes());
        number(&mut weight, 1, 1);
        number(&mut weight, 2, 1);
        bytes(&mut weight, 8, name.as_bytes());
        bytes(&mut weight, 13, &entry);
        number(&mut weight, 14, 1);
        self.weights.push(weight);
        self
    }

    pub(crate) fn input(mut self, name: &str, shape: &[Option<u64>]) -> Onnx {
        self.inputs.push(value_info(name, shape));
        self
    }

    pub(crate) fn output(mut self, name: &str, shape: &[Option<u64>]) -> Onnx {
        self.outputs.push(value_info(name, shape));
        self
    }

    pub(crate) fn build(self) -> Vec<u8> {
        let mut graph = Vec::new();
        self.nodes
            .iter()
            .for_each(|node| bytes(&mut graph, 1, node));
        bytes(&mut graph, 2, b"graph");
        self.weights
            .iter()
            .for_each(|weight| bytes(&mut graph, 5, weight));
        self.inputs
            .iter()
            .for_each(|input| bytes(&mut graph, 11, input));
        self.outputs
            .iter()
            .for_each(|output| bytes(&mut graph, 12, output));
        let (mut opset, mut property, mut model) = (Vec::new(), Vec::new(), Vec::new());
        number(&mut opset, 2, self.operator_set.unwrap_or(13));
        bytes(&mut property, 1, b"features");
        bytes(&mut property, 2, b"a,b");
        number(&mut model, 1, 8);
        bytes(&mut model, 7, &graph);
        bytes(&mut model, 8, &opset);
        bytes(&mut model, 14, &property);
        model
    }
}

/// `y = x * [2, 3] + [1, 1]` for `x` of shape [N, 2].
pub(crate) fn linear() -> Onnx {
    Onnx::default()
        .input("x", &[None, Some(2)])
        .weight("w", &[2], &[2.0, 3.0])
        .weight("b", &[2], &[1.0, 1.0])
        .node("", "Mul", &["x", "w"], "scaled")
        .node("", "Add", &["scaled", "b"], "y")
        .output("y", &[None, Some(2)])
}

/// A convolution with stride 0: the runtime divides by it.
pub(crate) fn divides_by_zero() -> Onnx {
    Onnx::default()
        .input("x", &[Some(1), Some(1), Some(8), Some(8)])
        .weight("w", &[1, 1, 3, 3], &[1.0; 9])
        .node("", "Conv", &["x", "w"], "y")
        .ints("strides", &[0, 0])
        .output("y", &[None, None, None, None])
}

fn value_info(name: &str, shape: &[Option<u64>]) -> Vec<u8> {
    let mut dims = Vec::new();
    for dim in shape {
        let mut field = Vec::new();
        match dim {
            Some(size) => number(&mut field, 1, *size),
            None => bytes(&mut field, 2, b"N"),
        }
        bytes(&mut dims, 1, &field);
    }
    let (mut tensor, mut kind, mut info) = (Vec::new(), Vec::new(), Vec::new());
    number(&mut tensor, 1, 1);
    bytes(&mut tensor, 2, &dims);
    bytes(&mut kind, 1, &tensor);
    bytes(&mut info, 1, name.as_bytes());
    bytes(&mut info, 2, &kind);
    info
}

fn bytes(out: &mut Vec<u8>, field: u64, content: &[u8]) {
    varint(out, field << 3 | 2);
    varint(out, content.len() as u64);
    out.extend_from_slice(content);
}

fn number(out: &mut Vec<u8>, field: u64, value: u64) {
    varint(out, field << 3);
    varint(out, value);
}

fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value > 0x7f {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}
