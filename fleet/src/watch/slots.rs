//! The devices of a cohort side by side: windows of one span of time, whenever they come.
//!
//! Time is cut into slots of one window's length by the time at which windows ended. A slot is
//! judged when a window of the next but one comes: what is later than that counts for its device and
//! no longer for the cohort. Never asks what time it is.

use std::collections::{BTreeMap, BTreeSet};

use muster_protocol::time::UnixSeconds;
use serde::{Deserialize, Serialize};

use super::cohort::{CohortRule, CohortWatch};
use super::series::Excursion;

/// Slots that wait for late windows.
const OPEN_SLOTS: u64 = 2;
/// Devices of a slot: a bound on what a slot holds. More tell nothing new.
const DEVICES_MAX: usize = 4096;

/// What a cohort is judged by.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct SlotRule {
    /// Incidents by chance that a feature is allowed in a year; above zero.
    pub incidents_per_year: f64,
    /// Features of the model.
    pub features: usize,
    /// Those whose week is taken out, by their place.
    pub by_week: BTreeSet<usize>,
}

/// Where the devices of one window stand, feature by feature; none of what is not known.
type Standings = Vec<Option<f64>>;

/// A cohort: a chart for each feature.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct CohortSlots {
    /// Length of a slot, seconds: that of the first window.
    slot_s: u32,
    /// Windows of a look: the most that any device has needed.
    windows_per_look: u32,
    open: BTreeMap<u64, BTreeMap<String, Standings>>,
    /// The newest slot that was judged.
    judged: Option<u64>,
    charts: Vec<CohortWatch>,
    /// Those whose week was taken out when the newest slot was judged.
    by_week: BTreeSet<usize>,
}

/// A feature whose mean over the devices has moved.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CohortMoved {
    /// The feature, by its place in the reference.
    pub feature: usize,
    /// How far, in the devices' own standard deviations.
    pub excursion: Excursion,
    /// Devices in the last of its slots.
    pub devices: usize,
}

impl CohortSlots {
    /// Takes one window of a device in: where it stands, how long its windows and its looks are.
    pub fn take(
        &mut self,
        device: &str,
        ended: UnixSeconds,
        standings: Standings,
        (window_s, windows_per_look): (u32, u32),
        rule: &SlotRule,
    ) -> Vec<CohortMoved> {
        if self.slot_s == 0 {
            self.slot_s = window_s.max(1);
        }
        self.windows_per_look = self.windows_per_look.max(windows_per_look);
        let slot = ended.0 / u64::from(self.slot_s);
        if self.judged.is_some_and(|judged| slot <= judged) {
            return Vec::new();
        }
        let devices = self.open.entry(slot).or_default();
        if devices.len() < DEVICES_MAX || devices.contains_key(device) {
            devices.insert(device.to_owned(), standings);
        }
        self.judge_until(slot.saturating_sub(OPEN_SLOTS), rule)
    }

    /// The newest slot that a window came for.
    #[must_use]
    pub fn newest(&self) -> Option<u64> {
        let open = self.open.last_key_value().map(|(slot, _)| *slot);
        open.max(self.judged)
    }

    /// Length of a slot, seconds; zero before the first window.
    #[must_use]
    pub const fn slot_s(&self) -> u32 {
        self.slot_s
    }

    /// The charts, in the order of the reference.
    #[must_use]
    pub fn charts(&self) -> &[CohortWatch] {
        &self.charts
    }

    fn judge_until(&mut self, slot: u64, rule: &SlotRule) -> Vec<CohortMoved> {
        let mut moved = Vec::new();
        while let Some(first) = self.open.first_entry().filter(|first| *first.key() <= slot) {
            let (slot, devices) = first.remove_entry();
            self.judged = Some(slot);
            moved.extend(self.judge(&devices, rule));
        }
        moved
    }

