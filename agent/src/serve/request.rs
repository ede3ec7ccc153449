//! Reads an inference request: JSON head, tensors as JSON or as the binary data behind it.
//!
//! Sources: Open Inference Protocol v2 "Inference Request"; Triton's binary tensor data
//! extension. JSON is read twice, because `data` may come before `datatype`: first the head with
//! all data skipped, then the data, straight into bytes. Never builds a tree of values.

mod elements;
mod head;
#[cfg(test)]
mod hostile;

use super::refusal::Refusal;
use crate::tensor::{Datatype, Signature, TENSOR_BYTES_MAX, Tensor};
use axum::http::{HeaderMap, StatusCode, header};
use elements::Plan;
use head::{Head, InputHead};
use std::str::FromStr;

/// Length of the JSON when binary data follows it (binary tensor data extension).
pub(super) const JSON_LENGTH: &str = "inference-header-content-length";

/// Where in a body the JSON ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    /// It is the whole body.
    Json,
    /// After so many bytes; the rest is binary data.
    Split(usize),
}

/// A request that fits its model.
#[derive(Debug)]
pub(super) struct Asked {
    /// In the model's order.
    pub(super) inputs: Vec<Tensor>,
    pub(super) reply_as: ReplyAs,
}

/// How the reply shall look.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ReplyAs {
    /// The request's id, given back.
    pub(super) id: Option<String>,
    /// The id that the agent gave, where the request has none and labels may come.
    pub(super) prediction_id: Option<String>,
    /// In the order that the reply shall have.
    pub(super) outputs: Vec<(String, Encoding)>,
}

/// How a tensor's elements travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Encoding {
    /// In `data`.
    Json,
    /// Behind the JSON, little endian.
    Binary,
}

impl Framing {
    pub(super) fn of(headers: &HeaderMap) -> Result<Framing, Refusal> {
        let coding = headers.get(header::CONTENT_ENCODING);
        if coding.is_some_and(|coding| coding != "identity") {
            return Err(Refusal::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "predict",
                "the body is compressed".into(),
                "send it plain: on one machine compression only costs time",
            ));
        }
        let Some(length) = headers.get(JSON_LENGTH) else {
            return Ok(Framing::Json);
        };
        let length = length.to_str().ok().and_then(|text| text.parse().ok());
        length.map(Framing::Split).ok_or_else(|| {
            Refusal::input(
                "the header Inference-Header-Content-Length is no number",
                "it says how many bytes of the body are JSON",
            )
        })
    }
}

/// The inputs of a request in the order of `signature`, and how to reply.
pub(super) fn read(body: &[u8], framing: Framing, signature: &Signature) -> Result<Asked, Refusal> {
    let (json, binary) = split(body, framing)?;
    let head: Head = serde_json::from_slice(json).map_err(|error| bad_json(json, &error))?;
    let outputs = wanted(&head, signature)?;
    let plans = head.inputs.iter().map(plan);
    let plans = plans.collect::<Result<Vec<Plan>, Refusal>>()?;
    let data = match plans.iter().any(|plan| plan.encoding == Encoding::Json) {
        true => elements::read(json, &plans).map_err(|error| bad_json(json, &error))?,
        false => vec![Vec::new(); plans.len()],
    };
    let data = fill_binary(&head.inputs, data, binary)?;
    let tensors = plans.into_iter().zip(head.inputs).zip(data);
    let tensors = tensors.map(|((plan, input), data)| tensor(plan, input.name, data));
    let inputs = signature
        .arrange(tensors.collect::<Result<_, _>>()?)
        .map_err(|error| {
            let hint =
                "GET /v2/models/MODEL shows names, datatypes and shapes; -1 is any size from 1";
            Refusal::input(error.to_string(), hint)
        })?;
    let reply_as = ReplyAs {
        id: head.id,
        prediction_id: None,
        outputs,
    };
    Ok(Asked { inputs, reply_as })
}

fn split(body: &[u8], framing: Framing) -> Result<(&[u8], &[u8]), Refusal> {
    let Framing::Split(length) = framing else {
        return Ok((body, &[]));
    };
    body.split_at_checked(length).ok_or_else(|| {
        let bytes = body.len();
        Refusal::input(
            format!("the JSON shall have {length} bytes, the whole body has {bytes}"),
            "Inference-Header-Content-Length counts the JSON in front of the binary data",
        )
    })
}

