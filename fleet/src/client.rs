//! The CLI's side of the API: one request per connection, over loopback, with the bearer token.
//!
//! Turns problem details into an operator's error and its exit code. Never retries: a command
//! says what failed, and the person decides.

use std::net::SocketAddr;
use std::time::Duration;

use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::{Method, Request, StatusCode, header};
use hyper_util::rt::TokioIo;
use muster_protocol::digest::Digest;
use muster_protocol::limits::LAYER_BYTES_MAX;
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::addresses::Addresses;
use crate::api::{Problem, PublicationBody};
use crate::error::{Exit, OperatorError};
use crate::home::{self, Home};
use crate::publish::Publication;

pub(crate) mod webhook;

/// Longer than the API's own bound on one request.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(150);
const SERVE_HINT: &str = "start `muster serve` in this home, or name a running API with --api";

/// A way to ask the API of one home.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    host: String,
    token: String,
}

struct Reply {
    status: StatusCode,
    body: Bytes,
}

impl Client {
    /// The API at `api`, or the one that `serve` wrote into the home.
    ///
    /// # Errors
    /// No token, a URL that is none, no address of an API.
    pub(crate) fn open(home: &Home, api: Option<&str>) -> Result<Self, OperatorError> {
        let host = match api {
            Some(url) => host_of(url)?,
            None => Addresses::read(home)?.api.to_string(),
        };
        let token = home::read_api_token(home)?;
        Ok(Self { host, token })
    }

    /// Asks for JSON; `what` is what the command wants, for its error.
    ///
    /// # Errors
    /// The API does not answer, or says no.
    pub(crate) async fn get(&self, what: &str, path: &str) -> Result<Value, OperatorError> {
        json(
            what,
            &self.succeed(what, Method::GET, path, Bytes::new()).await?,
        )
    }

    /// Asks for all pages of a list.
    ///
    /// # Errors
    /// As [`Client::get`].
    pub(crate) async fn all(&self, what: &str, path: &str) -> Result<Vec<Value>, OperatorError> {
        let (mut items, mut cursor) = (Vec::new(), String::new());
        let join = if path.contains('?') { '&' } else { '?' };
        loop {
            let mut page = self
                .get(what, &format!("{path}{join}limit=500{cursor}"))
                .await?;
            if let Some(Value::Array(more)) = page.get_mut("items").map(Value::take) {
                items.extend(more);
            }
            match page.get("next").and_then(Value::as_str) {
                Some(next) => cursor = format!("&cursor={}", percent_encoded(next)),
                None => return Ok(items),
            }
        }
    }

    /// The lowest version that new metadata may have: a controller that was restored from a
    /// backup names one, since devices may have seen what it lost.
    ///
    /// # Errors
    /// As [`Client::get`].
    pub(crate) async fn version_floor(&self) -> Result<u64, OperatorError> {
        let restores = self.all("list restores", "/api/v1/restores").await?;
        let floors = restores
            .iter()
            .filter_map(|row| row["version_floor"].as_u64());
        Ok(floors.max().unwrap_or(1))
    }

    /// Sends JSON and takes JSON.
    ///
    /// # Errors
    /// As [`Client::get`].
    pub(crate) async fn post(
        &self,
        what: &str,
        path: &str,
        body: &Value,
    ) -> Result<Value, OperatorError> {
        let body = Bytes::from(body.to_string());
        json(what, &self.succeed(what, Method::POST, path, body).await?)
    }

    /// Sends JSON.
    ///
    /// # Errors
    /// As [`Client::get`].
    pub(crate) async fn put(
        &self,
        what: &str,
        path: &str,
        body: &Value,
    ) -> Result<(), OperatorError> {
        let body = Bytes::from(body.to_string());
        self.succeed(what, Method::PUT, path, body).await.map(drop)
    }

    /// Takes something away.
    ///
    /// # Errors
    /// As [`Client::get`].
    pub(crate) async fn delete(&self, what: &str, path: &str) -> Result<(), OperatorError> {
        self.succeed(what, Method::DELETE, path, Bytes::new())
            .await
            .map(drop)
    }

    /// Whether the controller has a blob.
    ///
    /// # Errors
    /// As [`Client::get`].
    pub(crate) async fn has_blob(&self, digest: &Digest) -> Result<bool, OperatorError> {
        let (what, path) = (format!("ask for the blob {digest}"), blob_path(digest));
        let reply = self
            .exchange(&what, Method::HEAD, &path, Bytes::new())
            .await?;
        match reply.status {
            StatusCode::NOT_FOUND => Ok(false),
            _ => check(&what, reply).map(|_| true),
        }
    }

