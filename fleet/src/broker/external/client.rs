//! The MQTT client of one connection.
//!
//! Never reconnects and never keeps a message for later: a connection that ends takes client,
//! queue and tunnel with it. Never waits for anything but the network: what is heard is handed to
//! the lanes, since answers to it leave through the same client.

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use muster_protocol::topic::CONTROLLER;
use rumqttc::{
    AsyncClient, ConnAck, ConnectReturnCode, ConnectionError, Event, EventLoop, Incoming as Packet,
    MqttOptions, NetworkOptions, Outgoing, QoS, StateError, SubAck, SubscribeReasonCode, Transport,
};
use tokio::sync::mpsc;

use super::lanes::{Lanes, Offer};
use super::outlet::Outlet;
use super::progress::Progress;
use super::{ExternalConfig, Handlers};
use crate::clock;

/// Messages on their way to the broker.
const IN_FLIGHT_MAX: u16 = 64;
/// Messages and acknowledgements that wait for the client: those who answer devices wait beyond.
const REQUESTS_MAX: usize = 128;
/// What a packet needs beyond its payload, twice over: what lies between is dropped, while a
/// packet above the client's limit would end each connection.
const PACKET_FACTOR: usize = 2;

/// What the client of one connection needs.
pub(super) struct Wiring {
    pub(super) config: Arc<ExternalConfig>,
    pub(super) handlers: Handlers,
    pub(super) outlet: Outlet,
    pub(super) progress: Arc<Mutex<Progress>>,
}

/// Speaks MQTT over the socket at `path` until the connection ends, and says why it did.
///
/// To be run as a task of its own: it must be aborted whole or not at all, since `rumqttc` may
/// lose packets when a poll is cancelled.
pub(super) async fn speak(path: &Path, wiring: Wiring) -> String {
    let (client, mut connection) = AsyncClient::new(options(path, &wiring.config), REQUESTS_MAX);
    let mut network = NetworkOptions::new();
    network.set_connection_timeout(wiring.config.timeouts.answer.as_secs().max(1));
    connection.set_network_options(network);
    // Only the first word counts: the connection ends with it.
    let (fail, mut failed) = mpsc::channel(1);
    let lanes = Lanes::start(&wiring.config, &wiring.handlers, &client, &fail);
    tokio::select! {
        because = poll(&mut connection, &client, &lanes, &wiring) => because,
        Some(because) = failed.recv() => because,
    }
}

/// The session outlives the connection, so that the broker keeps what devices say meanwhile.
fn options(path: &Path, config: &ExternalConfig) -> MqttOptions {
    let bytes_max = PACKET_FACTOR * config.payload_bytes_max;
    let mut options = MqttOptions::new(CONTROLLER, path.to_string_lossy(), 0);
    options
        .set_transport(Transport::Unix)
        .set_keep_alive(config.timeouts.keep_alive)
        .set_clean_session(false)
        .set_manual_acks(true)
        .set_inflight(IN_FLIGHT_MAX)
        .set_max_packet_size(bytes_max, bytes_max);
    options
}

async fn poll(
    connection: &mut EventLoop,
    client: &AsyncClient,
    lanes: &Lanes,
    wiring: &Wiring,
) -> String {
    loop {
        let next = match connection.poll().await {
            Ok(event) => wiring.take(event, client, lanes),
            Err(error) => ControlFlow::Break(because(&error)),
        };
        if let ControlFlow::Break(because) = next {
            return because;
        }
    }
}

impl Wiring {
    fn take(&self, event: Event, client: &AsyncClient, lanes: &Lanes) -> ControlFlow<String> {
        let now = clock::monotonic();
        match event {
            Event::Incoming(packet) => {
                self.progress().heard(now);
                self.hear(packet, client, lanes)
            }
            Event::Outgoing(Outgoing::Publish(packet)) => {
                self.progress().sent(packet, now);
                ControlFlow::Continue(())
            }
            Event::Outgoing(Outgoing::Disconnect) => ControlFlow::Break("hung up".to_owned()),
            Event::Outgoing(_) => ControlFlow::Continue(()),
        }
    }

