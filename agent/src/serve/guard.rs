//! Keeps web pages out: a browser on this machine can reach loopback, and DNS rebinding makes it
//! believe that a foreign name is this server.
//!
//! Never authenticates: who can open the connection may ask.

use super::refusal::Refusal;
use axum::http::uri::{Authority, Uri};
use axum::http::{HeaderMap, StatusCode, header};
use std::net::IpAddr;

/// What a listener demands of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Guard {
    /// Host must name loopback and this port, Origin must be loopback if it is there.
    Loopback {
        /// Port of the listener.
        port: u16,
    },
    /// Permissions of the socket file say who may ask.
    Filesystem,
}

/// Whether a request may pass.
pub(super) fn check(guard: Guard, uri: &Uri, headers: &HeaderMap) -> Result<(), Refusal> {
    let Guard::Loopback { port } = guard else {
        return Ok(());
    };
    let mut hosts = headers.get_all(header::HOST).iter();
    let host = match (hosts.next(), hosts.next()) {
        (Some(host), None) => host.to_str().unwrap_or("(not text)"),
        (None, _) | (Some(_), Some(_)) => return Err(not_one_host()),
    };
    let absolute = uri.authority().map(Authority::as_str);
    for name in [Some(host), absolute].into_iter().flatten() {
        if !is_ours(name, port) {
            return Err(foreign("Host", name, &format!("127.0.0.1:{port}")));
        }
    }
    for origin in headers.get_all(header::ORIGIN) {
        let origin = origin.to_str().unwrap_or("(not text)");
        if !is_local_origin(origin) {
            return Err(foreign("Origin", origin, "a loopback address"));
        }
    }
    Ok(())
}

fn is_ours(authority: &str, port: u16) -> bool {
    let Ok(authority) = authority.parse::<Authority>() else {
        return false;
    };
    let same_port = authority.port_u16().unwrap_or(80) == port;
    same_port && is_loopback(&authority)
}

fn is_local_origin(origin: &str) -> bool {
    let rest = origin
        .strip_prefix("http://")
        .or_else(|| origin.strip_prefix("https://"));
    let authority = rest.and_then(|rest| rest.parse::<Authority>().ok());
    authority.is_some_and(|authority| is_loopback(&authority))
}

fn is_loopback(authority: &Authority) -> bool {
    let host = authority.host();
    let address = host.trim_start_matches('[').trim_end_matches(']');
    let by_address = address.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback());
    let no_user = !authority.as_str().contains('@');
    no_user && (by_address || host.eq_ignore_ascii_case("localhost"))
}

fn foreign(header: &str, got: &str, expected: &str) -> Refusal {
    let got: String = got.chars().take(100).collect();
    Refusal::new(
        StatusCode::FORBIDDEN,
        "answer",
        format!("the header {header} says {got:?}, expected {expected}"),
        "programs of this machine only; web pages of other sites are kept out",
    )
}

fn not_one_host() -> Refusal {
    Refusal::new(
        StatusCode::BAD_REQUEST,
        "answer",
        "expected exactly one Host header".into(),
        "speak HTTP/1.1",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    #[test]
    fn only_loopback_names_with_our_port_pass() {
        fn check(host: &str, origin: Option<&str>, expect: Result<(), StatusCode>) {
            let mut headers = HeaderMap::new();
            let value = |text: &str| HeaderValue::from_str(text).expect("visible");
            headers.insert(header::HOST, value(host));
            origin.map(|origin| headers.insert(header::ORIGIN, value(origin)));
            let uri = Uri::from_static("/v2");
            let guard = Guard::Loopback { port: 8090 };
            let got = super::check(guard, &uri, &headers).map_err(|refusal| refusal.status());
            assert_eq!(got, expect, "{host} {origin:?}");
        }
        let no = Err(StatusCode::FORBIDDEN);
        check("127.0.0.1:8090", None, Ok(()));
        check("127.8.8.8:8090", None, Ok(()));
        check("[::1]:8090", None, Ok(()));
        check("LocalHost:8090", None, Ok(()));
        check("localhost", None, no);
        check("localhost:8091", None, no);
        check("evil.example:8090", None, no);
        check("localhost.evil.example:8090", None, no);
        check("localhost@evil.example:8090", None, no);
        check("evil@localhost:8090", None, no);
        check("192.168.0.1:8090", None, no);
        check("", None, no);
        check("localhost:8090", Some("http://localhost:3000"), Ok(()));
        check("localhost:8090", Some("https://[::1]"), Ok(()));
        check("localhost:8090", Some("http://evil.example"), no);
        check("localhost:8090", Some("null"), no);
        check("localhost:8090", Some("file://localhost"), no);
    }

    #[test]
    fn an_absolute_target_is_held_to_the_same_rule() {
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, HeaderValue::from_static("localhost:8090"));
        let guard = Guard::Loopback { port: 8090 };
        let evil = Uri::from_static("http://evil.example:8090/v2");
        assert!(check(guard, &evil, &headers).is_err());
        assert!(check(Guard::Filesystem, &evil, &headers).is_ok());
    }

    #[test]
    fn two_hosts_or_none_are_refused() {
        let guard = Guard::Loopback { port: 8090 };
        let uri = Uri::from_static("/v2");
        let mut headers = HeaderMap::new();
        let status = |headers: &HeaderMap| check(guard, &uri, headers).map_err(|r| r.status());
        assert_eq!(status(&headers), Err(StatusCode::BAD_REQUEST));
        headers.append(header::HOST, HeaderValue::from_static("localhost:8090"));
        assert_eq!(status(&headers), Ok(()));
        headers.append(header::HOST, HeaderValue::from_static("localhost:8090"));
        assert_eq!(status(&headers), Err(StatusCode::BAD_REQUEST));
    }
}
