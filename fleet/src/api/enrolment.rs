//! Enrolment over HTTPS, before a device has a certificate, and renewal, when it may have expired.
//!
//! No client certificate is asked for: the token in the request or the signature over it is what
//! counts, and the controller judges it.

use std::fmt::Display;
use std::path::Path;
use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderName, header};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::error::Answer;
use super::parse::Octets;
use crate::controller::Controller;
use crate::error::{Exit, OperatorError};
use crate::home::{self, Home};

/// Answers a signed request with certificate and root metadata, or says why not.
pub(super) async fn enroll(
    State(controller): State<Arc<Controller>>,
    Octets(request): Octets,
) -> Answer<([(HeaderName, &'static str); 1], Vec<u8>)> {
    let reply = controller.enroll(request.to_vec()).await?;
    Ok(([(header::CONTENT_TYPE, "application/cbor")], reply))
}

/// Offers a new certificate to a device that has an identity.
pub(super) async fn offer(
    State(controller): State<Arc<Controller>>,
) -> Answer<([(HeaderName, &'static str); 1], Vec<u8>)> {
    let offer = controller.offer_renewal()?;
    Ok(([(header::CONTENT_TYPE, "application/cbor")], offer))
}

/// Answers a signed request with a certificate, or says why not.
pub(super) async fn renew(
    State(controller): State<Arc<Controller>>,
    Octets(request): Octets,
) -> Answer<([(HeaderName, &'static str); 1], Vec<u8>)> {
    let reply = controller.renew(request.to_vec()).await?;
    Ok(([(header::CONTENT_TYPE, "application/cbor")], reply))
}

/// TLS with the server's certificate.
///
/// # Errors
/// A certificate or key that is missing or not one.
pub(super) fn acceptor(home: &Home) -> Result<TlsAcceptor, OperatorError> {
    let (chain, key) = (home.server_pem(), home.server_key());
    let certificates: Vec<_> = CertificateDer::pem_slice_iter(home::read_text(&chain)?.as_bytes())
        .collect::<Result<_, _>>()
        .map_err(|error| unusable(&chain, error))?;
    let private = PrivateKeyDer::from_pem_slice(home::read_secret(&key)?.as_bytes())
        .map_err(|error| unusable(&key, error))?;
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| unusable(&chain, error))?
        .with_no_client_auth()
        .with_single_cert(certificates, private)
        .map_err(|error| unusable(&chain, error))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

fn unusable(path: &Path, because: impl Display) -> OperatorError {
    OperatorError::new(
        Exit::BadInput,
        format!("use {} for enrolment", path.display()),
        because,
        "server.pem and server.key are PEM and belong together, as `muster init` wrote them",
    )
}
