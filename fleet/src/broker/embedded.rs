//! The MQTT broker inside `muster serve`: devices connect with mutual TLS, each document they
//! publish reaches [`Handlers::ingest`], and the fleet publishes to them.
//!
//! Never reads a document, keeps nothing on disk and decides nothing about a device beyond its
//! certificate and its topics.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use muster_protocol::topic::CONTROLLER;
use rmqtt::codec::types::Publish;
use rmqtt::context::ServerContext;
use rmqtt::server::MqttServer;
use rmqtt::session::SessionState;
use rmqtt::types::{From as Origin, Id, QoS};
use tokio::task::{JoinHandle, JoinSet};

mod hooks;
mod listener;
mod retained;
mod sessions;
#[cfg(test)]
mod tests;

use super::access::Access;
use super::{Admission, BrokerError, Handlers, Incoming, Presence, Retain, Verdict, check_message};
use hooks::Hooks;

/// Any number: there is one listener.
const LISTENER: u16 = 1;

/// What the broker needs to know to serve.
#[derive(Debug, Clone)]
pub(crate) struct EmbeddedConfig {
    /// Where to listen; port 0 takes a free one, see [`Embedded::local_addr`].
    pub(crate) listen: SocketAddr,
    /// The server's certificate chain, PEM.
    pub(crate) certificate: PathBuf,
    /// The server's private key, PEM.
    pub(crate) key: PathBuf,
    /// Certificates of the authorities that sign device certificates, PEM.
    pub(crate) client_ca: PathBuf,
    /// Largest payload in bytes, in both directions. A larger one closes the connection.
    pub(crate) payload_bytes_max: usize,
    /// Most sessions, connected or kept for an absent device: at least one for each device.
    pub(crate) sessions_max: usize,
    /// What every topic begins with, without a slash at the end: `muster/v1`.
    pub(crate) topic_prefix: String,
}

/// The running broker. Dropping it stops nothing: see [`Embedded::stop`].
pub(crate) struct Embedded {
    context: ServerContext,
    hooks: Arc<Hooks>,
    accepting: JoinHandle<()>,
    local_addr: SocketAddr,
    payload_bytes_max: usize,
}

impl Embedded {
    /// Binds the port, reads the certificates and begins to serve.
    ///
    /// # Errors
    /// A port in use or not to be had, a file that is missing or not what it should be, a topic
    /// prefix with wildcards.
    pub(crate) async fn start(
        config: EmbeddedConfig,
        handlers: Handlers,
    ) -> Result<Self, BrokerError> {
        let access = Access::new(&config.topic_prefix)?;
        let listener = listener::bind(&config)?;
        let local_addr = listener::address(&listener, config.listen)?;
        let context = context(&config).await;
        *context.extends.retain_mut().await =
            Box::new(retained::Retained::new(access.clone(), config.sessions_max));
        let hooks = Arc::new(Hooks::new(access, handlers, config.payload_bytes_max));
        hooks::register(&context, &hooks).await;
        let server = MqttServer::new(context.clone())
            .listener_by_id(listener, LISTENER)
            .build();
        let accepting = tokio::spawn(accept(server));
        let payload_bytes_max = config.payload_bytes_max;
        Ok(Self {
            context,
            hooks,
            accepting,
            local_addr,
            payload_bytes_max,
        })
    }

    /// Where the broker listens.
    #[must_use]
    pub(crate) fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// Publishes as the fleet, at QoS 1. Subscribers that are absent find it in their queue, of
    /// which the oldest is dropped when it is full; nobody subscribed is no error.
    ///
    /// # Errors
    /// A topic with wildcards, a payload above the limit, no room to retain it.
    pub(crate) async fn publish(
        &self,
        topic: &str,
        payload: Vec<u8>,
        retain: Retain,
    ) -> Result<(), BrokerError> {
        check_message(topic, &payload, self.payload_bytes_max)?;
        let origin = Origin::from_system(self.id_of(CONTROLLER));
        let message = message(topic, payload, retain).into();
        SessionState::forwards(&self.context, origin, message, false, None)
            .await
            .map_err(|error| BrokerError::Publish {
                topic: topic.to_owned(),
                because: format!("{error:#}"),
            })
    }

    /// Ends the device's session, present or kept, with its subscriptions and its queue. Never
    /// await this inside a handler for the same device: its session waits for the handler.
    pub(crate) async fn disconnect(&self, device: &str) {
        let id = self.id_of(device);
        kick(&self.context, id).await;
    }

    /// Stops listening and ends every session. When it returns, the port can be bound again and
    /// nothing new is admitted or ingested; the last `Disconnected` may come a moment later.
    pub(crate) async fn stop(self) {
        self.hooks.close();
        self.accepting.abort();
        let _aborted = self.accepting.await;
        let ids: Vec<Id> = {
            let shared = self.context.extends.shared().await;
            shared.iter().map(|entry| entry.id()).collect()
        };
        let mut kicks = JoinSet::new();
        for id in ids {
            let context = self.context.clone();
            kicks.spawn(async move { kick(&context, id).await });
        }
        kicks.join_all().await;
    }

    fn id_of(&self, client: &str) -> Id {
        Id::from(self.context.node.id(), client.to_owned().into())
    }
}

async fn context(config: &EmbeddedConfig) -> ServerContext {
    ServerContext::new()
        .mqtt_max_sessions(isize::try_from(config.sessions_max).unwrap_or(isize::MAX))
        // It would refuse devices by the load of the whole machine.
        .busy_check_enable(false)
        .build()
        .await
}

async fn accept(server: MqttServer) {
    if let Err(error) = server.run().await {
        tracing::error!("the broker stopped listening: because {error:#}");
    }
}

async fn kick(context: &ServerContext, id: Id) {
    let mut entry = context.extends.shared().await.entry(id);
    if !entry.exist() {
        return;
    }
    if let Err(error) = entry.kick(true, true, true).await {
        let device = entry.id().client_id.clone();
        tracing::warn!(%device, "failed to end a session: because {error:#}");
    }
}

fn message(topic: &str, payload: Vec<u8>, retain: Retain) -> Box<Publish> {
    Box::new(Publish {
        dup: false,
        retain: retain == Retain::Yes,
        qos: QoS::AtLeastOnce,
        topic: topic.to_owned().into(),
        packet_id: None,
        payload: payload.into(),
        properties: None,
    })
}
