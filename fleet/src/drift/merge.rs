//! Sums of hours become sums of devices and bundles: exactly, in any order. Sums over different
//! references, or features that are not alike, are kept apart.

use std::collections::{BTreeMap, BTreeSet};

use muster_protocol::digest::Digest;

use super::{BundleReference, DriftRow, Histograms, MergedScores, feature};
use crate::store::{FeatureHour, WindowSums};

/// Whose sums.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Of {
    /// Of all devices together.
    All,
    /// Of the devices of a cohort, by its name.
    Cohort(String),
    /// Of one device.
    Device(String),
}

/// What may be added up: sums of one reference and one shape.
type Alike = (Option<Digest>, Vec<usize>);

/// All sums of one model.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Merged(BTreeMap<(Of, Digest), OfBundle>);

/// Sums of one bundle.
#[derive(Debug, Clone, PartialEq, Default)]
struct OfBundle {
    devices: BTreeSet<String>,
    sums: BTreeMap<Alike, WindowSums>,
}

impl Merged {
    /// Adds an hour of a device to the sums `of`.
    pub(crate) fn add(&mut self, of: Of, hour: FeatureHour) {
        self.add_device(of.clone(), hour.bundle, hour.device);
        self.add_sums(of, hour.bundle, hour.reference, hour.sums);
    }

    /// Adds sums of devices that [`Merged::add_device`] names.
    pub(crate) fn add_sums(
        &mut self,
        of: Of,
        bundle: Digest,
        reference: Option<Digest>,
        more: WindowSums,
    ) {
        let bundle = self.0.entry((of, bundle)).or_default();
        let alike = (reference, more.shape());
        match bundle.sums.get_mut(&alike) {
            Some(sums) => sums.merge(&more),
            None => {
                bundle.sums.insert(alike, more);
            }
        }
    }

    /// Names a device that is in the sums `of`.
    pub(crate) fn add_device(&mut self, of: Of, bundle: Digest, device: String) {
        let bundle = self.0.entry((of, bundle)).or_default();
        bundle.devices.insert(device);
    }

    /// The bundles in here.
    pub(crate) fn bundles(&self) -> BTreeSet<Digest> {
        self.0.keys().map(|(_, bundle)| *bundle).collect()
    }

    /// The rows, all devices first; `known` gives version and reference of a bundle.
    pub(crate) fn rows<'r>(
        &self,
        model: &str,
        known: impl Fn(&Digest) -> (Option<String>, Option<&'r BundleReference>),
        scores: &MergedScores,
        histograms: Histograms,
    ) -> Vec<DriftRow> {
        let row = |(key, sums): (&(Of, Digest), &OfBundle)| {
            let (of, bundle) = key;
            let (version, reference) = known(bundle);
            DriftRow {
                model: model.to_owned(),
                version,
                bundle: bundle.to_string(),
                device: match of {
                    Of::All | Of::Cohort(_) => None,
                    Of::Device(device) => Some(device.clone()),
                },
                cohort: match of {
                    Of::All | Of::Device(_) => None,
                    Of::Cohort(cohort) => Some(cohort.clone()),
                },
                quality: scores.quality(key, reference),
                ..sums.row(reference, histograms)
            }
        };
        self.0.iter().map(row).collect()
    }
}

impl OfBundle {
    /// Everything of a row but its names.
    fn row(&self, reference: Option<&BundleReference>, histograms: Histograms) -> DriftRow {
        let right = reference.map(|reference| (Some(reference.digest), reference.shape()));
        let mut row = DriftRow {
            model: String::new(),
            version: None,
            bundle: String::new(),
            device: None,
            cohort: None,
            devices: self.devices.len(),
            closed_windows: 0,
            calls: 0,
            calls_without_features: 0,
            windows_left_out: 0,
            reference_rows: reference.map(|reference| reference.rows),
            features: Vec::new(),
            quality: None,
        };
        for (alike, sums) in &self.sums {
            row.closed_windows = row.closed_windows.saturating_add(sums.closed_windows);
            row.calls = row.calls.saturating_add(sums.calls);
            if Some(alike) == right.as_ref() {
                let pairs = reference.into_iter().flat_map(|known| &known.features);
                let pairs = pairs.zip(&sums.features);
                row.features = pairs.map(|(r, sum)| feature(r, sum, histograms)).collect();
                row.windows_left_out = row.windows_left_out.saturating_add(sums.misfits);
            } else if alike.0.is_none() {
                row.calls_without_features = row.calls_without_features.saturating_add(sums.calls);
            } else if reference.is_some() {
                let left_out = row.windows_left_out.saturating_add(sums.closed_windows);
                row.windows_left_out = left_out;
            }
        }
        row
    }
}
