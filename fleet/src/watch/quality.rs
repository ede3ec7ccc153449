//! How well a classifier does on the devices of a cohort, watched day after day: *estimated* from
//! scores beside what days here usually give, *measured* from labels beside their interval, both
//! against the reference of the bundle. Never one for the other.
//!
//! Time is cut into slots of six hours, and what is judged as each ends is the last day, of four slots in
//! which anything came: hours of one day differ, and an AUC of an hour is another number than that of
//! all data. The same windows in
//! the same order give the same state, bit for bit. Never asks what time it is.

mod fell;
mod rule;
#[cfg(test)]
mod tests;
mod usual;
mod written;

use std::collections::{BTreeMap, VecDeque};

use muster_protocol::time::UnixSeconds;
use serde::{Deserialize, Serialize};

use crate::quality::{ReferenceScores, ScoreSums};

pub use fell::{Against, Fell, FellFigure, How};
pub use rule::QualityRule;
use usual::Usual;
pub use usual::UsualFigure;

/// Length of a slot, seconds.
const SLOT_S: u64 = 6 * 3600;
/// How long a slot waits for windows that come late.
const LATE_S: u64 = 3600;
/// Slots of a day, and of a look where as many are there.
const DAY_SLOTS: u64 = 4;
/// Slots of a day that make it one; fewer are hours of it.
const DAY_SLOTS_MIN: u64 = 3;
/// Slots of a week: the most, where few predictions or labels come.
const SLOTS_MAX: u64 = 28;
/// How long what was judged says how it stands, seconds from the end of its slot.
const STANDS_S: u64 = 24 * 3600;

/// A classifier on the devices of a cohort.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct QualityWatch {
    open: BTreeMap<u64, Slot>,
    /// Slots that have ended, the oldest first, of a week at most.
    ended: VecDeque<(u64, Slot)>,
    /// The newest slot that was judged.
    judged: Option<u64>,
    /// The first day that may still be learnt, in days since 1970.
    day_from: u64,
    accuracy: Usual,
    auc: Usual,
    stands: QualityStands,
}

/// How quality stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum QualityStands {
    /// Nothing is known: nobody judges, nothing came for a day, too few predictions, or what is usual is
    /// not learnt yet.
    #[default]
    Unknown,
    /// It is as usual.
    Usual,
    /// It has fallen.
    Fallen,
}

