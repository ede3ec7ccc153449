//! Writes responses: JSON, and predictions as JSON or with binary data behind it.
//!
//! JSON stays JSON: NaN and infinities, which it does not have, are written as `null` (numpy reads
//! that as NaN) and counted in the output's parameter `non_finite`. Who needs to tell them apart
//! asks for binary data. FP16 is written as a number, exactly.

use super::backend::Answer;
use super::refusal::Refusal;
use super::request::{Encoding, JSON_LENGTH, ReplyAs};
use crate::tensor::{Datatype, Tensor};
use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::Response;
use muster_protocol::id::ModelId;
use serde::ser::{Serialize, Serializer};

/// A JSON response.
pub(super) fn json<T: Serialize>(status: StatusCode, value: &T) -> Response {
    let body = serde_json::to_vec(value).expect("invariant: our responses have string keys only");
    respond(status, "application/json", body)
}

/// An answer to one of our own commands.
pub(super) fn cbor<T: minicbor::Encode<()>>(value: &T) -> Response {
    let body = muster_protocol::cbor::to_vec(value);
    respond(StatusCode::OK, "application/cbor", body)
}

/// The reply to an inference request.
pub(super) fn prediction(
    model: &ModelId,
    answer: Answer,
    reply_as: &ReplyAs,
) -> Result<Response, Refusal> {
    let chosen = choose(&answer, reply_as)?;
    let reply = Reply {
        model_name: model.as_str(),
        model_version: &answer.version,
        id: reply_as.id.as_deref(),
        parameters: (reply_as.prediction_id.as_deref())
            .map(|prediction_id| ReplyParameters { prediction_id }),
        outputs: chosen.iter().map(output).collect(),
    };
    let mut body = serde_json::to_vec(&reply).map_err(|error| defect(error.to_string()))?;
    if chosen
        .iter()
        .all(|(_, encoding)| *encoding == Encoding::Json)
    {
        return Ok(respond(StatusCode::OK, "application/json", body));
    }
    let json_length = HeaderValue::from(body.len());
    for (tensor, encoding) in &chosen {
        if *encoding == Encoding::Binary {
            body.extend_from_slice(tensor.data());
        }
    }
    let mut response = respond(StatusCode::OK, "application/octet-stream", body);
    let name = HeaderName::from_static(JSON_LENGTH);
    response.headers_mut().insert(name, json_length);
    Ok(response)
}

fn choose<'a>(
    answer: &'a Answer,
    reply_as: &ReplyAs,
) -> Result<Vec<(&'a Tensor, Encoding)>, Refusal> {
    let find = |(name, encoding): &(String, Encoding)| {
        let tensor = answer.outputs.iter().find(|tensor| tensor.name() == name);
        let tensor = tensor.ok_or_else(|| defect(format!("the worker gave no output {name:?}")))?;
        Ok((tensor, *encoding))
    };
    reply_as.outputs.iter().map(find).collect()
}

fn output<'a>((tensor, encoding): &(&'a Tensor, Encoding)) -> Output<'a> {
    let parameters = match (encoding, tensor.non_finite()) {
        (Encoding::Binary, _) => Some(Parameters::BinaryDataSize(tensor.data().len())),
        (Encoding::Json, 0) => None,
        (Encoding::Json, count) => Some(Parameters::NonFinite(count)),
    };
    Output {
        name: tensor.name(),
        datatype: tensor.datatype().as_str(),
        shape: tensor.shape(),
        parameters,
        data: (*encoding == Encoding::Json).then_some(Elements(tensor)),
    }
}

fn respond(status: StatusCode, kind: &'static str, body: Vec<u8>) -> Response {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    let kind = HeaderValue::from_static(kind);
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}

fn defect(because: String) -> Refusal {
    let hint = "this is a defect of the agent";
    Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, "predict", because, hint)
}

#[derive(serde::Serialize)]
struct Reply<'a> {
    model_name: &'a str,
    model_version: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parameters: Option<ReplyParameters<'a>>,
    outputs: Vec<Output<'a>>,
}

#[derive(serde::Serialize)]
struct ReplyParameters<'a> {
    prediction_id: &'a str,
}

#[derive(serde::Serialize)]
struct Output<'a> {
    name: &'a str,
    datatype: &'a str,
    shape: &'a [usize],
    #[serde(skip_serializing_if = "Option::is_none")]
    parameters: Option<Parameters>,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<Elements<'a>>,
}

#[derive(serde::Serialize)]
#[serde(rename_all = "snake_case")]
enum Parameters {
    BinaryDataSize(usize),
    NonFinite(usize),
}

/// A tensor's elements as a flat JSON list.
struct Elements<'a>(&'a Tensor);

impl Serialize for Elements<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let datatype = self.0.datatype();
        let chunks = self.0.data().chunks_exact(datatype.size());
        match datatype {
            Datatype::Bool => to.collect_seq(chunks.map(|bytes| bytes[0] != 0)),
            Datatype::F16 | Datatype::F32 => {
                // As f32: its shortest decimal, not the longer one of the same value as f64.
                to.collect_seq(chunks.map(|bytes| datatype.read_f64(bytes) as f32))
            }
            Datatype::F64 => to.collect_seq(chunks.map(|bytes| datatype.read_f64(bytes))),
            Datatype::U8
            | Datatype::I8
            | Datatype::U16
            | Datatype::I16
            | Datatype::U32
            | Datatype::I32
            | Datatype::U64
            | Datatype::I64 => to.collect_seq(chunks.map(|bytes| datatype.read_int(bytes))),
        }
    }
}
