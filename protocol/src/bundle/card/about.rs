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

/// A part of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// What it is for.
    IntendedUse,
    /// What it is not for.
    Limits,
    /// Its licence.
    Licence,
    /// The commit that trained it.
    TrainingCommit,
    /// The digest of the data that trained it.
    TrainingData,
    /// How well it did.
    Metrics,
}

impl Part {
    /// All of them, in the order of the card.
    pub const ALL: [Self; 6] = [
        Self::IntendedUse,
        Self::Limits,
        Self::Licence,
        Self::TrainingCommit,
        Self::TrainingData,
        Self::Metrics,
    ];

    /// As the card has it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::IntendedUse => "intended_use",
            Self::Limits => "limits",
            Self::Licence => "licence",
            Self::TrainingCommit => "training_commit",
            Self::TrainingData => "training_data",
            Self::Metrics => "metrics",
        }
    }
}

impl About {
    /// The parts that are not filled, in their order.
    #[must_use]
    pub fn missing(&self) -> Vec<Part> {
        let parts = Part::ALL.into_iter();
        parts.filter(|part| !self.says(*part)).collect()
    }

    fn says(&self, part: Part) -> bool {
        let filled = |text: &Option<String>| text.as_ref().is_some_and(|text| !text.is_empty());
        match part {
            Part::IntendedUse => filled(&self.intended_use),
            Part::Limits => filled(&self.limits),
            Part::Licence => filled(&self.licence),
            Part::TrainingCommit => filled(&self.training_commit),
            Part::TrainingData => filled(&self.training_data),
            Part::Metrics => !self.metrics.is_empty(),
        }
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
