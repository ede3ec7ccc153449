//! Rollouts by policy over HTTP: plan and begin them, give them orders, ask why.
//!
//! Translates and calls the controller; decides nothing.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use muster_fleet::planner::{Command, Order, Policy};
use serde::Deserialize;
use serde_json::{Value, json};

use super::error::{Answer, ApiError, CREATED};
use super::parse::{self, Filter, JsonBody};
use crate::controller::{Controller, Error};

/// A policy as it was written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    /// The text of the file.
    policy: String,
    #[serde(default)]
    dry_run: bool,
}

/// An order.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Ordered {
    command: Command,
    operator: String,
    reason: String,
}

/// Plans a policy, or begins a rollout by it.
pub(super) async fn apply(
    State(controller): State<Arc<Controller>>,
    JsonBody(wanted): JsonBody<Wanted>,
) -> Answer<(StatusCode, Json<Value>)> {
    let policy = Policy::read(&wanted.policy).map_err(refused)?;
    if wanted.dry_run {
        let plan = controller.plan_policy(policy).await?;
        return Ok((StatusCode::OK, parse::json(&plan)?));
    }
    let row = controller.apply_policy(policy).await?;
    Ok((CREATED, parse::json(&row)?))
}

/// The newest plan of a rollout.
pub(super) async fn plan(
    State(controller): State<Arc<Controller>>,
    Path(rollout): Path<String>,
) -> Answer<Json<Value>> {
    let rollout = parse::value("rollout", &rollout)?;
    parse::json(&controller.plan_of(rollout).await?)
}

/// Gives an order, and says where the rollout stands then.
pub(super) async fn order(
    State(controller): State<Arc<Controller>>,
    Path(rollout): Path<String>,
    JsonBody(ordered): JsonBody<Ordered>,
) -> Answer<Json<Value>> {
    let rollout = parse::value("rollout", &rollout)?;
    let order = Order::new(ordered.command, &ordered.operator, &ordered.reason);
    controller
        .order_rollout(rollout, order.map_err(refused)?)
        .await?;
    parse::json(&controller.explain_rollout(rollout).await?)
}

/// Where a rollout stands, and why.
pub(super) async fn explain(
    State(controller): State<Arc<Controller>>,
    Path(rollout): Path<String>,
) -> Answer<Json<Value>> {
    let rollout = parse::value("rollout", &rollout)?;
    parse::json(&controller.explain_rollout(rollout).await?)
}

/// What was decided about a rollout, the oldest first.
pub(super) async fn decisions(
    State(controller): State<Arc<Controller>>,
    Path(rollout): Path<String>,
    filter: Filter,
) -> Answer<Json<Value>> {
    let rollout = parse::value("rollout", &rollout)?;
    parse::json(&controller.decisions(rollout, filter.page(&[])?).await?)
}

/// Decides everything once more from what was written down.
pub(super) async fn replay(
    State(controller): State<Arc<Controller>>,
    Path(rollout): Path<String>,
) -> Answer<Json<Value>> {
    let rollout = parse::value("rollout", &rollout)?;
    let (decisions, differ) = controller.replay(rollout).await?;
    Ok(Json(json!({ "decisions": decisions, "differ": differ })))
}

/// Where a device stands in every rollout that goes on, and why.
pub(super) async fn explain_device(
    State(controller): State<Arc<Controller>>,
    Path(device): Path<String>,
) -> Answer<Json<Value>> {
    let device = parse::value("device", &device)?;
    parse::json(&controller.explain_device(device).await?)
}

fn refused(error: impl std::fmt::Display) -> ApiError {
    ApiError::from(Error::Refused {
        why: error.to_string(),
    })
}
