//! The server on real sockets, with models that are tasks of the test.
//!
//! Never a real model: what is under test is the protocol and the routing.

mod endpoints;
mod feedback;
mod listening;
mod predictions;
mod refusals;
mod sticks;
mod swaps;

use super::backend::{Answer, Failure, Job, Readiness, Route};
use super::*;
use crate::tensor::{Datatype, Dim, Signature, Tensor, TensorSpec};
use axum::http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use muster_protocol::digest::Digest;
use muster_protocol::id::ModelId;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

type Client = SendRequest<Full<Bytes>>;

fn model(id: &str) -> ModelId {
    ModelId::parse(id).expect("valid")
}

fn spec(name: &str, datatype: Datatype, shape: &[Dim]) -> TensorSpec {
    TensorSpec {
        name: name.into(),
        datatype,
        shape: shape.to_vec(),
    }
}

/// A route whose task answers each job by `answer`, and ends when the route is gone.
fn route(
    version: &str,
    signature: Signature,
    mut answer: impl FnMut(Vec<Tensor>) -> Result<Vec<Tensor>, Failure> + Send + 'static,
) -> (Route, JoinHandle<usize>) {
    let (requests, mut jobs) = mpsc::channel::<Job>(4);
    let served_by = version.to_owned();
    let task = tokio::spawn(async move {
        let mut served = 0;
        while let Some(job) = jobs.recv().await {
            served += 1;
            let answer = answer(job.inputs).map(|outputs| Answer {
                outputs,
                version: served_by.clone(),
            });
            let _ = job.reply.send(answer);
        }
        served
    });
    let route = Route {
        version: version.into(),
        bundle: Digest::of(version.as_bytes()),
        signature: Arc::new(signature),
        columns: Arc::new([("x".to_owned(), vec!["a".to_owned(), "b".to_owned()])].into()),
        predictions: Arc::default(),
        requests,
        readiness: Readiness::Ready,
    };
    (route, task)
}

/// x FP32 [-1, 2] becomes y = factor * x; `sum` adds all up.
fn scaler(version: &str, factor: f32) -> (Route, JoinHandle<usize>) {
    let signature = Signature {
        inputs: vec![spec("x", Datatype::F32, &[Dim::Any, Dim::Fixed(2)])],
        outputs: vec![
            spec("y", Datatype::F32, &[Dim::Any, Dim::Fixed(2)]),
            spec("sum", Datatype::F64, &[]),
        ],
    };
    route(version, signature, move |inputs| {
        let x = &inputs[0];
        let values: Vec<f32> = x.to_f32().map(|value| factor * value).collect();
        let sum: f64 = values.iter().copied().map(f64::from).sum();
        let y = Tensor::from_f32("y", x.shape().to_vec(), &values);
        let sum = Tensor::new("sum", Datatype::F64, vec![], sum.to_le_bytes().to_vec());
        Ok(vec![sum.expect("valid"), y.expect("valid")])
    })
}

/// Gives back what it gets, one input `v` of any length.
fn echo(datatype: Datatype) -> Route {
    let signature = Signature {
        inputs: vec![spec("v", datatype, &[Dim::Any])],
        outputs: vec![spec("v", datatype, &[Dim::Any])],
    };
    route("1.0.0", signature, Ok).0
}

fn on_loopback() -> ServeConfig {
    ServeConfig {
        http: Some("127.0.0.1:0".parse().expect("valid")),
        body_bytes_max: 4096,
        ..ServeConfig::default()
    }
}

fn no_status() -> Status {
    Arc::new(|| serde_json::json!({ "device": "press-07" }))
}

fn no_sticks() -> Sticks {
    mpsc::channel(1).0
}

async fn start_with(routes: &Routes) -> Server {
    start(on_loopback(), routes.clone(), no_status(), no_sticks())
        .await
        .expect("listens")
}

async fn start_scaler() -> Server {
    let routes = Routes::new();
    routes.set(model("scaler"), scaler("1.0.0", 2.0).0);
    start_with(&routes).await
}

async fn client_over(io: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) -> Client {
    let (client, connection) = handshake(TokioIo::new(io)).await.expect("handshake");
    tokio::spawn(connection);
    client
}

async fn client(server: &Server) -> Client {
    let address = server.local_addr().expect("on TCP");
    client_over(TcpStream::connect(address).await.expect("connects")).await
}

/// A request for `method path`, with the right Host unless `headers` says another.
fn request(
    server: &Server,
    line: &str,
    headers: &[(&str, &str)],
    body: impl Into<Bytes>,
) -> Request<Full<Bytes>> {
    let (method, path) = line.split_once(' ').expect("method and path");
    let mut request = Request::builder().method(method).uri(path);
    if !headers.iter().any(|(name, _)| *name == "host") {
        let address = server.local_addr().map(|address| address.to_string());
        request = request.header("host", address.unwrap_or("unix".into()));
    }
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(Full::new(body.into())).expect("valid")
}

async fn send(client: &mut Client, request: Request<Full<Bytes>>) -> Response<Bytes> {
    client.ready().await.expect("open");
    let response = client.send_request(request).await.expect("answered");
    let (head, body) = response.into_parts();
    let body = body.collect().await.expect("whole").to_bytes();
    Response::from_parts(head, body)
}

/// Sends one request over a new connection; "STATUS BODY".
async fn ask(
    server: &Server,
    line: &str,
    headers: &[(&str, &str)],
    body: impl Into<Bytes>,
) -> String {
    let request = request(server, line, headers, body);
    let response = send(&mut client(server).await, request).await;
    let status = response.status().as_u16();
    format!("{status} {}", String::from_utf8_lossy(response.body()))
}
