//! A feature that follows the hour of the week: its week, and the chart of what is left without it.
//!
//! Until that chart runs, the feature is judged as any other. Never judges a window by a week that the
//! window is part of.

use muster_protocol::stats::FeatureSum;
use serde::{Deserialize, Serialize};

use super::feature::{Alarm, Learn, Rule, Watch};
use super::season::{Moment, Season, Usual};
use super::signal::Seen;

/// What a feature's normal follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Follows {
    /// Nothing: it has one normal.
    #[default]
    Nothing,
    /// The hour of the week.
    HourOfWeek {
        /// How long nothing is learnt after something was wrong, seconds.
        hold_s: u64,
    },
}

/// A feature by its week.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Seasonal {
    /// What is usual in each hour.
    pub season: Season,
    /// The chart of what is left.
    pub watch: Watch,
}

impl Seasonal {
    /// Whether its chart judges.
    #[must_use]
    pub const fn judges(&self) -> bool {
        matches!(self.watch, Watch::Watching(_))
    }

    /// What is usual at a moment; none where no moment or no such hour is known.
    #[must_use]
    pub fn usual(&self, moment: Option<Moment>) -> Option<Usual> {
        self.season.usual(moment?)
    }

    /// Takes one more window in, of which `usual` is taken out; what alarms in it.
    pub(super) fn take(
        &mut self,
        window: &FeatureSum,
        (usual, moment): (Option<&Usual>, Option<Moment>),
        rule: &Rule,
    ) -> Vec<Alarm> {
        let seen = Seen::of(window, &rule.shape);
        match usual.zip(moment) {
            Some((usual, moment)) => {
                let learn = Learn::Days(moment.quarter());
                self.watch.take_seen(&seen.less(usual), rule, learn)
            }
            // Rates are judged at any time.
            None if self.judges() => {
                self.watch
                    .take_seen(&seen.without_values(), rule, Learn::Looks)
            }
            None => Vec::new(),
        }
    }

    /// Something is wrong: nothing is learnt for this long, nor from the day before.
    pub(super) fn hold(&mut self, moment: Moment, hold_s: u64) {
        self.season.hold(moment, hold_s);
    }

    /// Learns from a window, unless something is wrong.
    pub(super) fn learn(&mut self, window: &FeatureSum, moment: Moment, rule: &Rule) {
        self.season.learn(&Seen::of(window, &rule.shape), moment);
    }
}
