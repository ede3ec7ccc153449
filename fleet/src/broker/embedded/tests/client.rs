//! A bare MQTT 3.1.1 client over TLS that says what a well-behaved library would not.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use super::authority::{Authority, Identity};

const DEADLINE: Duration = Duration::from_secs(20);

/// A received packet: its first byte and what follows the length.
pub(super) type Packet = (u8, Vec<u8>);

pub(super) const CONNACK: u8 = 0x20;
pub(super) const PUBACK: u8 = 0x40;
const SUBACK: u8 = 0x90;
/// Return codes of a CONNACK.
pub(super) const UNAVAILABLE: u8 = 3;
pub(super) const NOT_AUTHORISED: u8 = 5;

/// What the client says when it connects.
#[derive(Clone, Copy)]
pub(super) struct Hello<'a> {
    pub(super) client: &'a str,
    pub(super) level: u8,
    pub(super) clean: bool,
    pub(super) user: Option<&'a str>,
    /// Topic, size of the message in bytes and QoS.
    pub(super) will: Option<(&'a str, usize, u8)>,
}

impl<'a> Hello<'a> {
    pub(super) fn new(client: &'a str) -> Self {
        Self {
            client,
            level: 4,
            clean: true,
            user: None,
            will: None,
        }
    }

    fn packet(&self) -> Vec<u8> {
        let will = self.will.map_or(0, |(_, _, qos)| 0x04 | 0x20 | qos << 3);
        let user = if self.user.is_some() { 0x80 } else { 0 };
        let mut body = text(if self.level == 3 { "MQIsdp" } else { "MQTT" });
        body.extend([self.level, will | user | u8::from(self.clean) << 1, 0, 60]);
        if self.level == 5 {
            body.push(0);
        }
        body.extend(text(self.client));
        if let Some((topic, size_bytes, _)) = self.will {
            body.extend(if self.level == 5 { vec![0] } else { Vec::new() });
            body.extend(text(topic));
            body.extend(text(&"w".repeat(size_bytes)));
        }
        body.extend(self.user.map(text).unwrap_or_default());
        packet(0x10, &body)
    }
}

pub(super) struct Client(TlsStream<TcpStream>);

impl Client {
    /// Opens TLS and says hello; the answer, or none if the connection closes.
    pub(super) async fn open(
        to: SocketAddr,
        authority: &Authority,
        identity: Option<&Identity>,
        hello: Hello<'_>,
    ) -> (Option<Self>, Option<Packet>) {
        let connector = TlsConnector::from(Arc::new(config(authority, identity)));
        let name = ServerName::try_from("localhost").expect("a name");
        let socket = TcpStream::connect(to).await.expect("the broker listens");
        let Ok(stream) = connector.connect(name, socket).await else {
            return (None, None);
        };
        let mut client = Self(stream);
        client.send(&hello.packet()).await;
        let answer = client.receive().await;
        (Some(client), answer)
    }

    /// A failure to write shows when reading.
    pub(super) async fn send(&mut self, packet: &[u8]) {
        let _written = self.0.write_all(packet).await;
        let _flushed = self.0.flush().await;
    }

    /// The next packet, or none when the broker has closed the connection.
    pub(super) async fn receive(&mut self) -> Option<Packet> {
        timeout(DEADLINE, self.read())
            .await
            .expect("an answer or the end, in time")
    }

    async fn read(&mut self) -> Option<Packet> {
        let first = self.0.read_u8().await.ok()?;
        let (mut length, mut shift) = (0, 0);
        loop {
            let byte = self.0.read_u8().await.ok()?;
            length |= usize::from(byte & 0x7f) << shift;
            shift += 7;
            if byte & 0x80 == 0 {
                break;
            }
        }
        let mut body = vec![0; length];
        self.0.read_exact(&mut body).await.ok()?;
        Some((first, body))
    }

    pub(super) async fn publish(&mut self, topic: &str, qos: u8, payload: &[u8]) {
        self.send(&publish(topic, qos, payload)).await;
    }

    /// Subscribes at QoS 1: the return code, if there is an answer.
    pub(super) async fn subscribe(&mut self, filter: &str) -> Option<u8> {
        let body = [vec![0, 7], text(filter), vec![1]].concat();
        self.send(&packet(0x82, &body)).await;
        let (first, body) = self.receive().await?;
        (first == SUBACK && body.len() == 3).then(|| body[2])
    }

    /// The next publish as (retained, topic, payload), acknowledged.
    pub(super) async fn message(&mut self) -> Option<(bool, String, Vec<u8>)> {
        let (first, body) = self.receive().await?;
        assert_eq!(first & 0xf6, 0x32, "a publish of QoS 1");
        let end = 2 + usize::from(u16::from_be_bytes([body[0], body[1]]));
        self.send(&packet(PUBACK, &body[end..end + 2])).await;
        let topic = String::from_utf8(body[2..end].to_vec()).expect("a topic is UTF-8");
        Some((first & 1 == 1, topic, body[end + 2..].to_vec()))
    }
}

pub(super) fn publish(topic: &str, qos: u8, payload: &[u8]) -> Vec<u8> {
    let id = if qos == 0 { Vec::new() } else { vec![0, 9] };
    packet(
        0x30 | qos << 1,
        &[text(topic), id, payload.to_vec()].concat(),
    )
}

fn packet(first: u8, body: &[u8]) -> Vec<u8> {
    let (mut packet, mut length) = (vec![first], body.len());
    loop {
        let more = if length > 0x7f { 0x80 } else { 0 };
        packet.push((length & 0x7f) as u8 | more);
        length >>= 7;
        if more == 0 {
            break;
        }
    }
    packet.extend(body);
    packet
}

fn text(text: &str) -> Vec<u8> {
    let length = u16::try_from(text.len()).expect("a short text");
    [length.to_be_bytes().to_vec(), text.as_bytes().to_vec()].concat()
}

fn config(authority: &Authority, identity: Option<&Identity>) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    roots.add(authority.der().into()).expect("a CA certificate");
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("ring knows the default versions")
        .with_root_certificates(roots);
    let Some(identity) = identity else {
        return config.with_no_client_auth();
    };
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(identity.key.serialize_der()));
    let chain = vec![identity.certificate.der().clone()];
    config
        .with_client_auth_cert(chain, key)
        .expect("a certificate and its key")
}
