//! Folding predictions into the open window of one model.
//!
//! Keeps counts, never a value. The storage of the features is the caller's.

use crate::comparison::ComparisonFold;
use crate::scores::{ScoreFold, ScoreFoldLists};
use muster_protocol::cbor::List;
use muster_protocol::digest::Digest;
use muster_protocol::id::{EpochGeneration, ModelId};
use muster_protocol::limits::{ERROR_CODES_MAX, FEATURES_MAX, LATENCY_BUCKETS};
use muster_protocol::message::{
    ErrorCount, FeatureWindow, Labels, LatencyCount, LatencyMisses, Scores, Shadow, Window,
};
use muster_protocol::stats::{FeatureFold, LatencyFold};
use muster_protocol::time::{Millis, UnixSeconds};

/// Whose predictions are counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    /// The model.
    pub model: ModelId,
    /// The bundle that serves, or runs beside what serves.
    pub bundle: Digest,
    /// `since` of its entry.
    pub since: EpochGeneration,
    /// The reference that features are counted against.
    pub reference: Option<Digest>,
    /// The latency that its card allows, microseconds for each row of a batch; without one, no
    /// misses are counted.
    pub latency_objective_us: Option<u32>,
}

/// How a request's latency lies to the objective.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// Within it, or there is none.
    Within,
    /// Over it.
    Over,
}

/// The open window of one model over storage `F`, one fold for each feature of its reference.
#[derive(Debug)]
pub struct WindowFold<F> {
    subject: Subject,
    started: Millis,
    calls: u64,
    errors: heapless::Vec<ErrorCount, ERROR_CODES_MAX>,
    latency: LatencyFold,
    latency_misses: u32,
    features: F,
}

impl<F: AsRef<[FeatureFold]> + AsMut<[FeatureFold]>> WindowFold<F> {
    /// Opens the first window. Features beyond [`FEATURES_MAX`] are not sent.
    pub fn new(subject: Subject, features: F, now: Millis) -> Self {
        Self {
            subject,
            started: now,
            calls: 0,
            errors: heapless::Vec::new(),
            latency: LatencyFold::default(),
            latency_misses: 0,
            features,
        }
    }

    /// Whose predictions these are.
    pub const fn subject(&self) -> &Subject {
        &self.subject
    }

    /// The folds of its features, in the order of the reference.
    pub fn features(&self) -> &[FeatureFold] {
        self.features.as_ref()
    }

    /// Since when the window is open.
    pub const fn started(&self) -> Millis {
        self.started
    }

    /// Rows counted so far.
    pub const fn calls(&self) -> u64 {
        self.calls
    }

    /// Whether nothing at all was counted.
    pub fn is_empty(&self) -> bool {
        self.calls == 0 && self.errors.is_empty()
    }

    /// Counts one answered request of `rows` rows.
    pub fn answered(&mut self, rows: u32, latency_us: u32) -> Pace {
        self.answered_batch(rows, 1, latency_us)
    }

    /// Counts one answered request of `rows` rows, which may take `batch` times as long as one
    /// row. Latencies above 71 minutes count as such.
    pub fn answered_batch(&mut self, rows: u32, batch: u32, latency_us: u32) -> Pace {
        self.calls = self.calls.saturating_add(u64::from(rows));
        self.latency.fold(latency_us);
        let allowed_us = |us: u32| u64::from(us) * u64::from(batch.max(1));
        match self.subject.latency_objective_us.map(allowed_us) {
            Some(allowed_us) if u64::from(latency_us) > allowed_us => {
                self.latency_misses = self.latency_misses.saturating_add(1);
                Pace::Over
            }
            Some(_) | None => Pace::Within,
        }
    }

    /// Counts one failed request. Codes beyond the room are counted under the last one.
    pub fn failed(&mut self, code: u8) {
        if let Some(error) = self.errors.iter_mut().find(|error| error.code == code) {
            error.count = error.count.saturating_add(1);
        } else if self.errors.push(ErrorCount { code, count: 1 }).is_err()
            && let Some(last) = self.errors.last_mut()
        {
            last.count = last.count.saturating_add(1);
        }
    }

    /// Counts one value of feature `index`; one that does not exist is ignored.
    pub fn value(&mut self, index: usize, value: Option<f32>) {
        if let Some(feature) = self.features.as_mut().get_mut(index) {
            feature.fold(value);
        }
    }

