//! What many cases add up to, as lines of the published tables.
//!
//! The order in which cases end does not matter.

use std::collections::BTreeMap;

use muster_fleet::finding::Cause;
use muster_fleet::statistics::{Confidence, Interval, Rate};

use super::case::{Answer, Place};
use super::fault::Kind;
use super::{CORRELATIONS, SIZES};

/// Cases of one kind, size and correlation.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Line {
    /// What goes wrong.
    pub kind: Kind,
    /// How much, in what is visible.
    pub size: f64,
    /// Correlation of neighbouring samples, by its place in [`CORRELATIONS`].
    pub correlation: usize,
}

/// Cases, counted.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Tally {
    /// Cases.
    pub cases: u64,
    /// Where they were said to be.
    pub places: BTreeMap<Place, u64>,
    /// Why; none where nothing or several things were said.
    pub causes: BTreeMap<Option<Cause>, u64>,
    /// Of those without one cause, several things.
    pub several: u64,
    /// Cases whose cause was right.
    pub right_causes: u64,
    /// Cases in which a chart alarmed within the windows.
    pub alarmed: u64,
}

/// All lines: every kind as large as is visible, then smaller ones of those that come in sizes.
#[must_use]
pub fn lines() -> Vec<Line> {
    let visible = Kind::ALL.into_iter().map(|kind| (kind, 1.0));
    let smaller = Kind::SIZED.into_iter().flat_map(|kind| {
        let sizes = SIZES.into_iter().filter(|size| *size < 1.0);
        sizes.map(move |size| (kind, size))
    });
    let all = visible.chain(smaller).flat_map(|(kind, size)| {
        (0..CORRELATIONS.len()).map(move |correlation| Line {
            kind,
            size,
            correlation,
        })
    });
    all.collect()
}

impl Tally {
    /// Adds a case.
    pub fn add(&mut self, answer: &Answer) {
        self.cases += 1;
        *self.places.entry(answer.place).or_default() += 1;
        *self.causes.entry(answer.cause).or_default() += 1;
        self.several += u64::from(answer.several);
        self.right_causes += u64::from(answer.is_cause_right);
        self.alarmed += u64::from(answer.alarmed);
    }

    /// Adds other cases.
    pub fn merge(&mut self, other: &Self) {
        self.cases += other.cases;
        for (place, count) in &other.places {
            *self.places.entry(*place).or_default() += count;
        }
        for (cause, count) in &other.causes {
            *self.causes.entry(*cause).or_default() += count;
        }
        self.several += other.several;
        self.right_causes += other.right_causes;
        self.alarmed += other.alarmed;
    }

    /// Cases whose place was said this way.
    #[must_use]
    pub fn placed(&self, place: Place) -> u64 {
        self.places.get(&place).copied().unwrap_or(0)
    }

    /// The share of cases with the right place, and what it may be (Clopper and Pearson, 95 %).
    #[must_use]
    pub fn right(&self) -> (f64, Interval) {
        let rate = Rate::new(self.placed(Place::Right), self.cases);
        let all = Interval {
            low: 0.0,
            high: 1.0,
        };
        rate.map_or((0.0, all), |rate| {
            let share = rate.share().unwrap_or(0.0);
            (share, rate.clopper_pearson(Confidence::P95))
        })
    }
}
