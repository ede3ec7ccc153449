//! TLS with an external broker: the fleet shows its certificate and trusts exactly the CAs that
//! devices trust. Says why a handshake failed in words that an operator can act on.
//!
//! Always names its crypto provider: another crate of the tree brings a second one.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use rustls::client::{ClientConfig, Resumption};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{CertificateError, Error, RootCertStore};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;
use tokio_rustls::client::TlsStream;
use tokio_rustls::{TlsConnector, rustls};

use super::Credentials;
use crate::endpoint::MqttUrl;

/// Connects to the first address that answers within `limit`; looking the name up has the same
/// time.
///
/// # Errors
/// Why not, in words.
pub(super) async fn dial(url: &MqttUrl, limit: Duration) -> Result<TcpStream, String> {
    let late = |what: &str| format!("{url} cannot be reached: {what}");
    let addresses = timeout(limit, lookup_host((url.host(), url.port())))
        .await
        .map_err(|_| late("looking up the name took too long"))?
        .map_err(|error| late(&error.to_string()))?;
    let mut last = late("the name has no address");
    for address in addresses {
        match timeout(limit, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => {
                stream
                    .set_nodelay(true)
                    .map_err(|error| late(&error.to_string()))?;
                return Ok(stream);
            }
            Ok(Err(error)) => last = late(&error.to_string()),
            Err(_) => last = late("no answer in time"),
        }
    }
    Err(last)
}

/// The handshake over an open connection.
///
/// # Errors
/// Why not, in words.
pub(super) async fn handshake(
    credentials: &Credentials,
    url: &MqttUrl,
    stream: TcpStream,
    limit: Duration,
) -> Result<TlsStream<TcpStream>, String> {
    let config = config(credentials)?;
    let name = ServerName::try_from(url.host().to_owned()).map_err(|error| error.to_string())?;
    let connecting = TlsConnector::from(Arc::new(config)).connect(name, stream);
    timeout(limit, connecting)
        .await
        .map_err(|_| format!("{url} did not answer in TLS"))?
        .map_err(|error| because(&error, url))
}

/// The reason of a failed connection.
pub(super) fn because(error: &io::Error, url: &MqttUrl) -> String {
    match tls_error(error) {
        Some(Error::InvalidCertificate(
            CertificateError::UnknownIssuer | CertificateError::BadSignature,
        )) => format!("the certificate of {url} is refused: no CA of fleet.json issued it"),
        Some(Error::InvalidCertificate(reason)) => {
            format!("the certificate of {url} is refused: {reason}")
        }
        Some(Error::AlertReceived(alert)) => format!(
            "{url} refuses the fleet's certificate (alert {alert:?}): are its cafile and crlfile \
             those that `muster broker mosquitto` wrote for this home?"
        ),
        Some(other) => format!("TLS with {url} failed: {other}"),
        None => format!("the connection to {url} failed: {error}"),
    }
}

/// Whether TLS itself said why the connection ended: more than the other side's silence.
pub(super) fn is_telling(error: &io::Error) -> bool {
    tls_error(error).is_some()
}

fn tls_error(error: &io::Error) -> Option<&Error> {
    error.get_ref()?.downcast_ref::<Error>()
}

fn config(credentials: &Credentials) -> Result<ClientConfig, String> {
    let mut roots = RootCertStore::empty();
    for anchor in &credentials.anchors {
        for certificate in certificates(anchor)? {
            roots
                .add(certificate)
                .map_err(|error| format!("a CA of fleet.json: {error}"))?;
        }
    }
    let key = PrivateKeyDer::from_pem_slice(credentials.key.as_bytes());
    let key = key.map_err(|error| format!("the fleet's own key: {error}"))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_root_certificates(roots)
        .with_client_auth_cert(certificates(&credentials.chain)?, key)
        .map_err(|error| format!("the fleet's own certificate: {error}"))?;
    // A resumed session would skip the check of the server's certificate.
    config.resumption = Resumption::disabled();
    Ok(config)
}

fn certificates(pem: &str) -> Result<Vec<CertificateDer<'static>>, String> {
    CertificateDer::pem_slice_iter(pem.as_bytes())
        .collect::<Result<_, _>>()
        .map_err(|error| format!("a certificate cannot be read: {error}"))
}
