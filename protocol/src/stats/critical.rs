//! Counts of one feature against the critical values that its reference gives: the same judgement
//! on a device without a network and on a fleet.
//!
//! `docs/critical-values.md`. Integers come in, and what is made of them is IEEE arithmetic of
//! binary64 and a square root of `libm`, so both ends agree to the last bit. Never estimates: the
//! limits were computed when the reference was made.

mod block;
mod watch;

pub use block::Block;
pub use watch::{Alarm, Change, Changes, LocalWatch, Progress, QUIET_BLOCKS, STREAK};

use crate::limits::WINDOW_SAMPLES_MIN;
use core::fmt;
use minicbor::{Decode, Encode};

/// What can be wrong with a block of counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum Kind {
    /// The mean is lower than blocks of the reference let it be.
    #[n(0)]
    LocationLow,
    /// The mean is higher.
    #[n(1)]
    LocationHigh,
    /// The standard deviation is smaller.
    #[n(2)]
    SpreadLow,
    /// The standard deviation is larger.
    #[n(3)]
    SpreadHigh,
    /// More values are absent: missing, or not finite.
    #[n(4)]
    Absent,
    /// More values are out of range: in the tails of the reference, or in no category.
    #[n(5)]
    OutOfRange,
    /// Values stay as they are: more repeat the one before, or more in a row.
    #[n(6)]
    Stuck,
}

/// How many kinds there are.
pub const KINDS: usize = 7;

impl Kind {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; KINDS] = [
        Self::LocationLow,
        Self::LocationHigh,
        Self::SpreadLow,
        Self::SpreadHigh,
        Self::Absent,
        Self::OutOfRange,
        Self::Stuck,
    ];

    /// The name, for people and programs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::LocationLow => "location_low",
            Self::LocationHigh => "location_high",
            Self::SpreadLow => "spread_low",
            Self::SpreadHigh => "spread_high",
            Self::Absent => "absent",
            Self::OutOfRange => "out_of_range",
            Self::Stuck => "stuck",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The mean of blocks, in standard deviations of the reference.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Location {
    /// Its mean over the blocks of the reference.
    pub mean: f32,
    /// How far from there it is a breach.
    pub distance: f32,
}

/// The standard deviation of blocks, in that of the reference.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Spread {
    /// Below this it is a breach.
    pub low: f32,
    /// Above this it is a breach.
    pub high: f32,
}

/// Beyond what a block of one feature is a breach.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limits {
    /// Rows below which a block is not judged.
    pub block_rows: u32,
    /// Limits of the mean, where blocks of the reference had one.
    pub location: Option<Location>,
    /// Limits of the standard deviation, where they had one.
    pub spread: Option<Spread>,
    /// Largest share of rows that are absent.
    pub absent: f32,
    /// Largest share of finite values that are out of range.
    pub out_of_range: f32,
    /// Largest share of finite values that repeat the one before.
    pub repeats: f32,
    /// Most repeats in a row.
    pub longest_run: u32,
}

/// Why numbers make no [`Limits`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BadLimits {
    /// A block of fewer than [`WINDOW_SAMPLES_MIN`] rows.
    BlockRows,
    /// A number that is not finite, or a distance below zero.
    Location,
    /// Limits that are not finite, below zero, or the wrong way round.
    Spread,
    /// A share that does not lie between 0 and 1.
    Share,
}

/// One number of a block beside its limit.
#[derive(Debug, Clone, Copy, PartialEq, Encode, Decode)]
pub struct Reading {
    /// The number: mean and standard deviation in those of the reference, shares from 0 to 1, or
    /// repeats in a row.
    #[n(0)]
    #[cbor(with = "bits")]
    pub value: f64,
    /// What it was compared with.
    #[n(1)]
    #[cbor(with = "bits")]
    pub limit: f64,
    /// Whether it is beyond.
    #[n(2)]
    pub is_breach: bool,
}

/// A float as its bits: no document has floats.
mod bits {
    use minicbor::decode::Error as DecodeError;
    use minicbor::encode::{Error, Write};
    use minicbor::{Decoder, Encoder};

    #[expect(
        clippy::trivially_copy_pass_by_ref,
        reason = "the derived code asks for it"
    )]
    pub(super) fn encode<C, W: Write>(
        value: &f64,
        to: &mut Encoder<W>,
        _: &mut C,
    ) -> Result<(), Error<W::Error>> {
        to.u64(value.to_bits())?.ok()
    }

    pub(super) fn decode<C>(from: &mut Decoder<'_>, _: &mut C) -> Result<f64, DecodeError> {
        from.u64().map(f64::from_bits)
    }
}

