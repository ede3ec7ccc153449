//! The endpoints, and those of them that only say what is there.
//!
//! Never touches a body: that is `predict`.

use super::backend::{Readiness, Route, Routes};
use super::refusal::Refusal;
use super::{Status, Sticks, feedback, predict, response, stick};
use crate::stick::{EXPORT_PATH, IMPORT_PATH};
use crate::tensor::{Dim, TensorSpec};
use axum::Router;
use axum::extract::{FromRequestParts, Path, Request, State};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use muster_protocol::id::ModelId;
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;

/// What `platform` says in a model's metadata.
const PLATFORM: &str = "onnx_tract";

/// What every handler sees.
pub(super) struct App {
    pub(super) routes: Routes,
    pub(super) status: Status,
    pub(super) sticks: Sticks,
    pub(super) body_bytes_max: usize,
    /// Memory for bodies, one permit a KiB.
    pub(super) bodies_kib: Arc<Semaphore>,
    pub(super) body_timeout: Duration,
    pub(super) queue_timeout: Duration,
    pub(super) answer_timeout: Duration,
}

/// A model, and the version if the path names one.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Target {
    pub(super) model: String,
    pub(super) version: Option<String>,
}

pub(super) fn router(app: App) -> Router {
    let router = Router::new()
        .route("/v2", get(server_metadata))
        .route("/v2/", get(server_metadata))
        .route("/v2/health/live", get(live))
        .route("/v2/health/ready", get(ready))
        .route("/v2/repository/index", post(index))
        .route("/muster/status", get(status))
        .route(IMPORT_PATH, post(stick::import))
        .route(EXPORT_PATH, post(stick::export));
    let router = [
        "/v2/models/{model}",
        "/v2/models/{model}/versions/{version}",
    ]
    .into_iter()
    .fold(router, |router, model| {
        router
            .route(model, get(model_metadata))
            .route(&format!("{model}/ready"), get(model_ready))
            .route(&format!("{model}/infer"), post(predict::infer))
            .route(&format!("{model}/feedback"), post(feedback::feedback))
    });
    router
        .fallback(unknown_endpoint)
        .method_not_allowed_fallback(wrong_method)
        .with_state(Arc::new(app))
}

impl App {
    /// The route of a model, if it serves the version that was asked for.
    pub(super) fn find(&self, target: &Target) -> Result<(ModelId, Route), Refusal> {
        let model = ModelId::parse(&target.model).ok();
        let found = model.and_then(|model| Some((model.clone(), self.routes.get(&model)?)));
        let (model, route) = found.ok_or_else(|| self.unknown_model(&target.model))?;
        match &target.version {
            Some(version) if *version != route.version => Err(Refusal::new(
                StatusCode::NOT_FOUND,
                "find the version",
                format!(
                    "model {:?} serves version {:?}, not {version:?}",
                    model.as_str(),
                    route.version
                ),
                "leave /versions/… out of the path to ask whichever version serves",
            )),
            Some(_) | None => Ok((model, route)),
        }
    }

    fn unknown_model(&self, asked: &str) -> Refusal {
        let asked: String = asked.chars().take(80).collect();
        let known = self.routes.list();
        let known: Vec<_> = known
            .iter()
            .map(|(m, _)| format!("{:?}", m.as_str()))
            .collect();
        let because = match known.is_empty() {
            true => format!("this device serves no model yet, asked for {asked:?}"),
            false => format!("this device serves {}, not {asked:?}", known.join(", ")),
        };
        let hint = "POST /v2/repository/index lists the models; an assignment adds one";
        Refusal::new(StatusCode::NOT_FOUND, "find the model", because, hint)
    }
}

/// As `Path`, but refused in the protocol's words.
impl<S: Send + Sync> FromRequestParts<S> for Target {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Target, Refusal> {
        match Path::<Target>::from_request_parts(parts, state).await {
            Ok(Path(target)) => Ok(target),
            Err(error) => Err(Refusal::new(
                StatusCode::BAD_REQUEST,
                "read the path",
                error.body_text(),
                "names of models and versions are ASCII",
            )),
        }
    }
}

