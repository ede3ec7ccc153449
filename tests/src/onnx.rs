//! Models made on the spot: as much of ONNX's protobuf as a few operators and weights take.
//!
//! All have the signature `features` f32 `[N,4]` -> `score` f32 `[N,1]`.

use crate::random::Random;

/// Numbers of `TensorProto.DataType`.
const FLOAT: u64 = 1;
const INT64: u64 = 7;
/// Numbers of `AttributeProto.AttributeType`.
const ATTRIBUTE_INT: u64 = 2;
const ATTRIBUTE_TENSOR: u64 = 4;
const ATTRIBUTE_GRAPH: u64 = 5;
const ATTRIBUTE_INTS: u64 = 7;

/// A protobuf message that grows by its fields.
#[derive(Debug, Clone, Default)]
struct Message(Vec<u8>);

impl Message {
    fn varint(mut self, field: u64, value: u64) -> Self {
        push_varint(&mut self.0, field << 3);
        push_varint(&mut self.0, value);
        self
    }

    fn bytes(mut self, field: u64, value: &[u8]) -> Self {
        push_varint(&mut self.0, field << 3 | 2);
        push_varint(&mut self.0, value.len() as u64);
        self.0.extend_from_slice(value);
        self
    }

    fn text(self, field: u64, value: &str) -> Self {
        self.bytes(field, value.as_bytes())
    }

    fn message(self, field: u64, value: &Self) -> Self {
        self.bytes(field, &value.0)
    }

    fn messages(self, field: u64, values: &[Self]) -> Self {
        values
            .iter()
            .fold(self, |message, value| message.message(field, value))
    }
}

fn push_varint(bytes: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
}

fn tensor(name: &str, kind: u64, dims: &[u64], raw: &[u8]) -> Message {
    let tensor = dims
        .iter()
        .fold(Message::default(), |tensor, dim| tensor.varint(1, *dim));
    tensor.varint(2, kind).text(8, name).bytes(9, raw)
}

fn floats(name: &str, dims: &[u64], values: impl Iterator<Item = f32>) -> Message {
    tensor(
        name,
        FLOAT,
        dims,
        &values.flat_map(f32::to_le_bytes).collect::<Vec<_>>(),
    )
}

fn integers(name: &str, values: &[i64]) -> Message {
    let raw: Vec<_> = values
        .iter()
        .flat_map(|value| value.to_le_bytes())
        .collect();
    tensor(name, INT64, &[values.len() as u64], &raw)
}

fn node(kind: &str, inputs: &[&str], output: &str, attributes: &[Message]) -> Message {
    let node = inputs
        .iter()
        .fold(Message::default(), |node, input| node.text(1, input));
    node.text(2, output).text(4, kind).messages(5, attributes)
}

fn integer(name: &str, value: u64) -> Message {
    Message::default()
        .text(1, name)
        .varint(3, value)
        .varint(20, ATTRIBUTE_INT)
}

fn axes(value: u64) -> Message {
    Message::default()
        .text(1, "axes")
        .varint(8, value)
        .varint(20, ATTRIBUTE_INTS)
}

fn filled_with(value: f32) -> Message {
    let value = floats("value", &[1], [value].into_iter());
    Message::default()
        .text(1, "value")
        .message(5, &value)
        .varint(20, ATTRIBUTE_TENSOR)
}

/// A tensor of the graph's signature: f32 `[N, columns]`.
fn value_info(name: &str, columns: u64) -> Message {
    let rows = Message::default().text(2, "N");
    let columns = Message::default().varint(1, columns);
    let shape = Message::default().message(1, &rows).message(1, &columns);
    let tensor = Message::default().varint(1, FLOAT).message(2, &shape);
    Message::default()
        .text(1, name)
        .message(2, &Message::default().message(1, &tensor))
}

fn model(nodes: &[Message], weights: &[Message]) -> Vec<u8> {
    let graph = Message::default()
        .messages(1, nodes)
        .text(2, "made")
        .messages(5, weights);
    let graph = graph
        .message(11, &value_info("features", 4))
        .message(12, &value_info("score", 1));
    let opset = Message::default().text(1, "").varint(2, 13);
    Message::default()
        .varint(1, 8)
        .message(7, &graph)
        .message(8, &opset)
        .0
}

fn mean(from: &str, to: &str) -> Message {
    node(
        "ReduceMean",
        &[from],
        to,
        &[axes(1), integer("keepdims", 1)],
    )
}

/// A tensor as a file of ONNX test data holds it.
pub fn test_data(dims: &[u64], values: &[f32]) -> Vec<u8> {
    floats("", dims, values.iter().copied()).0
}