/// What an input says of itself, before its data is looked at.
fn plan(input: &InputHead) -> Result<Plan, Refusal> {
    let name = &input.name;
    let refuse = |why: &str, hint| Refusal::input(format!("input {name:?}: {why}"), hint);
    let hint = "numbers and booleans only; encode text as UINT8";
    let datatype =
        Datatype::from_str(&input.datatype).map_err(|error| refuse(&error.to_string(), hint))?;
    if input.parameters.shared_memory_region.is_some() {
        return Err(refuse(
            "shared memory is not offered",
            "send the data itself",
        ));
    }
    let binary = input.parameters.binary_data_size;
    let encoding = match (&input.data, binary) {
        (Some(_), None) if datatype == Datatype::F16 => {
            let why = "the protocol has no FP16 in JSON";
            return Err(refuse(why, "send it as binary data"));
        }
        (Some(_), None) => Encoding::Json,
        (None, Some(_)) => Encoding::Binary,
        (Some(_), Some(_)) => {
            let why = "it has both data and binary_data_size";
            return Err(refuse(why, "send one of them"));
        }
        (None, None) => {
            let why = "it has neither data nor binary_data_size";
            return Err(refuse(why, "send one of them"));
        }
    };
    Ok(Plan {
        datatype,
        shape: input.shape.0.clone(),
        encoding,
    })
}

/// Cuts the binary data into the inputs that have some, in their order.
fn fill_binary(
    inputs: &[InputHead],
    mut data: Vec<Vec<u8>>,
    mut binary: &[u8],
) -> Result<Vec<Vec<u8>>, Refusal> {
    let whole = binary.len();
    let sizes = inputs.iter().map(|input| input.parameters.binary_data_size);
    let hint = "binary_data_size of all inputs must add up to the bytes behind the JSON, and \
                Inference-Header-Content-Length must say where those begin";
    for (size, into) in sizes.zip(&mut data) {
        let Some(size) = size else { continue };
        let cut = usize::try_from(size)
            .ok()
            .filter(|&size| size <= TENSOR_BYTES_MAX);
        let (mine, rest) = cut
            .and_then(|size| binary.split_at_checked(size))
            .ok_or_else(|| {
                Refusal::input(
                    format!("the inputs ask for more than {whole} binary bytes"),
                    hint,
                )
            })?;
        (*into, binary) = (mine.to_vec(), rest);
    }
    match binary.len() {
        0 => Ok(data),
        left => Err(Refusal::input(
            format!("{left} of {whole} binary bytes belong to no input"),
            hint,
        )),
    }
}

fn tensor(plan: Plan, name: String, data: Vec<u8>) -> Result<Tensor, Refusal> {
    let label = format!("input {:?}", name.chars().take(80).collect::<String>());
    Tensor::new(name, plan.datatype, plan.shape, data).map_err(|error| {
        let hint = "the shape must match the number of elements";
        Refusal::input(format!("{label}: {error}"), hint)
    })
}

/// The outputs to reply: those that were asked for, or all.
fn wanted(head: &Head, signature: &Signature) -> Result<Vec<(String, Encoding)>, Refusal> {
    let default = head.parameters.binary_data_output.unwrap_or(false);
    let encoding = |binary: Option<bool>| match binary.unwrap_or(default) {
        true => Encoding::Binary,
        false => Encoding::Json,
    };
    let names = || signature.outputs.iter().map(|spec| &spec.name);
    if head.outputs.is_empty() {
        return Ok(names().map(|name| (name.clone(), encoding(None))).collect());
    }
    let known = |name: &String| names().any(|known| known == name);
    head.outputs
        .iter()
        .map(|output| match &output.parameters {
            _ if !known(&output.name) => {
                let known: Vec<String> = names().map(|name| format!("{name:?}")).collect();
                let (known, got) = (known.join(", "), &output.name);
                let because = format!("expected outputs among {known}, got {got:?}");
                Err(Refusal::input(because, "leave outputs out to get all"))
            }
            asked if asked.classification.is_some() || asked.shared_memory_region.is_some() => {
                let because = format!("output {:?} asks for an extension", output.name);
                let hint = "classification and shared memory are not offered";
                Err(Refusal::input(because, hint))
            }
            asked => Ok((output.name.clone(), encoding(asked.binary_data))),
        })
        .collect()
}

fn bad_json(json: &[u8], error: &serde_json::Error) -> Refusal {
    let hint = match not_a_number(json, error) {
        true => "JSON has no NaN and no Infinity; send such values as binary data",
        false => "the body is {\"inputs\": [{\"name\", \"shape\", \"datatype\", \"data\"}]}",
    };
    Refusal::input(error.to_string(), hint)
}

/// Whether the text stands still at NaN, Infinity or -Infinity, as some JSON writers put them.
fn not_a_number(json: &[u8], error: &serde_json::Error) -> bool {
    let line = json
        .split(|&byte| byte == b'\n')
        .nth(error.line().saturating_sub(1));
    let column = error.column();
    let near = line
        .and_then(|line| line.get(column.saturating_sub(2)..))
        .unwrap_or(&[]);
    let near = &near[..near.len().min(3)];
    error.is_syntax() && near.iter().any(|byte| matches!(byte, b'N' | b'I'))
}
