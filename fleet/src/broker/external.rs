//! A client of a broker that is another program: the fleet speaks as `_fleet`, hears what every
//! device says, and acknowledges to the broker only what was stored.
//!
//! Never durable: what is published while the broker is away may be lost, and devices ask again.
//! Nothing that arrives is believed for the broker's sake: documents carry their own signatures.

use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::timeout;

mod backoff;
mod client;
mod keeper;
mod lanes;
mod outlet;
mod progress;
#[cfg(test)]
mod tests;
mod tls;
mod tunnel;

use super::{
    BrokerError, Handlers, Incoming, Presence, Retain, Verdict, check_message, check_prefix,
};
use crate::endpoint::MqttUrl;
use backoff::Backoff;
use keeper::Keeper;
use outlet::Outlet;

/// Longest time that stopping takes.
const STOP_TIMEOUT: Duration = Duration::from_secs(5);

/// Who is reached how, and how patiently.
#[derive(Clone)]
pub(crate) struct ExternalConfig {
    /// The broker.
    pub(crate) url: MqttUrl,
    /// What every topic begins with, without a slash at the end: `muster/v1`.
    pub(crate) topic_prefix: String,
    /// Largest payload in bytes, in both directions. A larger one is dropped.
    pub(crate) payload_bytes_max: usize,
    /// The folder of the local socket, made anew for every connection; its path at most 100 bytes.
    pub(crate) socket_folder: PathBuf,
    /// Asked before every connection.
    pub(crate) credentials: AskCredentials,
    /// How long to wait for what.
    pub(crate) timeouts: Timeouts,
}

/// The fleet's side of mutual TLS, all in PEM.
#[derive(Debug, Clone)]
pub(crate) struct Credentials {
    /// The certificate of `_fleet` and what leads to its CA.
    pub(crate) chain: String,
    /// Its key.
    pub(crate) key: String,
    /// Exactly the CAs that the broker's certificate may lead to.
    pub(crate) anchors: Vec<String>,
}

/// What [`ExternalConfig::credentials`] returns.
pub(crate) type CredentialsFuture =
    Pin<Box<dyn Future<Output = Result<Credentials, String>> + Send>>;
/// See [`ExternalConfig::credentials`].
pub(crate) type AskCredentials = Arc<dyn Fn() -> CredentialsFuture + Send + Sync>;

/// How long to wait for what.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Timeouts {
    /// Between pings; whole seconds.
    pub(crate) keep_alive: Duration,
    /// For the name, and for each address of the broker.
    pub(crate) dial: Duration,
    /// For the handshakes of TLS and MQTT and for the subscription, each.
    pub(crate) answer: Duration,
    /// For any packet; beyond it the connection is replaced.
    pub(crate) silence: Duration,
    /// For the acknowledgement of a message; beyond it the connection is replaced.
    pub(crate) unacknowledged: Duration,
    /// The shortest delay before a new attempt.
    pub(crate) retry_first: Duration,
    /// The longest.
    pub(crate) retry_longest: Duration,
    /// A connection that was up for this long starts the delays over.
    pub(crate) settled: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            keep_alive: Duration::from_secs(20),
            dial: Duration::from_secs(10),
            answer: Duration::from_secs(20),
            silence: Duration::from_secs(45),
            unacknowledged: Duration::from_secs(30),
            retry_first: Duration::from_millis(200),
            retry_longest: Duration::from_secs(20),
            settled: Duration::from_secs(20),
        }
    }
}

/// The client. Dropping it ends the connection in the background; [`External::stop`] waits for
/// that.
pub(crate) struct External {
    outlet: Outlet,
    payload_bytes_max: usize,
    stop: oneshot::Sender<()>,
    keeper: JoinHandle<()>,
}

impl External {
    /// Starts connecting, in a task of the current runtime. A broker that is not there yet is no
    /// error: it is tried again.
    ///
    /// # Errors
    /// A topic prefix with wildcards.
    pub(crate) fn start(config: ExternalConfig, handlers: Handlers) -> Result<Self, BrokerError> {
        check_prefix(&config.topic_prefix)?;
        let (stop, stopped) = oneshot::channel();
        let (outlet, payload_bytes_max) = (Outlet::default(), config.payload_bytes_max);
        let limits = config.timeouts;
        let keeper = Keeper {
            backoff: Backoff::new(limits.retry_first, limits.retry_longest),
            config: Arc::new(config),
            handlers,
            outlet: outlet.clone(),
        };
        Ok(Self {
            outlet,
            payload_bytes_max,
            stop,
            keeper: tokio::spawn(keeper.run(stopped)),
        })
    }

    /// Publishes at QoS 1. Waits while many messages are on their way; without a connection the
    /// message is lost, but for the newest of each retained topic.
    ///
    /// # Errors
    /// A topic with wildcards, a payload above the limit.
    pub(crate) async fn publish(
        &self,
        topic: &str,
        payload: Vec<u8>,
        retain: Retain,
    ) -> Result<(), BrokerError> {
        check_message(topic, &payload, self.payload_bytes_max)?;
        self.outlet.publish(topic, payload, retain).await;
        Ok(())
    }

    /// Sends what was taken and disconnects; within five seconds.
    pub(crate) async fn stop(mut self) {
        // A keeper that has ended by itself needs no telling.
        let _ended = self.stop.send(());
        if timeout(STOP_TIMEOUT, &mut self.keeper).await.is_err() {
            self.keeper.abort();
        }
    }
}
