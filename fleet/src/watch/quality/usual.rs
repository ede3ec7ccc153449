//! What a figure usually is on the days of a cohort, and how far it varies by itself.
//!
//! Learnt once, from the first days; never what is good.

use serde::{Deserialize, Serialize};

use crate::statistics::tail;
use crate::watch::look::Spread;

/// Nearer to 0 and 1 no figure of counts tells anything.
const EXTREME: f64 = 1e-6;

/// What a figure usually is.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct UsualFigure {
    /// The mean of the days.
    pub mean: f64,
    /// The standard deviation of a day.
    pub deviation: f64,
    /// Days that both are of.
    pub days: u32,
}

/// One figure.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub(super) struct Usual {
    spread: Spread,
    /// Predictions of all its days.
    predictions: u64,
}

/// How far a figure lies below what is usual.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Below {
    /// In standard deviations of days.
    pub(super) deviations: f64,
    /// How often a day of nothing new lies that far below.
    pub(super) p: f64,
}

impl Usual {
    pub(super) fn is_learnt(&self, days: u32) -> bool {
        self.spread.n >= days.max(2)
    }

    /// Takes one more day in, until there are enough; one on which there is no such figure tells
    /// nothing.
    pub(super) fn learn(&mut self, figure: Option<f64>, predictions: u64, days: u32) {
        if let Some(figure) = figure.filter(|_| !self.is_learnt(days)) {
            self.spread.add(log_odds(figure));
            self.predictions = self.predictions.saturating_add(predictions);
        }
    }

    /// As people see it; none before the first day.
    pub(super) fn shown(&self) -> Option<UsualFigure> {
        (self.spread.n > 0).then(|| UsualFigure {
            mean: self.mean(),
            // What a small step of log-odds is there.
            deviation: self.spread.variance().sqrt() * self.mean() * (1.0 - self.mean()),
            days: self.spread.n,
        })
    }

    pub(super) const fn days(&self) -> u32 {
        self.spread.n
    }

    pub(super) fn mean(&self) -> f64 {
        1.0 / (1.0 + (-self.spread.mean).exp())
    }

    /// How far a figure of so many predictions lies below, by Student's distribution of one more day.
    /// Fewer predictions than usual vary more: at most as if nothing else made them vary.
    pub(super) fn below(&self, figure: f64, predictions: u64) -> Below {
        let off = self.spread.mean - log_odds(figure);
        let n = f64::from(self.spread.n.max(1));
        let fewer = (self.predictions as f64 / n / (predictions as f64).max(1.0)).max(1.0);
        let units = |variance: f64| match (variance > 0.0, off > 0.0) {
            (true, _) => off / variance.sqrt(),
            (false, true) => f64::INFINITY,
            (false, false) => 0.0,
        };
        let variance = self.spread.variance();
        let t = units(variance * (fewer + 1.0 / n));
        let outside = 0.5 * tail::student_two_sided(t, n - 1.0);
        Below {
            deviations: units(variance * fewer),
            p: if off > 0.0 { outside } else { 1.0 - outside },
        }
    }
}

/// Figures near 1 have a long tail below them; their log-odds are nearer to normal.
fn log_odds(figure: f64) -> f64 {
    let figure = figure.clamp(EXTREME, 1.0 - EXTREME);
    (figure / (1.0 - figure)).ln()
}
