//! The rules that incidents are judged by: data that people write, in versions that are kept.
//!
//! A rule never changes: whoever wants another applies a next version, so that an old alert can
//! name what judged it.

mod read;
mod season;

use muster_protocol::digest::Digest;
use serde::{Deserialize, Serialize};

use super::kind::Kind;
use super::retrain::RetrainRule;
use crate::watch::QualityRule;

pub use read::RulesError;
pub use season::{Features, Season};

/// What holds while nobody has applied anything else.
const DEFAULT: &str = include_str!("rules/default.toml");

/// Rules that were understood.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rules {
    /// Seconds without a finding after which an incident closes.
    pub quiet_s: u64,
    /// Incidents of an hour that are told one by one.
    pub storm_per_hour: u32,
    /// Labels whose values make cohorts: devices that are watched together.
    pub cohort_labels: Vec<String>,
    /// Incidents by chance that are allowed.
    pub budget: Budget,
    /// When a fall of quality is found; none where nobody looks for one, as in versions from before
    /// there was such a rule.
    pub quality: Option<QualityRule>,
    /// Who is told of what; empty: nobody of anything.
    pub alerts: Vec<Route>,
    /// When a retrain is asked for.
    pub retrain: RetrainRule,
    /// Features whose normal follows the hour of the week; may be left out: none.
    #[serde(default)]
    pub season: Vec<Season>,
}

/// Incidents by chance that are allowed.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Budget {
    /// Of one device in a year.
    pub per_device_year: f64,
    /// Of one cohort in a year.
    pub per_cohort_year: f64,
}

/// Who is told of some causes.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Route {
    /// Which.
    pub causes: Vec<Kind>,
    /// Who.
    pub webhooks: Webhooks,
}

/// Webhooks of the configuration.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "OneOrMany")]
pub enum Webhooks {
    /// Every one that there is.
    All,
    /// These.
    Named(Vec<String>),
}

/// As a person writes it.
#[derive(Debug, Deserialize)]
#[serde(untagged, expecting = "it is neither \"all\" nor a list of names")]
enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

/// One version of the rules.
#[derive(Debug, Clone, PartialEq)]
pub struct AppliedRules {
    /// Its number; 0 is what holds without any.
    pub number: u32,
    /// The digest of its text.
    pub digest: Digest,
    /// The rules.
    pub rules: Rules,
}

/// How a version is named in alerts and requests.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RulesName {
    /// Its number.
    pub number: u32,
    /// The digest of its text.
    pub digest: String,
}

impl Rules {
    /// The text of the rules that hold without any.
    #[must_use]
    pub const fn default_text() -> &'static str {
        DEFAULT
    }
}

impl Default for Rules {
    fn default() -> Self {
        Self::read(DEFAULT).expect("invariant: a test reads the rules that come with the program")
    }
}

impl AppliedRules {
    /// A version of a text.
    ///
    /// # Errors
    /// [`RulesError`].
    pub fn read(number: u32, text: &str) -> Result<Self, RulesError> {
        Ok(Self {
            number,
            digest: Digest::of(text.as_bytes()),
            rules: Rules::read(text)?,
        })
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> RulesName {
        RulesName {
            number: self.number,
            digest: self.digest.to_string(),
        }
    }
}

impl Default for AppliedRules {
    fn default() -> Self {
        Self {
            number: 0,
            digest: Digest::of(DEFAULT.as_bytes()),
            rules: Rules::default(),
        }
    }
}

impl TryFrom<OneOrMany> for Webhooks {
    type Error = String;

    fn try_from(written: OneOrMany) -> Result<Self, String> {
        match written {
            OneOrMany::Many(names) => Ok(Self::Named(names)),
            OneOrMany::One(word) if word == "all" => Ok(Self::All),
            OneOrMany::One(word) => Err(neither(&word)),
        }
    }
}

fn neither(word: &str) -> String {
    format!("{word:?} is neither \"all\" nor a list of names")
}