async fn server_metadata() -> Response {
    let body = json!({
        "name": "muster-agent",
        "version": env!("CARGO_PKG_VERSION"),
        "extensions": ["binary_tensor_data", "model_repository"],
    });
    response::json(StatusCode::OK, &body)
}

async fn live() -> Response {
    response::json(StatusCode::OK, &json!({ "live": true }))
}

/// Ready when every model is; a device without models has nothing that is not ready.
async fn ready(State(app): State<Arc<App>>) -> Response {
    let routes = app.routes.list();
    let waiting: Vec<&str> = routes
        .iter()
        .filter(|(_, route)| !route.readiness.is_ready())
        .map(|(model, _)| model.as_str())
        .collect();
    readiness(waiting.is_empty(), json!({ "waiting": waiting }))
}

async fn model_ready(State(app): State<Arc<App>>, target: Target) -> Result<Response, Refusal> {
    let (model, route) = app.find(&target)?;
    let body = json!({ "name": model.as_str(), "reason": route.readiness.reason() });
    Ok(readiness(route.readiness.is_ready(), body))
}

fn readiness(ready: bool, mut body: Value) -> Response {
    body["ready"] = ready.into();
    match ready {
        true => response::json(StatusCode::OK, &body),
        false => response::json(StatusCode::SERVICE_UNAVAILABLE, &body),
    }
}

async fn model_metadata(State(app): State<Arc<App>>, target: Target) -> Result<Response, Refusal> {
    let (model, route) = app.find(&target)?;
    let body = json!({
        "name": model.as_str(),
        "versions": [route.version],
        "platform": PLATFORM,
        "inputs": route.signature.inputs.iter().map(tensor_metadata).collect::<Value>(),
        "outputs": route.signature.outputs.iter().map(tensor_metadata).collect::<Value>(),
        "parameters": { "bundle": route.bundle.to_string(), "columns": *route.columns },
    });
    Ok(response::json(StatusCode::OK, &body))
}

fn tensor_metadata(spec: &TensorSpec) -> Value {
    let dim = |dim: &Dim| match dim {
        Dim::Fixed(size) => json!(size),
        Dim::Any => json!(-1),
    };
    let shape: Value = spec.shape.iter().map(dim).collect();
    json!({ "name": spec.name, "datatype": spec.datatype.as_str(), "shape": shape })
}

/// The model repository extension: what is there. Its body (`{"ready": true}` to leave out what
/// is not) is not read: a device serves a handful of models.
async fn index(State(app): State<Arc<App>>) -> Response {
    let row = |(model, route): &(ModelId, Route)| {
        let state = match route.readiness {
            Readiness::Ready => "READY",
            Readiness::Starting => "LOADING",
            Readiness::Unavailable { .. } => "UNAVAILABLE",
        };
        json!({
            "name": model.as_str(), "version": route.version,
            "state": state, "reason": route.readiness.reason(),
        })
    };
    let rows: Value = app.routes.list().iter().map(row).collect();
    response::json(StatusCode::OK, &rows)
}

async fn status(State(app): State<Arc<App>>) -> Response {
    response::json(StatusCode::OK, &(app.status)())
}

async fn unknown_endpoint(request: Request) -> Response {
    refuse_endpoint(StatusCode::NOT_FOUND, &request, "has no such endpoint")
}

async fn wrong_method(request: Request) -> Response {
    let because = "answers another method at this path";
    refuse_endpoint(StatusCode::METHOD_NOT_ALLOWED, &request, because)
}

fn refuse_endpoint(status: StatusCode, request: &Request, because: &str) -> Response {
    let path: String = request.uri().path().chars().take(120).collect();
    let because = format!("this server {because}: {} {path}", request.method());
    let hint = "it speaks the Open Inference Protocol v2 under /v2; models come by assignment only";
    Refusal::new(status, "answer", because, hint).into_response()
}