/// What was found of each kind; none of what the block or its limits say nothing about.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Judgement([Option<Reading>; KINDS]);

impl Limits {
    /// Checks and keeps the numbers.
    ///
    /// # Errors
    /// [`BadLimits`], which names what is wrong.
    pub fn checked(self) -> Result<Self, BadLimits> {
        if u64::from(self.block_rows) < WINDOW_SAMPLES_MIN {
            return Err(BadLimits::BlockRows);
        }
        let is_length = |x: f32| x.is_finite() && x >= 0.0;
        let location = |of: Location| of.mean.is_finite() && is_length(of.distance);
        if !self.location.is_none_or(location) {
            return Err(BadLimits::Location);
        }
        let spread = |of: Spread| is_length(of.low) && is_length(of.high) && of.low <= of.high;
        if !self.spread.is_none_or(spread) {
            return Err(BadLimits::Spread);
        }
        let shares = [self.absent, self.out_of_range, self.repeats];
        match shares.iter().all(|share| (0.0..=1.0).contains(share)) {
            true => Ok(self),
            false => Err(BadLimits::Share),
        }
    }
}

impl Judgement {
    /// What was found of a kind; none when nothing can be said.
    #[must_use]
    pub const fn of(&self, kind: Kind) -> Option<Reading> {
        self.0[kind as usize]
    }

    fn note(&mut self, kind: Kind, value: f64, limit: f64, is_breach: bool) {
        self.0[kind as usize] = Some(Reading {
            value,
            limit,
            is_breach,
        });
    }

    fn note_above(&mut self, kind: Kind, value: f64, limit: f64) {
        self.note(kind, value, limit, value > limit);
    }

    fn note_below(&mut self, kind: Kind, value: f64, limit: f64) {
        self.note(kind, value, limit, value < limit);
    }
}

/// Judges a block; none when it holds fewer rows than the limits were made for: merge it first.
///
/// Mean and spread are judged only where half of those rows at least have a value, and the spread
/// only up to twice as many rows: what is normal drifts in a longer block, and counts as spread.
#[must_use]
pub fn judge(block: &Block, limits: &Limits) -> Option<Judgement> {
    let (rows, wanted) = (block.rows(), u64::from(limits.block_rows));
    if rows < wanted.max(1) {
        return None;
    }
    let mut judgement = Judgement::default();
    let share = |part: u64, of: u64| part as f64 / of as f64;
    let absent = share(block.absent, rows);
    judgement.note_above(Kind::Absent, absent, f64::from(limits.absent));
    if block.n > 0 {
        let outside = share(block.out_of_range, block.n);
        judgement.note_above(Kind::OutOfRange, outside, f64::from(limits.out_of_range));
        stuck(block, limits, &mut judgement);
    }
    if block.has_values_for(limits.block_rows) {
        moments(block, limits, &mut judgement);
    }
    Some(judgement)
}

/// Either of two rules; the one that is broken is told, or else the longest run.
fn stuck(block: &Block, limits: &Limits, judgement: &mut Judgement) {
    let repeats = block.repeats as f64 / block.n as f64;
    let limit = f64::from(limits.repeats);
    let run = (block.longest_run as f64, f64::from(limits.longest_run));
    match repeats > limit && run.0 <= run.1 {
        true => judgement.note_above(Kind::Stuck, repeats, limit),
        false => judgement.note_above(Kind::Stuck, run.0, run.1),
    }
}

fn moments(block: &Block, limits: &Limits, judgement: &mut Judgement) {
    if let (Some(location), Some(mean)) = (limits.location, block.mean()) {
        let (centre, distance) = (f64::from(location.mean), f64::from(location.distance));
        judgement.note_below(Kind::LocationLow, mean, centre - distance);
        judgement.note_above(Kind::LocationHigh, mean, centre + distance);
    }
    let is_long = block.rows() > 2 * u64::from(limits.block_rows);
    if let (Some(spread), Some(deviation), false) = (limits.spread, block.deviation(), is_long) {
        judgement.note_below(Kind::SpreadLow, deviation, f64::from(spread.low));
        judgement.note_above(Kind::SpreadHigh, deviation, f64::from(spread.high));
    }
}

#[cfg(test)]
mod tests;