    fn hear(&self, packet: Packet, client: &AsyncClient, lanes: &Lanes) -> ControlFlow<String> {
        match packet {
            Packet::ConnAck(answer) => self.subscribe(&answer, client),
            Packet::SubAck(answer) => self.subscribed(&answer, client),
            Packet::PubAck(answer) => {
                self.progress().acknowledged(answer.pkid);
                ControlFlow::Continue(())
            }
            Packet::Publish(message) => match lanes.offer(message) {
                Offer::Taken => ControlFlow::Continue(()),
                Offer::Full => ControlFlow::Break(
                    "more came than there is room for: hint: lower its max_queued_messages and \
                     max_queued_bytes"
                        .to_owned(),
                ),
            },
            Packet::PingResp
            | Packet::UnsubAck(_)
            | Packet::PubRec(_)
            | Packet::PubRel(_)
            | Packet::PubComp(_)
            | Packet::Connect(_)
            | Packet::Subscribe(_)
            | Packet::Unsubscribe(_)
            | Packet::PingReq
            | Packet::Disconnect => ControlFlow::Continue(()),
        }
    }

    /// Also in a session that the broker has kept: then the retained hints come again.
    fn subscribe(&self, answer: &ConnAck, client: &AsyncClient) -> ControlFlow<String> {
        if !answer.session_present {
            let broker = &self.config.url;
            tracing::info!("{broker} knows no session: what devices said meanwhile comes again");
        }
        match client.try_subscribe(self.filter(), QoS::AtLeastOnce) {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => ControlFlow::Break(format!("the subscription was not sent: {error}")),
        }
    }

    fn subscribed(&self, answer: &SubAck, client: &AsyncClient) -> ControlFlow<String> {
        if answer.return_codes.contains(&SubscribeReasonCode::Failure) {
            let filter = self.filter();
            return ControlFlow::Break(format!("the subscription to {filter} is refused"));
        }
        self.progress().subscribed(clock::monotonic());
        tracing::info!("connected to {}", self.config.url);
        let (outlet, client) = (self.outlet.clone(), client.clone());
        // It waits for room in the queue that only this task empties.
        tokio::spawn(async move { outlet.open(&client).await });
        ControlFlow::Continue(())
    }

    fn filter(&self) -> String {
        format!("{}/+/up/#", self.config.topic_prefix)
    }

    fn progress(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn because(error: &ConnectionError) -> String {
    match error {
        ConnectionError::ConnectionRefused(code) => refused(*code),
        ConnectionError::NetworkTimeout => "it did not answer CONNECT".to_owned(),
        ConnectionError::FlushTimeout => "nothing could be sent".to_owned(),
        ConnectionError::MqttState(StateError::AwaitPingResp) => {
            "it did not answer a ping".to_owned()
        }
        ConnectionError::MqttState(StateError::ConnectionAborted | StateError::Io(_))
        | ConnectionError::Io(_) => "it closed the connection".to_owned(),
        other @ (ConnectionError::MqttState(_)
        | ConnectionError::NotConnAck(_)
        | ConnectionError::RequestsDone) => format!("the MQTT client failed: {other}"),
    }
}

fn refused(code: ConnectReturnCode) -> String {
    let reason = match code {
        ConnectReturnCode::ServiceUnavailable => "it is not available now",
        ConnectReturnCode::BadUserNamePassword | ConnectReturnCode::NotAuthorized => {
            "the fleet is not authorised"
        }
        ConnectReturnCode::BadClientId => "it does not accept the name _fleet",
        ConnectReturnCode::RefusedProtocolVersion => "it does not speak MQTT 3.1.1",
        ConnectReturnCode::Success => "it says success",
    };
    format!("it refused the connection: {reason}")
}
