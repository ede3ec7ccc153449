//! The brokers of `muster serve`: each started with the same handlers, each told everything.
//!
//! Only connects them to the controller; decides nothing.

use std::collections::BTreeSet;
use std::sync::Arc;

use muster_protocol::id::DeviceId;
use muster_protocol::limits::MESSAGE_BYTES_MAX;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

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

/// Messages that wait for one of several brokers. Beyond it they are dropped: devices ask again.
const WAITING_MAX: usize = 256;

/// What the broker of a number says.
pub(super) enum Hint {
    /// Of a device.
    Device(usize, DeviceId, Presence),
    /// Of itself: it is not heard any more, and neither are its devices.
    Lost(usize),
}

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
    let (heard, lost) = (heard.clone(), heard.clone());
    Handlers {
        ingest: Arc::new(move |incoming| {
            let controller = Arc::clone(&ingest);
            Box::pin(async move { controller.ingest(incoming).await })
        }),
        admit: Arc::new(move |device, serial| admit.admit(device, serial)),
        presence: Arc::new(move |device, presence| {
            if let Ok(device) = DeviceId::parse(device) {
                // Full or gone: it is a hint.
                let _dropped = heard.try_send(Hint::Device(number, device, presence));
            }
        }),
        lost: Arc::new(move || {
            let _dropped = lost.try_send(Hint::Lost(number));
        }),
    }
}

/// Everything goes to every broker: which one a device is on, it may know better than we do.
pub(super) async fn publish_all(
    brokers: Vec<Arc<Broker>>,
    outgoing: Option<mpsc::Receiver<Outgoing>>,
) {
    let Some(mut outgoing) = outgoing else { return };
    if let [only] = brokers.as_slice() {
        return publish_on(only, &mut outgoing).await;
    }
    // One that stalls must not hold up the devices of the others.
    let (mut queues, mut publishing) = (Vec::new(), JoinSet::new());
    for broker in brokers {
        let (queue, mut waiting) = mpsc::channel(WAITING_MAX);
        publishing.spawn(async move { publish_on(&broker, &mut waiting).await });
        queues.push(queue);
    }
    while let Some(next) = outgoing.recv().await {
        for queue in &queues {
            if queue.try_send(next.clone()).is_err() {
                tracing::warn!("dropped a message: because a broker takes none: devices ask again");
            }
        }
    }
}

async fn publish_on(broker: &Arc<Broker>, outgoing: &mut mpsc::Receiver<Outgoing>) {
    while let Some(next) = outgoing.recv().await {
        publish(broker, next).await;
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
    while let Some(hint) = presences.recv().await {
        for device in changed(&mut connected, hint, |device| {
            controller.is_enrolled(device)
        }) {
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
}

/// The devices whose connections a hint changes, with the connections as they are then.
fn changed(
    connected: &mut BTreeSet<(DeviceId, usize)>,
    hint: Hint,
    is_enrolled: impl Fn(&DeviceId) -> bool,
) -> Vec<DeviceId> {
    match hint {
        Hint::Device(_, device, Presence::Connected) if !is_enrolled(&device) => Vec::new(),
        Hint::Device(number, device, Presence::Connected) => {
            connected.insert((device.clone(), number));
            vec![device]
        }
        Hint::Device(number, device, Presence::Disconnected) => {
            connected.remove(&(device.clone(), number));
            vec![device]
        }
        Hint::Lost(number) => {
            let of_it = connected.extract_if(.., |(_, broker)| *broker == number);
            of_it.map(|(device, _)| device).collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn device(name: &str) -> DeviceId {
        DeviceId::parse(name).expect("valid")
    }

    #[test]
    fn a_broker_that_is_lost_takes_its_devices_along() {
        let mut connected = BTreeSet::new();
        let mut check = |hint: Hint, expect: &[&str], left: usize| {
            let of = changed(&mut connected, hint, |known| *known != device("stranger"));
            let expect: Vec<_> = expect.iter().copied().map(device).collect();
            assert_eq!((of, connected.len()), (expect, left));
        };
        let on = |number, name| Hint::Device(number, device(name), Presence::Connected);
        check(on(0, "press-1"), &["press-1"], 1);
        check(on(1, "press-1"), &["press-1"], 2);
        check(on(1, "press-2"), &["press-2"], 3);
        check(on(1, "stranger"), &[], 3);
        check(Hint::Lost(1), &["press-1", "press-2"], 1);
        check(Hint::Lost(1), &[], 1);
        let off = Hint::Device(0, device("press-1"), Presence::Disconnected);
        check(off, &["press-1"], 0);
    }
}
