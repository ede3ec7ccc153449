//! Which brokers the fleet is heard on: `broker = "embedded"`, an address, or a list of them.
//!
//! A list is for moving: while devices follow a new `fleet.json`, both places are heard.

use serde::{Deserialize, Serialize};

use crate::endpoint::{BadUrl, MqttUrl};

const EMBEDDED: &str = "embedded";
/// An old place and a new one, and room for another change of mind.
const BROKERS_MAX: usize = 4;

/// One place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum BrokerPlace {
    /// Inside this program.
    Embedded,
    /// Another program, under this address.
    External(MqttUrl),
}

/// One place or several, each once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "OneOrMany", into = "OneOrMany")]
pub(crate) struct Brokers(Vec<BrokerPlace>);

/// As a person writes it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(
    untagged,
    expecting = "it is neither \"embedded\", \"mqtts://host:port\" nor a list of them"
)]
enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

/// Why a setting names no brokers.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BadBrokers {
    /// None, or far too many.
    #[error("it names {0} brokers: name one, or up to {BROKERS_MAX} during a move")]
    Count(usize),
    /// One twice.
    #[error("it names {0:?} twice")]
    Twice(String),
    /// Neither the word nor an address.
    #[error("{0}, nor \"{EMBEDDED}\"")]
    Url(#[from] BadUrl),
}

impl Default for Brokers {
    fn default() -> Self {
        Self(vec![BrokerPlace::Embedded])
    }
}

impl Brokers {
    /// Each place, in the order of the setting.
    pub(crate) fn places(&self) -> &[BrokerPlace] {
        &self.0
    }

    /// Whether that is what is used without a setting.
    pub(super) fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

impl BrokerPlace {
    fn parse(text: &str) -> Result<Self, BadUrl> {
        match text {
            EMBEDDED => Ok(Self::Embedded),
            url => url.parse().map(Self::External),
        }
    }

    fn text(&self) -> String {
        match self {
            Self::Embedded => EMBEDDED.to_owned(),
            Self::External(url) => url.to_string(),
        }
    }
}

impl TryFrom<OneOrMany> for Brokers {
    type Error = BadBrokers;

    fn try_from(written: OneOrMany) -> Result<Self, BadBrokers> {
        let texts = match written {
            OneOrMany::One(text) => vec![text],
            OneOrMany::Many(texts) => texts,
        };
        if !(1..=BROKERS_MAX).contains(&texts.len()) {
            return Err(BadBrokers::Count(texts.len()));
        }
        let mut places = Vec::new();
        for text in texts {
            let place = BrokerPlace::parse(&text)?;
            if places.contains(&place) {
                return Err(BadBrokers::Twice(text));
            }
            places.push(place);
        }
        Ok(Self(places))
    }
}

impl From<Brokers> for OneOrMany {
    fn from(brokers: Brokers) -> Self {
        Self::Many(brokers.0.iter().map(BrokerPlace::text).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_text_is_told_what_is_accepted() {
        #[derive(Debug, Deserialize)]
        struct Setting {
            #[expect(dead_code, reason = "only whether it is read counts")]
            broker: Brokers,
        }
        for text in ["broker = 5", "broker = [5]", "broker = { a = 1 }"] {
            let error = toml::from_str::<Setting>(text).expect_err(text).to_string();
            assert!(error.contains("neither \"embedded\""), "{error}");
        }
    }

    #[test]
    fn brokers_are_one_or_a_few_different_ones() {
        let check = |texts: &[&str], expect: Result<usize, &str>| {
            let many = OneOrMany::Many(texts.iter().map(|&text| text.to_owned()).collect());
            match (Brokers::try_from(many), expect) {
                (Ok(brokers), Ok(count)) => assert_eq!(brokers.places().len(), count, "{texts:?}"),
                (Err(error), Err(part)) => {
                    assert!(error.to_string().contains(part), "{texts:?}: {error}");
                }
                (Ok(brokers), Err(part)) => panic!("{brokers:?} instead of {part:?}"),
                (Err(error), Ok(_)) => panic!("{texts:?}: {error}"),
            }
        };
        check(&["embedded"], Ok(1));
        check(&["embedded", "mqtts://a:1"], Ok(2));
        check(&["mqtts://b:1", "mqtts://a:1"], Ok(2));
        check(&[], Err("0 brokers"));
        check(&["embedded", "embedded"], Err("twice"));
        check(&["mqtts://a", "mqtts://a:8883"], Err("twice"));
        check(&["mqtt://a"], Err("mqtts://host:port, nor \"embedded\""));
        check(
            &[
                "mqtts://a:1",
                "mqtts://a:2",
                "mqtts://a:3",
                "mqtts://a:4",
                "embedded",
            ],
            Err("5 brokers"),
        );
    }
}
