//! The link to the broker: MQTT 3.1.1 over mutual TLS, always trying to be up.
//!
//! Never durable: what is published may be lost whenever the link goes down, and a message may
//! come twice. The queue and the fleet's signed acknowledgements are what counts. Nothing that
//! arrives here is believed: documents carry their own signatures.

mod client;
mod keeper;
mod progress;
#[cfg(test)]
mod tests;
mod tunnel;

use crate::enroll::{Broker, TopicPrefix};
use crate::tls::{self, BadCredentials, Credentials, TrustedTime};
use client::{Outlet, Stay};
use keeper::Keeper;
use muster_device::backoff::Backoff;
use muster_protocol::id::DeviceId;
use muster_protocol::limits::MESSAGE_BYTES_MAX;
use muster_protocol::topic::{self, Down, Up};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// Events that wait for their receiver: 4 MiB of messages at most. When it is slow, nothing is
/// read from the broker until it has caught up.
const EVENTS_MAX: usize = 32;
/// Longest time that stopping takes.
const STOP_MS_MAX: u64 = 5000;

/// Who connects where, and how patiently.
#[derive(Debug, Clone)]
pub struct LinkConfig {
    /// The broker.
    pub broker: Broker,
    /// The MQTT client id, which is also the name in the certificate.
    pub device: DeviceId,
    /// First levels of all topics.
    pub topic_prefix: TopicPrefix,
    /// Certificate, key, and exactly the CAs that the broker's certificate may lead to.
    pub credentials: Credentials,
    /// Where the folder of the local socket is made; its path at most 100 bytes.
    pub state_folder: PathBuf,
    /// Seconds between pings; at least 1.
    pub keep_alive_s: u16,
    /// What the retained hint says about this program.
    pub agent_version: String,
    /// How long to wait for what.
    pub timeouts: Timeouts,
}

/// How long to wait for what.
#[derive(Debug, Clone, Copy)]
pub struct Timeouts {
    /// For the name, and for each address of the broker.
    pub dial_ms: u64,
    /// For the handshakes of TLS and MQTT and for the subscription, each.
    pub answer_ms: u64,
    /// For any packet; beyond it the connection is replaced.
    pub silence_ms: u64,
    /// For the acknowledgement of a message; beyond it the connection is replaced.
    pub unacknowledged_ms: u64,
    /// The shortest delay before a new attempt.
    pub retry_first_ms: u64,
    /// The longest.
    pub retry_longest_ms: u64,
    /// A connection that was up for this long starts the delays over.
    pub settled_ms: u64,
}

impl Timeouts {
    /// What fits a keep-alive.
    #[must_use]
    pub const fn of_keep_alive(keep_alive_s: u16) -> Self {
        Self {
            dial_ms: 20_000,
            answer_ms: 30_000,
            silence_ms: 2 * 1000 * keep_alive_s as u64,
            unacknowledged_ms: 30_000,
            retry_first_ms: 1000,
            retry_longest_ms: 300_000,
            settled_ms: 60_000,
        }
    }
}

/// What the link says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LinkEvent {
    /// Connected, and both subscriptions are confirmed.
    Up,
    /// A connection ended or an attempt failed; another follows by itself. May come several
    /// times in a row.
    Down {
        /// Why.
        because: String,
    },
    /// A message. A retained one may come before [`LinkEvent::Up`].
    Message {
        /// Its topic.
        from: Source,
        /// At most [`MESSAGE_BYTES_MAX`].
        payload: Vec<u8>,
    },
}

/// Where a message came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// For this device.
    Down(Down),
    /// For all: there may be new metadata.
    Timestamp,
}

/// Why a message was not taken. It is not kept: offer it again later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LinkBusy {
    /// There is no connection.
    #[error("the link is down")]
    Down,
    /// Too many messages are on their way.
    #[error("too many messages are on their way")]
    Full,
    /// It can never be sent.
    #[error("the message is larger than {MESSAGE_BYTES_MAX} bytes")]
    TooLarge,
}

/// The link. Dropping it ends the connection in the background; [`Link::stop`] waits for that.
pub struct Link {
    device: DeviceId,
    topic_prefix: TopicPrefix,
    outlet: Outlet,
    stop: oneshot::Sender<()>,
    keeper: JoinHandle<()>,
}

impl Link {
    /// Starts connecting, in a task of the current runtime. `time` is asked at each handshake:
    /// until it knows the time, validity dates of certificates do not count. `seed` spreads the
    /// delays of devices.
    ///
    /// # Errors
    /// Credentials that do not belong together.
    pub fn start(
        config: LinkConfig,
        time: TrustedTime,
        seed: u64,
    ) -> Result<(Self, mpsc::Receiver<LinkEvent>), BadCredentials> {
        let (events, receiver) = mpsc::channel(EVENTS_MAX);
        let (stop, stopped) = oneshot::channel();
        let limits = config.timeouts;
        let (device, topic_prefix) = (config.device.clone(), config.topic_prefix.clone());
        let keeper = Keeper {
            tls: Arc::new(tls::mutual(&config.credentials, time)?),
            config: Arc::new(config),
            events,
            outlet: Outlet::default(),
            backoff: Backoff::new(limits.retry_first_ms, limits.retry_longest_ms, seed),
        };
        let outlet = keeper.outlet.clone();
        let keeper = tokio::spawn(keeper.run(stopped));
        let link = Self {
            device,
            topic_prefix,
            outlet,
            stop,
            keeper,
        };
        Ok((link, receiver))
    }

    /// Hands a message over, QoS 1. Never waits; taken does not mean delivered.
    ///
    /// # Errors
    /// [`LinkBusy`]; the message is dropped.
    pub fn publish(&self, what: Up, payload: Vec<u8>) -> Result<(), LinkBusy> {
        if payload.len() > MESSAGE_BYTES_MAX {
            return Err(LinkBusy::TooLarge);
        }
        let topic = topic::up(self.topic_prefix.as_str(), &self.device, what);
        let stay = match what {
            Up::Status => Stay::Retained,
            Up::Hello | Up::Doc | Up::Fetch => Stay::Passing,
        };
        self.outlet.publish(&topic, stay, payload)
    }

    /// Sends what was taken, leaves the hint that this device is offline, and disconnects;
    /// within five seconds.
    pub async fn stop(mut self) {
        // A keeper that has ended by itself needs no telling.
        let _ = self.stop.send(());
        let limit = Duration::from_millis(STOP_MS_MAX);
        if timeout(limit, &mut self.keeper).await.is_err() {
            self.keeper.abort();
        }
    }
}
