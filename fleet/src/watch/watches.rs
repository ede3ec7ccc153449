//! The charts of many devices and of the cohorts that they are in, window after window.
//!
//! The same windows in the same order under the same rule give the same alarms and the same state:
//! that is how an alarm is computed again. Whoever calls loads states before and keeps them after;
//! knows neither a store nor the time.

use std::collections::BTreeMap;
use std::fmt;
use std::num::NonZeroU32;

use muster_protocol::digest::Digest;
use muster_protocol::id::{DeviceId, ModelId};
use muster_protocol::stats::Limits;
use muster_protocol::time::UnixSeconds;
use serde::{Deserialize, Serialize};

use super::budget::{Budget, IncidentsPerYear};
use super::counted::Counted;
use super::device::{DeviceRule, DeviceWatch, FeatureRule, Moved};
use super::quality::{Fell, QualityRule, QualityWatch};
use super::seasonal::Follows;
use super::slots::{CohortMoved, CohortSlots, SlotRule};
use crate::quality::{ReferenceScores, ScoreSums};

/// Labels of a device.
pub type Labels = BTreeMap<String, String>;

/// What is watched: a bundle of a model. Charts of two bundles never share anything.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Subject {
    /// The model.
    pub model: ModelId,
    /// The bundle that served.
    pub bundle: Digest,
}

/// Devices that are watched together.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cohort {
    /// All that run the bundle.
    All,
    /// Those of one value of a label.
    Of {
        /// The label.
        label: String,
        /// Its value.
        value: String,
    },
}

/// What may be said by chance, and which cohorts there are.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WatchRule {
    /// Incidents by chance of a device in a year, over all that is watched of a model.
    pub incidents_per_device_year: IncidentsPerYear,
    /// Incidents by chance of a cohort in a year, over all features of a model.
    pub incidents_per_cohort_year: IncidentsPerYear,
    /// Labels whose values make cohorts.
    pub cohort_labels: Vec<String>,
    /// When a fall of quality is found; none where nobody looks for one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quality: Option<QualityRule>,
    /// Features whose normal follows the hour of the week; the first that names one holds.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub seasons: Vec<SeasonRule>,
}

/// Features of a model whose normal follows the hour of the week.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeasonRule {
    /// The model; any without one.
    #[serde(with = "crate::text::optional")]
    pub model: Option<ModelId>,
    /// Names of features; all without any.
    pub features: Vec<String>,
    /// How long nothing is learnt after something was wrong, seconds.
    pub hold_s: u64,
}

/// What charts need of a reference.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Expected {
    /// In the order of the reference; none when the bundle has no reference.
    pub features: Vec<ExpectedFeature>,
}

/// What charts need of one feature of a reference.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ExpectedFeature {
    /// Its counts, by bin.
    pub bins: Vec<u64>,
    /// Beyond what a block of it is a breach, if the reference says.
    pub limits: Option<Limits>,
    /// What its normal follows: of the rule, not of the reference.
    pub follows: Follows,
}

/// One window as it was taken.
#[derive(Debug, Clone, PartialEq)]
pub struct Seen {
    /// Its number: later windows have higher ones.
    pub window: i64,
    /// Whose.
    pub device: DeviceId,
    /// Of what.
    pub subject: Subject,
    /// What it counts.
    pub counted: Counted,
}

/// The scores and labels of one window of a classifier.
#[derive(Debug, Clone, Copy)]
pub struct Scored<'a> {
    /// Whose.
    pub device: &'a DeviceId,
    /// Of what.
    pub subject: &'a Subject,
    /// When the window ended.
    pub ended: UnixSeconds,
    /// What it counts.
    pub counted: &'a ScoreSums,
    /// What the bundle expects.
    pub reference: &'a ReferenceScores,
}

/// An alarm, and the window that completed it.
#[derive(Debug, Clone, PartialEq)]
pub struct Alarmed {
    /// The number of the window.
    pub window: i64,
    /// Of what.
    pub subject: Subject,
    /// What alarmed.
    pub what: What,
}

