//! Sockets that answer HTTP/1.1: plain on loopback, or with TLS; bounded in connections and time.
//!
//! One request per connection, so that every connection has an end. Never looks at a request.

use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::response::{IntoResponse as _, Response};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, oneshot};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tower::ServiceExt as _;

use super::error::ApiError;
use crate::error::OperatorError;

/// How long requests that run when it stops may still take.
const LAST_REQUESTS: Duration = Duration::from_secs(5);
/// How long to wait when the system has no socket to give, before asking again.
const NO_SOCKET_PAUSE: Duration = Duration::from_millis(100);

/// Bounds of one listener.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// Connections at a time; more wait.
    pub(super) connections_max: usize,
    /// TLS handshake, and again the head of the request.
    pub(super) handshake: Duration,
    /// From the head of the request to its answer.
    pub(super) request: Duration,
}

/// A listener that answers until it is stopped.
#[derive(Debug)]
pub(crate) struct Server {
    local_addr: SocketAddr,
    stop: oneshot::Sender<()>,
    accepting: JoinHandle<()>,
}

impl Server {
    /// Where it listens.
    pub(crate) fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// Accepts nothing more, lets running requests end, and returns.
    pub(crate) async fn stop(self) {
        let _already_gone = self.stop.send(());
        let _aborted = self.accepting.await;
    }
}

/// A bound port that does not answer yet.
#[derive(Debug)]
pub(super) struct Bound {
    listener: TcpListener,
    local_addr: SocketAddr,
}

impl Bound {
    /// Binds `listen` for `what`.
    ///
    /// # Errors
    /// A port in use or not to be had.
    pub(super) async fn new(what: &str, listen: SocketAddr) -> Result<Self, OperatorError> {
        let failed = |error| OperatorError::listen(what, listen, &error);
        let listener = TcpListener::bind(listen).await.map_err(failed)?;
        let local_addr = listener.local_addr().map_err(failed)?;
        Ok(Self {
            listener,
            local_addr,
        })
    }

    /// The real address.
    pub(super) fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// Begins to answer; with TLS when there is an acceptor.
    pub(super) fn serve(self, router: Router, tls: Option<TlsAcceptor>, limits: Limits) -> Server {
        let (stop, stopped) = oneshot::channel();
        let answer = Answerer {
            router,
            tls,
            limits,
        };
        Server {
            local_addr: self.local_addr,
            stop,
            accepting: tokio::spawn(accept(self.listener, answer, stopped)),
        }
    }
}

#[derive(Clone)]
struct Answerer {
    router: Router,
    tls: Option<TlsAcceptor>,
    limits: Limits,
}

async fn accept(listener: TcpListener, answer: Answerer, mut stopped: oneshot::Receiver<()>) {
    let room = Arc::new(Semaphore::new(answer.limits.connections_max));
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        let next = async {
            let permit = Arc::clone(&room).acquire_owned().await;
            (permit, listener.accept().await)
        };
        let (permit, accepted) = tokio::select! {
            _ = &mut stopped => break,
            next = next => next,
        };
        match accepted {
            Ok((socket, _)) => {
                let answer = answer.clone();
                connections.spawn(async move {
                    answer.connection(socket).await;
                    drop(permit);
                });
            }
            Err(error) => {
                tracing::warn!("failed to accept a connection: because {error}");
                tokio::time::sleep(NO_SOCKET_PAUSE).await;
            }
        }
    }
    let _cut_off = timeout(LAST_REQUESTS, async {
        while connections.join_next().await.is_some() {}
    })
    .await;
}

impl Answerer {
    async fn connection(self, socket: TcpStream) {
        let Some(tls) = self.tls.clone() else {
            return self.http(socket).await;
        };
        match timeout(self.limits.handshake, tls.accept(socket)).await {
            Ok(Ok(stream)) => self.http(stream).await,
            Ok(Err(error)) => tracing::debug!("a TLS handshake failed: because {error}"),
            Err(_) => tracing::debug!("a TLS handshake failed: because it took too long"),
        }
    }

    async fn http<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(self, stream: S) {
        let limits = self.limits;
        let service = hyper::service::service_fn(move |request: hyper::Request<_>| {
            self.clone().request(request.map(Body::new))
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(limits.handshake)
            .keep_alive(false)
            .serve_connection(TokioIo::new(stream), service);
        let whole = limits.handshake + 2 * limits.request;
        if let Ok(Err(error)) = timeout(whole, connection).await {
            tracing::debug!("a connection failed: because {error}");
        }
    }

    fn request(
        self,
        request: hyper::Request<Body>,
    ) -> Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>> {
        Box::pin(async move {
            let answer = timeout(self.limits.request, self.router.oneshot(request)).await;
            answer.unwrap_or_else(|_| Ok(ApiError::TooSlow.into_response()))
        })
    }
}
