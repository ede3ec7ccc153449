//! TLS of the agent as a client: whom it trusts, and what it says when a handshake fails.
//!
//! Never opens a listener, never uses the system's certificates, and always names its crypto
//! provider, because another crate of the tree brings a second one.

mod anchored;
mod anchors;
mod credentials;
mod dial;
mod failure;
mod pinned;
#[cfg(test)]
pub(crate) mod sample;
#[cfg(test)]
mod tests;
mod validity;

pub use anchored::{Anchored, TrustedTime};
pub use anchors::Anchors;
pub use credentials::{BadCredentials, Credentials};
pub use dial::dial;
pub use failure::{because, is_silent_close};
pub use pinned::Pinned;

use crate::clock;
use rustls::client::{ClientConfig, Resumption, WantsClientCert};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{ServerName, UnixTime};
use rustls::time_provider::TimeProvider;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;
use tokio_rustls::{TlsConnector, rustls};

/// A client that shows its certificate and trusts exactly the given CAs.
///
/// # Errors
/// A key that does not belong to the certificate.
pub fn mutual(
    credentials: &Credentials,
    anchors: &Anchors,
    time: TrustedTime,
) -> Result<ClientConfig, BadCredentials> {
    let verifier = Anchored::new(anchors.certificates(), time)?;
    let chain = credentials.chain.clone();
    let mut config = builder(Arc::new(verifier))?
        .with_client_auth_cert(chain, credentials.key.clone_key())
        .map_err(|error| BadCredentials::new("TLS key", error))?;
    // A resumed session would skip the check of the server's certificate.
    config.resumption = Resumption::disabled();
    Ok(config)
}

/// A client without a certificate that trusts exactly the given CAs.
///
/// # Errors
/// A CA that cannot be used.
pub fn anonymous(anchors: &Anchors, time: TrustedTime) -> Result<ClientConfig, BadCredentials> {
    let verifier = Anchored::new(anchors.certificates(), time)?;
    let mut config = builder(Arc::new(verifier))?.with_no_client_auth();
    config.resumption = Resumption::disabled();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

/// A client without a certificate that trusts one certificate by its digest.
///
/// # Errors
/// Only when TLS cannot be set up at all.
pub fn pinned(verifier: Arc<Pinned>) -> Result<ClientConfig, BadCredentials> {
    let mut config = builder(verifier)?.with_no_client_auth();
    config.resumption = Resumption::disabled();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

/// The handshake over an open connection. `host` is a DNS name or an address.
///
/// # Errors
/// As an I/O error; [`because`] puts it in words.
pub async fn handshake(
    config: Arc<ClientConfig>,
    host: &str,
    stream: TcpStream,
) -> std::io::Result<TlsStream<TcpStream>> {
    let name = ServerName::try_from(host.to_owned()).map_err(std::io::Error::other)?;
    TlsConnector::from(config).connect(name, stream).await
}

fn builder(
    verifier: Arc<dyn rustls::client::danger::ServerCertVerifier>,
) -> Result<rustls::ConfigBuilder<ClientConfig, WantsClientCert>, BadCredentials> {
    let builder = ClientConfig::builder_with_details(provider(), Arc::new(Wall))
        .with_safe_default_protocol_versions()
        .map_err(|error| BadCredentials::new("protocol", error))?;
    Ok(builder
        .dangerous()
        .with_custom_certificate_verifier(verifier))
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

/// Gives rustls a time without which it refuses to start; [`Anchored`] decides what to judge by.
#[derive(Debug)]
struct Wall;

impl TimeProvider for Wall {
    fn current_time(&self) -> Option<UnixTime> {
        let since = Duration::from_secs(clock::wall().0);
        Some(UnixTime::since_unix_epoch(since))
    }
}
