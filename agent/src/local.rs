//! Asking the agent that runs on this machine, over its unix socket.
//!
//! The client side of [`crate::serve`] for our own commands; never leaves the machine.

use crate::error::Failure;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use std::path::{Path, PathBuf};
use tokio::net::UnixStream;

/// Largest answer that is read.
const ANSWER_BYTES_MAX: usize = 64 * 1024 * 1024;

/// An open connection to the local agent.
pub struct Local {
    socket: PathBuf,
    sender: hyper::client::conn::http1::SendRequest<Full<Bytes>>,
}

impl Local {
    /// Connects to the agent of a state folder.
    ///
    /// # Errors
    /// [`Failure::NoAgent`].
    pub async fn connect(state: &Path, socket: &Path) -> Result<Self, Failure> {
        let socket = state.join(socket);
        let stream = UnixStream::connect(&socket)
            .await
            .map_err(|e| absent(&socket, &e))?;
        let (sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|e| absent(&socket, &e))?;
        tokio::spawn(connection);
        Ok(Self { socket, sender })
    }

    /// Asks and reads a JSON answer.
    ///
    /// # Errors
    /// [`Failure::NoAgent`] when the connection breaks; [`Failure::Prediction`] with the server's
    /// own sentence when it refuses.
    pub async fn ask(
        &mut self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Value, Failure> {
        let bytes = body.map_or(Bytes::new(), |body| Bytes::from(body.to_string()));
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", "localhost")
            .header("content-type", "application/json")
            .body(Full::new(bytes))
            .map_err(|e| absent(&self.socket, &e))?;
        let answer = self
            .sender
            .send_request(request)
            .await
            .map_err(|e| absent(&self.socket, &e))?;
        let status = answer.status();
        let body = Limited::new(answer.into_body(), ANSWER_BYTES_MAX);
        let body = body
            .collect()
            .await
            .map_err(|e| absent(&self.socket, &e))?
            .to_bytes();
        let value: Value = serde_json::from_slice(&body).unwrap_or(Value::Null);
        if status == StatusCode::OK {
            return Ok(value);
        }
        let sentence = value["error"]
            .as_str()
            .map_or_else(|| status.to_string(), str::to_owned);
        Err(Failure::Prediction(sentence))
    }
}

fn absent(socket: &Path, error: &dyn std::fmt::Display) -> Failure {
    Failure::NoAgent {
        socket: socket.display().to_string(),
        because: error.to_string(),
    }
}
