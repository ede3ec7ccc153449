//! Keeps one connection up: dials, watches, and starts anew with growing delays.
//!
//! Every attempt is a new client over a new tunnel; nothing is mended.

use super::candidates::{Candidates, Next};
use super::client::{self, Outlet, Stay, Wiring};
use super::looks::Looks;
use super::progress::{Patience, Progress};
use super::tunnel::Tunnel;
use super::{LinkConfig, LinkEvent};
use crate::enroll::Broker;
use crate::{clock, tls};
use muster_device::backoff::Backoff;
use muster_protocol::topic::{self, Up};
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot, watch};
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
    config: Arc<LinkConfig>,
    leg: Leg,
    events: mpsc::Sender<LinkEvent>,
    outlet: Outlet,
    backoff: Backoff,
    /// Looks for the broker that is meant, while another stands in for it.
    looks: Looks,
    /// A stream to the current broker that was opened ahead.
    opened: Option<TlsStream<TcpStream>>,
}

/// Where to connect, and whom to trust there.
#[derive(Clone)]
pub(super) struct Leg {
    pub(super) candidates: Candidates,
    pub(super) tls: Arc<ClientConfig>,
}

/// What the owner of the link wants of its keeper.
pub(super) struct Orders {
    stop: oneshot::Receiver<()>,
    legs: watch::Receiver<Leg>,
}

/// One of these.
enum Order {
    Stop,
    Lead,
}

/// How a connection ended.
enum Ended {
    Down(String),
    /// The broker that is meant answers again: a stream to it is open.
    Return,
    Ordered(Order),
}

/// One of the two tasks of a connection has ended.
enum Part {
    Client(String),
    Tunnel(io::Result<()>),
}

impl Orders {
    pub(super) const fn new(stop: oneshot::Receiver<()>, legs: watch::Receiver<Leg>) -> Self {
        Self { stop, legs }
    }

    /// Waits for the next one. A link that is dropped stops.
    async fn next(&mut self) -> Order {
        tokio::select! {
            _ = &mut self.stop => Order::Stop,
            Ok(()) = self.legs.changed() => Order::Lead,
        }
    }
}

impl Keeper {
    pub(super) fn new(
        config: LinkConfig,
        leg: Leg,
        events: mpsc::Sender<LinkEvent>,
        outlet: Outlet,
        seed: u64,
    ) -> Self {
        let limits = config.timeouts;
        let pauses = Backoff::new(limits.return_first_ms, limits.return_longest_ms, seed);
        Self {
            config: Arc::new(config),
            leg,
            events,
            outlet,
            backoff: Backoff::new(limits.retry_first_ms, limits.retry_longest_ms, seed),
            looks: Looks::new(pauses),
            opened: None,
        }
    }

    /// Connects again and again. Ends when it is told to, or nobody takes events.
    pub(super) async fn run(mut self, mut orders: Orders) {
        loop {
            let (because, next) = match self.connection(&mut orders).await {
                Ended::Down(because) => (because, self.leg.candidates.failed()),
                Ended::Return => self.turn_back(),
                Ended::Ordered(Order::Lead) => self.follow(&mut orders),
                Ended::Ordered(Order::Stop) => return,
            };
            let delay_ms = match next {
                Next::AtOnce => 0,
                Next::AfterPause => self.backoff.next_ms(),
            };
            let broker = self.leg.candidates.current();
            tracing::warn!(%broker, "the link is down: because {because}: next attempt in {delay_ms} ms");
            tokio::select! {
                told = self.events.send(LinkEvent::Down { because }) => {
                    if told.is_err() { return }
                }
                _ = &mut orders.stop => return,
            }
            tokio::select! {
                () = sleep(Duration::from_millis(delay_ms)) => {}
                order = orders.next() => match order {
                    Order::Lead => drop(self.follow(&mut orders)),
                    Order::Stop => return,
                },
            }
        }
    }

