//! `infer`: from a body to a queued job, and from its answer to a response.
//!
//! Asks again, once, when the task behind a route has gone; never twice, never after a failure.

use super::backend::{Failure, Job, Readiness, Route};
use super::kib;
use super::refusal::Refusal;
use super::request::{self, Asked, Framing};
use super::response;
use super::router::{App, Target};
use axum::body::{self, Bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::Response;
use muster_protocol::id::ModelId;
use std::sync::Arc;
use tokio::sync::mpsc::error::SendTimeoutError;
use tokio::sync::{SemaphorePermit, oneshot};
use tokio::time::timeout;

/// Bodies above this are read on a thread of their own, so that other requests do not wait.
const INLINE_BYTES_MAX: usize = 256 * 1024;

pub(super) async fn infer(
    State(app): State<Arc<App>>,
    target: Target,
    request: Request,
) -> Result<Response, Refusal> {
    app.find(&target)?;
    let framing = Framing::of(request.headers())?;
    let (body, _memory) = receive(&app, request).await?;
    for _ in 0..2 {
        let (model, route) = app.find(&target)?;
        if let Some(response) = ask(&app, &model, route, &body, framing).await? {
            return Ok(response);
        }
    }
    Err(unavailable(
        "its task ended, and the one after it too".into(),
    ))
}

/// One try on one route; `None` when its task has gone without an answer.
async fn ask(
    app: &App,
    model: &ModelId,
    route: Route,
    body: &Bytes,
    framing: Framing,
) -> Result<Option<Response>, Refusal> {
    if let Readiness::Unavailable { because } = route.readiness {
        return Err(unavailable(because));
    }
    let signature = Arc::clone(&route.signature);
    let Asked {
        inputs,
        mut reply_as,
    } = match body.len() > INLINE_BYTES_MAX {
        false => request::read(body, framing, &signature)?,
        true => {
            let body = body.clone();
            let read = move || request::read(&body, framing, &signature);
            let read = tokio::task::spawn_blocking(read).await;
            read.map_err(|error| internal(error.to_string()))??
        }
    };
    let (reply, answer) = oneshot::channel();
    reply_as.prediction_id = match &reply_as.id {
        Some(_) => None,
        None => route.predictions.new_id(),
    };
    let id = reply_as.id.clone().or(reply_as.prediction_id.clone());
    let job = Job { inputs, id, reply };
    match route.requests.send_timeout(job, app.queue_timeout).await {
        Ok(()) => {}
        Err(SendTimeoutError::Timeout(_)) => return Err(Failure::Busy.into()),
        Err(SendTimeoutError::Closed(_)) => return Ok(None),
    }
    // The old queue of a swap ends when the last sender goes.
    drop(route.requests);
    match timeout(app.answer_timeout, answer).await {
        Ok(Ok(Ok(answer))) => response::prediction(model, answer, &reply_as).map(Some),
        Ok(Ok(Err(failure))) => Err(failure.into()),
        Ok(Err(_)) => Ok(None),
        Err(_) => Err(unavailable(format!(
            "there was no answer within {} ms",
            app.answer_timeout.as_millis()
        ))),
    }
}

/// The whole body, and the memory set aside for it.
pub(super) async fn receive(
    app: &App,
    request: Request,
) -> Result<(Bytes, SemaphorePermit<'_>), Refusal> {
    let bytes_max = app.body_bytes_max;
    let bytes = match content_length(request.headers()) {
        Some(bytes) if bytes > bytes_max as u64 => return Err(too_large(bytes_max)),
        Some(bytes) => bytes as usize,
        None => bytes_max,
    };
    let memory = app.bodies_kib.acquire_many(kib(bytes));
    let memory = match timeout(app.queue_timeout, memory).await {
        Ok(Ok(memory)) => memory,
        Ok(Err(_)) | Err(_) => return Err(Failure::Busy.into()),
    };
    let body = body::to_bytes(request.into_body(), bytes_max);
    match timeout(app.body_timeout, body).await {
        Ok(Ok(body)) => Ok((body, memory)),
        Ok(Err(error)) if is_too_large(&error) => Err(too_large(bytes_max)),
        Ok(Err(error)) => Err(Refusal::input(
            format!("the body ended early ({error})"),
            "send as many bytes as Content-Length says",
        )),
        Err(_) => Err(Refusal::new(
            StatusCode::REQUEST_TIMEOUT,
            "predict",
            format!(
                "the body took longer than {} ms",
                app.body_timeout.as_millis()
            ),
            "send it at once",
        )),
    }
}

fn content_length(headers: &HeaderMap) -> Option<u64> {
    headers
        .get(header::CONTENT_LENGTH)?
        .to_str()
        .ok()?
        .parse()
        .ok()
}

fn is_too_large(error: &axum::Error) -> bool {
    let source = std::error::Error::source(error);
    source.is_some_and(|source| source.is::<http_body_util::LengthLimitError>())
}

fn too_large(bytes_max: usize) -> Refusal {
    Refusal::new(
        StatusCode::PAYLOAD_TOO_LARGE,
        "predict",
        format!("the body is larger than {bytes_max} bytes"),
        "send fewer rows in one request, or as binary data (4 bytes a value in FP32)",
    )
}

fn unavailable(because: String) -> Refusal {
    Failure::Worker { because }.into()
}

fn internal(because: String) -> Refusal {
    Refusal::new(
        StatusCode::INTERNAL_SERVER_ERROR,
        "predict",
        because,
        "this is a defect of the agent",
    )
}
