//! One feature of one device against the critical values of its reference: from the first windows
//! on, before anything is known of the device itself.
//!
//! Judges exactly as the device does by itself. Never learns.

use minicbor::{Decode, Encode};
use muster_protocol::stats::critical::{Change, Kind, Progress};
use muster_protocol::stats::{FeatureSum, Limits};
use muster_protocol::time::{Millis, UnixSeconds};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Blocks after which what goes on is said again: an incident that nobody hears of closes.
const AGAIN_BLOCKS: u32 = 12;

/// A feature beside its limits.
#[derive(Debug, Clone, Copy, PartialEq, Default, Encode, Decode)]
pub struct Limited {
    #[n(0)]
    progress: Progress,
    /// Blocks since something was said.
    #[n(1)]
    silent: u32,
}

/// A limit that was breached, again and again.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Beyond {
    /// Which.
    #[serde(with = "kind")]
    pub kind: Kind,
    /// What the newest block had: mean and standard deviation in those of the reference, shares
    /// from 0 to 1, or repeats in a row.
    pub value: f64,
    /// What it was compared with.
    pub limit: f64,
}

impl Limited {
    /// Takes one more window in; the limits that began to be breached, and from time to time those
    /// that still are.
    pub fn take(
        &mut self,
        window: &FeatureSum,
        limits: &Limits,
        ended: UnixSeconds,
    ) -> Vec<Beyond> {
        let now = Millis(ended.0.saturating_mul(1000));
        let Some(changes) = self.progress.take(limits, window, now) else {
            return Vec::new();
        };
        let began = |change: &Change| matches!(change, Change::Began(_));
        self.silent = self.silent.saturating_add(1);
        if !changes.iter().any(began) && self.silent < AGAIN_BLOCKS {
            return Vec::new();
        }
        let alarms: Vec<Beyond> = self.progress.alarms().map(Beyond::of).collect();
        if !alarms.is_empty() {
            self.silent = 0;
        }
        alarms
    }
}

impl Beyond {
    fn of(alarm: muster_protocol::stats::critical::Alarm) -> Self {
        Self {
            kind: alarm.kind,
            value: alarm.reading.value,
            limit: alarm.reading.limit,
        }
    }
}

impl Serialize for Limited {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        muster_protocol::cbor::to_vec(self).serialize(to)
    }
}

impl<'de> Deserialize<'de> for Limited {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let bytes = Vec::<u8>::deserialize(from)?;
        muster_protocol::cbor::decode(&bytes).map_err(serde::de::Error::custom)
    }
}

/// A kind by its name.
mod kind {
    use muster_protocol::stats::critical::Kind;
    use serde::{Deserialize, Deserializer, Serializer};

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for it")]
    pub(super) fn serialize<S: Serializer>(kind: &Kind, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(kind.as_str())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Kind, D::Error> {
        let name = String::deserialize(from)?;
        let known = Kind::ALL.into_iter().find(|kind| kind.as_str() == name);
        known.ok_or_else(|| serde::de::Error::custom(format!("{name:?} is no kind of breach")))
    }
}

#[cfg(test)]
mod tests {
    use muster_protocol::stats::critical::Location;

    use super::*;

    const LIMITS: Limits = Limits {
        block_rows: 100,
        location: Some(Location {
            mean: 0.0,
            distance: 0.5,
        }),
        spread: None,
        absent: 0.1,
        out_of_range: 1.0,
        repeats: 1.0,
        longest_run: 100,
    };

    /// Windows of fifty values at a mean; how often each said something, written down in between.
    fn said(means: &[f64]) -> Vec<usize> {
        let mut limited = Limited::default();
        let each = means.iter().map(|mean| {
            let window = FeatureSum {
                bins: [50].into_iter().collect(),
                sum: (50.0 * 256.0 * mean) as i64,
                sum_of_squares: (50.0 * (256.0 * mean).powi(2)) as u64,
                ..FeatureSum::default()
            };
            let alarms = limited.take(&window, &LIMITS, UnixSeconds(9));
            let bytes = postcard::to_stdvec(&limited).expect("written");
            limited = postcard::from_bytes(&bytes).expect("read");
            assert!(
                alarms
                    .iter()
                    .all(|beyond| beyond.kind == Kind::LocationHigh)
            );
            alarms.len()
        });
        each.collect()
    }

    #[test]
    fn two_blocks_in_a_row_say_it_and_what_goes_on_is_said_again() {
        assert_eq!(said(&[0.0; 40]), [0; 40]);
        assert_eq!(
            said(&[0.0, 0.0, 1.0, 1.0, 1.0, 1.0, 1.0]),
            [0, 0, 0, 0, 0, 1, 0]
        );
        let long: usize = said(&[1.0; 4 + 4 * 2 * AGAIN_BLOCKS as usize]).iter().sum();
        assert_eq!(long, 5);
    }
}
