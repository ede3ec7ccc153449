//! A broker with certificates of its own and handlers that tell the test what they hear.

use std::collections::VecDeque;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::timeout;

use super::authority::{Authority, Identity};
use super::client::{CONNACK, Client, Hello, PUBACK, Packet, UNAVAILABLE};
use crate::broker::{Admission, Embedded, EmbeddedConfig, Handlers, Incoming, Presence, Verdict};

pub(super) const PAYLOAD_BYTES_MAX: usize = 128 * 1024;
const DEADLINE: Duration = Duration::from_secs(20);

#[derive(Debug, PartialEq)]
pub(super) enum Heard {
    Document(Incoming),
    Presence(String, Presence),
}

/// What the next call of `ingest` does; it accepts when nothing is planned.
#[derive(Clone, Copy)]
pub(super) enum Plan {
    Retry,
    Panic,
}

pub(super) type Plans = Arc<Mutex<VecDeque<Plan>>>;

pub(super) struct Bench {
    pub(super) folder: tempfile::TempDir,
    pub(super) authority: Authority,
    pub(super) broker: Embedded,
    pub(super) plans: Plans,
    pub(super) heard: UnboundedReceiver<Heard>,
}

impl Bench {
    pub(super) async fn start() -> Self {
        Self::start_at(([127, 0, 0, 1], 0).into()).await
    }

    pub(super) async fn start_at(listen: SocketAddr) -> Self {
        let (folder, authority) = (tempfile::tempdir().expect("a folder"), Authority::new());
        write_certificates(folder.path(), &authority);
        let (tell, heard) = unbounded_channel();
        let plans = Plans::default();
        let config = config(folder.path(), listen);
        let broker = Embedded::start(config, handlers(tell, &plans))
            .await
            .expect("a broker");
        Self {
            folder,
            authority,
            broker,
            plans,
            heard,
        }
    }

    pub(super) fn device(&self, name: &str) -> Identity {
        self.authority.device(name, &[0x01, 0x23])
    }

    /// The broker's answer. While it still clears the device's session before, that is "server
    /// unavailable": asked again.
    pub(super) async fn open(
        &self,
        identity: Option<&Identity>,
        hello: Hello<'_>,
    ) -> (Option<Client>, Option<Packet>) {
        let to = self.broker.local_addr();
        let opened = async {
            loop {
                let opened = Client::open(to, &self.authority, identity, hello).await;
                if opened
                    .1
                    .as_ref()
                    .is_none_or(|(_, body)| body[1] != UNAVAILABLE)
                {
                    break opened;
                }
            }
        };
        timeout(DEADLINE, opened)
            .await
            .expect("a final answer in time")
    }

    pub(super) async fn join(&mut self, name: &str, clean: bool) -> Client {
        let (client, _) = self.enter(name, clean).await;
        assert_eq!(
            self.hear().await,
            Heard::Presence(name.to_owned(), Presence::Connected)
        );
        client
    }

    /// Connects, and tells whether the broker knew a session.
    pub(super) async fn enter(&self, name: &str, clean: bool) -> (Client, bool) {
        let hello = Hello {
            clean,
            ..Hello::new(name)
        };
        let (client, answer) = self.open(Some(&self.device(name)), hello).await;
        let (first, body) = answer.expect("an answer to a good hello");
        assert_eq!((first, body[1]), (CONNACK, 0), "a good hello is accepted");
        (client.expect("it was answered"), body[0] == 1)
    }

    pub(super) async fn hear(&mut self) -> Heard {
        let heard = timeout(DEADLINE, self.heard.recv()).await;
        heard
            .expect("something heard in time")
            .expect("the broker holds the other end")
    }

    pub(super) fn plan(&self, plan: Plan) {
        self.plans.lock().expect("no test panicked").push_back(plan);
    }
}

pub(super) fn write_certificates(folder: &Path, authority: &Authority) {
    let server = authority.server();
    for (name, pem) in [
        ("ca", authority.pem()),
        ("certificate", server.certificate.pem()),
        ("key", server.key.serialize_pem()),
    ] {
        fs::write(folder.join(name), pem).expect("a written file");
    }
}

pub(super) fn config(folder: &Path, listen: SocketAddr) -> EmbeddedConfig {
    EmbeddedConfig {
        listen,
        certificate: folder.join("certificate"),
        key: folder.join("key"),
        client_ca: folder.join("ca"),
        payload_bytes_max: PAYLOAD_BYTES_MAX,
        sessions_max: 8,
        topic_prefix: "muster/v1".to_owned(),
    }
}

pub(super) fn handlers(tell: UnboundedSender<Heard>, plans: &Plans) -> Handlers {
    let (plans, say) = (plans.clone(), tell.clone());
    Handlers {
        ingest: Arc::new(move |incoming| {
            let plan = plans.lock().expect("no test panicked").pop_front();
            let tell = tell.clone();
            Box::pin(async move {
                match plan {
                    Some(Plan::Retry) => return Verdict::Retry,
                    Some(Plan::Panic) => panic!("as planned"),
                    None => tell
                        .send(Heard::Document(incoming))
                        .expect("the test listens"),
                }
                Verdict::Accepted
            })
        }),
        admit: Arc::new(|_, serial| match serial {
            "0123" => Admission::Admit,
            _ => Admission::Refuse("its certificate is revoked"),
        }),
        lost: Arc::new(|| ()),
        presence: Arc::new(move |device, presence| {
            // The last ones come when the test has ended.
            let _sent = say.send(Heard::Presence(device.to_owned(), presence));
        }),
    }
}

pub(super) fn document(device: &str, channel: &str, payload: &[u8]) -> Heard {
    let (device, channel) = (device.to_owned(), channel.to_owned());
    Heard::Document(Incoming {
        device,
        channel,
        payload: payload.to_vec(),
    })
}

pub(super) fn is_puback(packet: Option<Packet>) -> bool {
    packet.is_some_and(|(first, _)| first == PUBACK)
}
