//! The brokers of `muster serve`: each started with the same handlers, each told everything.
//!
//! Only connects them to the controller; decides nothing.

use std::collections::BTreeSet;
use std::sync::Arc;

use muster_protocol::id::DeviceId;
use muster_protocol::limits::MESSAGE_BYTES_MAX;
use tokio::sync::mpsc;

use crate::broker::{
    Broker, Embedded, EmbeddedConfig, External, ExternalConfig, Handlers, Presence, Timeouts,
};
use crate::config::{BrokerPlace, Config};
use crate::controller::{Controller, Outgoing};
use crate::endpoint::MqttUrl;
use crate::error::OperatorError;
use crate::home::Home;

/// Sessions that the embedded broker keeps, connected or not.
const SESSIONS_MAX: usize = 20_000;
/// Hints about connections that wait to be written: one for each session, several times over.
/// Beyond it they are dropped.
const PRESENCES_MAX: usize = 4 * SESSIONS_MAX;

/// What the broker of a number says of a device.
type Hint = (usize, DeviceId, Presence);

/// Room for what brokers say of connections.
pub(super) fn presences() -> (mpsc::Sender<Hint>, mpsc::Receiver<Hint>) {
    mpsc::channel(PRESENCES_MAX)
}

/// Starts each broker of the configuration.
///
/// # Errors
/// A port in use, a file that is missing or not what it should be.
pub(super) async fn start(
    config: &Config,
    home: &Home,
    controller: &Arc<Controller>,
    heard: &mpsc::Sender<Hint>,
) -> Result<Vec<Arc<Broker>>, OperatorError> {
    let mut brokers = Vec::new();
    for (number, place) in config.broker.places().iter().enumerate() {
        let handlers = handlers(controller, heard, number);
        let broker = match place {
            BrokerPlace::Embedded => {
                Broker::Embedded(Embedded::start(embedded(config, home), handlers).await?)
            }
            BrokerPlace::External(url) => {
                let config = external(config, home, controller, number, url);
                Broker::External(External::start(config, handlers)?)
            }
        };
        brokers.push(Arc::new(broker));
    }
    Ok(brokers)
}

fn embedded(config: &Config, home: &Home) -> EmbeddedConfig {
    EmbeddedConfig {
        listen: config.broker_listen,
        certificate: home.server_pem(),
        key: home.server_key(),
        client_ca: home.client_ca_pem(),
        payload_bytes_max: MESSAGE_BYTES_MAX,
        sessions_max: SESSIONS_MAX,
        topic_prefix: config.topic_prefix.clone(),
    }
}

fn external(
    config: &Config,
    home: &Home,
    controller: &Arc<Controller>,
    number: usize,
    url: &MqttUrl,
) -> ExternalConfig {
    let controller = Arc::clone(controller);
    ExternalConfig {
        url: url.clone(),
        topic_prefix: config.topic_prefix.clone(),
        payload_bytes_max: MESSAGE_BYTES_MAX,
        socket_folder: home.link(number),
        credentials: Arc::new(move || {
            let controller = Arc::clone(&controller);
            Box::pin(async move { controller.broker_credentials().await })
        }),
        timeouts: Timeouts::default(),
    }
}

/// What the controller does for the broker of this number.
fn handlers(controller: &Arc<Controller>, heard: &mpsc::Sender<Hint>, number: usize) -> Handlers {
    let (ingest, admit) = (Arc::clone(controller), Arc::clone(controller));
    let heard = heard.clone();
    Handlers {
        ingest: Arc::new(move |incoming| {
            let controller = Arc::clone(&ingest);
            Box::pin(async move { controller.ingest(incoming).await })
        }),
        admit: Arc::new(move |device, serial| admit.admit(device, serial)),
        presence: Arc::new(move |device, presence| {
            if let Ok(device) = DeviceId::parse(device) {
                // Full or gone: it is a hint.
                let _dropped = heard.try_send((number, device, presence));
            }
        }),
    }
}

/// Everything goes to every broker: which one a device is on, it may know better than we do.
pub(super) async fn publish_all(
    brokers: Vec<Arc<Broker>>,
    outgoing: Option<mpsc::Receiver<Outgoing>>,
) {
    let Some(mut outgoing) = outgoing else { return };
    while let Some(next) = outgoing.recv().await {
        for broker in &brokers {
            publish(broker, next.clone()).await;
        }
    }
}

async fn publish(broker: &Arc<Broker>, next: Outgoing) {
    match next {
        Outgoing::Message {
            topic,
            payload,
            retain,
        } => {
            if let Err(error) = broker.publish(&topic, payload, retain).await {
                tracing::error!("failed to publish on {topic:?}: because {error}");
            }
        }
        // The session may be waiting for an answer that comes through here.
        Outgoing::Disconnect(device) => {
            let broker = Arc::clone(broker);
            tokio::spawn(async move { broker.disconnect(device.as_str()).await });
        }
    }
}

/// A device is connected while any broker says so: one that moves is told twice.
pub(super) async fn record_presences(
    controller: Arc<Controller>,
    mut presences: mpsc::Receiver<Hint>,
) {
    let mut connected = BTreeSet::new();
    while let Some((number, device, presence)) = presences.recv().await {
        let known = controller.is_enrolled(&device);
        match presence {
            Presence::Connected if known => connected.insert((device.clone(), number)),
            Presence::Connected => continue,
            Presence::Disconnected => connected.remove(&(device.clone(), number)),
        };
        let mut anywhere = connected.range((device.clone(), 0)..=(device.clone(), usize::MAX));
        let presence = match anywhere.next() {
            Some(_) => Presence::Connected,
            None => Presence::Disconnected,
        };
        if let Err(error) = controller.connection(device, presence).await {
            tracing::warn!("failed to record a connection: because {error}");
        }
    }
}
