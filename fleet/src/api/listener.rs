//! Sockets that answer HTTP/1.1: plain on loopback, or with TLS; bounded in connections and time.
//!
//! One request per connection, so that every connection has an end; an answer that goes on for
//! long ends when the listener stops. Never looks at a request.

use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::response::{IntoResponse as _, Response};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, oneshot, watch};
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
    /// An answer that is marked [`LongAnswer`], from its head to its end.
    pub(super) long_answer: Duration,
}

/// Marks an answer whose body may go on for [`Limits::long_answer`].
#[derive(Debug, Clone, Copy)]
pub(super) struct LongAnswer;

/// Given to each request: resolves when the listener stops, and long answers are to end.
#[derive(Debug, Clone)]
pub(super) struct Stopping(watch::Receiver<()>);

impl Stopping {
    /// Waits for it.
    pub(super) async fn wait(&mut self) {
        // Nothing is ever sent: the end of the sender is the news.
        while self.0.changed().await.is_ok() {}
    }
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
        let (running, stopping) = watch::channel(());
        let answer = Answerer {
            router,
            tls,
            limits,
            stopping: Stopping(stopping),
        };
        let stopped = async move {
            let _stopped_or_dropped = stopped.await;
            drop(running);
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
    stopping: Stopping,
}

async fn accept(listener: TcpListener, answer: Answerer, stopped: impl Future<Output = ()>) {
    let mut stopped = pin!(stopped);
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
        let is_long = Arc::new(AtomicBool::new(false));
        let mark = Arc::clone(&is_long);
        let service = hyper::service::service_fn(move |request: hyper::Request<_>| {
            self.clone()
                .request(request.map(Body::new), Arc::clone(&mark))
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(limits.handshake)
            .keep_alive(false)
            .serve_connection(TokioIo::new(stream), service);
        let mut connection = pin!(connection);
        let whole = limits.handshake + 2 * limits.request;
        let mut ended = timeout(whole, &mut connection).await;
        if ended.is_err() && is_long.load(Ordering::Relaxed) {
            ended = timeout(limits.long_answer, &mut connection).await;
        }
        if let Ok(Err(error)) = ended {
            tracing::debug!("a connection failed: because {error}");
        }
    }

    fn request(
        self,
        mut request: hyper::Request<Body>,
        is_long: Arc<AtomicBool>,
    ) -> Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>> {
        request.extensions_mut().insert(self.stopping);
        Box::pin(async move {
            let answer = timeout(self.limits.request, self.router.oneshot(request)).await;
            let answer = answer.unwrap_or_else(|_| Ok(ApiError::TooSlow.into_response()));
            answer.inspect(|answer| {
                let long = answer.extensions().get::<LongAnswer>().is_some();
                is_long.store(long, Ordering::Relaxed);
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use axum::Extension;
    use axum::routing::get;
    use futures_util::stream;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::time::interval;

    use super::*;

    const TICKS: usize = 25;

    /// An answer that takes 2.5 s: longer than all limits but that of long answers.
    async fn ticks() -> Body {
        let ticks = (0, interval(Duration::from_millis(100)));
        Body::from_stream(stream::unfold(ticks, |(told, mut ticks)| async move {
            ticks.tick().await;
            (told < TICKS).then(|| (Ok::<_, Infallible>("tick"), (told + 1, ticks)))
        }))
    }

    async fn check(path: &str, expect_all: bool) {
        let router = Router::new().route("/plain", get(ticks)).route(
            "/long",
            get(async || (Extension(LongAnswer), ticks().await)),
        );
        let limits = Limits {
            connections_max: 2,
            handshake: Duration::from_secs(2),
            request: Duration::from_millis(1),
            long_answer: Duration::from_secs(60),
        };
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let bound = Bound::new("a test", any).await.expect("a port");
        let server = bound.serve(router, None, limits);
        let mut socket = TcpStream::connect(server.local_addr())
            .await
            .expect("connected");
        let question = format!("GET {path} HTTP/1.1\r\nhost: a\r\n\r\n");
        socket.write_all(question.as_bytes()).await.expect("sent");
        let mut answer = Vec::new();
        let _cut_off = socket.read_to_end(&mut answer).await;
        let told = String::from_utf8_lossy(&answer).matches("tick").count();
        assert_eq!(told == TICKS, expect_all, "{path}: {told} of {TICKS}");
        server.stop().await;
    }

    #[tokio::test]
    async fn only_an_answer_that_is_marked_may_be_long() {
        tokio::join!(check("/plain", false), check("/long", true));
    }
}
