//! `/api/v1/retrain-requests`: what pipelines pick up.
//!
//! Translates and calls the controller; trains and releases nothing.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use muster_fleet::incident::RetrainCommand;
use serde::Deserialize;
use serde_json::Value;

use super::error::{Answer, ApiError, CREATED};
use super::incidents::person;
use super::parse::{self, Filter, JsonBody};
use crate::controller::Controller;

/// What a pipeline or a person tells a request.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Ordered {
    command: RetrainCommand,
    operator: String,
    reason: String,
}

/// Who asks for one because of an incident, and why.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    incident: i64,
    operator: String,
    reason: String,
}

pub(super) fn routes() -> Router<Arc<Controller>> {
    Router::new()
        .route("/api/v1/retrain-requests", get(list).post(ask))
        .route("/api/v1/retrain-requests/{request}", get(show))
        .route("/api/v1/retrain-requests/{request}/orders", post(order))
}

/// Requests, the newest last.
async fn list(State(controller): State<Arc<Controller>>, filter: Filter) -> Answer<Json<Value>> {
    let page = filter.page(&["model", "state"])?;
    let state = match filter.get::<String>("state")? {
        Some(text) => Some(parse::named("state", &text)?),
        None => None,
    };
    let requests = controller.retrain_requests(filter.get("model")?, state, page);
    parse::json(&requests.await?)
}

/// One request with what is asked for, and the signed document.
async fn show(
    State(controller): State<Arc<Controller>>,
    Path(request): Path<String>,
) -> Answer<Json<Value>> {
    let request = parse::value("request", &request)?;
    let (row, file) = controller.retrain_request(request).await?;
    let Json(mut shown) = parse::json(&row)?;
    let Json(file) = parse::json(&file)?;
    match (shown.as_object_mut(), file) {
        (Some(shown), Value::Object(file)) => shown.extend(file),
        _ => return Err(ApiError::Internal),
    }
    Ok(Json(shown))
}

/// Asks for one because a person does.
async fn ask(
    State(controller): State<Arc<Controller>>,
    JsonBody(asked): JsonBody<Asked>,
) -> Answer<(StatusCode, Json<Value>)> {
    let person = person(&asked.operator, &asked.reason)?;
    let request = controller
        .ask_for_retrain_by(asked.incident, person)
        .await?;
    let (row, _) = controller.retrain_request(request).await?;
    Ok((CREATED, parse::json(&row)?))
}

/// Picks one up, ends or declines it.
async fn order(
    State(controller): State<Arc<Controller>>,
    Path(request): Path<String>,
    JsonBody(ordered): JsonBody<Ordered>,
) -> Answer<Json<Value>> {
    let request = parse::value("request", &request)?;
    let person = person(&ordered.operator, &ordered.reason)?;
    let done = controller.order_retrain(request, ordered.command, person);
    parse::json(&done.await?)
}
