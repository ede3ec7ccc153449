//! `muster.toml`: where `muster serve` listens and under which names devices reach it.
//!
//! Read once, at the start. An unknown key is an error, since a misspelt one would otherwise be
//! a setting that silently does nothing.

use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZeroU16;

use serde::{Deserialize, Serialize};

use crate::endpoint::{HttpsUrl, MqttUrl};
use crate::error::{Exit, OperatorError};
use crate::home::{self, Home};

mod brokers;
mod cards;
mod retention;
mod webhooks;

pub(crate) use brokers::{BrokerPlace, Brokers};
pub(crate) use cards::Cards;
pub(crate) use retention::{Days, Retention};
pub(crate) use webhooks::{MetricsAccess, Scheme, Webhook, WebhookUrl};

/// First levels of all topics when nothing else is configured.
const TOPIC_PREFIX: &str = "muster/v1";
/// Life of a device's certificate when nothing else is configured.
const DEVICE_CERTIFICATE_DAYS: NonZeroU16 =
    NonZeroU16::new(825).expect("invariant: it is not zero");

/// The configuration of `serve`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Config {
    /// Which brokers devices are heard on: the embedded one, others, or both during a move.
    #[serde(skip_serializing_if = "Brokers::is_default")]
    pub(crate) broker: Brokers,
    /// Where devices connect to the embedded broker with MQTT over TLS; port 0 takes a free one.
    pub(crate) broker_listen: SocketAddr,
    /// Where devices enrol over HTTPS; port 0 takes a free one.
    pub(crate) enroll_listen: SocketAddr,
    /// Where the API listens: loopback only; port 0 takes a free one.
    pub(crate) api_listen: SocketAddr,
    /// The broker as the first `fleet.json` names it, `mqtts://host:port`; made of the first host
    /// name and the port when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) broker_url: Option<MqttUrl>,
    /// Enrolment as tokens name it, `https://host:port`; as above when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) enroll_url: Option<HttpsUrl>,
    /// First levels of all topics, without a slash at the end.
    pub(crate) topic_prefix: String,
    /// Days that a device's certificate is valid; it is renewed after two thirds of them.
    #[serde(skip_serializing_if = "is_default_life")]
    pub(crate) device_certificate_days: NonZeroU16,
    /// Host names and addresses that the server's certificate carries; devices use the first.
    pub(crate) host_names: Vec<String>,
    /// How long what devices said is kept.
    #[serde(skip_serializing_if = "Retention::is_default")]
    pub(crate) retention: Retention,
    /// What cards must say.
    #[serde(skip_serializing_if = "Cards::is_default")]
    pub(crate) cards: Cards,
    /// Who may read `GET /metrics`.
    #[serde(skip_serializing_if = "MetricsAccess::is_default")]
    pub(crate) metrics: MetricsAccess,
    /// Whom alerts go to.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) webhooks: Vec<Webhook>,
}

fn is_default_life(days: &NonZeroU16) -> bool {
    *days == DEVICE_CERTIFICATE_DAYS
}

impl Default for Config {
    fn default() -> Self {
        Self {
            broker: Brokers::default(),
            broker_listen: (Ipv4Addr::UNSPECIFIED, 8883).into(),
            enroll_listen: (Ipv4Addr::UNSPECIFIED, 8443).into(),
            api_listen: (Ipv4Addr::LOCALHOST, 8080).into(),
            broker_url: None,
            enroll_url: None,
            topic_prefix: TOPIC_PREFIX.to_owned(),
            device_certificate_days: DEVICE_CERTIFICATE_DAYS,
            host_names: vec!["localhost".to_owned()],
            retention: Retention::default(),
            cards: Cards::default(),
            metrics: MetricsAccess::default(),
            webhooks: Vec::new(),
        }
    }
}

impl Config {
    /// Reads the configuration of a home.
    ///
    /// # Errors
    /// No file, an unknown key, a value of the wrong kind, an API off loopback, no host name.
    pub(crate) fn read(home: &Home) -> Result<Self, OperatorError> {
        let path = home.config_file();
        let text = home::read_text(&path)?;
        parse(&text).map_err(|Wrong { because, hint }| {
            let what = format!("read the configuration {}", path.display());
            OperatorError::new(Exit::BadInput, what, because, hint)
        })
    }

    /// The configuration as `muster init` writes it.
    pub(crate) fn to_toml(&self) -> String {
        toml::to_string(self).expect("invariant: a flat table of texts is TOML")
    }

    /// The broker's URL for devices, when the embedded one listens on `port`.
    pub(crate) fn broker_url_for(&self, port: u16) -> String {
        let external = self.broker.places().iter().find_map(|place| match place {
            BrokerPlace::External(url) => Some(url),
            BrokerPlace::Embedded => None,
        });
        let alone = external.filter(|_| !self.has_embedded());
        match self.broker_url.as_ref().or(alone) {
            Some(url) => url.to_string(),
            None => self.own("mqtts", port),
        }
    }

    /// The URL of enrolment for devices, when it listens on `port`.
    pub(crate) fn enroll_url_for(&self, port: u16) -> String {
        match &self.enroll_url {
            Some(url) => url.to_string(),
            None => self.own("https", port),
        }
    }

    fn has_embedded(&self) -> bool {
        self.broker.places().contains(&BrokerPlace::Embedded)
    }

    fn own(&self, scheme: &str, port: u16) -> String {
        let host = self.host_names.first().map_or("localhost", String::as_str);
        if host.contains(':') {
            format!("{scheme}://[{host}]:{port}")
        } else {
            format!("{scheme}://{host}:{port}")
        }
    }
}

struct Wrong {
    because: String,
    hint: String,
}

