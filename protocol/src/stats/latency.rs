//! Latency as a histogram of base 2 with four buckets to each power of two of microseconds.
//!
//! The relative width of a bucket is at most a quarter; merging is addition.

use crate::cbor::List;
use crate::limits::LATENCY_BUCKETS;
use crate::message::LatencyCount;

/// Counts of latencies by bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LatencyFold {
    buckets: [u32; LATENCY_BUCKETS],
}

impl Default for LatencyFold {
    fn default() -> Self {
        Self {
            buckets: [0; LATENCY_BUCKETS],
        }
    }
}

impl LatencyFold {
    /// The sum of two lists of counts.
    #[must_use]
    pub fn sum(
        one: &List<'_, LatencyCount, LATENCY_BUCKETS>,
        other: &List<'_, LatencyCount, LATENCY_BUCKETS>,
    ) -> Self {
        let mut sum = Self::default();
        let both = one.iter().chain(other.iter());
        both.for_each(|latency| sum.add(latency.bucket, latency.count));
        sum
    }

    /// Counts one latency.
    pub fn fold(&mut self, latency_us: u32) {
        self.add(bucket(latency_us), 1);
    }

    /// Adds to the count of a bucket; a bucket that does not exist is ignored.
    pub fn add(&mut self, bucket: u8, count: u32) {
        if let Some(mine) = self.buckets.get_mut(usize::from(bucket)) {
            *mine = mine.saturating_add(count);
        }
    }

    /// The buckets that are not empty, ascending, with their counts.
    pub fn iter(&self) -> impl Iterator<Item = (u8, u32)> + '_ {
        (0..).zip(self.buckets).filter(|(_, count)| *count > 0)
    }

    /// Latencies counted.
    #[must_use]
    pub fn n(&self) -> u64 {
        self.buckets.iter().map(|count| u64::from(*count)).sum()
    }

    /// Upper bound, in microseconds, of the bucket that holds the quantile `per_mille`; `None`
    /// when nothing was counted.
    #[must_use]
    pub fn quantile_us(&self, per_mille: u32) -> Option<u32> {
        let n = self.n();
        let rank = (n * u64::from(per_mille)).div_ceil(1000).max(1);
        let mut seen = 0;
        self.iter()
            .find(|(_, count)| {
                seen += u64::from(*count);
                seen >= rank
            })
            .map(|(bucket, _)| upper_us(bucket))
    }

    /// Starts the next window.
    pub fn reset(&mut self) {
        self.buckets = [0; LATENCY_BUCKETS];
    }
}

/// The bucket of a latency: itself below 4 µs, then the exponent and the two bits below it.
#[must_use]
pub const fn bucket(latency_us: u32) -> u8 {
    if latency_us < 4 {
        return latency_us as u8;
    }
    let exponent = latency_us.ilog2();
    let quarter = latency_us >> (exponent - 2) & 3;
    (4 * (exponent - 1) + quarter) as u8
}

/// Smallest latency, in microseconds, that lies above the bucket; saturates.
#[must_use]
pub const fn upper_us(bucket: u8) -> u32 {
    let bucket = bucket as u32;
    if bucket < 4 {
        return bucket + 1;
    }
    let (exponent, quarter) = (bucket / 4 + 1, bucket % 4);
    let upper = (4 + quarter as u64 + 1) << (exponent - 2);
    if upper > u32::MAX as u64 {
        u32::MAX
    } else {
        upper as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_tile_all_latencies() {
        let mut expected = 0;
        for us in (0..10_000).chain([1 << 20, u32::MAX - 1, u32::MAX]) {
            let bucket = bucket(us);
            assert!(usize::from(bucket) < LATENCY_BUCKETS, "{us}");
            assert!(us < upper_us(bucket) || us >= u32::MAX - 1, "{us}");
            assert!(bucket == 0 || us >= upper_us(bucket - 1), "{us}");
            assert!(bucket >= expected, "{us}");
            expected = bucket;
        }
        assert_eq!(usize::from(bucket(u32::MAX)) + 1, LATENCY_BUCKETS);
    }

    #[test]
    fn a_quantile_is_the_upper_bound_of_its_bucket() {
        let mut fold = LatencyFold::default();
        assert_eq!(fold.quantile_us(500), None);
        (0..100).for_each(|_| fold.fold(100));
        fold.fold(1000);
        assert_eq!(fold.quantile_us(500), Some(112));
        assert_eq!(fold.quantile_us(1000), Some(1024));
    }
}
