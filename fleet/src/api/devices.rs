//! `/api/v1/enroll-tokens` and `/api/v1/devices`: who may come, who is there, what they are
//! labelled.
//!
//! A token's secret leaves in one answer and is kept nowhere.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::{delete, get, post, put};
use axum::{Json, Router};
use muster_protocol::id::DeviceId;
use muster_protocol::message::Role;
use serde::Deserialize;
use serde_json::{Value, json};

use super::error::{Answer, ApiError, CREATED, DONE};
use super::parse::{self, Filter, JsonBody};
use super::sticks;
use crate::controller::Controller;

pub(super) fn routes() -> Router<Arc<Controller>> {
    Router::new()
        .route("/api/v1/devices", get(list))
        .route("/api/v1/devices/{device}", get(show))
        .route("/api/v1/devices/{device}/labels", put(label))
        .route("/api/v1/devices/{device}/hold", delete(release_hold))
        .route("/api/v1/devices/{device}/revoke", put(revoke))
        .route("/api/v1/devices/{device}/parcel", post(sticks::parcel))
        .route("/api/v1/devices/{device}/carried", post(sticks::carried))
        .route("/api/v1/devices/{device}/models/{model}", delete(unassign))
        .route(
            "/api/v1/devices/{device}/shadows/{model}",
            delete(unassign_shadow),
        )
}

/// Longest life of a token: a month.
const TOKEN_TTL_S_MAX: u64 = 31 * 24 * 3600;

/// What a token is asked for.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NewToken {
    device: String,
    ttl_s: u64,
}

/// Makes a token for one device.
pub(super) async fn create_token(
    State(controller): State<Arc<Controller>>,
    JsonBody(wanted): JsonBody<NewToken>,
) -> Answer<(StatusCode, Json<Value>)> {
    let device: DeviceId = parse::value("device", &wanted.device)?;
    if !(1..=TOKEN_TTL_S_MAX).contains(&wanted.ttl_s) {
        return Err(parse::bad(format!(
            "ttl_s lies between 1 and {TOKEN_TTL_S_MAX}"
        )));
    }
    let token = controller.create_token(device, wanted.ttl_s).await?;
    let (text, expires) = (token.to_string(), token.expires.0);
    let body = json!({ "device": wanted.device, "token": text, "expires": expires });
    Ok((CREATED, Json(body)))
}

/// Devices by name.
async fn list(State(controller): State<Arc<Controller>>, filter: Filter) -> Answer<Json<Value>> {
    parse::json(&controller.devices(filter.page(&[])?).await?)
}

/// One device.
async fn show(
    State(controller): State<Arc<Controller>>,
    Path(device): Path<String>,
) -> Answer<Json<Value>> {
    parse::json(&controller.device(parse::value("device", &device)?).await?)
}

/// Replaces the labels of a device.
async fn label(
    State(controller): State<Arc<Controller>>,
    Path(device): Path<String>,
    JsonBody(labels): JsonBody<BTreeMap<String, String>>,
) -> Answer<StatusCode> {
    if labels.len() > LABELS_MAX {
        return Err(parse::bad(format!(
            "a device has at most {LABELS_MAX} labels"
        )));
    }
    if let Some((key, value)) = labels.iter().find(|(key, value)| !is_label(key, value)) {
        let why = format!("{key:?}={value:?} is no label: use letters, digits and . _ - up to 63");
        return Err(ApiError::BadRequest { why });
    }
    controller
        .set_labels(parse::value("device", &device)?, labels)
        .await?;
    Ok(DONE)
}

/// Takes a model off a device, with its shadow.
async fn unassign(
    State(controller): State<Arc<Controller>>,
    Path(which): Path<(String, String)>,
) -> Answer<StatusCode> {
    take_off(&controller, &which, Role::Serve).await
}

/// Takes the shadow of a model off a device.
async fn unassign_shadow(
    State(controller): State<Arc<Controller>>,
    Path(which): Path<(String, String)>,
) -> Answer<StatusCode> {
    take_off(&controller, &which, Role::Shadow).await
}

async fn take_off(
    controller: &Controller,
    (device, model): &(String, String),
    role: Role,
) -> Answer<StatusCode> {
    let device = parse::value("device", device)?;
    let model = parse::value("model", model)?;
    controller.unassign(device, model, role).await?;
    Ok(DONE)
}

/// Ends the hold of a device without its word.
async fn release_hold(
    State(controller): State<Arc<Controller>>,
    Path(device): Path<String>,
) -> Answer<StatusCode> {
    controller
        .release_hold(parse::value("device", &device)?)
        .await?;
    Ok(DONE)
}

/// Lets a device speak and connect no longer.
async fn revoke(
    State(controller): State<Arc<Controller>>,
    Path(device): Path<String>,
) -> Answer<StatusCode> {
    controller.revoke(parse::value("device", &device)?).await?;
    Ok(DONE)
}

/// Labels of one device.
const LABELS_MAX: usize = 32;

fn is_label(key: &str, value: &str) -> bool {
    let plain = |text: &str| {
        let word = |b: u8| b.is_ascii_alphanumeric() || b"._-".contains(&b);
        (1..=63).contains(&text.len()) && text.bytes().all(word)
    };
    plain(key) && plain(value)
}
