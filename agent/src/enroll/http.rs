//! One request over HTTPS to the fleet, which a token pins or `fleet.json` names.
//!
//! Never follows a redirect, never uses a proxy, never reads more than an answer may hold.

use super::EnrollError;
use super::address::Endpoint;
use crate::tls::{self, Pinned};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1;
use hyper::{Request, Response, StatusCode, header};
use hyper_util::rt::TokioIo;
use muster_protocol::digest::Digest;
use muster_protocol::limits::ENROLMENT_BYTES_MAX;
use serde::Deserialize;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::ClientConfig;

const DIAL_MS: u64 = 20_000;
const EXCHANGE_MS: u64 = 60_000;
/// Longest text of a problem that is shown.
const TEXT_CHARS_MAX: usize = 400;

/// What is asked.
pub(super) enum Ask {
    /// For what is there.
    Get,
    /// With this body.
    Post(Vec<u8>),
}

/// How the server is trusted that has a CA of this digest.
///
/// # Errors
/// TLS cannot be set up.
pub(super) fn pinned(endpoint: &Endpoint, ca: Digest) -> Result<Arc<ClientConfig>, EnrollError> {
    let config = tls::pinned(Arc::new(Pinned::new(ca)));
    config
        .map(Arc::new)
        .map_err(|error| unreachable_at(endpoint, error))
}

/// Asks, and gives the body of a successful answer.
pub(super) async fn ask(
    endpoint: &Endpoint,
    config: Arc<ClientConfig>,
    what: Ask,
) -> Result<Vec<u8>, EnrollError> {
    let stream = connect(endpoint, config).await?;
    let exchange = exchange(endpoint, stream, what);
    let (status, body) = timeout(Duration::from_millis(EXCHANGE_MS), exchange)
        .await
        .map_err(|_| unreachable_at(endpoint, "the answer took too long"))??;
    if status == StatusCode::OK {
        Ok(body)
    } else {
        Err(refused(status, &body))
    }
}

async fn connect(
    endpoint: &Endpoint,
    config: Arc<ClientConfig>,
) -> Result<TlsStream<TcpStream>, EnrollError> {
    let stream = tls::dial(&endpoint.host, endpoint.port, DIAL_MS)
        .await
        .map_err(|error| unreachable_at(endpoint, error))?;
    let handshake = tls::handshake(config, &endpoint.host, stream);
    timeout(Duration::from_millis(DIAL_MS), handshake)
        .await
        .map_err(|_| unreachable_at(endpoint, "no answer in TLS"))?
        .map_err(|error| EnrollError::Untrusted {
            url: endpoint.to_string(),
            because: tls::because(&error, "fleet", &endpoint.host),
        })
}

async fn exchange(
    endpoint: &Endpoint,
    stream: TlsStream<TcpStream>,
    what: Ask,
) -> Result<(StatusCode, Vec<u8>), EnrollError> {
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
        .await
        .map_err(|error| unreachable_at(endpoint, error))?;
    let (request, body) = match what {
        Ask::Get => (Request::get(&endpoint.path), Vec::new()),
        Ask::Post(body) => (Request::post(&endpoint.path), body),
    };
    let request = request
        .header(header::HOST, &endpoint.authority)
        .header(header::CONTENT_TYPE, "application/cbor")
        .header(header::ACCEPT, "application/cbor, application/problem+json")
        .body(Full::new(Bytes::from(body)))
        .map_err(|error| unreachable_at(endpoint, error))?;
    let answer = async {
        let response = sender.send_request(request).await;
        read(
            endpoint,
            response.map_err(|error| unreachable_at(endpoint, error))?,
        )
        .await
    };
    let mut answer = std::pin::pin!(answer);
    tokio::select! {
        done = &mut answer => done,
        // The connection may end with the last byte of the answer, before that is taken.
        _ = connection => answer.await,
    }
}

async fn read(
    endpoint: &Endpoint,
    response: Response<Incoming>,
) -> Result<(StatusCode, Vec<u8>), EnrollError> {
    let status = response.status();
    let body = Limited::new(response.into_body(), ENROLMENT_BYTES_MAX);
    let body = body
        .collect()
        .await
        .map_err(|error| unreachable_at(endpoint, error))?;
    Ok((status, body.to_bytes().to_vec()))
}

/// Problem details (RFC 9457) with our hint.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Problem {
    title: String,
    detail: String,
    hint: String,
}

fn refused(status: StatusCode, body: &[u8]) -> EnrollError {
    let problem: Problem = serde_json::from_slice(body).unwrap_or_default();
    let words = [
        problem.detail,
        problem.title,
        "it does not say why".to_owned(),
    ];
    let hint = [
        problem.hint,
        "look into the log of `muster serve`".to_owned(),
    ];
    EnrollError::Refused {
        status: status.as_u16(),
        because: first_said(&words),
        hint: first_said(&hint),
    }
}

/// The first text that says something, without what a terminal would obey.
fn first_said(texts: &[String]) -> String {
    let said = texts.iter().find(|text| !text.trim().is_empty());
    let said = said.map_or("", String::as_str);
    said.chars()
        .filter(|c| !c.is_control())
        .take(TEXT_CHARS_MAX)
        .collect()
}

fn unreachable_at(endpoint: &Endpoint, because: impl ToString) -> EnrollError {
    EnrollError::Unreachable {
        url: endpoint.to_string(),
        because: because.to_string(),
    }
}
