//! Whom alerts go to: `[[webhooks]]`, and who may read the metrics.
//!
//! Never holds a secret: it names the file of one.

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::str::FromStr;

use muster_fleet::incident::{Kind, Listener, Listens};
use serde::{Deserialize, Serialize};

/// Webhooks of one controller.
const WEBHOOKS_MAX: usize = 64;
const HTTPS_PORT: u16 = 443;
const HTTP_PORT: u16 = 80;
/// Longest URL, bytes.
const URL_BYTES_MAX: usize = 2000;

/// One of `[[webhooks]]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Webhook {
    /// How rules and commands name it.
    pub(crate) name: String,
    /// Where alerts are posted.
    pub(crate) url: WebhookUrl,
    /// The file with its secret, `whsec_…`, mode 0600; a relative path begins at the home.
    pub(crate) secret_file: PathBuf,
    /// Only of these causes; of all that the rules send it when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) causes: Option<Vec<Kind>>,
}

/// Who may read `GET /metrics`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum MetricsAccess {
    /// Who has the token of the API.
    #[default]
    Token,
    /// Every program of this machine.
    Open,
}

/// Where alerts are posted: `https://…`, or `http://…` on this machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct WebhookUrl {
    text: String,
    /// Whether TLS is spoken.
    pub(crate) scheme: Scheme,
    /// The name or address, without brackets.
    pub(crate) host: String,
    /// The TCP port.
    pub(crate) port: u16,
    /// What is asked for there, with its query.
    pub(crate) path: String,
}

/// How it is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scheme {
    /// Over TLS.
    Https,
    /// In plain: only on this machine.
    Http,
}

