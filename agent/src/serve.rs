//! The local Open Inference Protocol server (KServe v2 REST): loopback TCP and a unix socket.
//!
//! Knows HTTP and tensors, and the [`Routes`] to the tasks that own the workers. Never runs a
//! model, never folds a window, never listens beyond this machine.

pub mod backend;
mod connection;
mod error;
mod feedback;
mod guard;
mod listen;
mod predict;
mod refusal;
mod request;
mod response;
mod router;
mod stick;

pub use error::ServeError;

use axum::serve::ListenerExt;
use backend::Routes;
use connection::Limits;
use guard::Guard;
use router::App;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::JoinSet;

/// What `GET /muster/status` answers.
pub type Status = Arc<dyn Fn() -> serde_json::Value + Send + Sync>;

/// Where goes what `muster-agent import` and `export` ask.
pub type Sticks = mpsc::Sender<crate::stick::Request>;

/// Where to listen, and how much of this device clients may take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServeConfig {
    /// TCP address; anything but loopback is refused. Port 0 lets the system choose.
    pub http: Option<SocketAddr>,
    /// Path of the unix socket (made 0600), in a folder that only this user may enter.
    pub socket: Option<PathBuf>,
    /// Largest body of one request, bytes.
    pub body_bytes_max: usize,
    /// Most bytes of all bodies that are held at once; at least `body_bytes_max` is used.
    pub bodies_bytes_max: usize,
    /// Most open connections of each listener; further ones wait in its backlog.
    pub connections_max: usize,
    /// How long a client may take for a request's head, and idle between two, milliseconds.
    pub header_timeout_ms: u64,
    /// How long a client may take for a request's body, milliseconds.
    pub body_timeout_ms: u64,
    /// How long a request waits for memory and again for its model's queue, milliseconds.
    pub queue_timeout_ms: u64,
    /// How long a queued request waits for its answer, milliseconds; above the worker's own limit.
    pub answer_timeout_ms: u64,
}

/// A running server. Dropping it ends every connection at once.
#[derive(Debug)]
pub struct Server {
    http: Option<SocketAddr>,
    socket: Option<PathBuf>,
    stop: watch::Sender<bool>,
    listeners: JoinSet<()>,
}

impl Default for ServeConfig {
    fn default() -> ServeConfig {
        ServeConfig {
            http: None,
            socket: None,
            body_bytes_max: 16 << 20,
            bodies_bytes_max: 64 << 20,
            connections_max: 64,
            header_timeout_ms: 30_000,
            body_timeout_ms: 30_000,
            queue_timeout_ms: 5_000,
            answer_timeout_ms: 60_000,
        }
    }
}

/// Listens and answers until [`Server::stop`]. Either every address of `config` is bound, or none.
///
/// # Errors
/// An address that is taken, not this machine's alone, or not allowed to this user.
pub async fn start(
    config: ServeConfig,
    routes: Routes,
    status: Status,
    sticks: Sticks,
) -> Result<Server, ServeError> {
    let tcp = match config.http {
        Some(address) => Some(listen::on_tcp(address).await?),
        None => None,
    };
    let unix = match &config.socket {
        Some(path) => Some(listen::on_unix(path).await?),
        None => None,
    };
    let (stop, stopping) = watch::channel(false);
    let limits = Limits::of(&config);
    let socket = config.socket.clone();
    let router = router::router(App::new(config, routes, status, sticks));
    let mut listeners = JoinSet::new();
    let http = tcp.map(|(listener, address)| {
        let guard = Guard::Loopback {
            port: address.port(),
        };
        // Replies are small and waited for.
        let listener = listener.tap_io(|io| drop(io.set_nodelay(true)));
        let (router, stopping) = (router.clone(), stopping.clone());
        listeners.spawn(connection::serve(listener, router, guard, limits, stopping));
        address
    });
    if let Some(listener) = unix {
        let guard = Guard::Filesystem;
        listeners.spawn(connection::serve(listener, router, guard, limits, stopping));
    }
    Ok(Server {
        http,
        socket,
        stop,
        listeners,
    })
}

impl Server {
    /// The TCP address, with the port that the system chose.
    pub fn local_addr(&self) -> Option<SocketAddr> {
        self.http
    }

    /// The unix socket's path.
    pub fn socket(&self) -> Option<&Path> {
        self.socket.as_deref()
    }

    /// Takes no more requests, lets those under way finish for a few seconds, and removes the
    /// socket.
    pub async fn stop(mut self) {
        self.stop.send_replace(true);
        while self.listeners.join_next().await.is_some() {}
        if let Some(path) = &self.socket {
            let _ = std::fs::remove_file(path);
        }
    }
}

impl App {
    fn new(config: ServeConfig, routes: Routes, status: Status, sticks: Sticks) -> App {
        let bytes = config.bodies_bytes_max.max(config.body_bytes_max);
        App {
            routes,
            status,
            sticks,
            body_bytes_max: config.body_bytes_max,
            bodies_kib: Arc::new(Semaphore::new(kib(bytes) as usize)),
            body_timeout: Duration::from_millis(config.body_timeout_ms),
            queue_timeout: Duration::from_millis(config.queue_timeout_ms),
            answer_timeout: Duration::from_millis(config.answer_timeout_ms),
        }
    }
}

/// KiB that hold so many bytes.
fn kib(bytes: usize) -> u32 {
    u32::try_from(bytes.div_ceil(1024)).unwrap_or(u32::MAX >> 3)
}

#[cfg(test)]
mod tests;
