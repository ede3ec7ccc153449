//! The critical values of a reference: how much blocks of its own rows vary.
//!
//! `docs/critical-values.md`. Blocks are rows that follow each other in the reference data, so that
//! what neighbouring rows have in common is in them. Never looks at the rows of a device.

mod beyond;

use muster_protocol::bundle::Variation;
use muster_protocol::limits::WINDOW_SAMPLES_MIN;
use muster_protocol::stats::critical::{Block, KINDS, Limits, Location, Spread};
use muster_protocol::stats::{FeatureFold, Scale};

use muster_fleet::statistics::blocks::{Events, reach, share_limit};

/// Blocks below which their variation is not known.
pub(super) const BLOCKS_MIN: usize = 8;
/// Incidents by chance that a device may have in a year.
pub(super) const INCIDENTS_A_YEAR: f64 = 0.1;
/// Blocks that a device judges in a year at most: one for each window of 300 s.
pub(super) const BLOCKS_A_YEAR: f64 = 365.0 * 86_400.0 / 300.0;
/// Rows of a block without `--block-rows`: a twentieth of all, between these.
const ROWS_DEFAULT: std::ops::RangeInclusive<usize> = WINDOW_SAMPLES_MIN as usize..=300;
/// Blocks that the default aims at.
const BLOCKS_DEFAULT: usize = 20;
/// Repeats in a row that are no breach in any feature.
const RUN_FREE: u32 = 8;

/// How a reference is cut into blocks.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Blocks {
    rows: usize,
    count: usize,
    /// Probability of exceeding one limit by chance.
    false_alarm: f64,
}

/// A block of the reference.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Seen {
    counts: Block,
    /// Values beyond all other blocks.
    beyond: u64,
}

/// Rows that make too few blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "the reference has no critical values, and devices cannot alarm by themselves: because {rows} \
     rows make {count} blocks of {block_rows}, and it takes {BLOCKS_MIN}; give more rows, or a \
     smaller --block-rows, down to 20"
)]
pub(super) struct TooFewBlocks {
    rows: usize,
    count: usize,
    block_rows: usize,
}

impl Blocks {
    /// Blocks of `wanted` rows, or of a twentieth of all.
    pub(super) fn of(
        rows: usize,
        features: usize,
        wanted: Option<u32>,
    ) -> Result<Self, TooFewBlocks> {
        let usual = (rows / BLOCKS_DEFAULT).clamp(*ROWS_DEFAULT.start(), *ROWS_DEFAULT.end());
        let block_rows = wanted.map_or(usual, |wanted| wanted.max(1) as usize);
        let count = rows / block_rows;
        if count < BLOCKS_MIN {
            return Err(TooFewBlocks {
                rows,
                count,
                block_rows,
            });
        }
        let limits = (features.max(1) * KINDS) as f64;
        Ok(Self {
            rows: block_rows,
            count,
            false_alarm: INCIDENTS_A_YEAR / limits / BLOCKS_A_YEAR,
        })
    }

    /// What the reference says of them.
    pub(super) fn said(&self) -> Variation {
        let number = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        Variation {
            block_rows: number(self.rows),
            blocks: number(self.count),
            false_alarm: self.false_alarm.to_bits(),
        }
    }

    /// The blocks of a column, in order; rows that make no whole block are left out.
    fn cut(&self, scale: &Scale, column: &[f32]) -> Vec<Seen> {
        let mut fold = FeatureFold::new(scale.clone());
        let count = |(rows, beyond): (&[f32], u64)| {
            fold.reset();
            rows.iter().for_each(|value| fold.fold(Some(*value)));
            let counts = fold.counts().into();
            Seen { counts, beyond }
        };
        let beyond = beyond::beyond_others(column, self.rows, scale);
        let blocks = column.chunks_exact(self.rows).zip(beyond);
        blocks.map(count).collect()
    }

    /// Beyond what one more block of a column is a breach.
    pub(super) fn limits(&self, scale: &Scale, column: &[f32]) -> Limits {
        let limits = self.limits_of(&self.cut(scale, column));
        let moved = limits.location.map_or(0.0, |location| {
            let distance = f64::from(location.mean.abs()) + f64::from(location.distance);
            beyond::share_when_moved(column, scale, distance)
        });
        Limits {
            out_of_range: limits.out_of_range.max(above(moved)).min(1.0),
            ..limits
        }
    }

    /// Limits from the blocks alone.
    fn limits_of(&self, blocks: &[Seen]) -> Limits {
        let p = self.false_alarm;
        let Variation { block_rows, .. } = self.said();
        let share = |count: fn(&Seen) -> u64, rows: fn(&Seen) -> u64| {
            let events = blocks.iter().map(|block| Events {
                count: count(block),
                rows: rows(block),
            });
            above(share_limit(&events.collect::<Vec<_>>(), p)).min(1.0)
        };
        let all = blocks.iter().map(|block| &block.counts);
        let judged = all.filter(|block| block.has_values_for(block_rows));
        let judged: Vec<&Block> = judged.collect();
        let run = blocks.iter().map(|block| block.counts.longest_run).max();
        let run = u32::try_from(run.unwrap_or(0)).unwrap_or(u32::MAX);
        Limits {
            block_rows,
            location: location(&judged, p),
            spread: spread(&judged, p),
            absent: share(|block| block.counts.absent, |block| block.counts.rows()),
            out_of_range: share(|block| block.beyond, |block| block.counts.n),
            repeats: share(|block| block.counts.repeats, |block| block.counts.n),
            longest_run: run.saturating_mul(2).saturating_add(RUN_FREE),
        }
    }
}

fn location(blocks: &[&Block], p: f64) -> Option<Location> {
    let means: Vec<f64> = blocks.iter().filter_map(|block| block.mean()).collect();
    let reach = reach(&means, p).filter(|_| means.len() >= BLOCKS_MIN)?;
    let mean = reach.mean as f32;
    // What rounding takes from the mean, the distance gives back.
    let distance = reach.distance + (reach.mean - f64::from(mean)).abs();
    Some(Location {
        mean,
        distance: above(distance),
    })
}

/// By the logarithm, which is more nearly normal. Blocks that do not vary have none: where there
/// are some, no spread is too small; where there is nothing else, any is too large.
fn spread(blocks: &[&Block], p: f64) -> Option<Spread> {
    let all: Vec<f64> = blocks
        .iter()
        .filter_map(|block| block.deviation())
        .collect();
    let varying: Vec<f64> = all
        .iter()
        .filter(|sd| **sd > 0.0)
        .map(|sd| sd.ln())
        .collect();
    if all.len() < BLOCKS_MIN {
        return None;
    }
    if varying.is_empty() {
        return Some(Spread {
            low: 0.0,
            high: 0.0,
        });
    }
    let reach = reach(&varying, p).filter(|_| varying.len() >= BLOCKS_MIN)?;
    let low = (reach.mean - reach.distance).exp() as f32;
    let high = (reach.mean + reach.distance).exp();
    Some(Spread {
        low: match varying.len() == all.len() {
            true => low.next_down().max(0.0),
            false => 0.0,
        },
        high: above(high),
    })
}

/// The least binary32 that is not below, nor beyond the largest; 0 stays 0.
fn above(x: f64) -> f32 {
    let rounded = x.min(f64::from(f32::MAX)) as f32;
    match f64::from(rounded) < x {
        true => rounded.next_up().min(f32::MAX),
        false => rounded,
    }
}

#[cfg(test)]
mod tests;
