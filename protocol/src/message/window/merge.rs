//! Merging two windows of one kind into one, written out feature by feature.
//!
//! Needs room for one feature, not for a window; never merges what was counted differently.

use super::{
    ErrorCount, FeatureWindow, LabelLists, Labels, LatencyCount, LatencyMisses, ScoreLists, Scores,
    Window,
};
use crate::limits::ERROR_CODES_MAX;
use crate::stats::LatencyFold;
use crate::time::Millis;
use core::fmt;
use minicbor::encode::{Error, Write};
use minicbor::{Encode, Encoder};

/// Two windows that can be written as one.
#[derive(Debug)]
pub struct Merged<'w, 'b> {
    earlier: &'w Window<'b>,
    later: &'w Window<'b>,
    started: Millis,
}

/// Which difference keeps two windows apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CannotMerge {
    /// Model, bundle or entry.
    Entry,
    /// The reference, or the number of its features or bins.
    Reference,
    /// The latency objective, or only one of them has one.
    Objective,
    /// What served beside them, or only one of them was a shadow.
    Shadow,
}

impl fmt::Display for CannotMerge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Entry => "the windows belong to different entries",
            Self::Reference => "the windows were counted against different references",
            Self::Objective => "the windows were counted against different latency objectives",
            Self::Shadow => "the windows were counted beside different bundles",
        })
    }
}

impl<'w, 'b> Merged<'w, 'b> {
    /// Pairs two windows of one boot, `earlier` first.
    ///
    /// # Errors
    /// [`CannotMerge`] when they count different things.
    pub fn of(earlier: &'w Window<'b>, later: &'w Window<'b>) -> Result<Self, CannotMerge> {
        let entry = |w: &Window<'b>| (w.model.clone(), w.bundle, w.since);
        if entry(earlier) != entry(later) {
            return Err(CannotMerge::Entry);
        }
        let bins = |w: &Window<'b>| w.features.iter().map(|f| f.bins.len());
        let alike = earlier.features.len() == later.features.len()
            && bins(earlier).eq(bins(later))
            && earlier.reference == later.reference;
        if !alike {
            return Err(CannotMerge::Reference);
        }
        // Of a sum with another objective, or with none, nobody could say which requests it counts.
        let objective = |w: &Window<'b>| w.latency_misses.map(|misses| misses.objective_us);
        if objective(earlier) != objective(later) {
            return Err(CannotMerge::Objective);
        }
        let beside = |w: &Window<'b>| w.shadow.as_ref().map(|shadow| shadow.beside);
        if beside(earlier) != beside(later) {
            return Err(CannotMerge::Shadow);
        }
        Ok(Self {
            earlier,
            later,
            started: earlier.started,
        })
    }

    /// The windows are of two boots, whose monotonic clocks have nothing in common: the merged
    /// one starts where the later one does, and belongs to the boot of the later one. Its counts
    /// are those of both; its span is too short by that of the earlier.
    #[must_use]
    pub const fn across_boots(self) -> Self {
        Self {
            started: self.later.started,
            ..self
        }
    }

    fn errors(&self) -> heapless::Vec<ErrorCount, ERROR_CODES_MAX> {
        let mut sum = heapless::Vec::<ErrorCount, ERROR_CODES_MAX>::new();
        for error in self.earlier.errors.iter().chain(self.later.errors.iter()) {
            let known = sum.iter_mut().find(|e| e.code == error.code);
            if let Some(known) = known {
                known.count = known.count.saturating_add(error.count);
            } else if sum.push(error).is_err() {
                // More codes than a window has room for: the last one stands for the rest.
                let last = sum.last_mut().expect("invariant: a full list is not empty");
                last.count = last.count.saturating_add(error.count);
            }
        }
        // In one order, so that the order of merging does not show.
        sum.sort_unstable_by_key(|error| error.code);
        sum
    }

    fn latency_misses(&self) -> Option<LatencyMisses> {
        let both = self.earlier.latency_misses.zip(self.later.latency_misses);
        both.map(|(earlier, later)| LatencyMisses {
            count: earlier.count.saturating_add(later.count),
            ..earlier
        })
    }

    fn latency(&self) -> LatencyFold {
        LatencyFold::sum(&self.earlier.latency, &self.later.latency)
    }
}

impl Encode<()> for Merged<'_, '_> {
    fn encode<W: Write>(&self, e: &mut Encoder<W>, ctx: &mut ()) -> Result<(), Error<W::Error>> {
        let (a, b) = (self.earlier, self.later);
        let (errors, latency, misses) = (self.errors(), self.latency(), self.latency_misses());
        let unix = b.unix.or(a.unix);
        let shadows = a.shadow.as_ref().zip(b.shadow.as_ref());
        let scores = Scores::sum(a.scores.as_ref(), b.scores.as_ref());
        let labels = Labels::sum(a.labels.as_ref(), b.labels.as_ref());
        let optional = [
            a.reference.is_some(),
            unix.is_some(),
            misses.is_some(),
            shadows.is_some(),
            scores.is_some(),
            labels.is_some(),
        ];
        e.map(10 + optional.into_iter().map(u64::from).sum::<u64>())?;
        e.u8(0)?
            .encode(&a.model)?
            .u8(1)?
            .encode(a.bundle)?
            .u8(2)?
            .encode(a.since)?;
        if let Some(reference) = a.reference {
            e.u8(3)?.encode(reference)?;
        }
        e.u8(4)?.encode(self.started)?.u8(5)?.encode(b.ended)?;
        if let Some(unix) = unix {
            e.u8(6)?.encode(unix)?;
        }
        e.u8(7)?
            .u32(a.closed_windows.saturating_add(b.closed_windows))?;
        e.u8(8)?.u64(a.calls.saturating_add(b.calls))?;
        e.u8(9)?.array(errors.len() as u64)?;
        errors.iter().try_for_each(|error| error.encode(e, ctx))?;
        e.u8(10)?.array(latency.iter().count() as u64)?;
        for (bucket, count) in latency.iter() {
            LatencyCount { bucket, count }.encode(e, ctx)?;
        }
        e.u8(11)?.array(a.features.len() as u64)?;
        for (a, b) in a.features.iter().zip(b.features.iter()) {
            let mut counts = a.counts();
            counts.merge(&b.counts());
            FeatureWindow::of(&counts, a.bins.len()).encode(e, ctx)?;
        }
        if let Some(misses) = misses {
            e.u8(12)?.encode(misses)?;
        }
        if let Some((a, b)) = shadows {
            a.encode_sum(b, e.u8(13)?, ctx)?;
        }
        if let Some(scores) = scores {
            ScoreLists::of(&scores).scores().encode(e.u8(14)?, ctx)?;
        }
        if let Some(labels) = labels {
            LabelLists::of(&labels).labels().encode(e.u8(15)?, ctx)?;
        }
        Ok(())
    }
}