    /// A blob; none when the controller has none.
    ///
    /// # Errors
    /// As [`Client::get`]; it is not what its digest says.
    pub(crate) async fn blob(&self, digest: &Digest) -> Result<Option<Vec<u8>>, OperatorError> {
        let (what, path) = (format!("fetch the blob {digest}"), blob_path(digest));
        let reply = self
            .exchange(&what, Method::GET, &path, Bytes::new())
            .await?;
        if reply.status == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        let body = check(&what, reply)?;
        if Digest::of(&body) == *digest {
            return Ok(Some(body.to_vec()));
        }
        let hint = "look into the disk of the controller, and restore it from a backup";
        Err(OperatorError::new(
            Exit::Refused,
            what,
            "it is another",
            hint,
        ))
    }

    /// Stores a blob.
    ///
    /// # Errors
    /// As [`Client::get`].
    pub(crate) async fn put_blob(
        &self,
        digest: &Digest,
        bytes: Vec<u8>,
    ) -> Result<(), OperatorError> {
        let what = format!("store the blob {digest}");
        let path = blob_path(digest);
        self.succeed(&what, Method::PUT, &path, bytes.into())
            .await
            .map(drop)
    }

    /// A metadata document, the newest or of one version; none when there is none.
    ///
    /// # Errors
    /// As [`Client::get`].
    pub(crate) async fn metadata(
        &self,
        role: &str,
        version: Option<u64>,
    ) -> Result<Option<Vec<u8>>, OperatorError> {
        let version = version
            .map(|version| format!("?version={version}"))
            .unwrap_or_default();
        let path = format!("/api/v1/metadata/{role}{version}");
        let what = format!("fetch the metadata of {role}");
        let reply = self
            .exchange(&what, Method::GET, &path, Bytes::new())
            .await?;
        match reply.status {
            StatusCode::NOT_FOUND => Ok(None),
            _ => check(&what, reply).map(|body| Some(body.to_vec())),
        }
    }

    /// As [`Client::metadata`], of what every fleet has.
    ///
    /// # Errors
    /// As [`Client::get`]; there is none.
    pub(crate) async fn present_metadata(
        &self,
        what: &str,
        role: &str,
        version: Option<u64>,
    ) -> Result<Vec<u8>, OperatorError> {
        self.metadata(role, version).await?.ok_or_else(|| {
            let because = format!("the controller has no {role}");
            let hint = "name the home and API that `muster init` made";
            OperatorError::new(Exit::Missing, what, because, hint)
        })
    }

    /// Publishes signed metadata: all of it or nothing.
    ///
    /// # Errors
    /// As [`Client::get`].
    pub(crate) async fn publish(&self, publication: &Publication) -> Result<Value, OperatorError> {
        let body = serde_json::to_value(PublicationBody::from(publication))
            .expect("invariant: a publication is plain JSON");
        self.post("publish signed metadata", "/api/v1/publications", &body)
            .await
    }

    async fn succeed(
        &self,
        what: &str,
        method: Method,
        path: &str,
        body: Bytes,
    ) -> Result<Bytes, OperatorError> {
        check(what, self.exchange(what, method, path, body).await?)
    }

    async fn exchange(
        &self,
        what: &str,
        method: Method,
        path: &str,
        body: Bytes,
    ) -> Result<Reply, OperatorError> {
        let unreachable = |because: String| {
            let because = format!("the API at http://{} does not answer: {because}", self.host);
            OperatorError::new(Exit::Unreachable, what, because, SERVE_HINT)
        };
        match timeout(ANSWER_TIMEOUT, self.ask(method, path, body)).await {
            Ok(Ok(reply)) => Ok(reply),
            Ok(Err(because)) => Err(unreachable(because)),
            Err(_) => Err(unreachable("it took too long".to_owned())),
        }
    }

    async fn ask(&self, method: Method, path: &str, body: Bytes) -> Result<Reply, String> {
        let socket = TcpStream::connect(&self.host)
            .await
            .map_err(|error| error.to_string())?;
        let shaken = http1::handshake(TokioIo::new(socket)).await;
        let (mut sender, connection) = shaken.map_err(|error| error.to_string())?;
        let driver = tokio::spawn(connection);
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, &self.host)
            .header(header::AUTHORIZATION, format!("Bearer {}", self.token))
            .body(Full::new(body))
            .map_err(|error| error.to_string())?;
        let reply = sender
            .send_request(request)
            .await
            .map_err(|error| error.to_string())?;
        let status = reply.status();
        let bytes_max = usize::try_from(LAYER_BYTES_MAX).unwrap_or(usize::MAX);
        let body = Limited::new(reply.into_body(), bytes_max).collect().await;
        driver.abort();
        let body = body.map_err(|error| error.to_string())?.to_bytes();
        Ok(Reply { status, body })
    }
}