    /// Goes where the newest order leads. The pause before it spreads the devices of a fleet,
    /// which all hear of it at once.
    fn follow(&mut self, orders: &mut Orders) -> (String, Next) {
        self.leg = orders.legs.borrow_and_update().clone();
        self.opened = None;
        self.backoff.reset();
        self.looks.reset();
        ("it is led elsewhere".to_owned(), Next::AfterPause)
    }

    fn turn_back(&mut self) -> (String, Next) {
        self.leg.candidates.turn_back();
        ("the broker that is meant answers".to_owned(), Next::AtOnce)
    }

    async fn connection(&mut self, orders: &mut Orders) -> Ended {
        let stream = match self.opened.take() {
            Some(stream) => Ok(stream),
            None => tokio::select! {
                stream = self.connect(self.leg.candidates.current()) => stream,
                order = orders.next() => return Ended::Ordered(order),
            },
        };
        let (stream, tunnel) = match stream.and_then(|stream| Ok((stream, self.open()?))) {
            Ok(both) => both,
            Err(because) => return Ended::Down(because),
        };
        let progress = Arc::new(Mutex::new(Progress::new(clock::monotonic())));
        let mut parts = self.start(stream, tunnel, Arc::clone(&progress));
        let mut looks = self.looks.clone();
        let ended = tokio::select! {
            part = parts.join_next() => Ended::Down(self.reason(part, &mut parts).await),
            stall = self.watch(&progress) => Ended::Down(stall),
            stream = self.way_back(&mut looks) => {
                self.opened = Some(stream);
                Ended::Return
            }
            order = orders.next() => Ended::Ordered(order),
        };
        match &ended {
            Ended::Down(_) => {}
            Ended::Return | Ended::Ordered(_) => self.farewell(&mut parts).await,
        }
        self.outlet.clear();
        self.looks = looks;
        self.settle(&progress);
        ended
    }

    /// Looks now and then, beside the connection, whether the broker that is meant answers. Until
    /// its certificate is accepted nothing of what works is given up.
    async fn way_back(&self, looks: &mut Looks) -> TlsStream<TcpStream> {
        let Some(meant) = self.leg.candidates.better() else {
            return std::future::pending().await;
        };
        loop {
            sleep(Duration::from_millis(looks.wait_ms(clock::monotonic()))).await;
            let stream = self.connect(meant).await;
            looks.looked();
            match stream {
                Ok(stream) => return stream,
                Err(because) => tracing::info!("still not at the broker that is meant: {because}"),
            }
        }
    }

    async fn connect(&self, broker: &Broker) -> Result<TlsStream<TcpStream>, String> {
        let (host, limits) = (broker.host.as_str(), &self.config.timeouts);
        let port = broker.port;
        let stream = tls::dial(host, port, limits.dial_ms)
            .await
            .map_err(|error| format!("{host}:{port} cannot be reached: {error}"))?;
        let handshake = tls::handshake(Arc::clone(&self.leg.tls), host, stream);
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
        stream: TlsStream<TcpStream>,
        tunnel: Tunnel,
        progress: Arc<Mutex<Progress>>,
    ) -> JoinSet<Part> {
        let wiring = Wiring {
            config: Arc::clone(&self.config),
            broker: self.leg.candidates.current().clone(),
            events: self.events.clone(),
            outlet: self.outlet.clone(),
            progress,
        };
        let path = tunnel.path();
        let mut parts = JoinSet::new();
        parts.spawn(async move { Part::Tunnel(tunnel.carry(stream).await) });
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
                    let host = &self.leg.candidates.current().host;
                    return tls::because(&error, "broker", host);
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
    async fn farewell(&self, parts: &mut JoinSet<Part>) {
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
    }

    /// A broker that took the subscription works. Delays start over only after a connection that
    /// lasted: one that another client with the same name takes over at once must not come back
    /// at once.
    fn settle(&mut self, progress: &Mutex<Progress>) {
        let held = progress.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(up) = held.subscribed_at() else {
            return;
        };
        self.leg.candidates.worked();
        if clock::monotonic().since(up) >= self.config.timeouts.settled_ms {
            self.backoff.reset();
        }
    }
}
