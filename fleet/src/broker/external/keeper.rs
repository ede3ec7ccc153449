//! Keeps one connection up: dials, watches, and starts anew with growing delays.
//!
//! Every attempt is a new certificate, a new client and a new tunnel; nothing is mended.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::{JoinError, JoinSet};
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};
use tokio_rustls::client::TlsStream;

use super::backoff::Backoff;
use super::client::{self, Wiring};
use super::outlet::Outlet;
use super::progress::Progress;
use super::tunnel::Tunnel;
use super::{ExternalConfig, Handlers, tls};
use crate::clock;

/// How often the watchdog looks, at most: a fifth of its shortest patience.
const WATCH_EVERY_MAX: Duration = Duration::from_secs(1);
/// What a connection that ends may still take to say why, or to send its last messages.
const FAREWELL: Duration = Duration::from_secs(2);

/// Runs until it is told to stop.
pub(super) struct Keeper {
    pub(super) config: Arc<ExternalConfig>,
    pub(super) handlers: Handlers,
    pub(super) outlet: Outlet,
    pub(super) backoff: Backoff,
}

/// How a connection ended.
enum Ended {
    Down(String),
    Stopped,
}

/// One of the two tasks of a connection has ended.
enum Part {
    Client(String),
    Tunnel(io::Result<()>),
}

impl Keeper {
    /// Connects again and again. Ends when `stop` is sent or dropped.
    pub(super) async fn run(mut self, mut stop: oneshot::Receiver<()>) {
        loop {
            let because = match self.connection(&mut stop).await {
                Ended::Down(because) => because,
                Ended::Stopped => return,
            };
            let delay = self.backoff.next(chance());
            let broker = &self.config.url;
            tracing::warn!(
                "not connected to {broker}: because {because}: next attempt in {delay:?}"
            );
            tokio::select! {
                () = sleep(delay) => {}
                _ = &mut stop => return,
            }
        }
    }

    async fn connection(&mut self, stop: &mut oneshot::Receiver<()>) -> Ended {
        let opened = tokio::select! {
            opened = self.open() => opened,
            _ = &mut *stop => return Ended::Stopped,
        };
        let (broker, tunnel) = match opened {
            Ok(both) => both,
            Err(because) => return Ended::Down(because),
        };
        let progress = Arc::new(Mutex::new(Progress::new(clock::monotonic())));
        let mut parts = self.start(broker, tunnel, Arc::clone(&progress));
        let ended = tokio::select! {
            part = parts.join_next() => Ended::Down(self.reason(part, &mut parts).await),
            stall = self.watch(&progress) => Ended::Down(stall),
            _ = stop => self.farewell(&mut parts).await,
        };
        self.outlet.close();
        (self.handlers.lost)();
        self.settle(&progress);
        ended
    }

    async fn open(&self) -> Result<(TlsStream<TcpStream>, Tunnel), String> {
        let (url, limits) = (&self.config.url, &self.config.timeouts);
        let credentials = (self.config.credentials)().await?;
        let stream = tls::dial(url, limits.dial).await?;
        let broker = tls::handshake(&credentials, url, stream, limits.answer).await?;
        let folder = &self.config.socket_folder;
        let tunnel = Tunnel::open(folder)
            .map_err(|error| format!("no socket can be made in {}: {error}", folder.display()))?;
        Ok((broker, tunnel))
    }

    fn start(
        &self,
        broker: TlsStream<TcpStream>,
        tunnel: Tunnel,
        progress: Arc<Mutex<Progress>>,
    ) -> JoinSet<Part> {
        let wiring = Wiring {
            config: Arc::clone(&self.config),
            handlers: self.handlers.clone(),
            outlet: self.outlet.clone(),
            progress,
        };
        let path = tunnel.path();
        let mut parts = JoinSet::new();
        parts.spawn(async move { Part::Tunnel(tunnel.carry(broker).await) });
        parts.spawn(async move { Part::Client(client::speak(&path, wiring).await) });
        parts
    }

    /// Only the tunnel knows what TLS said, only the client what the broker said: the more
    /// telling of both.
    async fn reason(
        &self,
        first: Option<Result<Part, JoinError>>,
        parts: &mut JoinSet<Part>,
    ) -> String {
        let second = timeout(FAREWELL, parts.join_next()).await;
        let mut because = "the connection ended".to_owned();
        for part in [first, second.ok().flatten()].into_iter().flatten() {
            match part {
                Ok(Part::Tunnel(Err(error))) if tls::is_telling(&error) => {
                    return tls::because(&error, &self.config.url);
                }
                Ok(Part::Tunnel(_)) => (),
                Ok(Part::Client(reason)) => because = reason,
                Err(error) => because = format!("the MQTT client failed: {error}"),
            }
        }
        because
    }

    async fn watch(&self, progress: &Mutex<Progress>) -> String {
        let limits = &self.config.timeouts;
        let shortest = limits.answer.min(limits.silence).min(limits.unacknowledged);
        let every = (shortest / 5).clamp(Duration::from_millis(1), WATCH_EVERY_MAX);
        let mut tick = interval(every);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tick.tick().await;
            let held = progress.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(stall) = held.stall(clock::monotonic(), limits) {
                return stall.to_string();
            }
        }
    }

    async fn farewell(&self, parts: &mut JoinSet<Part>) -> Ended {
        self.outlet.hang_up();
        let all = async { while parts.join_next().await.is_some() {} };
        let _cut_off = timeout(FAREWELL, all).await;
        Ended::Stopped
    }

    /// Delays start over only after a connection that lasted: one that cannot store what it hears
    /// must not come back at once.
    fn settle(&mut self, progress: &Mutex<Progress>) {
        let held = progress.lock().unwrap_or_else(PoisonError::into_inner);
        let now = clock::monotonic();
        let lasted = held
            .subscribed_at()
            .map(|up| now.saturating_duration_since(up));
        if lasted.is_some_and(|lasted| lasted >= self.config.timeouts.settled) {
            self.backoff.reset();
        }
    }
}

/// Spreads the attempts of several controllers; without randomness they are not spread.
fn chance() -> u8 {
    let mut byte = [0];
    let _without = getrandom::fill(&mut byte);
    byte[0]
}
