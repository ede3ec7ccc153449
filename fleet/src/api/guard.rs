//! Who may ask: programs of this machine that hold the token, not pages in a browser.
//!
//! Judges headers only, before a body is read. A rebound host name or a foreign origin is refused
//! even with the right token.

use std::net::IpAddr;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use muster_protocol::digest::Digest;

use super::error::ApiError;

/// What a request is judged by.
#[derive(Debug, Clone, Copy)]
pub(super) struct Guard {
    /// sha256 of the bearer token.
    pub(super) token: Digest,
    /// The port of the API.
    pub(super) port: u16,
}

/// Lets a request pass, or answers it.
pub(super) async fn check(State(guard): State<Guard>, request: Request, next: Next) -> Response {
    match guard.judge(request.headers()) {
        Ok(()) => next.run(request).await,
        Err(error) => error.into_response(),
    }
}

/// As [`check`], without the token.
pub(super) async fn check_place(
    State(guard): State<Guard>,
    request: Request,
    next: Next,
) -> Response {
    match guard.judge_place(request.headers()) {
        Ok(()) => next.run(request).await,
        Err(error) => error.into_response(),
    }
}

impl Guard {
    fn judge(&self, headers: &HeaderMap) -> Result<(), ApiError> {
        self.judge_place(headers)?;
        let token = text(headers, &header::AUTHORIZATION);
        match token.and_then(|value| value.strip_prefix("Bearer ")) {
            Some(token) if self.is_token(token) => Ok(()),
            _ => Err(ApiError::Unauthorized),
        }
    }

    /// Whether a request was meant for this listener, whoever sends it.
    pub(super) fn judge_place(&self, headers: &HeaderMap) -> Result<(), ApiError> {
        if !text(headers, &header::HOST).is_some_and(|host| self.is_ours(host)) {
            return Err(ApiError::WrongHost);
        }
        if !text(headers, &header::ORIGIN).is_none_or(|origin| self.is_own_origin(origin)) {
            return Err(ApiError::CrossOrigin);
        }
        Ok(())
    }

    /// Whether a form was sent by a page of ours: browsers name the origin of every form.
    pub(super) fn judge_form(&self, headers: &HeaderMap) -> Result<(), ApiError> {
        self.judge_place(headers)?;
        match headers.contains_key(header::ORIGIN) {
            true => Ok(()),
            false => Err(ApiError::CrossOrigin),
        }
    }

    /// Whether this is the token. Digests are compared: the time that takes says nothing about it.
    pub(super) fn is_token(&self, token: &str) -> bool {
        Digest::of(token.trim().as_bytes()) == self.token
    }

    fn is_own_origin(&self, origin: &str) -> bool {
        origin
            .strip_prefix("http://")
            .is_some_and(|host| self.is_ours(host))
    }

    /// Whether `host:port` is a loopback name or address with the right port.
    fn is_ours(&self, host: &str) -> bool {
        let (name, port) = match host.rsplit_once(':') {
            Some((name, port)) if !port.ends_with(']') => (name, port.parse().ok()),
            _ => (host, Some(80)),
        };
        let address = name.trim_start_matches('[').trim_end_matches(']');
        let loopback = address
            .parse::<IpAddr>()
            .is_ok_and(|address| address.is_loopback());
        port == Some(self.port) && (loopback || name.eq_ignore_ascii_case("localhost"))
    }
}

/// A header as text; one that is none is empty.
fn text<'h>(headers: &'h HeaderMap, name: &header::HeaderName) -> Option<&'h str> {
    headers.get(name).map(|value| value.to_str().unwrap_or(""))
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    const TOKEN: &str = "Bearer secret";

    fn check(headers: &[(header::HeaderName, &str)], expect: Result<(), ApiError>) {
        let headers: HeaderMap = headers
            .iter()
            .map(|(name, value)| (name.clone(), HeaderValue::from_str(value).expect("a value")))
            .collect();
        let guard = Guard {
            token: Digest::of(b"secret"),
            port: 8080,
        };
        assert_eq!(guard.judge(&headers), expect, "{headers:?}");
    }

    #[test]
    fn only_a_local_program_with_the_token_passes() {
        use header::{AUTHORIZATION as AUTH, HOST, ORIGIN};
        for host in [
            "127.0.0.1:8080",
            "localhost:8080",
            "LOCALHOST:8080",
            "[::1]:8080",
        ] {
            check(&[(HOST, host), (AUTH, TOKEN)], Ok(()));
        }
        let hosts = [
            "127.0.0.1",
            "127.0.0.1:8081",
            "evil.example:8080",
            "localhost.evil:8080",
        ];
        for host in hosts
            .into_iter()
            .chain(["", ":8080", "[::1]", "10.0.0.1:8080"])
        {
            check(&[(HOST, host), (AUTH, TOKEN)], Err(ApiError::WrongHost));
        }
        check(&[(AUTH, TOKEN)], Err(ApiError::WrongHost));
        let host = (HOST, "127.0.0.1:8080");
        let same = (ORIGIN, "http://127.0.0.1:8080");
        check(&[host.clone(), same, (AUTH, TOKEN)], Ok(()));
        for origin in ["http://evil.example", "https://127.0.0.1:8080", "null", ""] {
            let headers = [host.clone(), (ORIGIN, origin), (AUTH, TOKEN)];
            check(&headers, Err(ApiError::CrossOrigin));
        }
        check(std::slice::from_ref(&host), Err(ApiError::Unauthorized));
        for token in ["Bearer secreT", "Bearer ", "secret", "Basic secret", ""] {
            check(&[host.clone(), (AUTH, token)], Err(ApiError::Unauthorized));
        }
    }
}
