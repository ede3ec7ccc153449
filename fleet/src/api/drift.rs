//! Drift over HTTP: how far features lie from their reference, what watches them, what alarmed.
//!
//! Translates and calls the controller; judges nothing.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use muster_protocol::id::{DeviceId, ModelId};
use serde::Deserialize;
use serde_json::{Value, json};

use super::error::Answer;
use super::parse::{self, Filter, JsonBody};
use crate::controller::Controller;
use crate::drift::{DriftQuery, Histograms, SINCE_S_DEFAULT, SINCE_S_MAX};

/// How long an answer waits for the end of a recomputation: less than a request may take.
const WAIT_MAX: Duration = Duration::from_secs(60);
/// Longest reason and name of an operator, bytes.
const TEXT_BYTES_MAX: usize = 1000;

/// An order to learn anew.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Rebaseline {
    model: String,
    #[serde(default)]
    device: Option<String>,
    operator: String,
    reason: String,
}

pub(super) fn routes() -> Router<Arc<Controller>> {
    Router::new()
        .route("/api/v1/drift", get(measured))
        .route("/api/v1/drift/charts", get(charts))
        .route("/api/v1/drift/quality", get(quality))
        .route("/api/v1/drift/alarms", get(alarms))
        .route("/api/v1/drift/placings", get(placings))
        .route("/api/v1/drift/recomputations", post(recompute))
        .route("/api/v1/drift/recomputations/{number}", get(recomputation))
        .route("/api/v1/drift/rebaselines", post(rebaseline))
}

/// What features lie from their reference: all devices together, then each.
async fn measured(
    State(controller): State<Arc<Controller>>,
    filter: Filter,
) -> Answer<Json<Value>> {
    let page = filter.page(&[
        "model",
        "version",
        "device",
        "cohort",
        "since_s",
        "histograms",
    ])?;
    let model = filter.get("model")?;
    let since_s = filter.get("since_s")?.unwrap_or(SINCE_S_DEFAULT);
    if !(1..=SINCE_S_MAX).contains(&since_s) {
        let why = format!("since_s: expected 1 to {SINCE_S_MAX} seconds");
        return Err(parse::bad(why));
    }
    let histograms = match filter.get("histograms")? {
        Some(true) => Histograms::With,
        Some(false) | None => Histograms::Without,
    };
    if filter.get::<String>("cohort")?.is_some() && filter.get::<String>("device")?.is_some() {
        return Err(parse::bad("cohort: name a device or a cohort, not both"));
    }
    let query = DriftQuery {
        model: model.ok_or_else(|| parse::bad("model: name one, as ?model=MODEL"))?,
        version: filter.get("version")?,
        device: filter.get("device")?,
        cohort: filter.get("cohort")?,
        since_s,
        histograms,
    };
    parse::json(&controller.drift(query, page).await?)
}

/// How far the charts of a model have come.
async fn charts(State(controller): State<Arc<Controller>>, filter: Filter) -> Answer<Json<Value>> {
    let page = filter.page(&["model", "device"])?;
    let model: Option<ModelId> = filter.get("model")?;
    let model = model.ok_or_else(|| parse::bad("model: name one, as ?model=MODEL"))?;
    parse::json(
        &controller
            .charts(model, filter.get("device")?, page)
            .await?,
    )
}

/// How well a classifier does in each cohort, beside what is usual there.
async fn quality(State(controller): State<Arc<Controller>>, filter: Filter) -> Answer<Json<Value>> {
    filter.page(&["model"])?;
    let model: Option<ModelId> = filter.get("model")?;
    let model = model.ok_or_else(|| parse::bad("model: name one, as ?model=MODEL"))?;
    parse::json(&controller.quality_stands(model).await?)
}

/// What alarmed, the newest last.
async fn alarms(State(controller): State<Arc<Controller>>, filter: Filter) -> Answer<Json<Value>> {
    let page = filter.page(&["model"])?;
    parse::json(&controller.alarms(filter.get("model")?, page).await?)
}

/// What that was found to be, the newest last.
async fn placings(
    State(controller): State<Arc<Controller>>,
    filter: Filter,
) -> Answer<Json<Value>> {
    let page = filter.page(&["model"])?;
    parse::json(&controller.placings(filter.get("model")?, page).await?)
}

/// Everything once more, in the background; the answer names the recomputation.
async fn recompute(State(controller): State<Arc<Controller>>) -> Answer<(StatusCode, Json<Value>)> {
    let number = controller.recompute_drift();
    let named = json!({ "recomputation": number, "state": "running" });
    Ok((StatusCode::ACCEPTED, Json(named)))
}

/// How one stands. It is answered when it has ended, or goes on still.
async fn recomputation(
    State(controller): State<Arc<Controller>>,
    Path(number): Path<String>,
) -> Answer<Json<Value>> {
    let number = parse::value("recomputation", &number)?;
    let stands = controller.recomputation(number, WAIT_MAX).await?;
    let Json(mut shown) = parse::json(&stands)?;
    shown["recomputation"] = number.into();
    Ok(Json(shown))
}

/// What is normal is learnt anew.
async fn rebaseline(
    State(controller): State<Arc<Controller>>,
    JsonBody(order): JsonBody<Rebaseline>,
) -> Answer<Json<Value>> {
    let model: ModelId = parse::value("model", &order.model)?;
    let device: Option<DeviceId> = match &order.device {
        Some(device) => Some(parse::value("device", device)?),
        None => None,
    };
    for (name, text) in [("operator", &order.operator), ("reason", &order.reason)] {
        if text.trim().is_empty() || text.len() > TEXT_BYTES_MAX {
            return Err(parse::bad(format!(
                "{name}: give 1 to {TEXT_BYTES_MAX} bytes"
            )));
        }
    }
    controller
        .rebaseline(model, device, order.operator, order.reason)
        .await?;
    Ok(Json(json!({})))
}
