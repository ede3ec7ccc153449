//! Where the fleet is: the enrolment endpoint, the broker, the first levels of topics.
//!
//! Never resolves a name.

use hyper::Uri;
use muster_protocol::limits::TOPIC_BYTES_MAX;
use std::fmt;

/// With a longer prefix the topic of the longest device id would not fit.
const PREFIX_BYTES_MAX: usize = 32;
const PREFIX_LEVELS_MAX: usize = 2;
const HTTPS_PORT: u16 = 443;
const MQTTS_PORT: u16 = 8883;

/// A broker that speaks MQTT over TLS; written `mqtts://host:port`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broker {
    /// A DNS name or an address, without brackets.
    pub host: String,
    /// TCP port.
    pub port: u16,
}

/// The HTTPS listener that a token names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Endpoint {
    pub(super) host: String,
    pub(super) port: u16,
    /// What the `Host` header says.
    pub(super) authority: String,
    /// Path of the request.
    pub(super) path: String,
}

/// The first levels of all topics, such as `muster/v1`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicPrefix(String);

/// An address that is not of the expected form.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not of the form {scheme}://host:port")]
pub struct BadAddress {
    scheme: &'static str,
    text: String,
}

/// A text that cannot be the prefix of topics.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a topic prefix: one or two plain levels, at most 32 bytes")]
pub struct BadPrefix(String);

impl Broker {
    /// Reads `mqtts://host[:port]`.
    ///
    /// # Errors
    /// Another scheme, no host, or anything behind the port.
    pub fn parse(text: &str) -> Result<Self, BadAddress> {
        let (uri, host) = split("mqtts", text)?;
        if !matches!(uri.path(), "" | "/") || uri.query().is_some() {
            return Err(bad("mqtts", text));
        }
        let port = port(&uri, MQTTS_PORT).ok_or_else(|| bad("mqtts", text))?;
        Ok(Self { host, port })
    }
}

impl fmt::Display for Broker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "mqtts://[{}]:{}", self.host, self.port)
        } else {
            write!(f, "mqtts://{}:{}", self.host, self.port)
        }
    }
}

impl Endpoint {
    /// Where a token leads.
    pub(super) fn parse(text: &str) -> Result<Self, BadAddress> {
        Self::of(text, "enroll")
    }

    /// Where certificates are renewed.
    pub(super) fn renewal(text: &str) -> Result<Self, BadAddress> {
        Self::of(text, "renew")
    }

    fn of(text: &str, last: &str) -> Result<Self, BadAddress> {
        let (uri, host) = split("https", text)?;
        if uri.query().is_some() {
            return Err(bad("https", text));
        }
        Ok(Self {
            host,
            port: port(&uri, HTTPS_PORT).ok_or_else(|| bad("https", text))?,
            authority: uri
                .authority()
                .map_or_else(String::new, ToString::to_string),
            path: format!("{}/{last}", uri.path().trim_end_matches('/')),
        })
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "https://{}{}", self.authority, self.path)
    }
}

impl TopicPrefix {
    /// Reads a prefix.
    ///
    /// # Errors
    /// Wildcards, empty levels, or too long.
    pub fn parse(text: &str) -> Result<Self, BadPrefix> {
        const { assert!(PREFIX_BYTES_MAX + 1 + 63 + 17 < TOPIC_BYTES_MAX) };
        let plain = !text.starts_with('$') && !text.contains(['+', '#', '\0']);
        let levels = text.split('/').count() <= PREFIX_LEVELS_MAX
            && text.split('/').all(|level| !level.is_empty());
        if plain && levels && text.len() <= PREFIX_BYTES_MAX {
            Ok(Self(text.to_owned()))
        } else {
            Err(BadPrefix(text.chars().take(2 * PREFIX_BYTES_MAX).collect()))
        }
    }

    /// The prefix as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn split(scheme: &'static str, text: &str) -> Result<(Uri, String), BadAddress> {
    let uri: Uri = text.parse().map_err(|_| bad(scheme, text))?;
    let user = uri.authority().is_some_and(|it| it.as_str().contains('@'));
    match uri.host() {
        Some(host) if uri.scheme_str() == Some(scheme) && !user && !host.is_empty() => {
            let host = host
                .trim_start_matches('[')
                .trim_end_matches(']')
                .to_owned();
            Ok((uri, host))
        }
        _ => Err(bad(scheme, text)),
    }
}

/// The port that is written, or the usual one when none is. `None` for one that is no port.
fn port(uri: &Uri, usual: u16) -> Option<u16> {
    let authority = uri.authority()?;
    match authority.port_u16() {
        Some(port) => Some(port),
        None => (authority.as_str() == authority.host()).then_some(usual),
    }
}

fn bad(scheme: &'static str, text: &str) -> BadAddress {
    let text = text.chars().take(200).collect();
    BadAddress { scheme, text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brokers_are_mqtts_with_host_and_port() {
        let check = |text: &str, expect: Option<(&str, u16)>| {
            let found = Broker::parse(text).ok();
            let found = found
                .as_ref()
                .map(|broker| (broker.host.as_str(), broker.port));
            assert_eq!(found, expect, "{text}");
        };
        check(
            "mqtts://broker.example:1883",
            Some(("broker.example", 1883)),
        );
        check("mqtts://broker.example", Some(("broker.example", 8883)));
        check("mqtts://[::1]:8883/", Some(("::1", 8883)));
        check("mqtts://[2001:db8::1]", Some(("2001:db8::1", 8883)));
        check("mqtts://192.0.2.1:65535", Some(("192.0.2.1", 65535)));
        check("mqtts://broker.example:65536", None);
        check("mqtts://broker.example:", None);
        check("mqtts://broker.example:1x", None);
        check("mqtt://broker.example:1883", None);
        check("mqtts://user@broker.example", None);
        check("mqtts://broker.example/path", None);
        check("mqtts://", None);
        check("broker.example:8883", None);
        check("", None);
        let broker = Broker::parse("mqtts://[::1]:8883").expect("valid");
        assert_eq!(Broker::parse(&broker.to_string()), Ok(broker));
    }

    #[test]
    fn endpoints_are_https_and_keep_their_path() {
        let check = |text: &str, expect: Option<&str>| {
            let found = Endpoint::parse(text)
                .ok()
                .map(|endpoint| endpoint.to_string());
            assert_eq!(found.as_deref(), expect, "{text}");
        };
        check("https://fleet:8443", Some("https://fleet:8443/enroll"));
        check("https://fleet/site/", Some("https://fleet/site/enroll"));
        check("http://fleet:8443", None);
        check("https://fleet?x", None);
    }

    #[test]
    fn prefixes_are_plain_levels() {
        let check = |text: &str, expect: bool| {
            assert_eq!(TopicPrefix::parse(text).is_ok(), expect, "{text:?}");
        };
        check("muster/v1", true);
        check("m", true);
        for text in ["", "/", "a/", "a/b/c", "a/+", "#", "$SYS", "a\0"] {
            check(text, false);
        }
        check(&"x".repeat(32), true);
        check(&"x".repeat(33), false);
    }
}
