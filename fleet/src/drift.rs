//! How far what devices count lies from the reference of their bundle: measures, with the counts
//! that they are made of. Never a verdict: a small p of dependent samples, or a large PSI of few,
//! proves nothing by itself.
//!
//! Knows neither SQL nor HTTP: sums come in, rows go out.

mod merge;
mod reference;
mod scores;
#[cfg(test)]
mod tests;

use muster_fleet::quality::Quality;
use muster_protocol::id::{DeviceId, ModelId, Version};
use muster_protocol::stats::comparison::{self, Comparison, SAMPLES_MIN};
use muster_protocol::stats::{FeatureSum, Measures};
use serde::Serialize;
use statrs::distribution::{ChiSquared, ContinuousCDF as _};

pub(crate) use merge::{Merged, Of};
pub(crate) use reference::{BundleReference, ReferenceFeature, References};
pub(crate) use scores::MergedScores;

/// The span that is looked at when none is named, seconds.
pub(crate) const SINCE_S_DEFAULT: u64 = 24 * 3600;
/// The longest span, seconds: ten years.
pub(crate) const SINCE_S_MAX: u64 = 10 * 366 * 24 * 3600;

/// What is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DriftQuery {
    /// The model.
    pub(crate) model: ModelId,
    /// Only this version of it.
    pub(crate) version: Option<Version>,
    /// Only this device; without it all devices together come first, then each.
    pub(crate) device: Option<DeviceId>,
    /// Only this cohort, together: `all`, or `label=value`.
    pub(crate) cohort: Option<String>,
    /// Windows that ended in this many seconds before now; begins with a full hour.
    pub(crate) since_s: u64,
    /// Whether the counts by bin are wanted.
    pub(crate) histograms: Histograms,
}

/// Whether features come with their counts by bin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Histograms {
    /// They do.
    With,
    /// They do not.
    Without,
}

/// What one device, or all together, counted of one bundle.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct DriftRow {
    /// The model.
    pub(crate) model: String,
    /// The version, when the bundle is one that was released here.
    pub(crate) version: Option<String>,
    /// The bundle.
    pub(crate) bundle: String,
    /// The device; none for many together.
    pub(crate) device: Option<String>,
    /// The cohort, if one was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) cohort: Option<String>,
    /// Devices in here.
    pub(crate) devices: usize,
    /// Windows in here, merged ones counted.
    pub(crate) closed_windows: u64,
    /// Rows predicted in them.
    pub(crate) calls: u64,
    /// Of those, rows in windows without features: too few to be sent.
    pub(crate) calls_without_features: u64,
    /// Windows that were counted against something else than the bundle's reference, which is
    /// known: they are left out.
    pub(crate) windows_left_out: u64,
    /// Rows that the reference was made from; none when the controller cannot read it.
    pub(crate) reference_rows: Option<u64>,
    /// The features, in the order of the reference; none without windows that carry them.
    pub(crate) features: Vec<FeatureDrift>,
    /// How well a classifier does; none of what is none.
    pub(crate) quality: Option<Quality>,
}

/// One feature beside its reference.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct FeatureDrift {
    /// Its name.
    pub(crate) feature: String,
    /// On which side of the model it lies.
    pub(crate) source: Side,
    /// Samples compared: finite values, and what is missing when the reference has a share of it.
    pub(crate) n: u64,
    /// Rows without it.
    pub(crate) missing: u64,
    /// Values that were NaN or infinite.
    pub(crate) non_finite: u64,
    /// Values in one of the two tail bins.
    pub(crate) out_of_range: u64,
    /// The measures, when there are samples enough.
    #[serde(flatten)]
    pub(crate) measure: Measure,
    /// The counts by bin, when they are wanted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) histogram: Option<Histogram>,
}

/// On which side of the model a feature lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Side {
    /// It goes in.
    Input,
    /// It comes out.
    Output,
}

/// What can be said of one feature.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub(crate) enum Measure {
    /// The reference has no counts of it.
    NoReference,
    /// Too few samples.
    TooFew {
        /// Samples that it takes.
        n_min: u64,
    },
    /// Numbers.
    Measured {
        /// Pearson's X² of two samples.
        x2: f64,
        /// Its degrees of freedom.
        df: u32,
        /// How often X² is that large by chance, if samples were independent and nothing changed.
        p: f64,
        /// Population stability index: a size of effect.
        psi: f64,
        /// What PSI is on average when nothing changed.
        psi_expected: f64,
    },
}

/// Reference and observed counts over the same bins.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Histogram {
    /// Edges between the bins, ascending; the outermost bins are open tails.
    pub(crate) edges: Vec<f32>,
    /// Rows of the reference in each bin: one more than edges.
    pub(crate) reference: Vec<u64>,
    /// Values observed in each bin.
    pub(crate) observed: Vec<u64>,
}

/// One feature beside its reference; the sums have the reference's bins.
pub(crate) fn feature(
    reference: &ReferenceFeature,
    observed: &FeatureSum,
    histograms: Histograms,
) -> FeatureDrift {
    let bins = reference.counts.iter().copied();
    let cells = comparison::cells(bins, reference.missing, observed).unwrap_or_default();
    FeatureDrift {
        feature: reference.name.clone(),
        source: reference.source,
        n: cells
            .iter()
            .fold(0, |n, cell| u64::saturating_add(n, cell.observed)),
        missing: observed.missing,
        non_finite: observed.non_finite,
        out_of_range: observed.out_of_range,
        measure: Measure::of(comparison::compare(&cells, SAMPLES_MIN)),
        histogram: (histograms == Histograms::With).then(|| Histogram {
            edges: reference.edges.clone(),
            reference: reference.counts.clone(),
            observed: observed.bins.to_vec(),
        }),
    }
}

impl Measure {
    fn of(comparison: Comparison) -> Self {
        match comparison {
            Comparison::NoReference => Self::NoReference,
            Comparison::TooFew { n_min, .. } => Self::TooFew { n_min },
            Comparison::Measured(measures) => Self::Measured {
                x2: measures.x2,
                df: measures.df,
                p: p_value(&measures),
                psi: measures.psi,
                psi_expected: measures.psi_expected,
            },
        }
    }
}

/// The upper tail of the χ² distribution; without degrees of freedom nothing is unlikely.
fn p_value(measures: &Measures) -> f64 {
    ChiSquared::new(f64::from(measures.df)).map_or(1.0, |chi| chi.sf(measures.x2))
}
