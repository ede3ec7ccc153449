//! Labels on the wire: bins that are not empty.
//!
//! At least [`crate::limits::WINDOW_LABELS_MIN`] of them or none: fewer wait on the device.

use crate::cbor::List;
use crate::limits::SCORE_BINS;
use crate::stats::LabelCounts;
use minicbor::{Decode, Encode};

/// Labels of one window; see [`LabelCounts`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Labels<'b> {
    /// Labels by bin of the score, ascending.
    #[b(0)]
    #[cbor(default)]
    pub bins: List<'b, LabelCount, SCORE_BINS>,
    /// See [`LabelCounts::unknown`].
    #[n(1)]
    #[cbor(default)]
    pub unknown: u32,
    /// See [`LabelCounts::stale`].
    #[n(2)]
    #[cbor(default)]
    pub stale: u32,
}

/// Labels of one bin of the score.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub struct LabelCount {
    /// The bin.
    #[n(0)]
    pub bin: u8,
    /// Labels of the class that was scored.
    #[n(1)]
    pub positive: u32,
    /// All others.
    #[n(2)]
    pub negative: u32,
}

/// Counts as a list, to be written.
#[derive(Debug, Clone)]
pub struct LabelLists {
    bins: heapless::Vec<LabelCount, SCORE_BINS>,
    unknown: u32,
    stale: u32,
}

impl LabelLists {
    /// The bins of `counts` that are not empty.
    #[must_use]
    pub fn of(counts: &LabelCounts) -> Self {
        let bins = (0..).zip(counts.positive.iter().zip(&counts.negative));
        let bins = bins.map(|(bin, (positive, negative))| LabelCount {
            bin,
            positive: *positive,
            negative: *negative,
        });
        Self {
            bins: bins
                .filter(|bin| (bin.positive, bin.negative) != (0, 0))
                .collect(),
            unknown: counts.unknown,
            stale: counts.stale,
        }
    }

    /// What a window carries.
    #[must_use]
    pub fn labels(&self) -> Labels<'_> {
        Labels {
            bins: List::of(&self.bins),
            unknown: self.unknown,
            stale: self.stale,
        }
    }
}

impl Labels<'_> {
    /// The counts, to be merged or judged.
    #[must_use]
    pub fn counts(&self) -> LabelCounts {
        let mut counts = LabelCounts {
            unknown: self.unknown,
            stale: self.stale,
            ..LabelCounts::default()
        };
        for label in self.bins.iter() {
            let bin = usize::from(label.bin);
            let sides = [
                (counts.positive.get_mut(bin), label.positive),
                (counts.negative.get_mut(bin), label.negative),
            ];
            for (mine, theirs) in sides {
                if let Some(mine) = mine {
                    *mine = mine.saturating_add(theirs);
                }
            }
        }
        counts
    }

    /// The counts of both; none where neither has any.
    pub(super) fn sum(one: Option<&Self>, other: Option<&Self>) -> Option<LabelCounts> {
        let mut counts = one.or(other)?.counts();
        if let (Some(_), Some(other)) = (one, other) {
            counts.merge(&other.counts());
        }
        Some(counts)
    }
}