/// What devices counted in one slot.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
struct Slot(#[serde(with = "written")] ScoreSums);

/// What is judged together.
struct Look {
    sums: ScoreSums,
    at: UnixSeconds,
    /// From the beginning of its first slot to the end of its last.
    hours: u64,
    /// Slots of these in which anything came.
    slots: u64,
}

impl QualityWatch {
    /// Takes the scores and labels of a window that ended at `ended`; what has fallen by the slots that
    /// it ends. What is later than an hour after its slot counts no longer.
    pub fn take(
        &mut self,
        ended: UnixSeconds,
        counted: &ScoreSums,
        reference: &ReferenceScores,
        rule: &QualityRule,
    ) -> Vec<Fell> {
        let slot = ended.0 / SLOT_S;
        if self.judged.is_some_and(|judged| slot <= judged) {
            return Vec::new();
        }
        let open = self.open.entry(slot).or_default();
        open.0.merge(&written::kept(counted));
        let mut fell = Vec::new();
        let ends = |slot: u64| end(slot).0.saturating_add(LATE_S);
        while let Some(first) = self.open.first_entry() {
            if ends(*first.key()) > ended.0 {
                break;
            }
            let (slot, counted) = first.remove_entry();
            fell.extend(self.end_slot(slot, counted, reference, rule));
        }
        fell
    }

    /// How it stands at `at` by `rule`: as when the newest slot ended. Unknown without a rule, and when that
    /// slot ended more than a day before.
    #[must_use]
    pub fn stands(&self, rule: Option<&QualityRule>, at: UnixSeconds) -> QualityStands {
        let until = |judged: u64| end(judged).0.saturating_add(STANDS_S);
        match (rule, self.judged) {
            (Some(_), Some(judged)) if at.0 <= until(judged) => self.stands,
            _ => QualityStands::Unknown,
        }
    }

    /// What the estimated accuracy and AUC usually are, as far as they are learnt.
    #[must_use]
    pub fn usual(&self) -> [Option<UsualFigure>; 2] {
        [self.accuracy.shown(), self.auc.shown()]
    }

    fn end_slot(
        &mut self,
        slot: u64,
        counted: Slot,
        reference: &ReferenceScores,
        rule: &QualityRule,
    ) -> Vec<Fell> {
        self.judged = Some(slot);
        self.ended.push_back((slot, counted));
        let is_old = |of: &(u64, Slot)| of.0.saturating_add(SLOTS_MAX) <= slot;
        while self.ended.front().is_some_and(is_old) {
            self.ended.pop_front();
        }
        let known = self.day(slot, rule).filter(|_| self.is_learnt(rule));
        let estimated = known
            .as_ref()
            .and_then(|look| fell::estimated(look, &self.accuracy, &self.auc, reference, rule));
        let labelled = self.newest(slot, |sums| rule.has_labels(sums, reference.scale));
        let measured = labelled.and_then(|look| fell::measured(&look, reference, rule));
        let fell: Vec<Fell> = estimated.into_iter().chain(measured).collect();
        self.stands = match (fell.is_empty(), known.is_some()) {
            (false, _) => QualityStands::Fallen,
            (true, true) => QualityStands::Usual,
            (true, false) => QualityStands::Unknown,
        };
        self.learn(slot, reference, rule);
        fell
    }

    /// What is laid beside days that were learnt, and so has no fewer slots than they.
    fn day(&self, slot: u64, rule: &QualityRule) -> Option<Look> {
        let look = self.newest(slot, |sums| sums.predictions() >= rule.predictions_min);
        look.filter(|look| look.slots >= DAY_SLOTS_MIN)
    }

    /// The newest slots that are there: as many as a day has, and so many more as it takes, from up to
    /// a week; none where that is not enough.
    fn newest(&self, slot: u64, is_enough: impl Fn(&ScoreSums) -> bool) -> Option<Look> {
        let (mut sums, mut from, mut slots) = (ScoreSums::default(), slot, 0);
        for (of, counted) in self.ended.iter().rev() {
            if slots >= DAY_SLOTS && is_enough(&sums) {
                break;
            }
            sums.merge(&counted.0);
            from = *of;
            slots += 1;
        }
        is_enough(&sums).then(|| Look {
            sums,
            at: end(slot),
            hours: (slot - from + 1) * SLOT_S / 3600,
            slots,
        })
    }

    fn is_learnt(&self, rule: &QualityRule) -> bool {
        self.accuracy.is_learnt(rule.baseline_days)
    }

    /// Learns from each day that is over, the first ones alone; from days together where one has too few
    /// predictions.
    fn learn(&mut self, slot: u64, reference: &ReferenceScores, rule: &QualityRule) {
        let days = rule.baseline_days;
        if self.accuracy.is_learnt(days) && self.auc.is_learnt(days) {
            return;
        }
        let mut together = ScoreSums::default();
        for (day, sums) in self.days_over(slot) {
            together.merge(&sums);
            let n = together.predictions();
            if n >= rule.predictions_min {
                let figures = fell::figures(&together, reference.scale);
                self.accuracy.learn(figures.accuracy, n, days);
                self.auc.learn(figures.auc, n, days);
                self.day_from = day.saturating_add(1);
                together = ScoreSums::default();
            }
        }
    }

    /// Days that are over with this slot and not learnt yet, the oldest first, if enough of their slots are
    /// there. What is older than a week is not.
    fn days_over(&self, slot: u64) -> BTreeMap<u64, ScoreSums> {
        let over = self.day_from..slot.saturating_add(1) / DAY_SLOTS;
        let mut days: BTreeMap<u64, (u64, ScoreSums)> = BTreeMap::new();
        for (of, counted) in &self.ended {
            let (slots, sums) = days.entry(of / DAY_SLOTS).or_default();
            *slots += 1;
            sums.merge(&counted.0);
        }
        days.retain(|day, (slots, _)| over.contains(day) && *slots >= DAY_SLOTS_MIN);
        let whole = days.into_iter().map(|(day, (_, sums))| (day, sums));
        whole.collect()
    }
}

/// When a slot ends.
const fn end(slot: u64) -> UnixSeconds {
    UnixSeconds(slot.saturating_add(1).saturating_mul(SLOT_S))
}
