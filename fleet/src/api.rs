//! HTTP: the operator's API and page on loopback, and the HTTPS listener where devices enrol.
//!
//! Only this module and the CLI's client know HTTP. Handlers translate and call the controller;
//! nothing is decided here but who may ask.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::routing::{any, get, post};
use axum::{Extension, Router, middleware};
use muster_protocol::digest::Digest;
use muster_protocol::limits::{ENROLMENT_BYTES_MAX, LAYER_BYTES_MAX};

use crate::controller::Controller;
use crate::error::OperatorError;
use crate::home::{self, Home};

mod alerts;
mod blobs;
mod devices;
mod drift;
mod drift_rules;
mod enrolment;
mod error;
mod evidence;
mod guard;
mod incidents;
mod listener;
mod metadata;
mod metrics;
mod page;
mod parse;
mod policies;
mod retraining;
mod rollouts;
mod sticks;
mod telemetry;
#[cfg(test)]
mod tests;

pub(crate) use error::Problem;
pub(crate) use listener::Server;
pub(crate) use metadata::{Octets, PublicationBody};
pub(crate) use sticks::{CarriedBody, ParcelBody};

use error::ApiError;
use guard::Guard;
use listener::{Bound, Limits};
use parse::BodyBytesMax;

/// Largest JSON body: a publication of metadata, in hexadecimal.
const JSON_BYTES_MAX: usize = 32 * 1024 * 1024;
/// The API: a blob of the largest size goes over loopback and to the disk within this time.
const API_LIMITS: Limits = Limits {
    connections_max: 64,
    handshake: Duration::from_secs(10),
    request: Duration::from_secs(120),
    // An open page asks again after it: nothing is for ever, and nobody notices.
    long_answer: Duration::from_secs(15 * 60),
};
/// Enrolment: strangers may connect.
const ENROLMENT_LIMITS: Limits = Limits {
    connections_max: 256,
    handshake: Duration::from_secs(10),
    request: Duration::from_secs(20),
    long_answer: Duration::ZERO,
};

/// The sha256 of the home's API token.
///
/// # Errors
/// No token, or one that others may read.
pub(crate) fn token_digest(home: &Home) -> Result<Digest, OperatorError> {
    home::read_api_token(home).map(|token| Digest::of(token.as_bytes()))
}

/// Begins to answer the API on `listen`.
///
/// # Errors
/// A port in use or not to be had.
pub(crate) async fn start(
    listen: SocketAddr,
    token: Digest,
    controller: Arc<Controller>,
) -> Result<Server, OperatorError> {
    let bound = Bound::new("the API", listen).await?;
    let port = bound.local_addr().port();
    let router = router(controller, Guard { token, port });
    Ok(bound.serve(router, None, API_LIMITS))
}

/// Begins to answer enrolment on `listen`, with the server's certificate.
///
/// # Errors
/// A port in use or not to be had, a certificate or key that is not one.
pub(crate) async fn start_enrolment(
    listen: SocketAddr,
    home: &Home,
    controller: Arc<Controller>,
) -> Result<Server, OperatorError> {
    let tls = enrolment::acceptor(home)?;
    let bound = Bound::new("enrolment", listen).await?;
    Ok(bound.serve(enrolment_router(controller), Some(tls), ENROLMENT_LIMITS))
}

/// The API under its path; everything else is the page's.
fn router(controller: Arc<Controller>, guard: Guard) -> Router {
    let pages = page::Pages::new(Arc::clone(&controller), guard);
    api_router(controller, guard).merge(page::router(Arc::new(pages)))
}

fn api_router(controller: Arc<Controller>, guard: Guard) -> Router {
    let layer_bytes_max = usize::try_from(LAYER_BYTES_MAX).unwrap_or(usize::MAX);
    let blobs = Router::new()
        .route(
            "/api/v1/blobs/{digest}",
            get(blobs::get).head(blobs::head).put(blobs::put),
        )
        .layer(Extension(BodyBytesMax(layer_bytes_max)));
    Router::new()
        .route("/api/v1/health", get(telemetry::health))
        .route("/api/v1/summary", get(telemetry::summary))
        .route("/api/v1/windows", get(telemetry::windows))
        .route("/api/v1/receipts", get(telemetry::receipts))
        .route("/api/v1/receipts/signed", get(evidence::signed_receipts))
        .route("/api/v1/enrolments", get(evidence::enrolments))
        .merge(drift::routes())
        .merge(incidents::routes())
        .merge(alerts::routes())
        .merge(drift_rules::routes())
        .merge(retraining::routes())
        .route("/api/v1/restores", get(telemetry::restores))
        .route("/api/v1/metadata/{*role}", get(metadata::get))
        .route("/api/v1/publications", post(metadata::publish))
        .route("/api/v1/releases", get(rollouts::releases))
        .route("/api/v1/enroll-tokens", post(devices::create_token))
        .merge(devices::routes())
        .route(
            "/api/v1/rollouts",
            get(rollouts::list).post(rollouts::create),
        )
        .route("/api/v1/rollouts/{rollout}", get(rollouts::show))
        .route("/api/v1/policies", post(policies::apply))
        .route("/api/v1/rollouts/{rollout}/plan", get(policies::plan))
        .route("/api/v1/rollouts/{rollout}/orders", post(policies::order))
        .route(
            "/api/v1/rollouts/{rollout}/explanation",
            get(policies::explain),
        )
        .route(
            "/api/v1/rollouts/{rollout}/decisions",
            get(policies::decisions),
        )
        .route("/api/v1/rollouts/{rollout}/replay", get(policies::replay))
        .route(
            "/api/v1/devices/{device}/explanation",
            get(policies::explain_device),
        )
        .layer(Extension(BodyBytesMax(JSON_BYTES_MAX)))
        .merge(blobs)
        .route("/api/{*path}", any(nothing_here))
        .method_not_allowed_fallback(wrong_method)
        .layer(middleware::from_fn_with_state(guard, guard::check))
        .merge(metrics::router(guard, controller.metrics_access()))
        .with_state(controller)
}

fn enrolment_router(controller: Arc<Controller>) -> Router {
    Router::new()
        .route("/enroll", post(enrolment::enroll))
        .route("/renew", get(enrolment::offer).post(enrolment::renew))
        .route("/health", get(telemetry::health))
        .layer(Extension(BodyBytesMax(ENROLMENT_BYTES_MAX)))
        .fallback(nothing_here)
        .method_not_allowed_fallback(wrong_method)
        .with_state(controller)
}

async fn nothing_here() -> ApiError {
    ApiError::NotFound {
        what: "this path".to_owned(),
    }
}

async fn wrong_method() -> ApiError {
    ApiError::Method
}
