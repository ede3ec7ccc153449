//! `/api/v1/releases` and `/api/v1/rollouts`: what can be rolled out, and what is.
//!
//! With `dry_run` nothing moves and the plan is the answer.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::Value;

use super::error::{Answer, CREATED};
use super::parse::{self, Filter, JsonBody};
use crate::controller::Controller;
use crate::rollout::{NewRollout, Percent, Retry, RolloutSettings};

/// A rollout as asked for.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    model: String,
    version: String,
    #[serde(default)]
    selector: String,
    #[serde(default = "all_of_them")]
    percent: Percent,
    #[serde(default)]
    settings: RolloutSettings,
    #[serde(default)]
    retry: Retry,
    #[serde(default)]
    dry_run: bool,
}

fn all_of_them() -> Percent {
    Percent::ALL
}

/// Releases, of one model or of all.
pub(super) async fn releases(
    State(controller): State<Arc<Controller>>,
    filter: Filter,
) -> Answer<Json<Value>> {
    filter.page(&["model"])?;
    parse::json(&controller.releases(filter.get("model")?).await?)
}

/// Plans a rollout, or begins it.
pub(super) async fn create(
    State(controller): State<Arc<Controller>>,
    JsonBody(wanted): JsonBody<Wanted>,
) -> Answer<(StatusCode, Json<Value>)> {
    let rollout = NewRollout {
        model: parse::value("model", &wanted.model)?,
        version: parse::value("version", &wanted.version)?,
        selector: parse::value("selector", &wanted.selector)?,
        percent: wanted.percent,
        settings: wanted.settings,
        retry: wanted.retry,
    };
    if wanted.dry_run {
        let plan = controller.plan_rollout(rollout).await?;
        return Ok((StatusCode::OK, parse::json(&plan)?));
    }
    Ok((
        CREATED,
        parse::json(&controller.create_rollout(rollout).await?)?,
    ))
}

/// Rollouts, the oldest first.
pub(super) async fn list(
    State(controller): State<Arc<Controller>>,
    filter: Filter,
) -> Answer<Json<Value>> {
    parse::json(&controller.rollouts(filter.page(&[])?).await?)
}

/// One rollout with its counts by step.
pub(super) async fn show(
    State(controller): State<Arc<Controller>>,
    Path(rollout): Path<String>,
) -> Answer<Json<Value>> {
    parse::json(
        &controller
            .rollout(parse::value("rollout", &rollout)?)
            .await?,
    )
}
