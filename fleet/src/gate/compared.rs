//! What a shadow and what serves said on the same inputs, summed.
//!
//! Never a pair of answers, only how many there were of each kind.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use muster_protocol::cbor::List;
use muster_protocol::limits::{LATENCY_BUCKETS, SHADOW_CLASSES_MAX};
use muster_protocol::message::{LatencyCount, Shadow, Window};
use muster_protocol::stats::LatencyFold;
use serde::{Deserialize, Serialize};

use super::evidence::add_each;

/// The sums of one device, or of several.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Compared {
    /// Rows that were answered while it ran.
    pub served: u64,
    /// Rows that it answered as well.
    pub compared: u64,
    /// Compared rows by the classes that both gave.
    pub agreement: BTreeMap<Pair, u64>,
    /// Compared rows by bucket of the difference of their scores.
    pub differences: BTreeMap<u8, u64>,
    /// Compared requests by bucket of its latency.
    pub latency: BTreeMap<u8, u64>,
    /// The same by bucket of the latency of what serves.
    pub serving_latency: BTreeMap<u8, u64>,
}

/// The class that what serves gave, and that of the shadow; written `3>5`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Pair {
    /// Of what serves.
    pub serving: u8,
    /// Of the shadow.
    pub shadow: u8,
}

impl Compared {
    /// What the window of a shadow counts. Classes that do not exist count as no class.
    #[must_use]
    pub fn of(window: &Window<'_>, shadow: &Shadow<'_>) -> Self {
        let mut agreement: BTreeMap<Pair, u64> = BTreeMap::new();
        for cell in shadow.agreement.iter() {
            let (serving, shadow) = (cell.serving, cell.shadow);
            if usize::from(serving.max(shadow)) < SHADOW_CLASSES_MAX {
                let count = agreement.entry(Pair { serving, shadow }).or_default();
                *count = count.saturating_add(cell.count.into());
            }
        }
        let differences = shadow.differences.iter();
        Self {
            served: shadow.served,
            compared: shadow.compared,
            agreement,
            differences: differences.map(|of| (of.bucket, of.count.into())).collect(),
            latency: by_bucket(&window.latency),
            serving_latency: by_bucket(&shadow.latency),
        }
    }

    /// Adds others; a count ends at its maximum.
    pub fn add(&mut self, more: &Self) {
        let Self {
            served,
            compared,
            agreement,
            differences,
            latency,
            serving_latency,
        } = self;
        *served = served.saturating_add(more.served);
        *compared = compared.saturating_add(more.compared);
        add_each(agreement, &more.agreement);
        add_each(differences, &more.differences);
        add_each(latency, &more.latency);
        add_each(serving_latency, &more.serving_latency);
    }

    /// Compared rows that were given a class, and those of them to which both gave another.
    #[must_use]
    pub fn classified(&self) -> (u64, u64) {
        let (mut all, mut apart) = (0, 0);
        for (pair, count) in &self.agreement {
            all = u64::saturating_add(all, *count);
            if pair.serving != pair.shadow {
                apart = u64::saturating_add(apart, *count);
            }
        }
        (all, apart)
    }

    /// Rows with scores, and those of them that differ by this bucket or more.
    #[must_use]
    pub fn scored(&self, bucket: u8) -> (u64, u64) {
        let sum = |from: u8| {
            let buckets = self.differences.range(from..);
            buckets.fold(0, |sum, (_, count)| u64::saturating_add(sum, *count))
        };
        (sum(0), sum(bucket))
    }

    /// Latencies of the shadow, and of what served, for the same requests.
    #[must_use]
    pub fn latencies(&self) -> (LatencyFold, LatencyFold) {
        (folded(&self.latency), folded(&self.serving_latency))
    }
}

fn by_bucket(counts: &List<'_, LatencyCount, LATENCY_BUCKETS>) -> BTreeMap<u8, u64> {
    let counts = counts.iter();
    counts.map(|of| (of.bucket, of.count.into())).collect()
}

fn folded(counts: &BTreeMap<u8, u64>) -> LatencyFold {
    let mut fold = LatencyFold::default();
    for (bucket, count) in counts {
        fold.add(*bucket, u32::try_from(*count).unwrap_or(u32::MAX));
    }
    fold
}

impl fmt::Display for Pair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}>{}", self.serving, self.shadow)
    }
}

impl FromStr for Pair {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bad = || format!("{text:?} is no pair of classes");
        let (serving, shadow) = text.split_once('>').ok_or_else(bad)?;
        Ok(Self {
            serving: serving.parse().map_err(|_| bad())?,
            shadow: shadow.parse().map_err(|_| bad())?,
        })
    }
}

impl TryFrom<String> for Pair {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Pair> for String {
    fn from(pair: Pair) -> Self {
        pair.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_are_written_and_read_again() {
        let pair = |serving, shadow| Pair { serving, shadow };
        let mut sums = Compared {
            served: 9,
            compared: 4,
            agreement: [(pair(0, 0), 3), (pair(0, 18), 1)].into(),
            differences: [(31, u64::MAX)].into(),
            ..Compared::default()
        };
        sums.add(&sums.clone());
        assert_eq!(sums.classified(), (8, 2));
        let text = serde_json::to_string(&sums).expect("JSON");
        assert!(text.contains("\"0>18\":2"), "{text}");
        let read: Compared = serde_json::from_str(&text).expect("read");
        assert_eq!(read, sums);
        assert_eq!(sums.scored(0), (u64::MAX, u64::MAX));
        for bad in ["0", "0>", "0>256", "a>b", "0>1>2"] {
            assert!(bad.parse::<Pair>().is_err(), "{bad}");
        }
    }
}
