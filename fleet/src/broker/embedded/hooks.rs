//! What the library asks while it serves: who may connect, publish and subscribe. Every answer
//! is given here and is "no" unless a rule says "yes".
//!
//! Never answers at the publish hook, which also sees refused messages: documents are stored in
//! the publish *check*, whose answer the acknowledgement waits for.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use muster_protocol::id::DeviceId;
use rmqtt::codec::types::MQTT_LEVEL_311;
use rmqtt::codec::v3::{Connect, LastWill};
use rmqtt::codec::v5::SubscribeAckReason;
use rmqtt::context::ServerContext;
use rmqtt::hook::{Handler, HookResult, Parameter, ReturnType, Type};
use rmqtt::types::{
    AuthResult, ConnectInfo, Id, Publish, PublishAclResult, QoS, Subscribe, SubscribeAclResult,
};

use super::sessions::Sessions;
use super::{Access, Admission, Handlers, Incoming, Presence, Verdict};

/// Largest last will and largest retained status: both outlive what would bound them.
pub(super) const STATUS_BYTES_MAX: usize = 1024;
/// How long a document may take to be stored: the library gives up on a session that does not
/// answer for five seconds.
const INGEST_TIMEOUT: Duration = Duration::from_secs(4);

const HOOKS: [Type; 5] = [
    Type::ClientAuthenticate,
    Type::ClientSubscribeCheckAcl,
    Type::MessagePublishCheckAcl,
    Type::ClientConnected,
    Type::ClientDisconnected,
];

/// Makes the library ask `hooks`. Without this it grants everything.
pub(super) async fn register(context: &ServerContext, hooks: &Arc<Hooks>) {
    let register = context.extends.hook_mgr().register();
    for hook in HOOKS {
        register.add(hook, Box::new(Asked(hooks.clone()))).await;
    }
    register.start().await;
}

pub(super) struct Hooks {
    access: Access,
    handlers: Handlers,
    payload_bytes_max: usize,
    sessions: Sessions<Id>,
    closed: AtomicBool,
}

type Refusal = &'static str;

impl Hooks {
    pub(super) fn new(access: Access, handlers: Handlers, payload_bytes_max: usize) -> Self {
        let (sessions, closed) = (Sessions::new(), AtomicBool::new(false));
        Self {
            access,
            handlers,
            payload_bytes_max,
            sessions,
            closed,
        }
    }

