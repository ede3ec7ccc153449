//! The MQTT client of one connection. The only file of the agent that knows `rumqttc`.
//!
//! Never reconnects and never keeps a message for later: a connection that ends takes client,
//! queue and tunnel with it, because `rumqttc` silently forgets what was in flight.

use super::progress::{Progress, Receiver};
use super::{LinkBusy, LinkConfig, LinkEvent, Source};
use crate::clock;
use crate::enroll::Broker;
use muster_protocol::limits::MESSAGE_BYTES_MAX;
use muster_protocol::topic::{self, TopicText, Up};
use rumqttc::{
    AsyncClient, ClientError, ConnectReturnCode, ConnectionError, Event, EventLoop, Incoming,
    LastWill, MqttOptions, NetworkOptions, Outgoing, QoS, StateError, SubAck, SubscribeFilter,
    SubscribeReasonCode, Transport,
};
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::mpsc;

/// Messages on their way to the broker, and as many waiting: 8 MiB at most.
const IN_FLIGHT_MAX: u16 = 32;
/// A packet above this ends the connection, and a retained one would end each: so there is room
/// above [`MESSAGE_BYTES_MAX`], and what lies between is dropped.
const PACKET_BYTES_MAX: usize = 2 * MESSAGE_BYTES_MAX;

/// Where messages go while there is a connection.
#[derive(Clone, Default)]
pub(super) struct Outlet(Arc<Mutex<Option<AsyncClient>>>);

/// What the client of one connection needs.
pub(super) struct Wiring {
    pub(super) config: Arc<LinkConfig>,
    /// Where the connection leads.
    pub(super) broker: Broker,
    pub(super) events: mpsc::Sender<LinkEvent>,
    pub(super) outlet: Outlet,
    pub(super) progress: Arc<Mutex<Progress>>,
}

/// Whether a message stays behind on the broker.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Stay {
    /// Until the next one: hints.
    Retained,
    /// It does not.
    Passing,
}

impl Outlet {
    /// Hands a message to the client, QoS 1. Never waits.
    pub(super) fn publish(
        &self,
        topic: &TopicText,
        stay: Stay,
        payload: Vec<u8>,
    ) -> Result<(), LinkBusy> {
        let held = self.lock();
        let client = held.as_ref().ok_or(LinkBusy::Down)?;
        let retain = stay == Stay::Retained;
        client
            .try_publish(topic.as_str(), QoS::AtLeastOnce, retain, payload)
            .map_err(busy)
    }

    /// Takes no more messages; the connection ends when all that wait are sent.
    pub(super) fn hang_up(&self) {
        if let Some(client) = self.lock().take() {
            // A full queue cannot take the farewell: the connection is dropped without it.
            let _ = client.try_disconnect();
        }
    }

    /// The connection is gone.
    pub(super) fn clear(&self) {
        *self.lock() = None;
    }

    fn set(&self, client: AsyncClient) {
        *self.lock() = Some(client);
    }

    fn lock(&self) -> MutexGuard<'_, Option<AsyncClient>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Speaks MQTT over the socket at `path` until the connection ends, and says why it did.
///
/// To be run as a task of its own: it must be aborted whole or not at all, since `rumqttc` may
/// lose packets when a poll is cancelled.
pub(super) async fn speak(path: &Path, wiring: Wiring) -> String {
    let (client, mut connection) =
        AsyncClient::new(options(path, &wiring.config), usize::from(IN_FLIGHT_MAX));
    let answer_s = wiring.config.timeouts.answer_ms.div_ceil(1000).max(1);
    let mut network = NetworkOptions::new();
    network.set_connection_timeout(answer_s);
    connection.set_network_options(network);
    poll(&mut connection, &client, &wiring).await
}

/// The hint under `up/status`.
pub(super) fn status(config: &LinkConfig, online: bool) -> Vec<u8> {
    serde_json::json!({ "online": online, "agent": config.agent_version })
        .to_string()
        .into_bytes()
}

fn options(path: &Path, config: &LinkConfig) -> MqttOptions {
    let topic = topic::up(config.topic_prefix.as_str(), &config.device, Up::Status);
    let will = LastWill::new(
        topic.as_str(),
        status(config, false),
        QoS::AtLeastOnce,
        true,
    );
    let mut options = MqttOptions::new(config.device.as_str(), path.to_string_lossy(), 0);
    options
        .set_transport(Transport::Unix)
        .set_keep_alive(Duration::from_secs(config.keep_alive_s.max(1).into()))
        .set_clean_session(true)
        .set_last_will(will)
        .set_inflight(IN_FLIGHT_MAX)
        .set_max_packet_size(PACKET_BYTES_MAX, PACKET_BYTES_MAX);
    options
}

async fn poll(connection: &mut EventLoop, client: &AsyncClient, wiring: &Wiring) -> String {
    loop {
        let next = match connection.poll().await {
            Ok(event) => wiring.take(event, client).await,
            Err(error) => ControlFlow::Break(because(&error)),
        };
        if let ControlFlow::Break(because) = next {
            return because;
        }
    }
}

impl Wiring {
    async fn take(&self, event: Event, client: &AsyncClient) -> ControlFlow<String> {
        let now = clock::monotonic();
        match event {
            Event::Incoming(packet) => {
                self.progress().heard(now);
                self.hear(packet, client).await
            }
            Event::Outgoing(Outgoing::Publish(packet)) => {
                self.progress().sent(packet, now);
                ControlFlow::Continue(())
            }
            Event::Outgoing(Outgoing::Disconnect) => ControlFlow::Break("hung up".to_owned()),
            Event::Outgoing(_) => ControlFlow::Continue(()),
        }
    }

