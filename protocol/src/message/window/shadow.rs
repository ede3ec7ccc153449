//! What a shadow said beside what served, on the same inputs: counts of pairs, never a pair.
//!
//! A window that carries it counts the shadow everywhere else: its calls, errors and latencies.

use crate::cbor::List;
use crate::digest::Digest;
use crate::limits::{DIFFERENCE_BUCKETS, LATENCY_BUCKETS, SHADOW_CELLS_MAX};
use core::cmp::Ordering;
use minicbor::encode::{Error, Write};
use minicbor::{Decode, Encode, Encoder};

use super::LatencyCount;
use crate::stats::LatencyFold;

/// Rows of one window that were answered twice.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Shadow<'b> {
    /// The bundle that served.
    #[n(0)]
    pub beside: Digest,
    /// Rows that it answered while the shadow ran: of these the compared ones are a sample.
    #[n(1)]
    pub served: u64,
    /// Rows that the shadow answered as well.
    #[n(2)]
    pub compared: u64,
    /// Compared rows by the class that served and that of the shadow, ascending; rows to which
    /// neither gives one are in none.
    #[b(3)]
    #[cbor(default)]
    pub agreement: List<'b, AgreementCount, SHADOW_CELLS_MAX>,
    /// Compared rows by how far their scores lie apart, in buckets of [`crate::stats::difference`],
    /// ascending; empty where the model gives no scores.
    #[b(4)]
    #[cbor(default)]
    pub differences: List<'b, DifferenceCount, DIFFERENCE_BUCKETS>,
    /// What served took for the compared requests, by bucket of [`crate::stats::latency`].
    #[b(5)]
    #[cbor(default)]
    pub latency: List<'b, LatencyCount, LATENCY_BUCKETS>,
}

/// Rows of one pair of classes; [`crate::stats::class`] says what a class is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub struct AgreementCount {
    /// The class that what serves gave.
    #[n(0)]
    pub serving: u8,
    /// The class that the shadow gave.
    #[n(1)]
    pub shadow: u8,
    /// How many.
    #[n(2)]
    pub count: u32,
}

/// Rows whose scores differ by as much.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub struct DifferenceCount {
    /// The bucket.
    #[n(0)]
    pub bucket: u8,
    /// How many.
    #[n(1)]
    pub count: u32,
}

/// A count under a key; lists of them are sorted by it.
trait Counted: Clone {
    fn order(&self, other: &Self) -> Ordering;
    fn plus(self, other: &Self) -> Self;
}

impl Counted for AgreementCount {
    fn order(&self, other: &Self) -> Ordering {
        (self.serving, self.shadow).cmp(&(other.serving, other.shadow))
    }

    fn plus(self, other: &Self) -> Self {
        Self {
            count: self.count.saturating_add(other.count),
            ..self
        }
    }
}

impl Counted for DifferenceCount {
    fn order(&self, other: &Self) -> Ordering {
        self.bucket.cmp(&other.bucket)
    }

    fn plus(self, other: &Self) -> Self {
        Self {
            count: self.count.saturating_add(other.count),
            ..self
        }
    }
}

impl Shadow<'_> {
    /// Writes the sum of both, without room for either: lists are walked side by side.
    pub(super) fn encode_sum<W: Write>(
        &self,
        later: &Self,
        e: &mut Encoder<W>,
        ctx: &mut (),
    ) -> Result<(), Error<W::Error>> {
        e.map(6)?.u8(0)?.encode(self.beside)?;
        e.u8(1)?.u64(self.served.saturating_add(later.served))?;
        e.u8(2)?.u64(self.compared.saturating_add(later.compared))?;
        let agreement = || sums(self.agreement.iter(), later.agreement.iter());
        let cells = agreement().count().min(SHADOW_CELLS_MAX);
        e.u8(3)?.array(cells as u64)?;
        let mut kept = agreement().take(cells);
        kept.try_for_each(|cell| cell.encode(e, ctx))?;
        let differences = || sums(self.differences.iter(), later.differences.iter());
        let buckets = differences().count().min(DIFFERENCE_BUCKETS);
        e.u8(4)?.array(buckets as u64)?;
        let mut kept = differences().take(buckets);
        kept.try_for_each(|bucket| bucket.encode(e, ctx))?;
        let latency = LatencyFold::sum(&self.latency, &later.latency);
        e.u8(5)?.array(latency.iter().count() as u64)?;
        for (bucket, count) in latency.iter() {
            LatencyCount { bucket, count }.encode(e, ctx)?;
        }
        Ok(())
    }
}

/// Two sorted lists as one; equal keys are added up.
fn sums<T: Counted>(
    earlier: impl Iterator<Item = T>,
    later: impl Iterator<Item = T>,
) -> impl Iterator<Item = T> {
    let (mut earlier, mut later) = (earlier.peekable(), later.peekable());
    core::iter::from_fn(move || match (earlier.peek(), later.peek()) {
        (Some(a), Some(b)) => match a.order(b) {
            Ordering::Less => earlier.next(),
            Ordering::Greater => later.next(),
            Ordering::Equal => earlier.next().zip(later.next()).map(|(a, b)| a.plus(&b)),
        },
        (Some(_), None) => earlier.next(),
        (None, _) => later.next(),
    })
}
