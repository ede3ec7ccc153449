//! Keeps one connection up: dials, watches, and starts anew with growing delays.
//!
//! Every attempt is a new client over a new tunnel; nothing is mended.

use super::client::{self, Outlet, Stay, Wiring};
use super::progress::{Patience, Progress};
use super::tunnel::Tunnel;
use super::{LinkConfig, LinkEvent};
use crate::{clock, tls};
use muster_device::backoff::Backoff;
use muster_protocol::topic::{self, Up};
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::ClientConfig;

/// How often the watchdog looks, at most: a fifth of its shortest patience.
const WATCH_MS_MAX: u64 = 1000;
/// What a connection that ends may still take to say why, or to send its last messages.
const FAREWELL_MS: u64 = 2000;

/// Runs until it is told to stop.
pub(super) struct Keeper {
    pub(super) config: Arc<LinkConfig>,
    pub(super) tls: Arc<ClientConfig>,
    pub(super) events: mpsc::Sender<LinkEvent>,
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
    /// Connects again and again. Ends when `stop` is sent or dropped, or nobody takes events.
    pub(super) async fn run(mut self, mut stop: oneshot::Receiver<()>) {
        loop {
            let because = match self.connection(&mut stop).await {
                Ended::Down(because) => because,
                Ended::Stopped => return,
            };
            let delay_ms = self.backoff.next_ms();
            tracing::warn!("the link is down: because {because}: next attempt in {delay_ms} ms");
            let wait = async {
                self.events.send(LinkEvent::Down { because }).await?;
                sleep(Duration::from_millis(delay_ms)).await;
                Ok::<(), mpsc::error::SendError<LinkEvent>>(())
            };
            tokio::select! {
                told = wait => if told.is_err() { return },
                _ = &mut stop => return,
            }
        }
    }

    async fn connection(&mut self, stop: &mut oneshot::Receiver<()>) -> Ended {
        let broker = tokio::select! {
            broker = self.connect() => broker,
            _ = &mut *stop => return Ended::Stopped,
        };
        let (broker, tunnel) = match broker.and_then(|broker| Ok((broker, self.open()?))) {
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
        self.outlet.clear();
        self.settle(&progress);
        ended
    }

    async fn connect(&self) -> Result<TlsStream<TcpStream>, String> {
        let (host, limits) = (self.config.broker.host.as_str(), &self.config.timeouts);
        let port = self.config.broker.port;
        let stream = tls::dial(host, port, limits.dial_ms)
            .await
            .map_err(|error| format!("{host}:{port} cannot be reached: {error}"))?;
        let handshake = tls::handshake(Arc::clone(&self.tls), host, stream);
        timeout(Duration::from_millis(limits.answer_ms), handshake)
            .await
            .map_err(|_| format!("{host}:{port} did not answer in TLS"))?
            .map_err(|error| tls::because(&error, "broker", host))
    }

    fn open(&self) -> Result<Tunnel, String> {
        let folder = &self.config.state_folder;
        Tunnel::open(folder)
            .map_err(|error| format!("no socket can be made in {}: {error}", folder.display()))
    }

    fn start(
        &self,
        broker: TlsStream<TcpStream>,
        tunnel: Tunnel,
        progress: Arc<Mutex<Progress>>,
    ) -> JoinSet<Part> {
        let wiring = Wiring {
            config: Arc::clone(&self.config),
            events: self.events.clone(),
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
        first: Option<Result<Part, tokio::task::JoinError>>,
        parts: &mut JoinSet<Part>,
    ) -> String {
        let second = timeout(Duration::from_millis(FAREWELL_MS), parts.join_next()).await;
        let mut because = "the connection ended".to_owned();
        for part in [first, second.ok().flatten()].into_iter().flatten() {
            match part {
                Ok(Part::Tunnel(Err(error))) if !tls::is_silent_close(&error) => {
                    return tls::because(&error, "broker", &self.config.broker.host);
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
        let patience = Patience {
            answer_ms: limits.answer_ms,
            silence_ms: limits.silence_ms,
            unacknowledged_ms: limits.unacknowledged_ms,
        };
        let shortest = limits
            .answer_ms
            .min(limits.silence_ms)
            .min(limits.unacknowledged_ms);
        let every_ms = (shortest / 5).clamp(1, WATCH_MS_MAX);
        let mut tick = interval(Duration::from_millis(every_ms));
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tick.tick().await;
            let held = progress.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(stall) = held.stall(clock::monotonic(), patience) {
                return stall.to_string();
            }
        }
    }

    /// Says that the device goes on purpose, since the last will is not sent then.
    async fn farewell(&self, parts: &mut JoinSet<Part>) -> Ended {
        let topic = topic::up(
            self.config.topic_prefix.as_str(),
            &self.config.device,
            Up::Status,
        );
        let hint = client::status(&self.config, false);
        if self.outlet.publish(&topic, Stay::Retained, hint).is_ok() {
            self.outlet.hang_up();
            let all = async { while parts.join_next().await.is_some() {} };
            let _ = timeout(Duration::from_millis(FAREWELL_MS), all).await;
        }
        Ended::Stopped
    }

    /// Delays start over only after a connection that lasted: one that another client with the
    /// same name takes over at once must not come back at once.
    fn settle(&mut self, progress: &Mutex<Progress>) {
        let held = progress.lock().unwrap_or_else(PoisonError::into_inner);
        let lasted = held.subscribed_at().map(|up| clock::monotonic().since(up));
        if lasted.is_some_and(|lasted| lasted >= self.config.timeouts.settled_ms) {
            self.backoff.reset();
        }
    }
}
