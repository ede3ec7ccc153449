//! `/api/v1/incidents` and `/api/v1/silences`: what a person must look at, and what they said.
//!
//! Translates and calls the controller; decides nothing.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use muster_fleet::incident::{Command, Person, Silence};
use serde::Deserialize;
use serde_json::Value;

use super::error::{Answer, ApiError, CREATED};
use super::parse::{self, Filter, JsonBody};
use crate::controller::Controller;
use crate::store::IncidentFilter;

/// What a person tells an incident.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Ordered {
    command: Command,
    operator: String,
    reason: String,
}

/// Who decides something, and why.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct By {
    operator: String,
    reason: String,
}

/// A silence as asked for.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    selector: Silence,
    expires_in_s: u64,
    operator: String,
    reason: String,
}

impl By {
    pub(super) fn person(&self) -> Answer<Person> {
        person(&self.operator, &self.reason)
    }
}

pub(super) fn person(operator: &str, reason: &str) -> Answer<Person> {
    Person::new(operator, reason).map_err(|bad| ApiError::BadRequest {
        why: bad.to_string(),
    })
}

pub(super) fn routes() -> Router<Arc<Controller>> {
    Router::new()
        .route("/api/v1/incidents", get(list))
        .route("/api/v1/incidents/{incident}", get(show))
        .route("/api/v1/incidents/{incident}/orders", post(order))
        .route("/api/v1/silences", get(silences).post(silence))
        .route("/api/v1/silences/{silence}/end", post(end))
}

/// Incidents, the newest last.
async fn list(State(controller): State<Arc<Controller>>, filter: Filter) -> Answer<Json<Value>> {
    let page = filter.page(&["device", "model", "cause", "state", "open"])?;
    let state = match filter.get::<String>("state")? {
        Some(text) => Some(parse::named("state", &text)?),
        None => None,
    };
    let model = filter.get::<muster_protocol::id::ModelId>("model")?;
    let wanted = IncidentFilter {
        device: filter.get("device")?,
        model: model.map(|model| model.to_string()),
        kind: filter.get("cause")?,
        state,
        open: filter.get("open")?,
    };
    parse::json(&controller.incidents(wanted, page).await?)
}

/// One incident, with what was found and said.
async fn show(
    State(controller): State<Arc<Controller>>,
    Path(incident): Path<String>,
) -> Answer<Json<Value>> {
    let incident = parse::value("incident", &incident)?;
    parse::json(&controller.incident(incident).await?)
}

/// Acknowledges, confirms or dismisses one.
async fn order(
    State(controller): State<Arc<Controller>>,
    Path(incident): Path<String>,
    JsonBody(ordered): JsonBody<Ordered>,
) -> Answer<Json<Value>> {
    let incident = parse::value("incident", &incident)?;
    let person = person(&ordered.operator, &ordered.reason)?;
    let done = controller.order_incident(incident, ordered.command, person);
    parse::json(&done.await?)
}

/// Silences, the oldest first.
async fn silences(
    State(controller): State<Arc<Controller>>,
    filter: Filter,
) -> Answer<Json<Value>> {
    parse::json(&controller.silences(filter.page(&[])?).await?)
}

/// Makes a silence.
async fn silence(
    State(controller): State<Arc<Controller>>,
    JsonBody(wanted): JsonBody<Wanted>,
) -> Answer<(StatusCode, Json<Value>)> {
    let person = person(&wanted.operator, &wanted.reason)?;
    let made = controller.add_silence(wanted.selector, wanted.expires_in_s, person);
    Ok((CREATED, parse::json(&made.await?)?))
}

/// Ends one before its time.
async fn end(
    State(controller): State<Arc<Controller>>,
    Path(silence): Path<String>,
    JsonBody(by): JsonBody<By>,
) -> Answer<Json<Value>> {
    let silence = parse::value("silence", &silence)?;
    parse::json(&controller.end_silence(silence, by.person()?).await?)
}

#[cfg(test)]
mod tests;
