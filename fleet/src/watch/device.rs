//! One model of one device: all charts of its features and of how it serves, and its last windows.
//!
//! Windows come in the order in which they were taken; the same windows in the same order give the
//! same state and the same alarms, bit for bit. Never knows other devices.

use std::collections::VecDeque;

use muster_protocol::stats::{FeatureSum, Limits};
use muster_protocol::time::UnixSeconds;
use serde::{Deserialize, Serialize};

use super::budget::Budget;
use super::counted::Counted;
use super::feature::{Alarm, Rule, Watch, WatchingState};
use super::limited::Limited;
use super::season::{Moment, Usual};
use super::seasonal::{Follows, Seasonal};
use super::service::ServiceWatch;
use super::signal::Shape;
use super::watches::ExpectedFeature;

/// Windows that are kept to place what moved.
pub const RECENT_MAX: usize = 3;

/// What all devices of a bundle are judged by.
#[derive(Debug, Clone, PartialEq)]
pub struct DeviceRule {
    /// Each feature, in the order of the reference: windows of others are not looked at.
    pub features: Vec<FeatureRule>,
    /// Incidents by chance that are allowed a feature.
    pub budget: Budget,
}

/// What a feature is judged by.
#[derive(Debug, Clone, PartialEq)]
pub struct FeatureRule {
    /// Scores of its bins.
    shape: Shape,
    /// How many there are.
    bins: usize,
    /// Beyond what a block is a breach.
    limits: Option<Limits>,
    /// What its normal follows.
    follows: Follows,
}

impl FeatureRule {
    /// From the reference.
    #[must_use]
    pub fn of(expected: &ExpectedFeature) -> Self {
        Self {
            shape: Shape::of(&expected.bins),
            bins: expected.bins.len(),
            limits: expected.limits,
            follows: expected.follows,
        }
    }
}

/// A model on a device.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct DeviceWatch {
    /// Each feature, once a window had them; as yet unknown where its week is taken out.
    pub features: Vec<Watch>,
    /// Those that follow the hour of the week.
    pub seasonal: Vec<Option<Box<Seasonal>>>,
    /// Each feature beside the limits of the reference.
    limited: Vec<Limited>,
    service: ServiceWatch,
    /// Length of a window, seconds: that of the first.
    window_s: Option<u32>,
    /// The newest windows, the oldest first.
    pub recent: VecDeque<Counted>,
}

/// Something that alarmed.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Moved {
    /// A feature, by its place in the reference.
    Feature(usize, Alarm),
    /// More requests fail.
    Errors,
    /// More requests are late.
    Latency,
}

impl DeviceWatch {
    /// Takes one more window in; what alarms in it. Features of a window that does not have those
    /// of the reference are left out.
    pub fn take(&mut self, mut window: Counted, rule: &DeviceRule) -> Vec<Moved> {
        let has_features = window
            .shape()
            .into_iter()
            .eq(rule.features.iter().map(|of| of.bins));
        if !has_features {
            window.features.clear();
        }
        let window_s = f64::from(*self.window_s.get_or_insert(window.window_s()));
        let mut moved = self.features(&mut window, window_s, rule);
        let service = self.service.take(&window, window_s, rule.budget);
        moved.extend(service.errors.then_some(Moved::Errors));
        moved.extend(service.misses.then_some(Moved::Latency));
        self.recent.push_back(window);
        if self.recent.len() > RECENT_MAX {
            self.recent.pop_front();
        }
        moved
    }

    /// The shares of requests that fail, and that are late, which looks seldom exceed: 1 where that
    /// is not known, or they often do.
    #[must_use]
    pub fn service_limits(&self) -> [f64; 2] {
        self.service.limits()
    }

    /// Length of a window, seconds; none before the first.
    #[must_use]
    pub const fn window_s(&self) -> Option<u32> {
        self.window_s
    }

    /// How far the mean of each feature of the newest window lies from its normal, as
    /// [`super::WatchingState::standing`] says; none of what is not known yet.
    #[must_use]
    pub fn standings(&self) -> Vec<Option<f64>> {
        let Some(newest) = self.recent.back() else {
            return Vec::new();
        };
        let standing = |(at, sum)| {
            let usual = newest.usual_of(at);
            match self.chart(at)? {
                (state, Follows::Nothing) => state.standing(sum, None),
                (state, Follows::HourOfWeek { .. }) => state.standing(sum, Some(usual?)),
            }
        };
        newest.features.iter().enumerate().map(standing).collect()
    }

