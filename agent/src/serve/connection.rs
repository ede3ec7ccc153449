//! Connections: accepts so many, gives each a head timeout, and ends them in peace.
//!
//! Never looks into a request beyond the guard.

use super::guard::Guard;
use super::{ServeConfig, guard};
use axum::Router;
use axum::body::Body;
use axum::response::{IntoResponse, Response};
use axum::serve::Listener;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tower::ServiceExt;

/// How long requests under way may take once the server stops.
const STOP_MS_MAX: u64 = 10_000;
/// Most bytes of a request's head; also what an idle connection may hold.
const HEAD_BYTES_MAX: usize = 32 * 1024;

/// What connections may take.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    connections_max: usize,
    header_timeout: Duration,
}

impl Limits {
    pub(super) fn of(config: &ServeConfig) -> Limits {
        Limits {
            connections_max: config.connections_max.max(1),
            header_timeout: Duration::from_millis(config.header_timeout_ms),
        }
    }
}

/// Serves a listener until `stopping` turns true.
pub(super) async fn serve<L: Listener>(
    mut listener: L,
    router: Router,
    guard: Guard,
    limits: Limits,
    mut stopping: watch::Receiver<bool>,
) {
    let places = Arc::new(Semaphore::new(limits.connections_max));
    let mut connections = JoinSet::new();
    loop {
        let next = async {
            // The semaphore is never closed: an error cannot happen, and would only free a place.
            let place = Arc::clone(&places).acquire_owned().await;
            (listener.accept().await.0, place)
        };
        tokio::select! {
            (io, place) = next => {
                let (router, stopping) = (router.clone(), stopping.clone());
                connections.spawn(async move {
                    let _place = place;
                    converse(io, router, guard, limits, stopping).await;
                });
            }
            Some(_) = connections.join_next(), if !connections.is_empty() => {}
            () = stopped(&mut stopping) => break,
        }
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
}

/// One connection, from its first request to its last.
async fn converse<Io>(
    io: Io,
    router: Router,
    guard: Guard,
    limits: Limits,
    mut stopping: watch::Receiver<bool>,
) where
    Io: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
{
    let service = service_fn(|request| answer(request, router.clone(), guard));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header_timeout)
        .max_header_size(HEAD_BYTES_MAX)
        .serve_connection(TokioIo::new(io), service);
    let mut connection = pin!(connection);
    // How a connection ends is the client's affair: there is nobody to tell.
    tokio::select! {
        _ = connection.as_mut() => {}
        () = stopped(&mut stopping) => {
            connection.as_mut().graceful_shutdown();
            let _ = timeout(Duration::from_millis(STOP_MS_MAX), connection).await;
        }
    }
}

/// Returns when the server stops, or is dropped.
async fn stopped(stopping: &mut watch::Receiver<bool>) {
    let _ = stopping.wait_for(|stop| *stop).await;
}

async fn answer(
    mut request: hyper::Request<Incoming>,
    router: Router,
    guard: Guard,
) -> Result<Response, Infallible> {
    match guard::check(guard, request.uri(), request.headers()) {
        Ok(()) => {
            request.extensions_mut().insert(guard);
            router.oneshot(request.map(Body::new)).await
        }
        Err(refusal) => Ok(refusal.into_response()),
    }
}