/// What alarmed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// A chart of one device.
    Device(#[serde(with = "crate::text")] DeviceId, Moved),
    /// A chart over devices.
    Cohort(Cohort, CohortMoved),
}

/// States of charts by what they watch, the rule, and what is known of devices.
#[derive(Debug, Clone, PartialEq)]
pub struct Watches {
    /// Of each device.
    pub devices: BTreeMap<(Subject, DeviceId), DeviceWatch>,
    /// Of each cohort.
    pub cohorts: BTreeMap<(Subject, Cohort), CohortSlots>,
    /// Of how well a classifier does in each cohort.
    pub quality: BTreeMap<(Subject, Cohort), QualityWatch>,
    /// The labels of devices; one that is not here has none.
    pub labels: BTreeMap<DeviceId, Labels>,
    rule: WatchRule,
}

impl Default for WatchRule {
    fn default() -> Self {
        Self {
            incidents_per_device_year: IncidentsPerYear::TENTH,
            incidents_per_cohort_year: IncidentsPerYear::TENTH,
            cohort_labels: Vec::new(),
            quality: None,
            seasons: Vec::new(),
        }
    }
}

impl WatchRule {
    /// What the normal of a feature follows.
    #[must_use]
    pub fn follows(&self, model: &ModelId, feature: &str) -> Follows {
        let names = |rule: &&SeasonRule| {
            rule.model.as_ref().is_none_or(|of| of == model)
                && (rule.features.is_empty() || rule.features.iter().any(|of| of == feature))
        };
        let named = self.seasons.iter().find(names);
        named.map_or(Follows::Nothing, |rule| Follows::HourOfWeek {
            hold_s: rule.hold_s,
        })
    }
}

impl fmt::Display for Cohort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("all"),
            Self::Of { label, value } => write!(f, "{label}={value}"),
        }
    }
}

impl Cohort {
    /// Reads what was displayed; none of what names none.
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        let of = |(label, value): (&str, &str)| Self::Of {
            label: label.to_owned(),
            value: value.to_owned(),
        };
        match text {
            "all" => Some(Self::All),
            _ => text.split_once('=').map(of),
        }
    }
}

impl Expected {
    /// What the normal of a feature follows.
    fn follows(&self, feature: usize) -> Follows {
        let known = self.features.get(feature);
        known.map_or(Follows::Nothing, |feature| feature.follows)
    }
}

/// Where a device stands; in what follows the week not before its week is known, because a cohort
/// learns one normal.
fn standings(watch: &DeviceWatch, expected: &Expected) -> Vec<Option<f64>> {
    let mut standings = watch.standings();
    for (feature, standing) in standings.iter_mut().enumerate() {
        let by_week = |follows| follows != Follows::Nothing;
        let charted = watch.chart(feature).map(|(_, follows)| by_week(follows));
        if charted != Some(by_week(expected.follows(feature))) {
            *standing = None;
        }
    }
    standings
}

impl Watches {
    /// With nothing seen, under `rule`.
    #[must_use]
    pub const fn new(rule: WatchRule) -> Self {
        Self {
            devices: BTreeMap::new(),
            cohorts: BTreeMap::new(),
            quality: BTreeMap::new(),
            labels: BTreeMap::new(),
            rule,
        }
    }

    /// The rule.
    #[must_use]
    pub const fn rule(&self) -> &WatchRule {
        &self.rule
    }

    /// Judges by another rule from now on. What is normal stays as it was learnt, and so do charts
    /// that run already.
    pub(super) fn set_rule(&mut self, rule: WatchRule) {
        self.rule = rule;
    }

    /// The cohorts that a device is in.
    #[must_use]
    pub fn cohorts_of(&self, device: &DeviceId) -> Vec<Cohort> {
        let labels = self.labels.get(device);
        let of = |label: &String| {
            let value = labels?.get(label)?.clone();
            let label = label.clone();
            Some(Cohort::Of { label, value })
        };
        let labelled = self.rule.cohort_labels.iter().filter_map(of);
        std::iter::once(Cohort::All).chain(labelled).collect()
    }