    /// The chart that judges a feature, and what it follows; none while nothing is known.
    #[must_use]
    pub fn chart(&self, feature: usize) -> Option<(&WatchingState, Follows)> {
        if let Some(Some(seasonal)) = self.seasonal.get(feature)
            && let Watch::Watching(state) = &seasonal.watch
        {
            return Some((state, Follows::HourOfWeek { hold_s: 0 }));
        }
        match self.features.get(feature)? {
            Watch::Watching(state) => Some((state, Follows::Nothing)),
            Watch::Sizing(_) | Watch::Learning(_) => None,
        }
    }

    /// Windows of the longest look of any feature; none while nothing is known.
    #[must_use]
    pub fn windows_per_look(&self) -> Option<u32> {
        let charts = (0..self.features.len()).filter_map(|feature| self.chart(feature));
        let longest = charts
            .map(|(state, _)| state.windows_per_look.ceil())
            .reduce(f64::max)?;
        Some(longest.clamp(1.0, f64::from(u32::MAX)) as u32)
    }

    fn features(&mut self, window: &mut Counted, window_s: f64, rule: &DeviceRule) -> Vec<Moved> {
        if window.features.is_empty() {
            return Vec::new();
        }
        let count = rule.features.len();
        self.features.resize_with(count, Watch::default);
        self.limited.resize_with(count, Limited::default);
        self.seasonal.resize_with(count, Option::default);
        let moment = Moment::of(window);
        let mut moved = Vec::new();
        for (feature, of) in rule.features.iter().enumerate() {
            let sum = &window.features[feature];
            let beyond = of
                .limits
                .iter()
                .flat_map(|limits| self.limited[feature].take(sum, limits, window.ended));
            let mut alarms: Vec<Alarm> = beyond.map(Alarm::Beyond).collect();
            let rule = Rule {
                shape: of.shape.clone(),
                budget: rule.budget,
                window_s,
            };
            let at = (moment, window.ended);
            let usual = self.judge(feature, (sum, at), (&rule, of.follows), &mut alarms);
            if usual.is_some() {
                window.usual.resize(count, None);
                window.usual[feature] = usual;
            }
            let alarms = alarms.into_iter();
            moved.extend(alarms.map(|alarm| Moved::Feature(feature, alarm)));
        }
        moved
    }

