//! From the counts of a cohort by the hour to the days that the rule of retraining judges, and the
//! record of a request as it is signed.
//!
//! Asks for nothing by itself: sums come in, days go out.

mod document;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use muster_fleet::incident::{Day, FeatureDay, QualityDay, RetrainRule, dispersion};
use muster_fleet::quality::ScoreSums;
use muster_fleet::statistics::two_sample::pearson;
use muster_protocol::stats::comparison::{self, Comparison, SAMPLES_MIN};
use muster_protocol::stats::{FeatureSum, Measures};

use crate::drift::{BundleReference, ReferenceFeature};
use crate::store::{FeatureHour, ScoreHour};

pub(crate) use document::{RetrainFile, seal, verify};

const HOURS: u64 = 24;

/// Counts of one bundle on the devices of one cohort.
pub(crate) struct CohortCounts<'r> {
    reference: &'r BundleReference,
    rule: &'r RetrainRule,
    /// The first hour of the days that are judged.
    from: u64,
    /// Hours before this one are from before the incident.
    incident: u64,
    days: BTreeMap<u64, BTreeMap<String, Vec<FeatureSum>>>,
    hours: BTreeMap<u64, Vec<FeatureSum>>,
    /// By day.
    scores: BTreeMap<u64, ScoreSums>,
    /// Devices that these scores are of.
    scored: BTreeSet<String>,
}

impl<'r> CohortCounts<'r> {
    /// Nothing counted yet, for days from the hour `from` on, of an incident that began in the
    /// hour `incident`; hours since 1970.
    pub(crate) fn new(
        reference: &'r BundleReference,
        rule: &'r RetrainRule,
        from: u64,
        incident: u64,
    ) -> Self {
        Self {
            reference,
            rule,
            from: from - from % HOURS,
            incident,
            days: BTreeMap::new(),
            hours: BTreeMap::new(),
            scores: BTreeMap::new(),
            scored: BTreeSet::new(),
        }
    }

    /// Adds what one device counted in one hour; counts against another reference are left out.
    pub(crate) fn add(&mut self, hour: u64, counted: FeatureHour) {
        let is_ours = counted.reference == Some(self.reference.digest)
            && counted.sums.shape() == self.reference.shape();
        if !is_ours {
            return;
        }
        if hour < self.incident {
            let sums = self.hours.entry(hour).or_default();
            merge(sums, &counted.sums.features);
        }
        if hour >= self.from {
            let day = self.days.entry(hour / HOURS).or_default();
            let sums = day.entry(counted.device).or_default();
            merge(sums, &counted.sums.features);
        }
    }

    /// Adds what a classifier did on one device in one hour. What names no reference is labels alone, of
    /// this bundle.
    pub(crate) fn add_scores(&mut self, hour: u64, counted: &ScoreHour) {
        let named = counted.reference;
        let is_ours = named.is_none_or(|named| named == self.reference.digest);
        if is_ours && hour >= self.from {
            let day = self.scores.entry(hour / HOURS).or_default();
            day.merge(&counted.sums);
            self.scored.insert(counted.device.clone());
        }
    }

    /// How many devices the days are of, by features or by scores.
    pub(crate) fn devices(&self) -> u64 {
        let names = self.days.values().flat_map(BTreeMap::keys);
        names.chain(&self.scored).collect::<BTreeSet<_>>().len() as u64
    }

    /// The days, the oldest first.
    pub(crate) fn days(&self) -> Vec<Day> {
        let factors: Vec<_> = (0..self.reference.features.len())
            .map(|at| self.dispersion(at))
            .collect();
        let none = BTreeMap::new();
        let all: BTreeSet<u64> = self
            .days
            .keys()
            .chain(self.scores.keys())
            .copied()
            .collect();
        let day = |day: u64| {
            let devices = self.days.get(&day).unwrap_or(&none);
            let features = self.reference.features.iter().enumerate();
            Day {
                day,
                features: features
                    .filter_map(|(at, feature)| self.feature_day(at, feature, devices, factors[at]))
                    .collect(),
                quality: self.quality_day(day),
            }
        };
        all.into_iter().map(day).collect()
    }

    fn quality_day(&self, day: u64) -> Option<QualityDay> {
        let (reference, sums) = (self.reference.scores.as_ref()?, self.scores.get(&day)?);
        Some(QualityDay::of(reference, sums))
    }

    /// From the hours before the incident: as many together as it takes to compare them.
    fn dispersion(&self, at: usize) -> Option<f64> {
        let reference = &self.reference.features[at];
        let (mut stretches, mut stretch) = (Vec::new(), Vec::new());
        for sum in self.hours.values().filter_map(|sums| sums.get(at)) {
            merge(&mut stretch, std::slice::from_ref(sum));
            if let Some(measures) = measure(reference, stretch.first()) {
                stretches.push((measures.x2, measures.df));
                stretch.clear();
            }
        }
        dispersion(&stretches)
    }

    fn feature_day(
        &self,
        at: usize,
        reference: &ReferenceFeature,
        devices: &BTreeMap<String, Vec<FeatureSum>>,
        dispersion: Option<f64>,
    ) -> Option<FeatureDay> {
        let each = devices.values().filter_map(|sums| sums.get(at));
        let mut all: Vec<FeatureSum> = Vec::new();
        each.clone()
            .for_each(|sum| merge(&mut all, std::slice::from_ref(sum)));
        let together = all.first()?;
        let own: Vec<_> = each
            .filter_map(|sum| measure(reference, Some(sum)))
            .collect();
        let moved = own
            .iter()
            .filter(|own| own.psi_corrected() > self.rule.psi_min);
        let measures = measure(reference, Some(together))?;
        Some(FeatureDay {
            feature: reference.name.clone(),
            n: measures.n,
            psi: measures.psi_corrected(),
            p: dispersion.map(|factor| {
                let x2 = measures.x2 / factor;
                pearson(&Measures { x2, ..measures }).p
            }),
            devices: own.len() as u64,
            devices_moved: moved.count() as u64,
            observed: together.bins.to_vec(),
        })
    }
}

fn measure(reference: &ReferenceFeature, observed: Option<&FeatureSum>) -> Option<Measures> {
    let bins = reference.counts.iter().copied();
    let cells = comparison::cells(bins, reference.missing, observed?)?;
    match comparison::compare(&cells, SAMPLES_MIN) {
        Comparison::Measured(measures) => Some(measures),
        Comparison::NoReference | Comparison::TooFew { .. } => None,
    }
}

/// Adds sums of one shape; the first ones are taken as they are.
fn merge(into: &mut Vec<FeatureSum>, more: &[FeatureSum]) {
    if into.is_empty() {
        *into = more.to_vec();
        return;
    }
    for (mine, theirs) in into.iter_mut().zip(more) {
        let merged = mine.merge(theirs);
        merged.expect("invariant: sums of another shape were left out");
    }
}