    /// From now on nobody is admitted and nothing is ingested: a connection that is not yet a
    /// session outlives the listener.
    pub(super) fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
    }

    fn open(&self) -> Result<(), Refusal> {
        if self.closed.load(Ordering::SeqCst) {
            Err("the broker is stopping")
        } else {
            Ok(())
        }
    }

    fn authenticate(&self, info: &ConnectInfo) -> AuthResult {
        match self.admit(info) {
            Ok(()) => AuthResult::Allow(false, None),
            Err(refusal) => {
                let (client, peer) = (info.client_id(), info.ipaddress());
                tracing::warn!(?client, ?peer, "refused a connection: because {refusal}");
                AuthResult::NotAuthorized
            }
        }
    }

    fn admit(&self, info: &ConnectInfo) -> Result<(), Refusal> {
        self.open()?;
        let ConnectInfo::V3(_, connect) = info else {
            return Err("it speaks MQTT 5");
        };
        if info.proto_ver() != MQTT_LEVEL_311 {
            return Err("it does not speak MQTT 3.1.1");
        }
        let (device, serial) = certified(connect)?;
        if **info.client_id() != *device {
            return Err("its client id differs from its certificate's name");
        }
        if let Some(will) = &connect.last_will {
            self.check_will(device, will)?;
        }
        // A panic in the library's handshake task would end the admission of all devices.
        let admit = AssertUnwindSafe(|| (self.handlers.admit)(device, &even_hex(serial)));
        match catch_unwind(admit).unwrap_or(Admission::Refuse("its admission panicked")) {
            Admission::Admit => Ok(()),
            Admission::Refuse(refusal) => Err(refusal),
        }
    }

    /// A last will is published without the publish check.
    fn check_will(&self, device: &str, will: &LastWill) -> Result<(), Refusal> {
        if !self.access.is_status(device, &will.topic) {
            return Err("its last will is not on its status topic");
        }
        if will.message.len() > STATUS_BYTES_MAX {
            return Err("its last will is too large");
        }
        check_qos(will.qos)
    }

    fn subscribe(&self, id: &Id, asked: &Subscribe) -> SubscribeAclResult {
        let granted = !asked.opts.has_shared_group()
            && self
                .access
                .may_subscribe(&id.client_id, &asked.topic_filter);
        if granted {
            return SubscribeAclResult::new_success(asked.opts.qos(), None);
        }
        let (device, filter) = (&id.client_id, &asked.topic_filter);
        tracing::warn!(%device, ?filter, "refused a subscription: because it is not the device's");
        SubscribeAclResult::new_failure(SubscribeAckReason::NotAuthorized)
    }

    async fn publish(&self, id: &Id, publish: &Publish) -> PublishAclResult {
        let refusal = match self.check_publish(id, publish) {
            Ok(incoming) => match self.ingest(incoming).await {
                Verdict::Accepted => return PublishAclResult::allow(),
                Verdict::Retry => "it could not be stored",
            },
            Err(refusal) => refusal,
        };
        let (device, topic) = (&id.client_id, &publish.topic);
        tracing::warn!(%device, ?topic, "refused a message: because {refusal}");
        // Without the disconnection a refused 3.1.1 message would be acknowledged.
        PublishAclResult::rejected(true, None)
    }

    fn check_publish(&self, id: &Id, publish: &Publish) -> Result<Incoming, Refusal> {
        self.open()?;
        check_qos(publish.qos)?;
        let channel = self
            .access
            .channel(&id.client_id, &publish.topic)
            .ok_or("its topic is not the device's")?;
        if publish.payload.len() > self.payload_bytes_max {
            return Err("its payload is too large");
        }
        Ok(Incoming {
            device: id.client_id.to_string(),
            channel: channel.as_str().to_owned(),
            payload: publish.payload.to_vec(),
        })
    }

    /// In a task of its own, so that neither a panic nor a slow store harms the session.
    async fn ingest(&self, incoming: Incoming) -> Verdict {
        let storing = tokio::spawn((self.handlers.ingest)(incoming));
        match tokio::time::timeout(INGEST_TIMEOUT, storing).await {
            Ok(Ok(verdict)) => verdict,
            Ok(Err(panicked)) => {
                tracing::error!("failed to ingest a message: because {panicked}");
                Verdict::Retry
            }
            Err(_elapsed) => Verdict::Retry,
        }
    }

    fn began(&self, id: &Id) {
        self.sessions.begin(&id.client_id, id.clone(), |presence| {
            self.report(id, presence)
        });
    }

    fn ended(&self, id: &Id) {
        self.sessions
            .end(&id.client_id, id, |presence| self.report(id, presence));
    }

    fn report(&self, id: &Id, presence: Presence) {
        let report = AssertUnwindSafe(|| (self.handlers.presence)(&id.client_id, presence));
        if catch_unwind(report).is_err() {
            let device = &id.client_id;
            tracing::error!(%device, "failed to report presence: because it panicked");
        }
    }
}

struct Asked(Arc<Hooks>);

#[async_trait]
impl Handler for Asked {
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "the library's list: what is not registered is not asked"
    )]
    async fn hook(&self, parameter: &Parameter, so_far: Option<HookResult>) -> ReturnType {
        let answer = match parameter {
            Parameter::ClientAuthenticate(info) => {
                HookResult::AuthResult(self.0.authenticate(info))
            }
            Parameter::ClientSubscribeCheckAcl(session, asked) => {
                HookResult::SubscribeAclResult(self.0.subscribe(&session.id, asked))
            }
            Parameter::MessagePublishCheckAcl(session, publish) => {
                HookResult::PublishAclResult(self.0.publish(&session.id, publish).await)
            }
            Parameter::ClientConnected(session) => {
                self.0.began(&session.id);
                return (true, so_far);
            }
            Parameter::ClientDisconnected(session, _) => {
                self.0.ended(&session.id);
                return (true, so_far);
            }
            _ => return (true, so_far),
        };
        (false, Some(answer))
    }
}

/// The device id and serial of the certificate. The user name will not do: with a certificate
/// that names nobody it is what the client says.
fn certified(connect: &Connect) -> Result<(&str, &str), Refusal> {
    let certificate = connect.cert.as_ref().ok_or("it showed no certificate")?;
    let name = certificate
        .common_name
        .as_deref()
        .ok_or("its certificate names nobody")?;
    let serial = certificate
        .serial
        .as_deref()
        .ok_or("its certificate has no serial")?;
    DeviceId::parse(name).map_err(|_| "its certificate's name is not a device id")?;
    Ok((name, serial))
}

fn check_qos(qos: QoS) -> Result<(), Refusal> {
    match qos {
        QoS::AtMostOnce | QoS::AtLeastOnce => Ok(()),
        QoS::ExactlyOnce => Err("its QoS is above 1"),
    }
}

/// The library drops a leading zero digit: two digits make a byte.
fn even_hex(digits: &str) -> String {
    let zero = if digits.len() % 2 == 1 { "0" } else { "" };
    format!("{zero}{}", digits.to_ascii_lowercase())
}
