//! The selector: a query over what is known of devices, for people to write.
//!
//! Terms separated by commas, all of which must hold: `key=a`, `key=a|b`, `key!=a`, `key`,
//! `!key`; the empty query selects all. Keys are labels, or what a device reports: `device`,
//! `model.NAME` (the version that serves; also `<`, `<=`, `>`, `>=`, against a version or a rank),
//! `agent` (likewise), `health`, `arch`, `hw`. What a device does not report matches nothing but
//! `!key`. Never looks anything up: what is known is an argument.

mod order;
mod parse;
#[cfg(test)]
mod tests;

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use muster_protocol::id::{DeviceId, ModelId, Version};
use serde::{Deserialize, Serialize};

pub use order::by_precedence;
pub use parse::{BadSelector, is_word};

/// A query that was understood.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Selector {
    text: String,
    terms: Vec<Term>,
}

/// What is known of one device; `None` is what it does not report.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'a> {
    /// Its id.
    pub device: &'a DeviceId,
    /// What people have written on it.
    pub labels: &'a BTreeMap<String, String>,
    /// Version of its agent.
    pub agent: Option<&'a Version>,
    /// `ok`, `degraded`, ….
    pub health: Option<&'a str>,
    /// Its processor.
    pub arch: Option<&'a str>,
    /// Its hardware class or revision.
    pub hw: Option<&'a str>,
    /// What serves.
    pub models: &'a [Serving],
}

/// A version that serves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Serving {
    /// The model.
    pub model: ModelId,
    /// The version.
    pub version: Version,
    /// Its rank, when its release is known.
    pub rank: Option<u32>,
}

impl Selector {
    /// The empty query, which selects all.
    #[must_use]
    pub fn everyone() -> Self {
        Self {
            text: String::new(),
            terms: Vec::new(),
        }
    }

    /// Whether a device of which only labels are known is meant. A device without the label
    /// passes `key!=a`.
    #[must_use]
    pub fn matches(&self, device: &DeviceId, labels: &BTreeMap<String, String>) -> bool {
        self.selects(&Subject {
            device,
            labels,
            agent: None,
            health: None,
            arch: None,
            hw: None,
            models: &[],
        })
    }

    /// Whether the device is meant.
    #[must_use]
    pub fn selects(&self, subject: &Subject<'_>) -> bool {
        self.terms.iter().all(|term| term.holds(subject))
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl FromStr for Selector {
    type Err = BadSelector;

    fn from_str(text: &str) -> Result<Self, BadSelector> {
        Ok(Self {
            terms: parse::terms(text)?,
            text: text.trim().to_owned(),
        })
    }
}

impl TryFrom<String> for Selector {
    type Error = BadSelector;

    fn try_from(text: String) -> Result<Self, BadSelector> {
        text.parse()
    }
}

impl From<Selector> for String {
    fn from(selector: Selector) -> Self {
        selector.text
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Term {
    key: Key,
    test: Test,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Key {
    Device,
    Label(String),
    Model(String),
    Agent,
    Health,
    Arch,
    Hw,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Test {
    Present,
    Absent,
    OneOf(Vec<String>),
    NoneOf(Vec<String>),
    Compared(Comparison, Measure),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Comparison {
    Less,
    AtMost,
    More,
    AtLeast,
}

/// What a version is compared with.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Measure {
    Version(Version),
    Rank(u32),
}

impl Term {
    fn holds(&self, subject: &Subject<'_>) -> bool {
        let value = self.key.value(subject);
        let among = |values: &[String], value: &str| values.iter().any(|one| one == value);
        match &self.test {
            Test::Present => value.is_some(),
            Test::Absent => value.is_none(),
            Test::OneOf(values) => value.is_some_and(|value| among(values, value)),
            // A label that nobody wrote is not `a`; what a device does not report may well be.
            Test::NoneOf(values) => value.map_or(self.key.is_label(), |v| !among(values, v)),
            Test::Compared(how, measure) => {
                let ordering = self.key.compared(subject, measure);
                ordering.is_some_and(|ordering| how.holds(ordering))
            }
        }
    }
}

impl Key {
    fn is_label(&self) -> bool {
        matches!(self, Self::Label(_) | Self::Device)
    }

    /// What a device says, or else a label of that name: fleets had labels before devices reported.
    fn value<'a>(&self, subject: &Subject<'a>) -> Option<&'a str> {
        let label = |key: &str| subject.labels.get(key).map(String::as_str);
        match self {
            Self::Device => Some(subject.device.as_str()),
            Self::Label(key) => label(key),
            Self::Model(name) => Some(serving(subject, name)?.version.as_str()),
            Self::Agent => subject.agent.map(Version::as_str).or(label("agent")),
            Self::Health => subject.health.or(label("health")),
            Self::Arch => subject.arch.or(label("arch")),
            Self::Hw => subject.hw.or(label("hw")),
        }
    }

    fn compared(&self, subject: &Subject<'_>, measure: &Measure) -> Option<Ordering> {
        match (self, measure) {
            (Self::Model(name), Measure::Rank(rank)) => {
                Some(serving(subject, name)?.rank?.cmp(rank))
            }
            (_, Measure::Rank(_)) => None,
            (_, Measure::Version(version)) => {
                let own = Version::parse(self.value(subject)?).ok()?;
                Some(by_precedence(&own, version))
            }
        }
    }
}

fn serving<'a>(subject: &Subject<'a>, name: &str) -> Option<&'a Serving> {
    let mut models = subject.models.iter();
    models.find(|serving| serving.model.as_str() == name)
}

impl Comparison {
    fn holds(self, ordering: Ordering) -> bool {
        match self {
            Self::Less => ordering.is_lt(),
            Self::AtMost => ordering.is_le(),
            Self::More => ordering.is_gt(),
            Self::AtLeast => ordering.is_ge(),
        }
    }
}
