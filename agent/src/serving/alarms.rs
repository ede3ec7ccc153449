//! What a device finds by itself: windows of what serves against the critical values of its
//! reference, with or without a network.
//!
//! Told to people on the same machine, in the log and in the status; never sent. The state is lost
//! when the agent or the version changes: an alarm then takes two blocks again.

use super::Features;
use crate::clock;
use crate::seat::Seat;
use muster_protocol::stats::critical::{Alarm, Change, LocalWatch};
use muster_protocol::stats::{Block, FeatureFold};
use muster_protocol::time::Millis;
use serde_json::{Value, json};
use std::sync::{Arc, Mutex, PoisonError};

/// The alarms of one version, as last seen; shared with who tells them.
#[derive(Debug, Clone, Default)]
pub struct Board(Arc<Mutex<Vec<Sounding>>>);

/// An alarm and the feature that it is about.
#[derive(Debug, Clone, PartialEq)]
struct Sounding {
    feature: String,
    alarm: Alarm,
}

/// Watches the features of one version.
pub(super) struct Alarms {
    seat: Seat,
    watches: Vec<(String, Option<LocalWatch>)>,
    board: Board,
}

impl Alarms {
    /// Of the features that have limits; the others are passed over.
    pub(super) fn new(seat: Seat, features: &Features, board: Board) -> Self {
        let limits = features.limits();
        let watches = limits.map(|(name, limits)| (name.to_owned(), limits.map(LocalWatch::new)));
        Self {
            seat,
            watches: watches.collect(),
            board,
        }
    }

    /// Takes the counts of a window that is closed `now`.
    pub(super) fn take(&mut self, folds: &[FeatureFold], now: Millis) {
        let mut sounding = Vec::new();
        for ((name, watch), fold) in self.watches.iter_mut().zip(folds) {
            let Some(watch) = watch else { continue };
            let changes = watch.take(Block::from(fold.counts()), now);
            changes
                .iter()
                .for_each(|change| log(&self.seat, name, change));
            sounding.extend(watch.alarms().map(|alarm| Sounding {
                feature: name.clone(),
                alarm,
            }));
        }
        self.board.set(sounding);
    }
}

fn log(seat: &Seat, feature: &str, change: &Change) {
    let (Change::Began(alarm) | Change::Ended(alarm)) = change;
    let (kind, reading) = (alarm.kind, alarm.reading);
    let (value, limit) = (reading.value, reading.limit);
    match change {
        Change::Began(_) => {
            tracing::warn!(model = %seat, feature, %kind, value, limit, "an alarm begins");
        }
        Change::Ended(_) => {
            tracing::info!(model = %seat, feature, %kind, value, limit, "an alarm has ended");
        }
    }
}

impl Board {
    /// The alarms as JSON: feature, kind, since how many seconds, value against limit.
    pub fn picture(&self) -> Vec<Value> {
        let now = clock::monotonic();
        let told = |sounding: &Sounding| sounding.picture(now);
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .iter()
            .map(told)
            .collect()
    }

    fn set(&self, sounding: Vec<Sounding>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = sounding;
    }
}

impl Sounding {
    fn picture(&self, now: Millis) -> Value {
        json!({
            "feature": self.feature,
            "kind": self.alarm.kind.as_str(),
            "since_s": now.since(self.alarm.since) / 1000,
            "value": self.alarm.reading.value,
            "limit": self.alarm.reading.limit,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use muster_protocol::bundle::{FeatureLimits, FeatureReference, Reference, Source, Variation};
    use muster_protocol::cbor::{self, List};
    use muster_protocol::digest::Digest;
    use muster_protocol::id::ModelId;
    use muster_protocol::stats::Transform;
    use muster_protocol::stats::critical::{Limits, Location};

    const LIMITS: Limits = Limits {
        block_rows: 20,
        location: Some(Location {
            mean: 0.0,
            distance: 1.0,
        }),
        spread: None,
        absent: 0.5,
        out_of_range: 1.0,
        repeats: 1.0,
        longest_run: 100,
    };

    /// Two features, of which only the second has limits.
    fn features() -> Features {
        let (edges, counts) = ([0.0_f32.to_bits()], [10, 10]);
        let plain = FeatureReference {
            name: "speed",
            source: Source::Input,
            tensor: 0,
            element: 0,
            transform: Transform::Identity,
            mean: 0.0_f32.to_bits(),
            deviation: 1.0_f32.to_bits(),
            edges: List::of(&edges),
            counts: List::of(&counts),
            missing: 0,
            limits: None,
            categories: None,
        };
        let limited = FeatureReference {
            name: "load",
            limits: Some(FeatureLimits::of(&LIMITS)),
            ..plain
        };
        let variation = Variation {
            block_rows: LIMITS.block_rows,
            blocks: 10,
            false_alarm: 0,
        };
        let bytes = cbor::to_vec(&Reference {
            rows: 200,
            features: List::of(&[plain, limited]),
            variation: Some(variation),
            probabilities: None,
        });
        Features::of(Digest::of(&bytes), &bytes).expect("a reference")
    }

    /// What the board says after windows of ten rows with these values.
    fn told(windows: &[f32]) -> Vec<Value> {
        let (features, board) = (features(), Board::default());
        let seat = Seat::serving(ModelId::parse("pump").expect("valid"));
        let mut alarms = Alarms::new(seat, &features, board.clone());
        let mut folds = features.folds();
        for (at, value) in (0..).zip(windows) {
            folds.iter_mut().for_each(FeatureFold::reset);
            for row in 0..10_u8 {
                let value = value + f32::from(row) * 0.125;
                folds.iter_mut().for_each(|fold| fold.fold(Some(value)));
            }
            alarms.take(&folds, Millis(at * 1000));
        }
        let soundings = board.0.lock().expect("nobody panicked");
        soundings
            .iter()
            .map(|one| one.picture(Millis(9_500)))
            .collect()
    }

    #[test]
    fn an_alarm_is_told_with_its_value_and_limit() {
        let check = |windows: &[f32], expect: Value| {
            assert_eq!(Value::Array(told(windows)), expect, "{windows:?}");
        };
        check(&[-0.5; 6], json!([]));
        check(&[3.0; 3], json!([]));
        // Two windows are a block, two blocks an alarm.
        let alarm = json!([{
            "feature": "load", "kind": "location_high", "since_s": 8, "value": 3.5625,
            "limit": 1.0,
        }]);
        check(&[3.0; 4], alarm.clone());
        let (loud, quiet) = ([3.0; 4], [-0.5; 4]);
        let mut still = alarm;
        still[0]["value"] = json!(0.0625);
        check(&[loud, quiet].concat(), still);
        check(&[loud.as_slice(), &quiet, &[-0.5; 2]].concat(), json!([]));
    }
}
