//! Scores and labels of hours become those of devices and bundles: exactly, in any order. Those
//! counted against another reference are left out.

use std::collections::BTreeMap;

use muster_fleet::quality::{Quality, ScoreSums};
use muster_protocol::digest::Digest;

use super::{BundleReference, Of};
use crate::store::ScoreHour;

/// All scores of one model, by the reference that windows name.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct MergedScores(BTreeMap<(Of, Digest), BTreeMap<Option<Digest>, ScoreSums>>);

impl MergedScores {
    /// Adds an hour to the sums `of`.
    pub(crate) fn add(&mut self, of: Of, hour: &ScoreHour) {
        let bundle = self.0.entry((of, hour.bundle)).or_default();
        bundle.entry(hour.reference).or_default().merge(&hour.sums);
    }

    /// How well a bundle does; none where its reference names no probabilities, or nothing came.
    pub(super) fn quality(
        &self,
        (of, bundle): &(Of, Digest),
        reference: Option<&BundleReference>,
    ) -> Option<Quality> {
        let reference = reference?;
        let scores = reference.scores.as_ref()?;
        let sums = self.0.get(&(of.clone(), *bundle))?;
        // A window that names no reference carries labels only: they are of this bundle.
        let right = |named: &&Option<Digest>| named.is_none_or(|named| named == reference.digest);
        let mut total = ScoreSums::default();
        for (_, sums) in sums.iter().filter(|(named, _)| right(named)) {
            total.merge(sums);
        }
        (total != ScoreSums::default()).then(|| Quality::of(scores, &total))
    }
}