fn parse(text: &str) -> Result<Config, Wrong> {
    let wrong = |because: &str, hint: &str| Wrong {
        because: because.to_owned(),
        hint: hint.to_owned(),
    };
    let config: Config = toml::from_str(text).map_err(|error| Wrong {
        because: place(text, &error),
        hint: "keys are broker, broker_listen, enroll_listen, api_listen, broker_url, enroll_url, \
               topic_prefix, device_certificate_days, host_names and metrics; tables are \
               [retention], [cards] and [[webhooks]]"
            .to_owned(),
    })?;
    if !config.api_listen.ip().is_loopback() {
        return Err(wrong(
            "api_listen is not a loopback address",
            "use 127.0.0.1 and reach it from elsewhere through ssh or a proxy that checks who asks",
        ));
    }
    if config.host_names.is_empty() {
        return Err(wrong(
            "host_names is empty",
            "name the host as devices reach it, for example host_names = [\"fleet.example\"]",
        ));
    }
    let refused = webhooks::check(&config.webhooks);
    refused.map_err(|(because, hint)| wrong(&because, hint))?;
    Ok(config)
}

/// The parser's message in one line, with the line of the file.
fn place(text: &str, error: &toml::de::Error) -> String {
    let line = error.span().and_then(|span| text.get(..span.start));
    let line = line.map_or(1, |before| before.matches('\n').count() + 1);
    let message = error.message().replace('\n', " ");
    format!("line {line}: {message}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expect: Result<Config, &str>) {
        match (parse(text), expect) {
            (Ok(config), Ok(expect)) => assert_eq!(config, expect),
            (Err(wrong), Err(expect)) => {
                assert!(wrong.because.contains(expect), "{}", wrong.because);
            }
            (Ok(config), Err(expect)) => panic!("{text}: {config:?} instead of {expect}"),
            (Err(wrong), Ok(_)) => panic!("{text}: {}", wrong.because),
        }
    }

    #[test]
    fn a_configuration_is_read_strictly() {
        check("", Ok(Config::default()));
        let quiet = Config {
            broker_listen: (Ipv4Addr::LOCALHOST, 0).into(),
            ..Config::default()
        };
        check("broker_listen = \"127.0.0.1:0\"", Ok(quiet));
        check(
            "\nbroker_lisen = \"127.0.0.1:0\"",
            Err("line 2: unknown field `broker_lisen`"),
        );
        check("broker_listen = 8883", Err("line 1"));
        check("broker_listen", Err("line 1"));
        check("api_listen = \"0.0.0.0:8080\"", Err("not a loopback"));
        check("host_names = []", Err("host_names is empty"));
        check("broker_url = \"http://a:1\"", Err("mqtts://host:port"));
        check("enroll_url = \"http://a:1\"", Err("https://host:port"));
        check("broker = \"mqtts://a:1/b\"", Err("line 1"));
        check(
            "broker = [\"embedded\", \"mqtt://a\"]",
            Err("mqtts://host:port, nor"),
        );
    }

    #[test]
    fn an_external_broker_is_a_word_or_a_list_beside_the_embedded_one() {
        let of = |text: &str| parse(text).unwrap_or_else(|wrong| panic!("{}", wrong.because));
        let external = BrokerPlace::External("mqtts://a:1".parse().expect("valid"));
        let alone = of("broker = \"mqtts://a:1\"");
        assert_eq!(alone.broker.places(), std::slice::from_ref(&external));
        assert_eq!(alone.broker_url_for(8883), "mqtts://a:1");
        let moving = of("broker = [\"embedded\", \"mqtts://a:1\"]");
        assert_eq!(moving.broker.places(), [BrokerPlace::Embedded, external]);
        assert_eq!(moving.broker_url_for(8883), "mqtts://localhost:8883");
        check(&moving.to_toml(), Ok(moving));
    }

    #[test]
    fn webhooks_are_named_once_and_told_over_tls() {
        const ONE: &str = "[[webhooks]]\nname = \"ops\"\nurl = \"https://a.example/x\"\n\
                           secret_file = \"controller/ops.secret\"\n";
        let config = parse(ONE).unwrap_or_else(|wrong| panic!("{}", wrong.because));
        assert_eq!(config.webhooks[0].url.authority(), "a.example");
        check(&config.to_toml(), Ok(config));
        check(&ONE.repeat(2), Err("\"ops\" stands there twice"));
        check(&ONE.replace("ops\"", "o p\""), Err("is no name"));
        check(
            &ONE.replace("https", "http"),
            Err("line 3: expected https://"),
        );
        check(&format!("{ONE}causes = []"), Err("listens to no cause"));
        check(
            &format!("{ONE}causes = [\"sad\"]"),
            Err("there is no cause \"sad\""),
        );
        check(
            &format!("{ONE}secret = \"x\""),
            Err("unknown field `secret`"),
        );
        check("metrics = \"closed\"", Err("line 1"));
    }

    #[test]
    fn what_init_writes_is_read_back() {
        let config = Config {
            enroll_url: Some("https://fleet.example:443".parse().expect("valid")),
            ..Config::default()
        };
        check(&config.to_toml(), Ok(config));
    }

    #[test]
    fn urls_come_from_the_configuration_or_the_real_port() {
        let mut config = Config::default();
        assert_eq!(config.broker_url_for(1883), "mqtts://localhost:1883");
        config.host_names = vec!["::1".to_owned()];
        assert_eq!(config.enroll_url_for(1), "https://[::1]:1");
        config.enroll_url = Some("https://fleet.example:443".parse().expect("valid"));
        assert_eq!(config.enroll_url_for(1), "https://fleet.example:443");
    }
}
