//! Asking the agent that runs on this machine, over its unix socket.
//!
//! The client side of [`crate::serve`] for our own commands; never leaves the machine.

use crate::error::Failure;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::{HeaderMap, Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use muster_protocol::cbor;
use serde_json::Value;
use std::path::{Path, PathBuf};
use tokio::net::UnixStream;

/// Largest answer that is read.
const ANSWER_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Length of the JSON in front of binary data (binary tensor data extension).
const JSON_LENGTH: &str = "inference-header-content-length";

/// An open connection to the local agent, opened again when it has ended.
pub struct Local {
    socket: PathBuf,
    sender: Sender,
}

type Sender = hyper::client::conn::http1::SendRequest<Full<Bytes>>;

/// A prediction: JSON, and the outputs that lie behind it.
#[derive(Debug, Clone)]
pub struct Prediction {
    /// Everything but the data.
    pub head: Value,
    /// The outputs one after the other, little endian.
    pub data: Bytes,
}

struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

impl Local {
    /// Connects to the agent of a state folder.
    ///
    /// # Errors
    /// [`Failure::NoAgent`].
    pub async fn connect(state: &Path, socket: &Path) -> Result<Self, Failure> {
        let socket = state.join(socket);
        let sender = dial(&socket).await?;
        Ok(Self { socket, sender })
    }

    /// Asks and reads a JSON answer.
    ///
    /// # Errors
    /// [`Failure::NoAgent`] when the connection breaks; the server's own sentence when it refuses.
    pub async fn ask(
        &mut self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Value, Failure> {
        let bytes = body.map_or(Bytes::new(), |body| Bytes::from(body.to_string()));
        let answer = self.send(method, path, bytes, None).await?;
        let value: Value = serde_json::from_slice(&answer.body).unwrap_or(Value::Null);
        if answer.status == StatusCode::OK {
            return Ok(value);
        }
        Err(refusal(answer.status, &value))
    }

    /// Says something of our own to the agent and reads its answer, both in CBOR.
    ///
    /// # Errors
    /// As [`Self::ask`]; [`Failure::Unavailable`] when the agent is of another version.
    pub async fn tell<T>(&mut self, path: &str, said: Vec<u8>) -> Result<T, Failure>
    where
        T: for<'b> minicbor::Decode<'b, ()>,
    {
        let answer = self.send(Method::POST, path, said.into(), None).await?;
        if answer.status != StatusCode::OK {
            let value = serde_json::from_slice(&answer.body).unwrap_or(Value::Null);
            return Err(refusal(answer.status, &value));
        }
        cbor::decode(&answer.body).map_err(|error| {
            let because = format!("the agent answers in another way: {error}");
            Failure::Unavailable(format!(
                "failed to speak to the agent: because {because}: hint: start the agent of this version"
            ))
        })
    }

    /// Asks for a prediction with binary tensors both ways: `head` in JSON, `data` behind it.
    ///
    /// # Errors
    /// As [`Self::ask`].
    pub async fn infer(
        &mut self,
        path: &str,
        head: &Value,
        data: &[u8],
    ) -> Result<Prediction, Failure> {
        let mut body = head.to_string().into_bytes();
        let json_length = body.len();
        body.extend_from_slice(data);
        let answer = self
            .send(Method::POST, path, body.into(), Some(json_length))
            .await?;
        let length = answer.headers.get(JSON_LENGTH);
        let length = length.and_then(|length| length.to_str().ok()?.parse().ok());
        let length = length.map_or(answer.body.len(), |length: usize| {
            length.min(answer.body.len())
        });
        let (json, data) = (answer.body.slice(..length), answer.body.slice(length..));
        let head: Value = serde_json::from_slice(&json).unwrap_or(Value::Null);
        if answer.status == StatusCode::OK {
            return Ok(Prediction { head, data });
        }
        Err(refusal(answer.status, &head))
    }

    /// A server ends a connection that was idle for long: what fails once goes over a new one.
    async fn send(
        &mut self,
        method: Method,
        path: &str,
        body: Bytes,
        json_length: Option<usize>,
    ) -> Result<Answer, Failure> {
        let request = || {
            let request = Request::builder()
                .method(method.clone())
                .uri(path)
                .header("host", "localhost")
                .header("content-type", "application/json");
            let request = match json_length {
                Some(length) => request.header(JSON_LENGTH, length),
                None => request,
            };
            request.body(Full::new(body.clone()))
        };
        let first = request().map_err(|error| absent(&self.socket, &error))?;
        if let Ok(answer) = exchange(&mut self.sender, first).await {
            return Ok(answer);
        }
        self.sender = dial(&self.socket).await?;
        let again = request().map_err(|error| absent(&self.socket, &error))?;
        exchange(&mut self.sender, again)
            .await
            .map_err(|because| absent(&self.socket, &because))
    }
}

async fn dial(socket: &Path) -> Result<Sender, Failure> {
    let stream = UnixStream::connect(socket)
        .await
        .map_err(|e| absent(socket, &e))?;
    let (sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .map_err(|e| absent(socket, &e))?;
    tokio::spawn(connection);
    Ok(sender)
}

async fn exchange(sender: &mut Sender, request: Request<Full<Bytes>>) -> Result<Answer, String> {
    sender.ready().await.map_err(|error| error.to_string())?;
    let answer = sender.send_request(request).await;
    let answer = answer.map_err(|error| error.to_string())?;
    let (status, headers) = (answer.status(), answer.headers().clone());
    let body = Limited::new(answer.into_body(), ANSWER_BYTES_MAX)
        .collect()
        .await;
    Ok(Answer {
        status,
        headers,
        body: body.map_err(|error| error.to_string())?.to_bytes(),
    })
}

fn refusal(status: StatusCode, answer: &Value) -> Failure {
    let sentence = answer["error"]
        .as_str()
        .map_or_else(|| status.to_string(), str::to_owned);
    match status {
        StatusCode::NOT_FOUND => Failure::Absent(sentence),
        StatusCode::TOO_MANY_REQUESTS
        | StatusCode::SERVICE_UNAVAILABLE
        | StatusCode::REQUEST_TIMEOUT => Failure::Unavailable(sentence),
        _ => Failure::Prediction(sentence),
    }
}

fn absent(socket: &Path, error: &dyn std::fmt::Display) -> Failure {
    Failure::NoAgent {
        socket: socket.display().to_string(),
        because: error.to_string(),
    }
}
