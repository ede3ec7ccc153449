//! Where something is reached, as people write it: `mqtts://host:port` and `https://host:port`.
//!
//! Never resolves a name, and never keeps what it could not read back.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

const MQTTS_PORT: u16 = 8883;
const HTTPS_PORT: u16 = 443;

/// A broker that speaks MQTT over TLS.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct MqttUrl(Place);

/// An HTTPS server, with the first levels of its paths.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct HttpsUrl {
    place: Place,
    path: String,
}

/// A text that is not of the expected form.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not of the form {scheme}://host:port")]
pub(crate) struct BadUrl {
    scheme: &'static str,
    text: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Place {
    /// A DNS name or an address, without brackets.
    host: String,
    port: u16,
}

impl MqttUrl {
    /// The name or address, without brackets.
    pub(crate) fn host(&self) -> &str {
        &self.0.host
    }

    /// The TCP port.
    pub(crate) fn port(&self) -> u16 {
        self.0.port
    }
}

impl FromStr for MqttUrl {
    type Err = BadUrl;

    fn from_str(text: &str) -> Result<Self, BadUrl> {
        let bad = || bad("mqtts", text);
        let (place, path) = split("mqtts", MQTTS_PORT, text).ok_or_else(bad)?;
        if matches!(path, "" | "/") {
            Ok(Self(place))
        } else {
            Err(bad())
        }
    }
}

impl FromStr for HttpsUrl {
    type Err = BadUrl;

    fn from_str(text: &str) -> Result<Self, BadUrl> {
        let (place, path) = split("https", HTTPS_PORT, text).ok_or_else(|| bad("https", text))?;
        let path = path.trim_end_matches('/').to_owned();
        Ok(Self { place, path })
    }
}

impl fmt::Display for MqttUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "mqtts://{}", self.0)
    }
}

impl fmt::Display for HttpsUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "https://{}{}", self.place, self.path)
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port } = self;
        if host.contains(':') {
            write!(f, "[{host}]:{port}")
        } else {
            write!(f, "{host}:{port}")
        }
    }
}

impl From<MqttUrl> for String {
    fn from(url: MqttUrl) -> Self {
        url.to_string()
    }
}

impl From<HttpsUrl> for String {
    fn from(url: HttpsUrl) -> Self {
        url.to_string()
    }
}

impl TryFrom<String> for MqttUrl {
    type Error = BadUrl;

    fn try_from(text: String) -> Result<Self, BadUrl> {
        text.parse()
    }
}

impl TryFrom<String> for HttpsUrl {
    type Error = BadUrl;

    fn try_from(text: String) -> Result<Self, BadUrl> {
        text.parse()
    }
}

fn bad(scheme: &'static str, text: &str) -> BadUrl {
    let text = text.to_owned();
    BadUrl { scheme, text }
}

/// Host and port, and what follows them.
fn split<'t>(scheme: &str, port: u16, text: &'t str) -> Option<(Place, &'t str)> {
    let rest = text.strip_prefix(scheme)?.strip_prefix("://")?;
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let plain = |text: &str| {
        text.bytes()
            .all(|b| b.is_ascii_graphic() && !b"?#@".contains(&b))
    };
    if !plain(authority) || !plain(path) {
        return None;
    }
    let (host, port) = match authority.strip_prefix('[') {
        Some(bracketed) => {
            let (host, rest) = bracketed.split_once(']')?;
            host.parse::<std::net::Ipv6Addr>().ok()?;
            (host, port_of(rest, port)?)
        }
        None => {
            let (host, rest) = authority.split_at(authority.find(':').unwrap_or(authority.len()));
            (host, port_of(rest, port)?)
        }
    };
    let host = host.to_owned();
    (!host.is_empty()).then_some((Place { host, port }, path))
}

/// The port behind a host: none gives the scheme's own, and 0 is no port.
fn port_of(rest: &str, default: u16) -> Option<u16> {
    if rest.is_empty() {
        return Some(default);
    }
    let port = rest.strip_prefix(':')?.parse().ok()?;
    (port != 0).then_some(port)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broker_is_a_host_and_a_port() {
        let check = |text: &str, expect: Option<&str>| {
            let url = text.parse::<MqttUrl>().ok().map(String::from);
            assert_eq!(url.as_deref(), expect, "{text:?}");
        };
        check(
            "mqtts://broker.example:8884",
            Some("mqtts://broker.example:8884"),
        );
        check(
            "mqtts://broker.example",
            Some("mqtts://broker.example:8883"),
        );
        check("mqtts://10.0.0.7:1/", Some("mqtts://10.0.0.7:1"));
        check("mqtts://[::1]:1", Some("mqtts://[::1]:1"));
        check("mqtts://[::1]", Some("mqtts://[::1]:8883"));
        for text in [
            "",
            "mqtts://",
            "mqtts://:1",
            "mqtts://a:0",
            "mqtts://a:65536",
            "mqtts://a:",
            "mqtts://a:b",
            "mqtts://a:1:2",
            "mqtts://::1",
            "mqtts://[::1",
            "mqtts://[a]:1",
            "mqtts://a/b",
            "mqtts://a?b",
            "mqtts://user@a",
            "mqtts://a b",
            "mqtt://a:1883",
            "MQTTS://a",
            "https://a",
            "a:8883",
        ] {
            check(text, None);
        }
    }

    #[test]
    fn enrolment_may_lie_under_a_path() {
        let check = |text: &str, expect: Option<&str>| {
            let url = text.parse::<HttpsUrl>().ok().map(String::from);
            assert_eq!(url.as_deref(), expect, "{text:?}");
        };
        check("https://fleet.example", Some("https://fleet.example:443"));
        check(
            "https://fleet.example:1/a/",
            Some("https://fleet.example:1/a"),
        );
        check("http://fleet.example", None);
        check("https://fleet.example/a?b", None);
        check("https://fleet.example:0", None);
    }
}