/// A text that is no URL of a webhook.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected https://host/path, or http://127.0.0.1:port/path on this machine: {0}")]
pub(crate) struct BadWebhookUrl(&'static str);

/// What is wrong with the list, and what to write.
pub(super) fn check(webhooks: &[Webhook]) -> Result<(), (String, &'static str)> {
    if webhooks.len() > WEBHOOKS_MAX {
        let because = format!("there are {} webhooks", webhooks.len());
        return Err((because, "name up to 64; one of them may tell others"));
    }
    for (at, webhook) in webhooks.iter().enumerate() {
        let name = &webhook.name;
        if !muster_fleet::selector::is_word(name) {
            let because = format!("webhooks: {name:?} is no name");
            return Err((because, "write letters, digits and - _ . / :, up to 63"));
        }
        if webhooks[..at].iter().any(|other| other.name == *name) {
            let because = format!("webhooks: {name:?} stands there twice");
            return Err((because, "give each its own name"));
        }
        if webhook.causes.as_ref().is_some_and(Vec::is_empty) {
            let because = format!("webhooks: {name:?} listens to no cause");
            return Err((because, "name some, or leave causes out for all"));
        }
    }
    Ok(())
}

impl Webhook {
    /// Whom rules may name.
    pub(crate) fn listener(&self) -> Listener {
        Listener {
            name: self.name.clone(),
            to: match &self.causes {
                Some(causes) => Listens::Only(causes.clone()),
                None => Listens::All,
            },
        }
    }
}

impl MetricsAccess {
    pub(super) fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

impl WebhookUrl {
    /// The header `Host`.
    pub(crate) fn authority(&self) -> String {
        let default = match self.scheme {
            Scheme::Https => HTTPS_PORT,
            Scheme::Http => HTTP_PORT,
        };
        let host = match self.host.contains(':') {
            true => format!("[{}]", self.host),
            false => self.host.clone(),
        };
        match self.port == default {
            true => host,
            false => format!("{host}:{}", self.port),
        }
    }
}

impl FromStr for WebhookUrl {
    type Err = BadWebhookUrl;

    fn from_str(text: &str) -> Result<Self, BadWebhookUrl> {
        let plain = |byte: u8| byte.is_ascii_graphic() && !b"#\\\"<>^`{|}".contains(&byte);
        if text.len() > URL_BYTES_MAX || !text.bytes().all(plain) {
            return Err(BadWebhookUrl("it holds what no such URL holds"));
        }
        let (scheme, rest) = match (text.strip_prefix("https://"), text.strip_prefix("http://")) {
            (Some(rest), _) => (Scheme::Https, rest),
            (None, Some(rest)) => (Scheme::Http, rest),
            (None, None) => return Err(BadWebhookUrl("it begins with neither")),
        };
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        let default = match scheme {
            Scheme::Https => HTTPS_PORT,
            Scheme::Http => HTTP_PORT,
        };
        let (host, port) = place(authority, default).ok_or(BadWebhookUrl("it names no host"))?;
        if scheme == Scheme::Http && !is_loopback(&host) {
            return Err(BadWebhookUrl("in plain, others could read and change it"));
        }
        let path = match path.starts_with('/') {
            true => path.to_owned(),
            false => format!("/{path}"),
        };
        let text = text.to_owned();
        Ok(Self {
            text,
            scheme,
            host,
            port,
            path,
        })
    }
}

/// Host, without brackets, and port; none with a user or without a host.
fn place(authority: &str, default: u16) -> Option<(String, u16)> {
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => {
            let (host, port) = rest.split_once(']')?;
            host.parse::<std::net::Ipv6Addr>().ok()?;
            (
                host,
                port.strip_prefix(':').or(port.is_empty().then_some(""))?,
            )
        }
        None => authority.split_once(':').unwrap_or((authority, "")),
    };
    let port = match port {
        "" => default,
        port => port.parse().ok().filter(|port| *port > 0)?,
    };
    let is_host = !host.is_empty() && !host.contains(['@', ',']);
    is_host.then(|| (host.to_owned(), port))
}

fn is_loopback(host: &str) -> bool {
    let address = host.parse::<IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

impl fmt::Display for WebhookUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl TryFrom<String> for WebhookUrl {
    type Error = BadWebhookUrl;

    fn try_from(text: String) -> Result<Self, BadWebhookUrl> {
        text.parse()
    }
}

impl From<WebhookUrl> for String {
    fn from(url: WebhookUrl) -> Self {
        url.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alerts_go_over_tls_or_stay_on_this_machine() {
        let check = |text: &str, expect: Option<(&str, u16, &str)>| {
            let url = text.parse::<WebhookUrl>().ok();
            let found = url
                .as_ref()
                .map(|url| (url.host.as_str(), url.port, url.path.as_str()));
            assert_eq!(found, expect, "{text}");
        };
        check(
            "https://a.example/x?y=1",
            Some(("a.example", 443, "/x?y=1")),
        );
        check("https://a.example", Some(("a.example", 443, "/")));
        check("https://a.example?y", Some(("a.example", 443, "/?y")));
        check(
            "https://[2001:db8::1]:8443/x",
            Some(("2001:db8::1", 8443, "/x")),
        );
        check("http://127.0.0.1:9/x", Some(("127.0.0.1", 9, "/x")));
        check("http://[::1]/x", Some(("::1", 80, "/x")));
        check("http://localhost:9", Some(("localhost", 9, "/")));
        for wrong in [
            "http://a.example/x",
            "http://10.0.0.1/x",
            "http://localhost.evil/x",
            "http://127.0.0.1@evil/x",
            "https://u@a.example/",
            "https://",
            "https://:8443/",
            "https://a:0/",
            "https://a:99999/",
            "https://a/#b",
            "https://a/ b",
            "ftp://a/",
            "a.example",
            "https://[::1/",
        ] {
            check(wrong, None);
        }
    }

    #[test]
    fn the_host_is_named_as_it_was_written() {
        for (url, expect) in [
            ("https://a.example/x", "a.example"),
            ("https://a.example:8443/x", "a.example:8443"),
            ("http://[::1]:9/", "[::1]:9"),
        ] {
            assert_eq!(
                url.parse::<WebhookUrl>().expect("valid").authority(),
                expect
            );
        }
    }
}