    fn judge(
        &mut self,
        devices: &BTreeMap<String, Standings>,
        rule: &SlotRule,
    ) -> Vec<CohortMoved> {
        let rule_of_chart = CohortRule {
            incidents_per_year: rule.incidents_per_year,
            window_s: f64::from(self.slot_s),
            windows_per_look: self.windows_per_look.max(1),
        };
        self.charts.resize_with(rule.features, CohortWatch::default);
        for feature in self.by_week.symmetric_difference(&rule.by_week) {
            // What is normal with the week in it is another normal.
            if let Some(chart) = self.charts.get_mut(*feature) {
                *chart = CohortWatch::default();
            }
        }
        self.by_week.clone_from(&rule.by_week);
        let mut moved = Vec::new();
        for (feature, chart) in self.charts.iter_mut().enumerate() {
            let known = |standings: &Standings| standings.get(feature).copied().flatten();
            let standings: Vec<f64> = devices.values().filter_map(known).collect();
            let excursion = chart.take(&standings, &rule_of_chart);
            moved.extend(excursion.map(|excursion| CohortMoved {
                feature,
                excursion,
                devices: standings.len(),
            }));
        }
        moved
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    const RULE: SlotRule = SlotRule {
        incidents_per_year: 0.1,
        features: 2,
        by_week: BTreeSet::new(),
    };

    /// Forty devices whose second feature moves by a tenth at the end; what alarmed.
    fn run(shift: f64, order: impl Fn(u64) -> u64) -> Vec<CohortMoved> {
        let (mut random, mut slots) = (Random(3), CohortSlots::default());
        let mut noise = || {
            let unit = |_| (random.draw() >> 11) as f64 / (1_u64 << 53) as f64;
            ((0..12).map(unit).sum::<f64>() - 6.0) / 300_f64.sqrt()
        };
        let mut moved = Vec::new();
        for at in 0..700 {
            for device in 0..40 {
                let off = if at < 650 { 0.0 } else { shift };
                let standings = vec![Some(noise()), Some(noise() + off)];
                let ended = UnixSeconds(300 * at + 7 * order(device));
                let name = format!("d-{device}");
                moved.extend(slots.take(&name, ended, standings, (300, 1), &RULE));
            }
        }
        moved
    }

    #[test]
    fn what_no_device_shows_alone_is_seen_in_all_of_them() {
        assert_eq!(run(0.0, |device| device), []);
        let moved = run(0.1, |device| device);
        assert!(!moved.is_empty());
        assert!(
            moved
                .iter()
                .all(|moved| (moved.feature, moved.devices) == (1, 40))
        );
    }

    #[test]
    fn a_window_that_is_too_late_counts_for_nobody() {
        let mut slots = CohortSlots::default();
        for at in [0, 1, 2, 3] {
            slots.take("a", UnixSeconds(300 * at), vec![None; 2], (300, 1), &RULE);
        }
        let before = slots.clone();
        slots.take("b", UnixSeconds(300), vec![None; 2], (300, 1), &RULE);
        assert_eq!(slots, before);
        slots.take("b", UnixSeconds(600), vec![None; 2], (300, 1), &RULE);
        assert_ne!(slots, before);
    }

    #[test]
    fn what_is_normal_with_the_week_in_it_is_learnt_anew_without() {
        let (mut slots, mut rule) = (CohortSlots::default(), RULE);
        let take = |slots: &mut CohortSlots, rule: &SlotRule, at: u64| {
            let standings = vec![Some(0.5), Some(0.5)];
            slots.take("a", UnixSeconds(300 * at), standings, (300, 1), rule);
        };
        (0..8).for_each(|at| take(&mut slots, &rule, at));
        let before = slots.charts().to_vec();
        assert_eq!(before[0], before[1]);
        rule.by_week.insert(1);
        take(&mut slots, &rule, 8);
        assert_ne!(slots.charts()[0], slots.charts()[1]);
        let mut fresh = CohortWatch::default();
        let of_chart = CohortRule {
            incidents_per_year: 0.1,
            window_s: 300.0,
            windows_per_look: 1,
        };
        fresh.take(&[0.5], &of_chart);
        assert_eq!(slots.charts()[1], fresh);
    }
}
