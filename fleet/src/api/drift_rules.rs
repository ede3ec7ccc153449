//! `/api/v1/drift/rules` and `/api/v1/drift/kpis`: by what incidents are judged, and how well that
//! went.
//!
//! Translates and calls the controller; decides nothing.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::routing::get;
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::Value;

use super::error::Answer;
use super::incidents::person;
use super::parse::{self, Filter, JsonBody};
use crate::controller::Controller;
use crate::drift::SINCE_S_MAX;

/// The span of KPIs when none is named, seconds: four weeks.
const KPIS_S_DEFAULT: u64 = 28 * 86_400;

/// Rules as they were written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    /// The text of the file.
    rules: String,
    operator: String,
    reason: String,
}

pub(super) fn routes() -> Router<Arc<Controller>> {
    Router::new()
        .route("/api/v1/drift/rules", get(list).post(apply))
        .route("/api/v1/drift/rules/{number}", get(show))
        .route("/api/v1/drift/kpis", get(kpis))
}

/// All versions that were applied, the oldest first.
async fn list(State(controller): State<Arc<Controller>>, filter: Filter) -> Answer<Json<Value>> {
    parse::json(&controller.all_rules(filter.page(&[])?).await?)
}

/// One version by its number, or the one that holds, as `newest`.
async fn show(
    State(controller): State<Arc<Controller>>,
    Path(number): Path<String>,
) -> Answer<Json<Value>> {
    let number = match number.as_str() {
        "newest" => None,
        number => Some(parse::value("number", number)?),
    };
    parse::json(&controller.rules(number).await?)
}

/// Applies a next version.
async fn apply(
    State(controller): State<Arc<Controller>>,
    JsonBody(wanted): JsonBody<Wanted>,
) -> Answer<Json<Value>> {
    let person = person(&wanted.operator, &wanted.reason)?;
    parse::json(&controller.apply_rules(wanted.rules, person).await?)
}

/// How well alerts and rollouts did.
async fn kpis(State(controller): State<Arc<Controller>>, filter: Filter) -> Answer<Json<Value>> {
    filter.page(&["since_s"])?;
    let since_s = filter.get("since_s")?.unwrap_or(KPIS_S_DEFAULT);
    if !(1..=SINCE_S_MAX).contains(&since_s) {
        let why = format!("since_s: expected 1 to {SINCE_S_MAX} seconds");
        return Err(parse::bad(why));
    }
    parse::json(&controller.kpis(since_s).await?)
}