/// The mean of a product with weights that no compression makes smaller, of `kib` KiB.
pub fn large(kib: u64, seed: u64) -> Vec<u8> {
    let columns = kib * 1024 / 16;
    let mut random = Random(seed);
    // Any mantissa, exponents around those of small numbers.
    let weights = (0..columns * 4)
        .map(|_| f32::from_bits((random.draw() as u32 & 0x83ff_ffff) | 0x3c00_0000));
    let nodes = [
        node("MatMul", &["features", "weights"], "wide", &[]),
        mean("wide", "score"),
    ];
    model(&nodes, &[floats("weights", &[4, columns], weights)])
}

/// The mean and 1, by way of `count` products of matrices of `side` squared that all depend on
/// the input, so that nothing can be computed ahead.
pub fn slow(side: i64, count: u32) -> Vec<u8> {
    let mut nodes = vec![
        node("ConstantOfShape", &["wide"], "ramp", &[filled_with(1.0)]),
        node("ConstantOfShape", &["tall"], "column", &[filled_with(0.5)]),
        mean("features", "mean"),
        node("Unsqueeze", &["mean", "last"], "cell", &[]),
        node("Mul", &["cell", "ramp"], "row", &[]),
        node("Mul", &["row", "column"], "square", &[]),
        node("Softmax", &["square"], "product_0", &[integer("axis", 2)]),
    ];
    for n in 0..count {
        let (from, to) = (format!("product_{n}"), format!("product_{}", n + 1));
        nodes.push(node("MatMul", &[&from, "product_0"], &to, &[]));
    }
    let last = format!("product_{count}");
    nodes.push(node(
        "ReduceSum",
        &[&last, "last"],
        "sums",
        &[integer("keepdims", 0)],
    ));
    nodes.push(mean("sums", "one"));
    nodes.push(node("Add", &["mean", "one"], "score", &[]));
    let shapes = [
        integers("wide", &[1, 1, side]),
        integers("tall", &[1, side, 1]),
        integers("last", &[2]),
    ];
    model(&nodes, &shapes)
}

/// The mean; where a feature is above `limit`, only after `count` products of matrices of `side`
/// squared, and by `1/side` more.
pub fn slow_above(limit: f32, side: i64, count: u32) -> Vec<u8> {
    let mut slowly = vec![
        node("Mul", &["most", "ramp"], "row", &[]),
        node("Mul", &["row", "column"], "square", &[]),
        node("Softmax", &["square"], "product_0", &[integer("axis", 2)]),
    ];
    for n in 0..count {
        let (from, to) = (format!("product_{n}"), format!("product_{}", n + 1));
        slowly.push(node("MatMul", &[&from, "product_0"], &to, &[]));
    }
    let (last, flat) = (format!("product_{count}"), integer("keepdims", 0));
    slowly.push(node("ReduceMean", &[&last], "rows", &[axes(2), flat]));
    slowly.push(mean("rows", "slowly"));
    let at_once = [node("Identity", &["nothing"], "at_once", &[])];
    let branches = [
        branch("then_branch", "slowly", &slowly),
        branch("else_branch", "at_once", &at_once),
    ];
    let most = |from, to, axis| {
        node(
            "ReduceMax",
            &[from],
            to,
            &[axes(axis), integer("keepdims", 0)],
        )
    };
    let nodes = [
        node("ConstantOfShape", &["wide"], "ramp", &[filled_with(1.0)]),
        node("ConstantOfShape", &["tall"], "column", &[filled_with(0.5)]),
        most("features", "most_of_rows", 1),
        most("most_of_rows", "most", 0),
        node("Greater", &["most", "limit"], "is_above", &[]),
        node("If", &["is_above"], "more", &branches),
        mean("features", "mean"),
        node("Add", &["mean", "more"], "score", &[]),
    ];
    let weights = [
        integers("wide", &[1, 1, side]),
        integers("tall", &[1, side, 1]),
        floats("limit", &[], [limit].into_iter()),
        floats("nothing", &[1, 1], [0.0].into_iter()),
    ];
    model(&nodes, &weights)
}

/// One branch of a condition.
fn branch(name: &str, output: &str, nodes: &[Message]) -> Message {
    let graph = Message::default()
        .messages(1, nodes)
        .text(2, name)
        .message(12, &Message::default().text(1, output));
    Message::default()
        .text(1, name)
        .message(6, &graph)
        .varint(20, ATTRIBUTE_GRAPH)
}