    /// Shows the window as it would be closed now.
    pub fn with_window<R>(
        &self,
        now: Millis,
        unix: Option<UnixSeconds>,
        read: impl FnOnce(&Window<'_>) -> R,
    ) -> R {
        self.with(now, unix, (None, None, None), read)
    }

    /// The same with what is counted beside: of a shadow how it compares with what served, of a
    /// classifier its scores and labels.
    pub fn with_window_beside<R>(
        &self,
        (comparison, scores): (Option<&ComparisonFold>, Option<&ScoreFold>),
        now: Millis,
        unix: Option<UnixSeconds>,
        read: impl FnOnce(&Window<'_>) -> R,
    ) -> R {
        let lists = scores.map(ScoreFold::lists);
        let scores = lists.as_ref().and_then(ScoreFoldLists::scores);
        let labels = lists.as_ref().and_then(ScoreFoldLists::labels);
        match comparison {
            Some(comparison) => comparison
                .with_shadow(|shadow| self.with(now, unix, (Some(shadow), scores, labels), read)),
            None => self.with(now, unix, (None, scores, labels), read),
        }
    }

    fn with<R>(
        &self,
        now: Millis,
        unix: Option<UnixSeconds>,
        (shadow, scores, labels): (Option<Shadow<'_>>, Option<Scores<'_>>, Option<Labels<'_>>),
        read: impl FnOnce(&Window<'_>) -> R,
    ) -> R {
        let latency: heapless::Vec<_, LATENCY_BUCKETS> = self
            .latency
            .iter()
            .map(|(bucket, count)| LatencyCount { bucket, count })
            .collect();
        let features: heapless::Vec<_, FEATURES_MAX> = self
            .features
            .as_ref()
            .iter()
            .take(FEATURES_MAX)
            .map(|fold| FeatureWindow::of(fold.counts(), fold.bins()))
            .collect();
        read(&Window {
            model: self.subject.model.clone(),
            bundle: self.subject.bundle,
            since: self.subject.since,
            reference: self.subject.reference,
            started: self.started,
            ended: now,
            unix,
            closed_windows: 1,
            calls: self.calls,
            errors: List::of(&self.errors),
            latency: List::of(&latency),
            features: List::of(&features),
            latency_misses: self.latency_misses(),
            shadow,
            scores,
            labels,
        })
    }

    fn latency_misses(&self) -> Option<LatencyMisses> {
        let objective_us = self.subject.latency_objective_us?;
        Some(LatencyMisses {
            objective_us,
            count: self.latency_misses,
        })
    }

    /// Starts the next window.
    pub fn reset(&mut self, now: Millis) {
        self.started = now;
        self.calls = 0;
        self.errors.clear();
        self.latency.reset();
        self.latency_misses = 0;
        self.features
            .as_mut()
            .iter_mut()
            .for_each(FeatureFold::reset);
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use muster_protocol::cbor;
    use muster_protocol::message::window::{CannotMerge, Merged};
    use muster_protocol::stats::{Scale, Transform};
    use std::vec::Vec;

    fn subject(since: u64) -> Subject {
        Subject {
            model: ModelId::parse("bearing").expect("valid"),
            bundle: Digest([1; 32]),
            since: EpochGeneration::new(1, since),
            reference: Some(Digest([2; 32])),
            latency_objective_us: Some(99),
        }
    }

    fn fold(since: u64, values: &[f32]) -> WindowFold<Vec<FeatureFold>> {
        let scale = Scale::new([0.0, 1.0], Transform::Identity, 0.0, 1.0).expect("valid");
        let mut fold = WindowFold::new(
            subject(since),
            Vec::from([FeatureFold::new(scale)]),
            Millis(5),
        );
        for value in values {
            fold.answered(1, 100);
            fold.value(0, Some(*value));
            fold.value(9, Some(*value));
        }
        fold
    }

    fn bytes(fold: &WindowFold<Vec<FeatureFold>>, ended: u64) -> Vec<u8> {
        let mut buffer = std::vec![0; 4096];
        let len = fold.with_window(Millis(ended), None, |window| {
            cbor::encode(window, &mut buffer).expect("fits")
        });
        buffer.truncate(len);
        buffer
    }

    #[test]
    fn merged_parts_are_the_folded_whole() {
        let (a, b, whole) = (
            fold(1, &[-1.0, 0.5]),
            fold(1, &[2.0]),
            fold(1, &[-1.0, 0.5, 2.0]),
        );
        let (a, b, whole) = (bytes(&a, 10), bytes(&b, 20), bytes(&whole, 20));
        let (a, b) = (
            cbor::decode(&a).expect("valid"),
            cbor::decode(&b).expect("valid"),
        );
        let mut buffer = [0; 4096];
        let merged = Merged::of(&a, &b).expect("alike");
        let len = cbor::encode(&merged, &mut buffer).expect("fits");
        let merged: Window<'_> = cbor::decode(&buffer[..len]).expect("valid");
        let mut expect: Window<'_> = cbor::decode(&whole).expect("valid");
        expect.closed_windows = 2;
        assert_eq!(merged, expect);
    }

    #[test]
    fn merged_over_a_boot_they_start_where_the_later_does() {
        let mut later = fold(1, &[2.0]);
        later.reset(Millis(3));
        later.answered(1, 100);
        let (a, b) = (bytes(&fold(1, &[0.5]), 90), bytes(&later, 8));
        let (a, b): (Window<'_>, Window<'_>) = (
            cbor::decode(&a).expect("valid"),
            cbor::decode(&b).expect("valid"),
        );
        let mut buffer = [0; 4096];
        let merged = Merged::of(&a, &b).expect("alike").across_boots();
        let len = cbor::encode(&merged, &mut buffer).expect("fits");
        let merged: Window<'_> = cbor::decode(&buffer[..len]).expect("valid");
        let span = (merged.started, merged.ended);
        assert_eq!((span, merged.calls), ((Millis(3), Millis(8)), 2));
    }

    #[test]
    fn windows_of_different_entries_never_merge() {
        let (a, b) = (bytes(&fold(1, &[]), 10), bytes(&fold(2, &[]), 20));
        let (a, b): (Window<'_>, Window<'_>) = (
            cbor::decode(&a).expect("valid"),
            cbor::decode(&b).expect("valid"),
        );
        assert_eq!(Merged::of(&a, &b).err(), Some(CannotMerge::Entry));
    }

    #[test]
    fn misses_are_what_took_longer_than_the_objective() {
        let check = |objective: Option<u32>, requests: &[(u32, u32)], expect: Option<u32>| {
            let subject = Subject {
                latency_objective_us: objective,
                ..subject(1)
            };
            let mut fold = WindowFold::new(subject, Vec::new(), Millis(0));
            let paces = requests
                .iter()
                .map(|(batch, latency_us)| fold.answered_batch(*batch, *batch, *latency_us));
            let over = paces.filter(|pace| *pace == Pace::Over).count();
            let misses = fold.with_window(Millis(1), None, |window| window.latency_misses);
            assert_eq!(misses.map(|misses| misses.count), expect, "{requests:?}");
            assert_eq!(over, expect.unwrap_or(0) as usize, "{requests:?}");
            assert_eq!(misses.map(|misses| misses.objective_us), objective);
            fold.reset(Millis(1));
            let after = fold.with_window(Millis(2), None, |window| window.latency_misses);
            assert_eq!(after.map(|misses| misses.count), expect.map(|_| 0));
        };
        check(None, &[(1, 0), (1, u32::MAX)], None);
        check(Some(100), &[], Some(0));
        check(Some(100), &[(1, 100), (1, 101), (1, 99)], Some(1));
        check(Some(100), &[(4, 400), (4, 401), (0, 101)], Some(2));
        check(Some(0), &[(1, 0), (u32::MAX, 1)], Some(1));
        check(Some(u32::MAX), &[(u32::MAX, u32::MAX)], Some(0));
    }

    #[test]
    fn windows_of_different_objectives_never_merge() {
        let of = |objective: Option<u32>| {
            let subject = Subject {
                latency_objective_us: objective,
                ..subject(1)
            };
            bytes(&WindowFold::new(subject, Vec::new(), Millis(5)), 9)
        };
        let check = |one: Option<u32>, other: Option<u32>, expect: Option<CannotMerge>| {
            let (a, b) = (of(one), of(other));
            let (a, b): (Window<'_>, Window<'_>) = (
                cbor::decode(&a).expect("valid"),
                cbor::decode(&b).expect("valid"),
            );
            assert_eq!(Merged::of(&a, &b).err(), expect, "{one:?} {other:?}");
        };
        check(Some(5), Some(5), None);
        check(None, None, None);
        check(Some(5), Some(6), Some(CannotMerge::Objective));
        check(Some(5), None, Some(CannotMerge::Objective));
    }

    #[test]
    fn error_codes_beyond_the_room_are_counted_under_the_last() {
        let mut fold = fold(1, &[]);
        (0..20).for_each(|code| fold.failed(code));
        fold.with_window(Millis(9), None, |window| {
            assert_eq!(window.errors.iter().map(|e| e.count).sum::<u32>(), 20);
            assert_eq!(window.errors.len(), ERROR_CODES_MAX);
        });
    }
}
