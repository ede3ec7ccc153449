//! The link to the broker: MQTT 3.1.1 over mutual TLS, always trying to be up.
//!
//! Never durable: what is published may be lost whenever the link goes down, and a message may
//! come twice. The queue and the fleet's signed acknowledgements are what counts. Nothing that
//! arrives here is believed: documents carry their own signatures.

mod candidates;
mod client;
mod keeper;
mod looks;
mod progress;
#[cfg(test)]
mod sample;
#[cfg(test)]
mod tests;
mod tunnel;

use crate::enroll::{Broker, TopicPrefix};
use crate::tls::{self, Anchors, BadCredentials, Credentials, TrustedTime};
use candidates::Candidates;
use client::{Outlet, Stay};
use keeper::{Keeper, Leg, Orders};
use muster_protocol::id::DeviceId;
use muster_protocol::limits::MESSAGE_BYTES_MAX;
use muster_protocol::topic::{self, Down, Up};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// Events that wait for their receiver: 4 MiB of messages at most. When it is slow, nothing is
/// read from the broker until it has caught up.
const EVENTS_MAX: usize = 32;
/// Longest time that stopping takes.
const STOP_MS_MAX: u64 = 5000;

/// Who connects, and how patiently.
#[derive(Debug, Clone)]
pub struct LinkConfig {
    /// The MQTT client id, which is also the name in the certificate.
    pub device: DeviceId,
    /// First levels of all topics.
    pub topic_prefix: TopicPrefix,
    /// Certificate and key.
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

/// Where the link leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The broker that is meant.
    pub broker: Broker,
    /// Those that stand in for it while it fails; none once it has worked.
    pub stand_ins: Vec<Broker>,
    /// Where the first attempt goes: to one of all these.
    pub first: Broker,
    /// Exactly the CAs that the certificate of any of them may lead to.
    pub anchors: Anchors,
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
    /// The shortest pause between two looks whether the broker that is meant answers again,
    /// while another stands in for it.
    pub return_first_ms: u64,
    /// The longest.
    pub return_longest_ms: u64,
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
            return_first_ms: 30_000,
            return_longest_ms: 3_600_000,
        }
    }
}

/// What the link says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LinkEvent {
    /// Connected, and both subscriptions are confirmed.
    Up {
        /// To which of the target's brokers.
        broker: Broker,
    },
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
    publisher: Publisher,
    credentials: Credentials,
    time: TrustedTime,
    legs: watch::Sender<Leg>,
    stop: oneshot::Sender<()>,
    keeper: JoinHandle<()>,
}

/// The way in for messages, for whoever does not own the link.
#[derive(Clone)]
pub struct Publisher {
    device: DeviceId,
    topic_prefix: TopicPrefix,
    outlet: Outlet,
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
        target: &Target,
        time: TrustedTime,
        seed: u64,
    ) -> Result<(Self, mpsc::Receiver<LinkEvent>), BadCredentials> {
        let (events, receiver) = mpsc::channel(EVENTS_MAX);
        let (stop, stopped) = oneshot::channel();
        let leg = leg(target, &config.credentials, &time)?;
        let (legs, led) = watch::channel(leg.clone());
        let publisher = Publisher {
            device: config.device.clone(),
            topic_prefix: config.topic_prefix.clone(),
            outlet: Outlet::default(),
        };
        let credentials = config.credentials.clone();
        let keeper = Keeper::new(config, leg, events, publisher.outlet.clone(), seed);
        let link = Self {
            publisher,
            credentials,
            time,
            legs,
            stop,
            keeper: tokio::spawn(keeper.run(Orders::new(stopped, led))),
        };
        Ok((link, receiver))
    }

    /// Leads elsewhere from now on: what is connected ends in good order, and attempts begin
    /// anew. [`LinkEvent::Down`] and [`LinkEvent::Up`] follow.
    ///
    /// # Errors
    /// The certificate or key cannot be used; the link stays as it is.
    pub fn lead_to(&self, target: &Target) -> Result<(), BadCredentials> {
        let leg = leg(target, &self.credentials, &self.time)?;
        self.legs.send_replace(leg);
        Ok(())
    }

    /// Shows another certificate from now on: what is connected ends in good order, and connects
    /// anew.
    ///
    /// # Errors
    /// As [`Link::lead_to`]; the certificate before stays as well.
    pub fn show(
        &mut self,
        credentials: Credentials,
        target: &Target,
    ) -> Result<(), BadCredentials> {
        let leg = leg(target, &credentials, &self.time)?;
        self.credentials = credentials;
        self.legs.send_replace(leg);
        Ok(())
    }

    /// The way in for messages.
    #[must_use]
    pub fn publisher(&self) -> Publisher {
        self.publisher.clone()
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

fn leg(
    target: &Target,
    credentials: &Credentials,
    time: &TrustedTime,
) -> Result<Leg, BadCredentials> {
    Ok(Leg {
        candidates: Candidates::of(target),
        tls: Arc::new(tls::mutual(credentials, &target.anchors, time.clone())?),
    })
}

impl Publisher {
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
            Up::Hello | Up::Doc | Up::Fetch | Up::Assignment => Stay::Passing,
        };
        self.outlet.publish(&topic, stay, payload)
    }
}
