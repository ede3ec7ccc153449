//! What people say about a model in its card: where it comes from, what it is for, and how well it
//! did when it was made.
//!
//! Says nothing that a device acts on: it is there for those who sign, and for those who ask later.

use super::{BadCard, exact};
use alloc::string::String;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// Most bytes of one text.
pub const TEXT_BYTES_MAX: usize = 4096;
/// Most metrics.
pub const METRICS_MAX: usize = 64;

/// The words of those who made it; what is not said is absent.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct About {
    /// What it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub intended_use: Option<String>,
    /// What it is not for, and where it fails.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limits: Option<String>,
    /// Under which licence, an SPDX expression.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub licence: Option<String>,
    /// The commit of the code that trained it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub training_commit: Option<String>,
    /// The digest of the data that trained it, such as `sha256:…`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub training_data: Option<String>,
    /// How well it did, sorted by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub metrics: Vec<Metric>,
}

/// One measure of a model, on data that did not train it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Metric {
    /// What was measured, such as `accuracy`.
    pub name: String,
    /// Its value.
    #[serde(deserialize_with = "exact")]
    pub value: f64,
}

impl About {
    /// The fields that are not filled, by their names.
    #[must_use]
    pub fn missing(&self) -> Vec<&'static str> {
        let filled = |text: &Option<String>| text.as_ref().is_some_and(|text| !text.is_empty());
        [
            ("intended_use", filled(&self.intended_use)),
            ("limits", filled(&self.limits)),
            ("licence", filled(&self.licence)),
            ("training_commit", filled(&self.training_commit)),
            ("training_data", filled(&self.training_data)),
            ("metrics", !self.metrics.is_empty()),
        ]
        .into_iter()
        .filter_map(|(name, is_filled)| (!is_filled).then_some(name))
        .collect()
    }

    pub(super) fn check(&self) -> Result<(), BadCard> {
        let texts = [
            &self.intended_use,
            &self.limits,
            &self.licence,
            &self.training_commit,
            &self.training_data,
        ];
        let names = self.metrics.iter().map(|metric| &metric.name);
        let mut all = texts.into_iter().flatten().chain(names);
        if all.any(|text| text.len() > TEXT_BYTES_MAX) {
            return Err(BadCard::Count("a text"));
        }
        if self.metrics.len() > METRICS_MAX {
            return Err(BadCard::Count("metrics"));
        }
        let mut pairs = self.metrics.iter().zip(self.metrics.iter().skip(1));
        let sorted = pairs.all(|(one, next)| one.name < next.name);
        let finite = self.metrics.iter().all(|metric| metric.value.is_finite());
        match sorted && finite {
            true => Ok(()),
            false => Err(BadCard::Metrics),
        }
    }
}
