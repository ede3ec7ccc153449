//! `/api/v1/alerts`: what was sent to whom, once more, and as a trial.
//!
//! Translates and calls the controller; sends nothing.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use muster_protocol::time::UnixSeconds;
use serde::Deserialize;
use serde_json::Value;

use super::error::{Answer, CREATED};
use super::incidents::person;
use super::parse::{self, Filter, JsonBody};
use crate::clock;
use crate::controller::Controller;
use crate::store::Replay;

const STATES: [&str; 3] = ["pending", "delivered", "given_up"];

/// Which alerts go out once more.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Again {
    alert: Option<i64>,
    since_s: Option<u64>,
    operator: String,
    reason: String,
}

/// Which webhook is tried.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Trial {
    webhook: String,
    operator: String,
    reason: String,
}

pub(super) fn routes() -> Router<Arc<Controller>> {
    Router::new()
        .route("/api/v1/alerts", get(list))
        .route("/api/v1/alerts/{alert}", get(show))
        .route("/api/v1/alerts/replay", post(replay))
        .route("/api/v1/alerts/test", post(trial))
}

/// Alerts, the newest last.
async fn list(State(controller): State<Arc<Controller>>, filter: Filter) -> Answer<Json<Value>> {
    let page = filter.page(&["state", "webhook"])?;
    let state = filter.get::<String>("state")?;
    if state
        .as_deref()
        .is_some_and(|state| !STATES.contains(&state))
    {
        return Err(parse::bad("state: expected pending, delivered or given_up"));
    }
    parse::json(
        &controller
            .alerts(state, filter.get("webhook")?, page)
            .await?,
    )
}

/// One alert.
async fn show(
    State(controller): State<Arc<Controller>>,
    Path(alert): Path<String>,
) -> Answer<Json<Value>> {
    let alert = parse::value("alert", &alert)?;
    parse::json(&controller.alert(alert).await?)
}

/// Lets one, or all of a while, go out once more.
async fn replay(
    State(controller): State<Arc<Controller>>,
    JsonBody(again): JsonBody<Again>,
) -> Answer<Json<Value>> {
    let which = match (again.alert, again.since_s) {
        (Some(alert), None) => Replay::One(alert),
        (None, Some(since_s)) => Replay::Since(UnixSeconds(clock::now().0.saturating_sub(since_s))),
        _ => return Err(parse::bad("name either alert or since_s")),
    };
    let person = person(&again.operator, &again.reason)?;
    parse::json(&controller.replay_alerts(which, person).await?)
}

/// Writes an alert that tries whether a webhook is reached.
async fn trial(
    State(controller): State<Arc<Controller>>,
    JsonBody(trial): JsonBody<Trial>,
) -> Answer<(StatusCode, Json<Value>)> {
    let person = person(&trial.operator, &trial.reason)?;
    let made = controller.test_alert(trial.webhook, person).await?;
    Ok((CREATED, parse::json(&made)?))
}
