//! Where a shadow sees what is answered: filled while one is ready, open to every task that
//! serves the model.
//!
//! Never waits: a request is offered in passing, and skipped when the shadow is busy, the draw is
//! against it, or its CPU time is spent.

use super::CpuBudget;
use crate::tensor::Tensor;
use muster_protocol::digest::Digest;
use muster_protocol::time::Millis;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::mpsc;

/// One request that was answered.
#[derive(Debug)]
pub struct Sample {
    /// The bundle that answered.
    pub beside: Digest,
    /// What was asked.
    pub inputs: Vec<Tensor>,
    /// What was answered.
    pub outputs: Vec<Tensor>,
    /// How long that took, microseconds.
    pub latency_us: u32,
}

/// How much a shadow may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Share {
    /// Of one core, in a thousand.
    pub cpu_per_mille: u32,
    /// Of the requests, in a thousand.
    pub sample_per_mille: u32,
}

/// Where the tasks that serve a model meet its shadow.
#[derive(Debug, Default)]
pub struct Tap {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    intake: Option<Intake>,
    /// Rows answered since the shadow counted them, by what answered.
    served: BTreeMap<Digest, u64>,
}

#[derive(Debug)]
struct Intake {
    samples: mpsc::Sender<Sample>,
    sample_per_mille: u32,
    draw: Draw,
    budget: CpuBudget,
}

impl Tap {
    /// A shadow is ready: it sees what is answered from now on.
    pub fn open(&self, samples: mpsc::Sender<Sample>, share: Share, seed: u64, now: Millis) {
        let mut inner = self.lock();
        inner.served.clear();
        inner.intake = Some(Intake {
            samples,
            sample_per_mille: share.sample_per_mille,
            draw: Draw(seed),
            budget: CpuBudget::new(share.cpu_per_mille, now),
        });
    }

    /// The shadow sees nothing any more; what it has not counted yet stays for it.
    pub fn close(&self) {
        self.lock().intake = None;
    }

    /// A request of `rows` rows was answered; it is copied only if the shadow takes it.
    pub fn offer(&self, beside: Digest, rows: u32, now: Millis, sample: impl FnOnce() -> Sample) {
        let mut inner = self.lock();
        let Inner { intake, served } = &mut *inner;
        let Some(intake) = intake else { return };
        let count = served.entry(beside).or_default();
        *count = count.saturating_add(u64::from(rows));
        if !intake.draw.hits(intake.sample_per_mille) {
            return;
        }
        let Ok(place) = intake.samples.try_reserve() else {
            return;
        };
        if intake.budget.begin(now) {
            place.send(sample());
        }
    }

    /// Rows that this bundle answered and nobody counted yet.
    pub fn take_served(&self, beside: Digest) -> u64 {
        self.lock().served.remove(&beside).unwrap_or(0)
    }

    /// The same of every bundle.
    pub fn take_all_served(&self) -> BTreeMap<Digest, u64> {
        std::mem::take(&mut self.lock().served)
    }

    /// A sample was dealt with, which took so long.
    pub fn settle(&self, took_us: u64, now: Millis) {
        if let Some(intake) = &mut self.lock().intake {
            intake.budget.end(took_us, now);
        }
    }

    /// The share of one core and the microseconds saved up of it, while a shadow is ready.
    pub fn cpu(&self, now: Millis) -> Option<(u64, i64)> {
        let mut inner = self.lock();
        let budget = &mut inner.intake.as_mut()?.budget;
        Some((budget.per_mille(), budget.saved_us(now)))
    }

    /// Whether a sample is on its way, or being dealt with.
    #[cfg(test)]
    pub(super) fn is_busy(&self) -> bool {
        let inner = self.lock();
        let intake = inner.intake.as_ref();
        intake.is_some_and(|intake| intake.budget.is_under_way())
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Draws from a seed: `SplitMix64` (Steele, Lea and Flood, 2014).
#[derive(Debug)]
struct Draw(u64);

impl Draw {
    fn hits(&mut self, per_mille: u32) -> bool {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ z >> 31) % 1000 < u64::from(per_mille)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: Digest = Digest([1; 32]);
    const OTHER: Digest = Digest([2; 32]);

    fn sample(beside: Digest) -> Sample {
        Sample {
            beside,
            inputs: Vec::new(),
            outputs: Vec::new(),
            latency_us: 7,
        }
    }

    /// Offers `requests` requests of two rows to a shadow that takes a sample at once if it
    /// `keeps_up`; gives how many it was given.
    fn check(
        share: (u32, u32),
        requests: u64,
        keeps_up: bool,
        expect: std::ops::RangeInclusive<u64>,
    ) {
        let tap = Tap::default();
        let (samples, mut taken) = mpsc::channel(4);
        let (cpu_per_mille, sample_per_mille) = share;
        let share = Share {
            cpu_per_mille,
            sample_per_mille,
        };
        tap.open(samples, share, 1, Millis(0));
        let mut given = 0;
        for n in 0..requests {
            tap.offer(ONE, 2, Millis(n), || sample(ONE));
            if keeps_up && taken.try_recv().is_ok() {
                given += 1;
                tap.settle(100, Millis(n));
            }
        }
        while taken.try_recv().is_ok() {
            given += 1;
        }
        assert!(expect.contains(&given), "{share:?}: {given}");
        assert_eq!(tap.take_served(ONE), 2 * requests);
        assert_eq!(tap.take_served(ONE), 0);
    }

    #[test]
    fn a_shadow_is_given_what_it_may_and_can_take() {
        check((1000, 1000), 1000, true, 1000..=1000);
        check((1000, 0), 1000, true, 0..=0);
        check((0, 1000), 1000, true, 0..=0);
        // One request a millisecond, each of 100 µs: of 5 % of a core, every second one.
        check((50, 1000), 1000, true, 495..=505);
        check((1000, 250), 1000, true, 200..=300);
        // Nobody takes anything: one is on its way, since nobody knows what it costs.
        check((1000, 1000), 1000, false, 1..=1);
    }

    #[test]
    fn without_a_shadow_nothing_is_counted_or_copied() {
        let tap = Tap::default();
        let never = || unreachable!("copied for nobody");
        tap.offer(ONE, 5, Millis(0), never);
        assert!(tap.take_all_served().is_empty() && tap.cpu(Millis(0)).is_none());
    }

    #[test]
    fn what_two_bundles_served_is_counted_apart() {
        let tap = Tap::default();
        let (samples, _taken) = mpsc::channel(1);
        let share = Share {
            cpu_per_mille: 1000,
            sample_per_mille: 0,
        };
        tap.open(samples, share, 1, Millis(0));
        tap.offer(ONE, 5, Millis(0), || sample(ONE));
        tap.offer(OTHER, 7, Millis(0), || sample(OTHER));
        tap.close();
        tap.offer(OTHER, 9, Millis(0), || sample(OTHER));
        assert_eq!(tap.take_served(ONE), 5);
        let rest: Vec<_> = tap.take_all_served().into_iter().collect();
        assert_eq!(rest, [(OTHER, 7)]);
    }
}
