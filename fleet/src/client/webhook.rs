//! Posting one message to a webhook: one connection, one request, and the status of its answer.
//!
//! Follows no redirect, reads no body, and tries nothing again: whoever asks does.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::{Request, StatusCode, header};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use crate::config::WebhookUrl;
use crate::error::{Exit, OperatorError};

/// Largest head of an answer.
const HEAD_BYTES_MAX: usize = 16 * 1024;
/// Longest reason that is kept of a failure, characters.
const REASON_MAX: usize = 300;

/// The CAs that webhooks are trusted by.
#[derive(Debug, Clone)]
pub(crate) struct Trust(Arc<ClientConfig>);

/// One message.
pub(crate) struct Outbound<'a> {
    /// Where it goes.
    pub(crate) url: &'a WebhookUrl,
    /// For TLS; none for plain HTTP.
    pub(crate) trust: Option<&'a Trust>,
    /// Headers of its own.
    pub(crate) headers: [(&'static str, String); 3],
    /// What the body is.
    pub(crate) content_type: &'static str,
    /// The body.
    pub(crate) body: String,
}

/// The CAs of the system.
///
/// # Errors
/// It has none.
pub(crate) fn system_trust() -> Result<Trust, OperatorError> {
    let mut roots = RootCertStore::empty();
    let found = rustls_native_certs::load_native_certs();
    let (added, _) = roots.add_parsable_certificates(found.certs);
    if added == 0 {
        let because = "the system has no CA certificates that can be read";
        let hint = "install the package ca-certificates, or name a file of them in SSL_CERT_FILE";
        let what = "trust the webhooks of muster.toml";
        return Err(OperatorError::new(Exit::Resource, what, because, hint));
    }
    trust(roots)
}

fn trust(roots: RootCertStore) -> Result<Trust, OperatorError> {
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| {
            let what = "prepare TLS for webhooks";
            OperatorError::new(Exit::Bug, what, error, "report this")
        })?;
    let config = config.with_root_certificates(roots).with_no_client_auth();
    Ok(Trust(Arc::new(config)))
}

/// Posts it; done when the answer says 2xx within the time.
///
/// # Errors
/// Why not, in words.
pub(crate) async fn post(outbound: Outbound<'_>, within: Duration) -> Result<(), String> {
    let tried = timeout(within, exchange(outbound)).await;
    let status = tried
        .unwrap_or_else(|_| Err(format!("no answer within {} s", within.as_secs_f32())))
        .map_err(|because| because.chars().take(REASON_MAX).collect::<String>())?;
    match status {
        status if status.is_success() => Ok(()),
        status if status.is_redirection() => Err(format!(
            "the answer was {status}, and redirects are not followed"
        )),
        status => Err(format!("the answer was {status}")),
    }
}

async fn exchange(outbound: Outbound<'_>) -> Result<StatusCode, String> {
    let url = outbound.url;
    let socket = TcpStream::connect((url.host.as_str(), url.port)).await;
    let socket = socket.map_err(|error| format!("no connection: {error}"))?;
    let Some(Trust(config)) = outbound.trust else {
        return ask(socket, outbound).await;
    };
    let name = ServerName::try_from(url.host.clone()).map_err(|error| error.to_string())?;
    let connector = TlsConnector::from(Arc::clone(config));
    let stream = connector.connect(name, socket).await;
    let stream = stream.map_err(|error| format!("TLS failed: {error}"))?;
    ask(stream, outbound).await
}

async fn ask<S>(stream: S, outbound: Outbound<'_>) -> Result<StatusCode, String>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let said = |error: hyper::Error| format!("HTTP failed: {error}");
    let mut builder = http1::Builder::new();
    let shaken = builder
        .max_buf_size(HEAD_BYTES_MAX)
        .handshake(TokioIo::new(stream));
    let (mut sender, connection) = shaken.await.map_err(said)?;
    let mut request = Request::post(outbound.url.path.as_str())
        .header(header::HOST, outbound.url.authority())
        .header(
            header::USER_AGENT,
            concat!("muster/", env!("CARGO_PKG_VERSION")),
        )
        .header(header::CONTENT_TYPE, outbound.content_type)
        .header(header::CONNECTION, "close");
    for (name, value) in outbound.headers {
        request = request.header(name, value);
    }
    let body = Full::new(Bytes::from(outbound.body));
    let request = request.body(body).map_err(|error| error.to_string())?;
    // Both are driven here, so that both end when the time is over. A connection that has ended
    // may have brought the answer.
    let (mut answer, mut connection) = (pin!(sender.send_request(request)), pin!(connection));
    let answer = tokio::select! {
        biased;
        answer = &mut answer => answer,
        _ = &mut connection => answer.await,
    };
    Ok(answer.map_err(said)?.status())
}