fn check(what: &str, reply: Reply) -> Result<Bytes, OperatorError> {
    if reply.status.is_success() {
        return Ok(reply.body);
    }
    let exit = exit_of(reply.status);
    let refused = |because: String, hint: &str| OperatorError::new(exit, what, because, hint);
    Err(match serde_json::from_slice::<Problem>(&reply.body) {
        Ok(problem) => refused(problem.detail, &problem.hint),
        Err(_) => refused(
            format!("the answer was {} without a reason", reply.status),
            "check that --api names the API of `muster serve`",
        ),
    })
}

fn exit_of(status: StatusCode) -> Exit {
    match status {
        StatusCode::NOT_FOUND | StatusCode::CONFLICT => Exit::Missing,
        StatusCode::BAD_REQUEST | StatusCode::PAYLOAD_TOO_LARGE => Exit::BadInput,
        StatusCode::REQUEST_TIMEOUT => Exit::Unreachable,
        StatusCode::INSUFFICIENT_STORAGE => Exit::Resource,
        status if status.is_client_error() => Exit::Refused,
        _ => Exit::Bug,
    }
}

fn json(what: &str, body: &Bytes) -> Result<Value, OperatorError> {
    serde_json::from_slice(body).map_err(|error| {
        let because = format!("the answer is not JSON ({error})");
        OperatorError::new(
            Exit::Bug,
            what,
            because,
            "is that address the API of `muster serve`?",
        )
    })
}

fn host_of(url: &str) -> Result<String, OperatorError> {
    let host = url
        .strip_prefix("http://")
        .map(|rest| rest.trim_end_matches('/'));
    let plain = |host: &&str| !host.is_empty() && !host.contains(['/', '@', '?', '#', ' ']);
    let host = host
        .filter(plain)
        .filter(|host| host.contains(':'))
        .ok_or_else(|| {
            let because = "it is not a URL of the form http://127.0.0.1:PORT";
            let hint = "the API listens on loopback; `muster serve` prints its address";
            OperatorError::new(Exit::Usage, format!("use --api {url}"), because, hint)
        })?;
    if !is_loopback(host) {
        let because = "it is not on this machine, and the token of the API would go there in plain";
        let hint = "reach it through ssh -L PORT:127.0.0.1:PORT, and name http://127.0.0.1:PORT";
        let what = format!("use --api {url}");
        return Err(OperatorError::new(Exit::Usage, what, because, hint));
    }
    Ok(host.to_owned())
}

fn is_loopback(host: &str) -> bool {
    match host.strip_prefix("localhost:") {
        Some(port) => port.parse::<u16>().is_ok(),
        None => host
            .parse::<SocketAddr>()
            .is_ok_and(|at| at.ip().is_loopback()),
    }
}

fn blob_path(digest: &Digest) -> String {
    format!("/api/v1/blobs/{digest}")
}

/// Everything but letters, digits and `-._~` as `%XX` (RFC 3986, 2.1).
pub(crate) fn percent_encoded(text: &str) -> String {
    let mut encoded = String::new();
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                encoded.push(char::from(byte));
            }
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_plain_loopback_url_names_an_api() {
        for (url, expect) in [
            ("http://127.0.0.1:8080", Some("127.0.0.1:8080")),
            ("http://localhost:1/", Some("localhost:1")),
            ("http://127.8.0.1:80", Some("127.8.0.1:80")),
            ("http://[::1]:80", Some("[::1]:80")),
            ("http://10.0.0.7:80", None),
            ("http://[2001:db8::1]:80", None),
            ("http://0.0.0.0:80", None),
            ("http://evil.example:80", None),
            ("http://localhost.evil.example:80", None),
            ("http://127.0.0.1.evil.example:80", None),
            ("http://127.0.0.1", None),
            ("https://127.0.0.1:1", None),
            ("127.0.0.1:8080", None),
            ("http://a:1/path", None),
            ("http://u@a:1", None),
        ] {
            assert_eq!(host_of(url).ok().as_deref(), expect, "{url}");
        }
    }

    #[test]
    fn problems_become_errors_with_exit_codes() {
        let body = r#"{"type":"muster:not-found","title":"not found","status":404,
                       "detail":"the device a does not exist","hint":"check the name"}"#;
        for (status, body, exit, text) in [
            (
                StatusCode::NOT_FOUND,
                body,
                Exit::Missing,
                "because the device a does not exist",
            ),
            (
                StatusCode::UNAUTHORIZED,
                "",
                Exit::Refused,
                "because the answer was 401",
            ),
            (
                StatusCode::BAD_GATEWAY,
                "<html>",
                Exit::Bug,
                "because the answer was 502",
            ),
        ] {
            let body = Bytes::from_static(body.as_bytes());
            let error = check("show a", Reply { status, body }).expect_err("a problem");
            assert_eq!(error.exit, exit);
            assert!(error.to_string().contains(text), "{error}");
        }
    }

    #[test]
    fn text_is_encoded_for_a_query() {
        assert_eq!(percent_encoded("a b&c=é~"), "a%20b%26c%3D%C3%A9~");
    }
}
