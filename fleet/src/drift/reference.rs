//! The reference of a bundle, read from the blobs and kept: bundles never change.
//!
//! Never trusts its bytes for more than their digest says.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use muster_fleet::quality::{ReferenceScores, ScoreSums};
use muster_protocol::bundle::manifest::LayerKind;
use muster_protocol::bundle::{
    FeatureReference, Manifest, Probabilities, Reference, Source, Variation,
};
use muster_protocol::cbor;
use muster_protocol::digest::Digest;
use muster_protocol::limits::WHOLE_BYTES_MAX;
use muster_protocol::message::Labels;
use muster_protocol::stats::{Limits, Transform};

use super::Side;
use crate::blobs::Blobs;
use crate::bundle::unpacked;

/// References that are kept in memory.
const KEPT_MAX: usize = 256;

/// The reference of one bundle.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct BundleReference {
    /// The digest that windows name.
    pub(crate) digest: Digest,
    /// Rows that it was made from.
    pub(crate) rows: u64,
    /// How blocks of its rows vary.
    pub(crate) variation: Option<Variation>,
    /// Its features, in their order.
    pub(crate) features: Vec<ReferenceFeature>,
    /// Its scores, of a classifier.
    pub(crate) scores: Option<ReferenceScores>,
}

/// The reference of one feature.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ReferenceFeature {
    /// Its name.
    pub(crate) name: String,
    /// On which side of the model it lies.
    pub(crate) source: Side,
    /// Edges between bins, ascending.
    pub(crate) edges: Vec<f32>,
    /// Rows in each bin.
    pub(crate) counts: Vec<u64>,
    /// Rows in which it was absent or not finite.
    pub(crate) missing: u64,
    /// Mean and standard deviation of the values themselves; none where moments are taken of
    /// something else.
    pub(crate) raw: Option<(f64, f64)>,
    /// Beyond what a block of it is a breach.
    pub(crate) limits: Option<Limits>,
}

/// References by bundle.
#[derive(Debug, Default)]
pub(crate) struct References(Mutex<BTreeMap<Digest, Arc<BundleReference>>>);

impl References {
    /// The reference of a bundle; none, with a line in the log, when the blobs do not have it or
    /// it is damaged. Blocks.
    pub(crate) fn get(&self, blobs: &Blobs, bundle: Digest) -> Option<Arc<BundleReference>> {
        if let Some(kept) = self.kept().get(&bundle) {
            return Some(Arc::clone(kept));
        }
        let read = BundleReference::read(blobs, bundle).map(Arc::new);
        let read = read.map_err(|because| {
            tracing::warn!("failed to read the reference of {bundle}: because {because}");
        });
        let read = read.ok()?;
        let mut kept = self.kept();
        if kept.len() >= KEPT_MAX {
            kept.clear();
        }
        kept.insert(bundle, Arc::clone(&read));
        Some(read)
    }

    /// Knows one already.
    #[cfg(test)]
    pub(crate) fn with(bundle: Digest, reference: BundleReference) -> Self {
        Self(Mutex::new(BTreeMap::from([(bundle, Arc::new(reference))])))
    }

    fn kept(&self) -> std::sync::MutexGuard<'_, BTreeMap<Digest, Arc<BundleReference>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl BundleReference {
    /// Reads it from the blobs of a release.
    fn read(blobs: &Blobs, bundle: Digest) -> Result<Self, String> {
        let blob = |digest: Digest| -> Result<Vec<u8>, String> {
            let found = blobs.read(digest, u64::from(WHOLE_BYTES_MAX));
            let found = found.map_err(|error| error.to_string())?;
            found.ok_or_else(|| format!("the blob {digest} is not there"))
        };
        let manifest = Manifest::parse(&blob(bundle)?).map_err(|bad| format!("{bad}"))?;
        let layer = manifest.layer(LayerKind::Reference);
        let layer = layer.ok_or("the bundle has none")?;
        if layer.blob_size > u64::from(WHOLE_BYTES_MAX) {
            return Err("it is too large".to_owned());
        }
        let bytes = unpacked(layer, blob(layer.digest)?).map_err(|broken| broken.to_string())?;
        Self::decode(layer.blob_digest, &bytes)
    }

    /// Reads the document.
    pub(super) fn decode(digest: Digest, bytes: &[u8]) -> Result<Self, String> {
        let reference: Reference<'_> = cbor::decode(bytes).map_err(|error| error.to_string())?;
        let variation = reference.variation;
        let features = reference.features.iter();
        let features = features.map(|feature| ReferenceFeature::of(feature, variation));
        Ok(Self {
            digest,
            rows: reference.rows,
            variation,
            features: features.collect::<Result<_, _>>()?,
            scores: reference.probabilities.map(scores).transpose()?,
        })
    }

    /// How many bins each feature has.
    pub(crate) fn shape(&self) -> Vec<usize> {
        let bins = self.features.iter().map(|feature| feature.counts.len());
        bins.collect()
    }
}

fn scores(probabilities: Probabilities<'_>) -> Result<ReferenceScores, String> {
    let scale = probabilities.scale();
    let scale = scale.map_err(|bad| format!("its probabilities cannot be counted: {bad:?}"))?;
    let labels = Labels {
        bins: probabilities.labels,
        unknown: 0,
        stale: 0,
    };
    let sums = ScoreSums::of(Some(&probabilities.counts), Some(&labels));
    Ok(ReferenceScores { scale, sums })
}

impl ReferenceFeature {
    fn of(feature: FeatureReference<'_>, variation: Option<Variation>) -> Result<Self, String> {
        let name = feature.name.to_owned();
        let limits = feature.limits(variation);
        let limits = limits.map_err(|bad| format!("limits of {name:?}: {bad:?}"))?;
        let checked = feature.scale();
        checked.map_err(|bad| format!("feature {name:?} cannot be counted: {bad:?}"))?;
        Ok(Self {
            name,
            source: match feature.source {
                Source::Input => Side::Input,
                Source::Output => Side::Output,
            },
            edges: feature.edges.iter().map(f32::from_bits).collect(),
            counts: feature.counts.iter().map(u64::from).collect(),
            missing: u64::from(feature.missing),
            raw: (feature.transform == Transform::Identity).then(|| {
                let number = |bits| f64::from(f32::from_bits(bits));
                (number(feature.mean), number(feature.deviation))
            }),
            limits,
        })
    }
}
