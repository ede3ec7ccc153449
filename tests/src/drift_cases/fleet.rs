//! A made-up fleet: devices that share the weather, their charts, and windows that they count.
//!
//! x(d, t) = √c · common(t) + √(1 − c) · own(d, t), both first-order processes of the same ρ, so any two devices
//! correlate by c at the same time. Everything comes from the seed.

use std::num::NonZeroU32;

use muster_fleet::watch::{Budget, Clock, Counted, DeviceRule, DeviceWatch, Moved, Watch};
use muster_protocol::stats::{FeatureFold, FeatureSum};
use muster_protocol::time::UnixSeconds;

use super::fault::Fault;
use super::model::{FEATURES, INPUTS, References, Row, SENSORS, infer};
use crate::drift_curves::{BUDGET, Normals};

/// Devices.
pub(super) const DEVICES: usize = 24;
/// Values of a window; one a second.
pub(super) const SAMPLES: usize = 300;
/// Correlation of any two devices at the same time.
pub(super) const COMMON: f64 = 0.3;
/// Shares of requests that fail, and that are late, when nothing is wrong.
const ERRORS: f64 = 0.002;
const LATE: f64 = 0.01;

/// All devices, their values and their charts.
#[derive(Clone)]
pub(super) struct Fleet {
    /// Correlation of neighbouring samples.
    pub(super) correlation: f64,
    /// Charts and last windows of each.
    pub(super) watches: Vec<DeviceWatch>,
    normals: Normals,
    common: [f64; INPUTS],
    own: Vec<[f64; INPUTS]>,
    folds: Vec<FeatureFold>,
    /// Windows that were counted.
    pub(super) windows: u64,
}

impl Fleet {
    /// A fleet whose charts have learnt what is normal, from its own values.
    pub(super) fn learnt(correlation: f64, references: &References, seed: u64) -> Self {
        let mut normals = Normals::new(seed);
        let folds = (0..DEVICES).flat_map(|_| references.folds.iter().cloned());
        let mut fleet = Self {
            correlation,
            watches: vec![DeviceWatch::default(); DEVICES],
            common: std::array::from_fn(|_| normals.draw()),
            own: (0..DEVICES)
                .map(|_| std::array::from_fn(|_| normals.draw()))
                .collect(),
            normals,
            folds: folds.collect(),
            windows: 0,
        };
        let rule = rule(references);
        while !fleet.is_learnt() {
            fleet.window(None, 0, &rule);
        }
        fleet
    }

    /// The same devices from here on by another seed.
    pub(super) fn with_seed(&self, seed: u64) -> Self {
        Self {
            normals: Normals::new(seed),
            ..self.clone()
        }
    }

    /// One more window, in which a fault begins at sample `from`; what alarms.
    pub(super) fn window(
        &mut self,
        mut fault: Option<&mut Fault>,
        from: usize,
        rule: &DeviceRule,
    ) -> Vec<(usize, Moved)> {
        let mut calls = vec![(0, 0); DEVICES];
        for at in 0..SAMPLES {
            self.step();
            for (device, (errors, misses)) in calls.iter_mut().enumerate() {
                let active = fault.as_deref_mut();
                let active = active.filter(|of| at >= from && of.devices.contains(&device));
                let (failed, late) = self.row(device, active);
                *errors += u64::from(failed);
                *misses += u64::from(late);
            }
        }
        self.windows += 1;
        self.close(&calls, rule)
    }

    /// When its last window ended.
    pub(super) fn now(&self) -> UnixSeconds {
        UnixSeconds(self.windows * SAMPLES as u64)
    }

    fn is_learnt(&self) -> bool {
        let known = |watch: &DeviceWatch| {
            let all = watch
                .features
                .iter()
                .all(|of| matches!(of, Watch::Watching(_)));
            !watch.features.is_empty() && all && watch.service_limits().iter().all(|of| *of < 1.0)
        };
        self.watches.iter().all(known)
    }

    fn step(&mut self) {
        let (r, noise) = (self.correlation, (1.0 - self.correlation.powi(2)).sqrt());
        let normals = &mut self.normals;
        let all = self.own.iter_mut().chain([&mut self.common]);
        all.flatten()
            .for_each(|x| *x = r * *x + noise * normals.draw());
    }

    /// Counts one row; whether its request failed, and whether it was late.
    fn row(&mut self, device: usize, fault: Option<&mut Fault>) -> (bool, bool) {
        let mut row: Row = [None; FEATURES];
        for (at, (_, mean, deviation)) in SENSORS.iter().enumerate() {
            let standard =
                COMMON.sqrt() * self.common[at] + (1.0 - COMMON).sqrt() * self.own[device][at];
            row[at] = Some(mean + deviation * standard);
        }
        let (mut errors, mut late, mut bias) = (ERRORS, LATE, 0.0);
        if let Some(fault) = fault {
            fault.apply(&mut row, &mut self.normals);
            bias = fault.bias;
            errors = fault.errors.unwrap_or(errors);
            late = fault.late.unwrap_or(late);
        }
        infer(&mut row, bias);
        let folds = &mut self.folds[device * FEATURES..(device + 1) * FEATURES];
        for (fold, value) in folds.iter_mut().zip(row) {
            fold.fold(value.map(|x| x as f32));
        }
        (
            self.normals.uniform() < errors,
            self.normals.uniform() < late,
        )
    }

    fn close(&mut self, calls: &[(u64, u64)], rule: &DeviceRule) -> Vec<(usize, Moved)> {
        let ended = self.now();
        let folds = self.folds.chunks_mut(FEATURES);
        let each = folds.zip(&mut self.watches).zip(calls).enumerate();
        let moved = each.flat_map(|(device, ((folds, watch), (errors, misses)))| {
            let features = folds.iter_mut().map(|fold| {
                let sum = FeatureSum::of(fold.counts(), fold.bins());
                fold.reset();
                sum
            });
            let window = Counted {
                features: features.collect(),
                closed_windows: 1,
                span_ms: 1000 * SAMPLES as u64,
                calls: SAMPLES as u64 - errors,
                errors: *errors,
                measured: SAMPLES as u64,
                misses: *misses,
                ended,
                clock: Clock::Trusted,
                usual: Vec::new(),
            };
            let moved = watch.take(window, rule);
            moved.into_iter().map(move |moved| (device, moved))
        });
        moved.collect()
    }
}

/// What charts are judged by.
pub(super) fn rule(references: &References) -> DeviceRule {
    let features = NonZeroU32::new(FEATURES as u32).unwrap_or(NonZeroU32::MIN);
    DeviceRule {
        features: references.rules.clone(),
        budget: Budget::new(BUDGET, features),
    }
}
