//! Sums of what a shadow and what serves said on the same inputs.
//!
//! Never a pair of answers, only how many there were of each kind.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use muster_protocol::cbor::List;
use muster_protocol::limits::LATENCY_BUCKETS;
use muster_protocol::message::{LatencyCount, Shadow, Window};
use serde::{Deserialize, Serialize};

use super::ring_counts::add;

/// The sums of one device, or of several.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Compared {
    /// Rows that were answered while it ran.
    pub(crate) served: u64,
    /// Rows that it answered as well.
    pub(crate) compared: u64,
    /// Compared rows by the classes that both gave.
    pub(crate) agreement: BTreeMap<Pair, u64>,
    /// Compared rows by bucket of the difference of their scores.
    pub(crate) differences: BTreeMap<u8, u64>,
    /// Compared requests by bucket of its latency.
    pub(crate) latency: BTreeMap<u8, u64>,
    /// The same by bucket of the latency of what serves.
    pub(crate) serving_latency: BTreeMap<u8, u64>,
}

/// The class that what serves gave, and that of the shadow; written `3>5`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct Pair {
    /// Of what serves.
    pub(crate) serving: u8,
    /// Of the shadow.
    pub(crate) shadow: u8,
}

impl Compared {
    /// What the window of a shadow counts.
    pub(super) fn of(window: &Window<'_>, shadow: &Shadow<'_>) -> Self {
        let latency = |counts: &List<'_, LatencyCount, LATENCY_BUCKETS>| {
            let counts = counts.iter();
            counts.map(|of| (of.bucket, of.count.into())).collect()
        };
        let differences = shadow.differences.iter();
        let mut compared = Self {
            served: shadow.served,
            compared: shadow.compared,
            agreement: BTreeMap::new(),
            differences: differences.map(|of| (of.bucket, of.count.into())).collect(),
            latency: latency(&window.latency),
            serving_latency: latency(&shadow.latency),
        };
        for cell in shadow.agreement.iter() {
            let (serving, shadow) = (cell.serving, cell.shadow);
            add(
                &mut compared.agreement,
                Pair { serving, shadow },
                cell.count.into(),
            );
        }
        compared
    }

    /// Adds others; a count ends at its maximum.
    pub(crate) fn add(&mut self, more: &Self) {
        self.served = self.served.saturating_add(more.served);
        self.compared = self.compared.saturating_add(more.compared);
        for (pair, count) in &more.agreement {
            add(&mut self.agreement, *pair, *count);
        }
        for (mine, more) in [
            (&mut self.differences, &more.differences),
            (&mut self.latency, &more.latency),
            (&mut self.serving_latency, &more.serving_latency),
        ] {
            for (bucket, count) in more {
                add(mine, *bucket, *count);
            }
        }
    }

    /// Compared rows that were given a class, and those of them to which both gave another.
    pub(crate) fn classified(&self) -> (u64, u64) {
        let (mut all, mut apart) = (0, 0);
        for (pair, count) in &self.agreement {
            all = u64::saturating_add(all, *count);
            if pair.serving != pair.shadow {
                apart = u64::saturating_add(apart, *count);
            }
        }
        (all, apart)
    }
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
        for bad in ["0", "0>", "0>256", "a>b", "0>1>2"] {
            assert!(bad.parse::<Pair>().is_err(), "{bad}");
        }
    }
}