    /// Lets the charts of one feature judge a window of a moment, if it has one, that ended then; what is
    /// usual at the moment, if it is taken out.
    fn judge(
        &mut self,
        feature: usize,
        (sum, (moment, ended)): (&FeatureSum, (Option<Moment>, UnixSeconds)),
        (rule, follows): (&Rule, Follows),
        alarms: &mut Vec<Alarm>,
    ) -> Option<Usual> {
        let (plain, seasonal) = (&mut self.features[feature], &mut self.seasonal[feature]);
        let Follows::HourOfWeek { hold_s } = follows else {
            *seasonal = None;
            alarms.extend(plain.take(sum, rule));
            return None;
        };
        let seasonal = seasonal.get_or_insert_default();
        let usual = seasonal.usual(moment);
        let judged = seasonal.judges();
        let of_week = seasonal.take(sum, (usual.as_ref(), moment), rule);
        // What has moved away from the one normal of all hours says nothing of the week: spread and shape swing
        // as the mean does.
        let is_wrong = |alarm: &Alarm| judged || !matches!(alarm, Alarm::Moved(..));
        let of_all = if judged {
            of_week
        } else {
            plain.take(sum, rule)
        };
        alarms.extend(of_all);
        if alarms.iter().any(is_wrong) {
            // Whatever the clock of the window, and however long it is.
            seasonal.hold(Moment::at(ended), hold_s);
        }
        if let Some(moment) = moment {
            seasonal.learn(sum, moment, rule);
        }
        if seasonal.judges() && !judged {
            // Windows of before stand beside another normal.
            *plain = Watch::default();
            self.recent.clear();
        }
        usual.filter(|_| seasonal.judges())
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use muster_protocol::stats::critical::Location;

    use super::super::budget::IncidentsPerYear;
    use super::super::counted::Clock;
    use super::*;
    use crate::random::Random;

    fn unit(random: &mut Random) -> f64 {
        (random.draw() >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn rule() -> DeviceRule {
        let features = NonZeroU32::new(2).expect("two");
        let feature = FeatureRule::of(&ExpectedFeature {
            bins: vec![10; 16],
            ..ExpectedFeature::default()
        });
        DeviceRule {
            features: vec![feature.clone(), feature],
            budget: Budget::new(IncidentsPerYear::TENTH, features),
        }
    }

    /// 300 values whose mean lies `shift` standard deviations off, and varies as such do.
    fn sum(random: &mut Random, shift: f64) -> FeatureSum {
        let noise: f64 = (0..12).map(|_| unit(random)).sum::<f64>() - 6.0;
        let mean = 256.0 * (shift + noise / 300_f64.sqrt());
        FeatureSum {
            bins: [18_u64, 19].into_iter().cycle().take(16).collect(),
            sum: (296.0 * mean) as i64,
            sum_of_squares: (296.0 * (mean * mean + 65_536.0)) as u64,
            ..FeatureSum::default()
        }
    }

    fn window(features: Vec<FeatureSum>) -> Counted {
        Counted {
            features,
            closed_windows: 1,
            span_ms: 300_000,
            calls: 296,
            errors: 0,
            measured: 0,
            misses: 0,
            ended: UnixSeconds(7),
            clock: Clock::Trusted,
            usual: Vec::new(),
        }
    }

    #[test]
    fn the_feature_that_moves_is_named_and_the_same_windows_say_the_same_again() {
        let run = || {
            let (mut random, mut watch) = (Random(7), DeviceWatch::default());
            let mut moved = Vec::new();
            for at in 0..900 {
                let shift = if at < 880 { 0.0 } else { 1.0 };
                let sums = vec![sum(&mut random, 0.0), sum(&mut random, shift)];
                moved.extend(watch.take(window(sums), &rule()));
                // Written down and read again between two windows.
                let bytes = postcard::to_stdvec(&watch).expect("written");
                watch = postcard::from_bytes(&bytes).expect("read");
            }
            assert_eq!(watch.recent.len(), RECENT_MAX);
            (moved, watch)
        };
        let (moved, watch) = run();
        let of_second = |moved: &Moved| matches!(moved, Moved::Feature(1, Alarm::Moved(_, _)));
        assert!(
            !moved.is_empty() && moved.iter().all(of_second),
            "{moved:?}"
        );
        assert_eq!((moved, watch), run());
    }

    /// Two windows of this clock and length, at this mean, and an hour later one of trusted time: whether
    /// that is learnt.
    #[test]
    fn what_is_wrong_holds_the_week_whatever_its_clock() {
        let feature = FeatureRule::of(&ExpectedFeature {
            bins: vec![10; 16],
            limits: Some(Limits {
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
            }),
            follows: Follows::HourOfWeek { hold_s: 7200 },
        });
        let rule = DeviceRule {
            features: vec![feature],
            ..rule()
        };
        let check = |clock: Clock, hours: u64, mean: f64, is_learnt: bool| {
            let (mut random, mut watch) = (Random(7), DeviceWatch::default());
            let mut say = |watch: &mut DeviceWatch, ended_h: u64, (clock, hours, mean)| {
                let window = Counted {
                    span_ms: hours * 3_600_000,
                    ended: UnixSeconds(ended_h * 3600),
                    clock,
                    ..window(vec![sum(&mut random, mean)])
                };
                !watch.take(window, &rule).is_empty()
            };
            let said = [500, 500 + hours].map(|at| say(&mut watch, at, (clock, hours, mean)));
            assert_eq!(said, [false, mean > 0.5], "{clock:?} {hours} {mean}");
            let week = |watch: &DeviceWatch| watch.seasonal[0].clone().expect("followed").season;
            let before = week(&watch);
            let after = (Clock::Trusted, 1, 0.0);
            say(&mut watch, 501 + hours, after);
            let found = week(&watch) != before;
            assert_eq!(found, is_learnt, "{clock:?} {hours} {mean}");
            // Until that has passed, and no longer.
            say(&mut watch, 504 + hours, after);
            assert_ne!(week(&watch), before, "{clock:?} {hours} {mean}");
        };
        for (clock, hours) in [
            (Clock::Trusted, 1),
            (Clock::Received, 1),
            (Clock::Trusted, 3),
            (Clock::Received, 3),
        ] {
            check(clock, hours, 1.0, false);
            check(clock, hours, 0.0, true);
        }
    }

    #[test]
    fn a_window_of_other_features_is_left_out() {
        let mut watch = DeviceWatch::default();
        assert!(
            watch
                .take(window(vec![FeatureSum::default()]), &rule())
                .is_empty()
        );
        assert!(watch.features.is_empty());
        assert_eq!(watch.recent.len(), 1);
    }
}
