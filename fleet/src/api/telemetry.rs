//! What devices said: windows, receipts, and the summary over all of them.
//!
//! Numbers are given as they were stored; nothing is judged here.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};

use super::error::Answer;
use super::parse::{self, Filter};
use crate::controller::Controller;
use crate::store::{ListFilter, Page};

/// That this listener answers.
pub(super) async fn health() -> Json<Value> {
    Json(json!({ "status": "ok", "version": env!("CARGO_PKG_VERSION") }))
}

/// Each device with its models and counts.
pub(super) async fn summary(
    State(controller): State<Arc<Controller>>,
    filter: Filter,
) -> Answer<Json<Value>> {
    parse::json(&controller.summary(filter.page(&[])?).await?)
}

/// Windows, the newest last.
pub(super) async fn windows(
    State(controller): State<Arc<Controller>>,
    filter: Filter,
) -> Answer<Json<Value>> {
    let (wanted, page) = wanted(&filter)?;
    parse::json(&controller.windows(wanted, page).await?)
}

/// Receipts, the newest last.
pub(super) async fn receipts(
    State(controller): State<Arc<Controller>>,
    filter: Filter,
) -> Answer<Json<Value>> {
    let (wanted, page) = wanted(&filter)?;
    parse::json(&controller.receipts(wanted, page).await?)
}

fn wanted(filter: &Filter) -> Answer<(ListFilter, Page)> {
    let page = filter.page(&["device", "model"])?;
    let wanted = ListFilter {
        device: filter.get("device")?,
        model: filter.get("model")?,
    };
    Ok((wanted, page))
}

/// Restores that this controller went through: never more than fit one page.
pub(super) async fn restores(State(controller): State<Arc<Controller>>) -> Answer<Json<Value>> {
    parse::json(&json!({ "items": controller.restores().await? }))
}
