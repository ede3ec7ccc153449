//! Where devices are heard and answered over MQTT: the broker inside `muster serve`, or an
//! external one. Whatever they publish reaches [`Handlers::ingest`], and the fleet publishes to
//! them.
//!
//! Only this module knows libraries of MQTT. It never reads a document.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;

mod access;
mod embedded;
mod error;
mod external;
pub(crate) mod mosquitto;

pub(crate) use embedded::{Embedded, EmbeddedConfig};
pub(crate) use error::BrokerError;
pub(crate) use external::{Credentials, External, ExternalConfig, Timeouts};

/// A document from a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Incoming {
    /// The device, of which the broker has seen a certificate.
    pub(crate) device: String,
    /// What follows `{prefix}/{device}/up/` in the topic: `status`, `hello`, `doc` or `fetch`.
    pub(crate) channel: String,
    /// The message as sent.
    pub(crate) payload: Vec<u8>,
}

/// What became of a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Stored, or rightly ignored: acknowledge it.
    Accepted,
    /// Not stored: close the connection without acknowledging, so that the device sends again.
    Retry,
}

/// Whether a device with a valid certificate may connect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Admission {
    /// It may.
    Admit,
    /// It may not, and why (for the log: the device learns only "not authorised").
    Refuse(&'static str),
}

/// A change in a device's connection. A hint, never evidence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Presence {
    /// A session began. When it replaces an older one, the older one's `Disconnected` comes
    /// before this or not at all.
    Connected,
    /// The newest session ended.
    Disconnected,
}

/// Whether the broker keeps a message for those who subscribe later.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Retain {
    /// Deliver to present subscribers and sessions only.
    No,
    /// Keep as the topic's last message; an empty payload clears the topic.
    Yes,
}

/// What [`Handlers::ingest`] returns.
pub(crate) type IngestFuture = Pin<Box<dyn Future<Output = Verdict> + Send>>;
/// See [`Handlers::ingest`].
pub(crate) type Ingest = Arc<dyn Fn(Incoming) -> IngestFuture + Send + Sync>;
/// See [`Handlers::admit`].
pub(crate) type Admit = Arc<dyn Fn(&str, &str) -> Admission + Send + Sync>;
/// See [`Handlers::presence`].
pub(crate) type Report = Arc<dyn Fn(&str, Presence) + Send + Sync>;

/// What the rest of the fleet does for a broker.
#[derive(Clone)]
pub(crate) struct Handlers {
    /// Stores a document. Awaited before the document is acknowledged; taking longer than four
    /// seconds, or panicking, counts as [`Verdict::Retry`], but a slow future still runs to its
    /// end: the same document may then arrive while it runs.
    pub(crate) ingest: Ingest,
    /// Judges a device id and the serial of its certificate (lower-case hex of the big-endian
    /// bytes, without leading zero bytes). Must not block.
    pub(crate) admit: Admit,
    /// Hears about connections, in order. Must not block.
    pub(crate) presence: Report,
    /// Hears that the broker itself is not heard any more, until it reports connections again.
    /// Must not block.
    pub(crate) lost: Arc<dyn Fn() + Send + Sync>,
}

/// One broker, wherever it runs.
pub(crate) enum Broker {
    /// Inside this program.
    Embedded(Embedded),
    /// Another program, to which this one is a client.
    External(External),
}

impl Broker {
    /// Where devices connect to this program; an external broker listens elsewhere.
    pub(crate) fn local_addr(&self) -> Option<SocketAddr> {
        match self {
            Self::Embedded(broker) => Some(broker.local_addr()),
            Self::External(_) => None,
        }
    }

    /// Publishes as the fleet, at QoS 1. Nobody subscribed is no error, nor is an external broker
    /// that is not reached: devices ask again.
    ///
    /// # Errors
    /// A topic with wildcards, a payload above the limit, no room to retain it.
    pub(crate) async fn publish(
        &self,
        topic: &str,
        payload: Vec<u8>,
        retain: Retain,
    ) -> Result<(), BrokerError> {
        match self {
            Self::Embedded(broker) => broker.publish(topic, payload, retain).await,
            Self::External(broker) => broker.publish(topic, payload, retain).await,
        }
    }

    /// Ends the device's session. An external broker cannot be asked for that: it turns the
    /// certificate away once it has read the revocation list anew.
    pub(crate) async fn disconnect(&self, device: &str) {
        match self {
            Self::Embedded(broker) => broker.disconnect(device).await,
            Self::External(_) => {}
        }
    }

    /// Ends every session of ours. When it returns, nothing new is admitted or ingested.
    pub(crate) async fn stop(self) {
        match self {
            Self::Embedded(broker) => broker.stop().await,
            Self::External(broker) => broker.stop().await,
        }
    }
}

/// Whether topics may begin so.
///
/// # Errors
/// Wildcards, empty levels, or too long.
pub(crate) fn check_prefix(topic_prefix: &str) -> Result<(), BrokerError> {
    access::Access::new(topic_prefix).map(drop)
}

/// What no broker can carry.
fn check_message(topic: &str, payload: &[u8], bytes_max: usize) -> Result<(), BrokerError> {
    let refused = |because: String| BrokerError::Publish {
        topic: topic.to_owned(),
        because,
    };
    if !access::is_topic(topic) {
        return Err(refused("it is not a topic name".to_owned()));
    }
    let size = payload.len();
    if size > bytes_max {
        return Err(refused(format!(
            "its {size} bytes exceed the limit of {bytes_max}"
        )));
    }
    Ok(())
}
