//! An HTTPS server with one path, `/enroll`, that answers as a test tells it.
//!
//! Remembers the keys that it was shown.

use crate::tls::sample::Ca;
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use muster_protocol::cbor;
use muster_protocol::cose::{self, KeySet};
use muster_protocol::key::PublicKey;
use muster_protocol::message::enrolment::{EnrolmentReply, EnrolmentRequest};
use rcgen::{Certificate, CertificateSigningRequestParams, PublicKeyData as _};
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::PrivateKeyDer;
use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::{TlsAcceptor, rustls};

pub(super) const ROOT: &[u8] = br#"{"signed": {"_type": "root"}}"#;

/// How a test answers the body of a request.
type Answers = fn(&Ca, &[u8]) -> Answer;
/// The document key and the TLS key of a request.
type Seen = Arc<Mutex<Vec<(PublicKey, Vec<u8>)>>>;

pub(super) struct Fleet {
    pub(super) ca: Arc<Ca>,
    port: u16,
    seen: Seen,
    task: JoinHandle<()>,
}

pub(super) struct Answer {
    status: u16,
    kind: &'static str,
    body: Vec<u8>,
}

impl Fleet {
    pub(super) async fn start(ca: Ca, answers: Answers) -> Self {
        let shown = ca.certificate.der().clone();
        Self::serve(ca, shown, answers).await
    }

    /// Shows the CA certificate of another fleet under a certificate of its own CA.
    pub(super) async fn impersonate(of: &Certificate, answers: Answers) -> Self {
        Self::serve(Ca::new(), of.der().clone(), answers).await
    }

    pub(super) fn url(&self) -> String {
        format!("https://localhost:{}", self.port)
    }

    pub(super) fn seen(&self) -> Vec<(PublicKey, Vec<u8>)> {
        self.seen.lock().expect("whole").clone()
    }

    async fn serve(
        ca: Ca,
        shown: rustls::pki_types::CertificateDer<'static>,
        answers: Answers,
    ) -> Self {
        let server = ca.server((2020, 2021));
        let key = PrivateKeyDer::try_from(server.key.serialize_der()).expect("a key");
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(vec![server.certificate.der().clone(), shown], key)
            .expect("a certificate");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("bound").port();
        let (ca, seen) = (Arc::new(ca), Seen::default());
        let (own, acceptor) = (Arc::clone(&ca), TlsAcceptor::from(Arc::new(config)));
        let remember = Arc::clone(&seen);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                one(stream, &acceptor, &own, answers, &remember).await;
            }
        });
        Self {
            ca,
            port,
            seen,
            task,
        }
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn one(stream: TcpStream, acceptor: &TlsAcceptor, ca: &Ca, answers: Answers, seen: &Seen) {
    let Ok(stream) = acceptor.accept(stream).await else {
        return;
    };
    let service = service_fn(async |request: Request<Incoming>| {
        assert_eq!(
            (request.method().as_str(), request.uri().path()),
            ("POST", "/enroll")
        );
        assert_eq!(request.headers()["content-type"], "application/cbor");
        let body = request
            .into_body()
            .collect()
            .await
            .expect("a body")
            .to_bytes();
        seen.lock().expect("whole").push(keys(&body));
        let Answer { status, kind, body } = answers(ca, &body);
        let response = Response::builder()
            .status(status)
            .header("content-type", kind);
        let body = Full::new(Bytes::from(body));
        Ok::<_, Infallible>(response.body(body).expect("a response"))
    });
    // A client that goes away early is the test's business.
    let _ = http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

/// What an honest fleet answers.
pub(super) fn issue(ca: &Ca, request: &[u8]) -> Answer {
    Answer::of(ca, request, |_| ())
}

/// A certificate with this name for the key in a request.
pub(super) fn certify(ca: &Ca, request: &[u8], name: &str) -> String {
    let key = read(request, |request| csr(request).public_key);
    ca.certify(name, &key).pem()
}

impl Answer {
    /// An honest answer with a change.
    pub(super) fn of(ca: &Ca, request: &[u8], change: impl Fn(&mut EnrolmentReply<'_>)) -> Self {
        let name = read(request, |request| request.device.to_string());
        let (chain, anchor) = (certify(ca, request, &name), ca.certificate.pem());
        let mut reply = EnrolmentReply {
            certificate_chain: &chain,
            ca_certificate: &anchor,
            root: ROOT,
            broker: "mqtts://broker.example:8883",
            topic_prefix: "muster/v1",
        };
        change(&mut reply);
        Self::cbor(cbor::to_vec(&reply))
    }

    pub(super) fn cbor(body: Vec<u8>) -> Self {
        let (status, kind) = (200, "application/cbor");
        Self { status, kind, body }
    }

    pub(super) fn problem(status: u16, body: &str) -> Self {
        let (kind, body) = ("application/problem+json", body.as_bytes().to_vec());
        Self { status, kind, body }
    }
}

fn keys(request: &[u8]) -> (PublicKey, Vec<u8>) {
    read(request, |request| {
        let key = csr(request).public_key.der_bytes().to_vec();
        (request.document_key, key)
    })
}

fn csr(request: &EnrolmentRequest<'_>) -> CertificateSigningRequestParams {
    CertificateSigningRequestParams::from_der(&request.certificate_request.into())
        .expect("signed by its own key")
}

/// Opens a request that is signed by the document key in it.
fn read<T>(request: &[u8], what: impl Fn(&EnrolmentRequest<'_>) -> T) -> T {
    let claimed: EnrolmentRequest<'_> = cose::peek(request).expect("a document");
    let mut scratch = vec![0; cose::scratch_len(request.len())];
    let keys = [claimed.document_key];
    let keys = KeySet {
        keys: &keys,
        threshold: 1,
    };
    what(&cose::open(request, keys, &mut scratch).expect("signed by its key"))
}