    /// All devices of a bundle side by side, once one of them is charted.
    #[must_use]
    pub fn side_by_side(&self, subject: &Subject) -> Option<&CohortSlots> {
        self.cohorts.get(&(subject.clone(), Cohort::All))
    }

    /// Takes one more window in; what alarms in it.
    pub fn take(&mut self, seen: &Seen, expected: &Expected) -> Vec<Alarmed> {
        let rule = self.device_rule(expected);
        let key = (seen.subject.clone(), seen.device.clone());
        let watch = self.devices.entry(key).or_default();
        let moved = watch.take(seen.counted.clone(), &rule);
        let of_device = moved.into_iter();
        let mut what: Vec<What> = of_device
            .map(|moved| What::Device(seen.device.clone(), moved))
            .collect();
        let standings = standings(watch, expected);
        if let Some(lengths) = watch.window_s().zip(watch.windows_per_look()) {
            what.extend(self.beside_others(seen, (&standings, expected), lengths));
        }
        let alarmed = what.into_iter().map(|what| Alarmed {
            window: seen.window,
            subject: seen.subject.clone(),
            what,
        });
        alarmed.collect()
    }

    /// Takes the scores and labels of one more window in; where quality has fallen.
    pub fn take_scores(&mut self, scored: Scored<'_>) -> Vec<(Cohort, Fell)> {
        let Some(rule) = self.rule.quality else {
            return Vec::new();
        };
        let mut fallen = Vec::new();
        for cohort in self.cohorts_of(scored.device) {
            let key = (scored.subject.clone(), cohort.clone());
            let watch = self.quality.entry(key).or_default();
            let fell = watch.take(scored.ended, scored.counted, scored.reference, &rule);
            fallen.extend(fell.into_iter().map(|fell| (cohort.clone(), fell)));
        }
        fallen
    }

    /// Begins anew to learn what is normal for a device, or for all devices of a model.
    pub(super) fn forget(&mut self, model: &ModelId, device: Option<&DeviceId>) {
        let other = |subject: &Subject, of: &DeviceId| {
            subject.model != *model || device.is_some_and(|device| device != of)
        };
        self.devices.retain(|(subject, of), _| other(subject, of));
        if device.is_none() {
            self.cohorts
                .retain(|(subject, _), _| subject.model != *model);
            self.quality
                .retain(|(subject, _), _| subject.model != *model);
        }
    }

    fn beside_others(
        &mut self,
        seen: &Seen,
        (standings, expected): (&[Option<f64>], &Expected),
        lengths: (u32, u32),
    ) -> Vec<What> {
        let by_week = |feature| expected.follows(feature) != Follows::Nothing;
        let rule = SlotRule {
            incidents_per_year: self.rule.incidents_per_cohort_year.get()
                / standings.len().max(1) as f64,
            features: standings.len(),
            by_week: (0..standings.len()).filter(|at| by_week(*at)).collect(),
        };
        let mut what = Vec::new();
        for cohort in self.cohorts_of(&seen.device) {
            let key = (seen.subject.clone(), cohort.clone());
            let slots = self.cohorts.entry(key).or_default();
            let name = seen.device.as_str();
            let ended = seen.counted.ended;
            let moved = slots.take(name, ended, standings.to_vec(), lengths, &rule);
            what.extend(
                moved
                    .into_iter()
                    .map(|moved| What::Cohort(cohort.clone(), moved)),
            );
        }
        what
    }

    fn device_rule(&self, expected: &Expected) -> DeviceRule {
        let parts = u32::try_from(expected.features.len()).unwrap_or(u32::MAX);
        // How a device serves has a share like a feature's.
        let parts = NonZeroU32::MIN.saturating_add(parts);
        DeviceRule {
            features: expected.features.iter().map(FeatureRule::of).collect(),
            budget: Budget::new(self.rule.incidents_per_device_year, parts),
        }
    }
}
