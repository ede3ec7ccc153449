//! The listening socket with its TLS and its limits for one connection.
//!
//! Never accepts: the library's server does. Every limit is stated here or in the configuration,
//! since several of the library's defaults are unlimited or too short.

use std::fs::File;
use std::io;
use std::net::SocketAddr;
use std::num::NonZeroU16;
use std::path::Path;
use std::time::Duration;

use rmqtt::net::{Builder, Listener};
use rmqtt::types::QoS;

use super::{BrokerError, EmbeddedConfig};

/// What a publish packet needs beyond its payload: header, topic, packet id. Also lets a
/// CONNECT with a small will pass where payloads are configured tiny.
const PACKET_OVERHEAD_BYTES: usize = 2048;
/// Longest device id.
const CLIENT_ID_BYTES_MAX: usize = 63;
/// `down/#`, `_/#` and a few exact ones.
const SUBSCRIPTIONS_MAX: usize = 16;
/// Messages that wait for one absent or slow device; the oldest goes first.
const QUEUE_MESSAGES_MAX: usize = 128;
/// Unacknowledged messages on the way to one device.
const IN_FLIGHT_MAX: NonZeroU16 = NonZeroU16::new(16).expect("invariant: 16 is not zero");
/// How long the session and queue of an absent device are kept.
const ABSENCE_MAX: Duration = Duration::from_secs(7 * 24 * 3600);
/// TLS handshake and CONNECT together, on a slow link.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(20);
/// One message of the largest size on a link of a few kilobytes a second.
const SEND_TIMEOUT: Duration = Duration::from_secs(60);
/// Largest keep-alive in seconds: a dead peer is noticed within half an hour.
const KEEP_ALIVE_S_MAX: u16 = 1200;

/// Binds the configured address and reads the certificates.
pub(super) fn bind(config: &EmbeddedConfig) -> Result<Listener, BrokerError> {
    let certificate = readable("certificate", &config.certificate)?;
    let key = readable("private key", &config.key)?;
    let client_ca = readable("authorities for device certificates", &config.client_ca)?;
    limited(config)
        .tls_cross_certificate(true)
        .tls_cert(Some(certificate))
        .tls_key(Some(key))
        .tls_client_ca_certs(Some(client_ca))
        .cert_cn_as_username(true)
        .collect_cert_info(true)
        .allow_anonymous(false)
        .bind()
        .map_err(|error| not_bound(config.listen, &error))?
        .tls()
        .map_err(|error| BrokerError::Tls {
            because: format!("{error:#}"),
        })
}

/// The address that was bound.
pub(super) fn address(listener: &Listener, listen: SocketAddr) -> Result<SocketAddr, BrokerError> {
    listener.local_addr().map_err(|error| BrokerError::Listen {
        listen,
        because: format!("{error:#}"),
    })
}

fn limited(config: &EmbeddedConfig) -> Builder {
    let packet_bytes_max = config
        .payload_bytes_max
        .saturating_add(PACKET_OVERHEAD_BYTES);
    Builder::new()
        .name("devices")
        .laddr(config.listen)
        .nodelay(true)
        // Or a port with connections in TIME_WAIT could not be bound again after a restart.
        .reuseaddr(Some(true))
        .max_packet_size(u32::try_from(packet_bytes_max).unwrap_or(u32::MAX))
        .max_qos_allowed(QoS::AtLeastOnce)
        .max_clientid_len(CLIENT_ID_BYTES_MAX)
        .max_subscriptions(SUBSCRIPTIONS_MAX)
        .max_inflight(IN_FLIGHT_MAX)
        .max_mqueue_len(QUEUE_MESSAGES_MAX)
        .allow_zero_keepalive(false)
        .max_keepalive(KEEP_ALIVE_S_MAX)
        .handshake_timeout(HANDSHAKE_TIMEOUT)
        .send_timeout(SEND_TIMEOUT)
        .session_expiry_interval(ABSENCE_MAX)
        .message_expiry_interval(ABSENCE_MAX)
        // MQTT 3.1.1, 4.4: only a new connection sends again.
        .message_retry_interval(Duration::ZERO)
}

/// The library takes paths as text and names no file in its errors: look first.
fn readable(what: &'static str, path: &Path) -> Result<String, BrokerError> {
    let failed = |because| BrokerError::File {
        what,
        path: path.to_owned(),
        because,
    };
    File::open(path).map_err(|error| failed(error.to_string()))?;
    path.to_str()
        .map(str::to_owned)
        .ok_or_else(|| failed("its path is not UTF-8".to_owned()))
}

fn not_bound(listen: SocketAddr, error: &rmqtt::Error) -> BrokerError {
    match error.downcast_ref::<io::Error>() {
        Some(error) if error.kind() == io::ErrorKind::AddrInUse => {
            BrokerError::PortInUse { listen }
        }
        _ => BrokerError::Listen {
            listen,
            because: format!("{error:#}"),
        },
    }
}