    async fn hear(&self, packet: Incoming, client: &AsyncClient) -> ControlFlow<String> {
        match packet {
            Incoming::ConnAck(_) => self.subscribe(client),
            Incoming::SubAck(answer) => self.subscribed(&answer, client).await,
            Incoming::PubAck(answer) => {
                self.progress().acknowledged(answer.pkid);
                ControlFlow::Continue(())
            }
            Incoming::Publish(message) => {
                match self.source(&message.topic, message.payload.len()) {
                    Some(from) => {
                        let payload = message.payload.to_vec();
                        self.tell(LinkEvent::Message { from, payload }).await
                    }
                    None => ControlFlow::Continue(()),
                }
            }
            Incoming::PingResp
            | Incoming::UnsubAck(_)
            | Incoming::PubRec(_)
            | Incoming::PubRel(_)
            | Incoming::PubComp(_)
            | Incoming::Connect(_)
            | Incoming::Subscribe(_)
            | Incoming::Unsubscribe(_)
            | Incoming::PingReq
            | Incoming::Disconnect => ControlFlow::Continue(()),
        }
    }

    fn subscribe(&self, client: &AsyncClient) -> ControlFlow<String> {
        let filters = topic::filters(self.config.topic_prefix.as_str(), &self.config.device)
            .map(|filter| SubscribeFilter::new(filter.as_str().to_owned(), QoS::AtLeastOnce));
        match client.try_subscribe_many(filters) {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => ControlFlow::Break(format!("the subscription was not sent: {error}")),
        }
    }

    async fn subscribed(&self, answer: &SubAck, client: &AsyncClient) -> ControlFlow<String> {
        if answer.return_codes.contains(&SubscribeReasonCode::Failure) {
            let prefix = self.config.topic_prefix.as_str();
            return ControlFlow::Break(format!(
                "the broker refused the subscription to {prefix}/{}/down/# or {prefix}/_/#",
                self.config.device
            ));
        }
        self.progress().subscribed(clock::monotonic());
        self.outlet.set(client.clone());
        let topic = topic::up(
            self.config.topic_prefix.as_str(),
            &self.config.device,
            Up::Status,
        );
        let hint = status(&self.config, true);
        if let Err(busy) = self.outlet.publish(&topic, Stay::Retained, hint) {
            tracing::warn!("failed to publish the online hint: because {busy}");
        }
        let broker = self.broker.clone();
        self.tell(LinkEvent::Up { broker }).await
    }

    fn source(&self, topic: &str, len: usize) -> Option<Source> {
        let prefix = self.config.topic_prefix.as_str();
        let source = match topic::parse_down(prefix, topic) {
            Some((device, what)) if device == self.config.device => Some(Source::Down(what)),
            _ if topic == topic::timestamp(prefix) => Some(Source::Timestamp),
            _ => None,
        };
        if source.is_none() || len > MESSAGE_BYTES_MAX {
            tracing::warn!("a message of {len} bytes on {topic:?} is dropped: it is not ours");
            return None;
        }
        source
    }

    /// Waits while the receiver is busy: until it takes the event nothing is read and no
    /// keep-alive is sent, so that a receiver that is away for long loses the connection.
    async fn tell(&self, event: LinkEvent) -> ControlFlow<String> {
        self.progress().receiver(Receiver::Busy, clock::monotonic());
        let told = self.events.send(event).await;
        self.progress()
            .receiver(Receiver::Ready, clock::monotonic());
        match told {
            Ok(()) => ControlFlow::Continue(()),
            Err(_) => ControlFlow::Break("nobody takes the events".to_owned()),
        }
    }

    fn progress(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn busy(error: ClientError) -> LinkBusy {
    tracing::debug!("the MQTT client takes no message: {error}");
    LinkBusy::Full
}

fn because(error: &ConnectionError) -> String {
    match error {
        ConnectionError::ConnectionRefused(code) => refused(*code),
        ConnectionError::NetworkTimeout => "the broker did not answer CONNECT".to_owned(),
        ConnectionError::FlushTimeout => "nothing could be sent".to_owned(),
        ConnectionError::MqttState(StateError::AwaitPingResp) => {
            "the broker did not answer a ping".to_owned()
        }
        ConnectionError::MqttState(StateError::ConnectionAborted | StateError::Io(_))
        | ConnectionError::Io(_) => "the broker closed the connection".to_owned(),
        other @ (ConnectionError::MqttState(_)
        | ConnectionError::NotConnAck(_)
        | ConnectionError::RequestsDone) => format!("the MQTT client failed: {other}"),
    }
}

fn refused(code: ConnectReturnCode) -> String {
    let reason = match code {
        ConnectReturnCode::ServiceUnavailable => "it is not available now",
        ConnectReturnCode::BadUserNamePassword | ConnectReturnCode::NotAuthorized => {
            "this device is not authorised"
        }
        ConnectReturnCode::BadClientId => "it does not accept the device's name",
        ConnectReturnCode::RefusedProtocolVersion => "it does not speak MQTT 3.1.1",
        ConnectReturnCode::Success => "it says success",
    };
    format!("the broker refused the connection: {reason}")
}
