//! `/muster/stick`: hands what a stick brings to the supervisor, and its answer back.
//!
//! On the unix socket alone: whoever may open it may as well take the agent's files away. Never
//! judges what is brought.

use super::guard::Guard;
use super::predict::receive;
use super::refusal::Refusal;
use super::response;
use super::router::App;
use crate::stick::{Ask, Reply, Request as ToSupervisor};
use axum::Extension;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use minicbor::Encode;
use muster_protocol::cbor;
use std::sync::Arc;
use tokio::sync::oneshot;
use tokio::time::timeout;

/// One step of an import.
pub(super) async fn import(
    State(app): State<Arc<App>>,
    Extension(guard): Extension<Guard>,
    request: Request,
) -> Result<Response, Refusal> {
    only_on_socket(guard)?;
    let (body, _memory) = receive(&app, request).await?;
    let ask: Ask = cbor::decode(&body).map_err(|error| refused(error.to_string()))?;
    ask_supervisor(&app, |reply| ToSupervisor::Import(ask, reply)).await
}

/// What waits for the fleet.
pub(super) async fn export(
    State(app): State<Arc<App>>,
    Extension(guard): Extension<Guard>,
) -> Result<Response, Refusal> {
    only_on_socket(guard)?;
    ask_supervisor(&app, ToSupervisor::Export).await
}

async fn ask_supervisor<T: Encode<()>>(
    app: &App,
    request: impl FnOnce(Reply<T>) -> ToSupervisor,
) -> Result<Response, Refusal> {
    let (reply, answer) = oneshot::channel();
    let asked = app.sticks.send(request(reply)).await;
    asked.map_err(|_| unavailable("the agent is ending"))?;
    match timeout(app.answer_timeout, answer).await {
        Ok(Ok(Ok(answer))) => Ok(response::cbor(&answer)),
        Ok(Ok(Err(because))) => Err(refused(because)),
        Ok(Err(_)) => Err(unavailable("another command has taken its place")),
        Err(_) => Err(unavailable("the agent is busy")),
    }
}

fn only_on_socket(guard: Guard) -> Result<(), Refusal> {
    match guard {
        Guard::Filesystem => Ok(()),
        Guard::Loopback { .. } => Err(Refusal::new(
            StatusCode::FORBIDDEN,
            "take a stick up",
            "that is asked for on the unix socket alone".into(),
            "use `muster-agent import` and `muster-agent export`",
        )),
    }
}

fn refused(because: String) -> Refusal {
    let hint = "begin again with `muster-agent import`";
    Refusal::new(StatusCode::CONFLICT, "take a stick up", because, hint)
}

fn unavailable(because: &str) -> Refusal {
    let (status, hint) = (StatusCode::SERVICE_UNAVAILABLE, "try again");
    Refusal::new(status, "take a stick up", because.to_owned(), hint)
}
