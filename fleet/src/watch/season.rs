//! What a feature usually is in each hour of the week (UTC), learnt from the device's own hours.
//!
//! An hour counts a day after it was over, and only if nothing was wrong until then. Never learns from
//! what it judges: each window stands beside weeks that were before it.

use std::collections::VecDeque;

use muster_protocol::time::UnixSeconds;
use serde::{Deserialize, Serialize};

use super::batches::Quarter;
use super::counted::{Clock, Counted};
use super::signal::{DEVIATION_MIN, STEPS_PER_SIGMA, Seen};

/// Hours of a week.
const HOURS: usize = 168;
const HOUR_S: u64 = 3600;
/// Unix time began on a Thursday: hours since the Monday before.
const MONDAY_H: u64 = 72;
/// An hour of the week is known from so many weeks.
const WEEKS_MIN: u8 = 2;
/// What a week weighs one week later: half after four.
const FADING: f64 = 0.840_896_415_253_714_5;
/// Hours that wait until they count.
const WAIT_HOURS: u64 = 24;
/// A window that is longer than this is of no hour, milliseconds.
const SPAN_MS_MAX: u64 = 2 * 3_600_000;
/// The rank of an ordinary hour among all, by how much it varies: of four, one varies less.
const ORDINARY: usize = 4;

/// A moment as hours of the week go.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Moment {
    /// Hours since the Monday before unix time began.
    hour: u64,
    /// What of the hour is over, from 0 to 1.
    part: f64,
}

/// What is usual at a moment of the week, in standard deviations of the reference.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Usual {
    /// The mean.
    #[serde(with = "crate::statistics::exact")]
    pub mean: f64,
    /// What distances from it are multiplied by, from above 0 to 1: less than 1 in hours in which values
    /// usually vary more than in ordinary ones.
    #[serde(with = "crate::statistics::exact")]
    pub scale: f64,
    /// The cube root of the variance within a window.
    #[serde(with = "crate::statistics::exact")]
    pub spread: f64,
    /// The mean score of the third polynomial of [`super::Shape`].
    #[serde(with = "crate::statistics::exact")]
    pub skew: f64,
    /// The same of the fourth polynomial.
    #[serde(with = "crate::statistics::exact")]
    pub flanks: f64,
    /// The share of values out of range.
    #[serde(with = "crate::statistics::exact")]
    pub outside: f64,
}

/// One hour, or all hours of that place in the week: means over values.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
struct Hour {
    /// Values, less what has faded.
    weight: f32,
    mean: f32,
    /// Of the values, around that mean.
    variance: f32,
    spread: f32,
    skew: f32,
    flanks: f32,
    outside: f32,
    weeks: u8,
}

/// The week of a feature.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Season {
    /// Empty before the first hour counts, else one for each hour of the week.
    hours: Vec<Hour>,
    /// The week whose hours have faded by nothing.
    week: u64,
    /// The variance of an ordinary hour.
    ordinary: f32,
    /// Hours that do not count yet, the oldest first.
    waiting: VecDeque<(u64, Hour)>,
    /// The hour that goes on.
    open: Option<(u64, Hour)>,
    /// Hours before this one do not count: something was wrong.
    held_until: u64,
}

impl Usual {
    /// A spread in the usual one; 1 as well where both are next to nothing.
    #[must_use]
    pub fn spread_ratio(&self, spread: f64) -> f64 {
        let least = DEVIATION_MIN.powi(2).cbrt();
        (spread + least) / (self.spread + least)
    }

    /// The spread that is so many times the usual one.
    #[must_use]
    pub fn spread_at(&self, ratio: f64) -> f64 {
        let least = DEVIATION_MIN.powi(2).cbrt();
        ratio * (self.spread + least) - least
    }
}

impl Moment {
    /// The middle of a window; none if the device did not know the time, or if it is longer than two
    /// hours.
    #[must_use]
    pub fn of(window: &Counted) -> Option<Self> {
        let dated = window.clock == Clock::Trusted && window.span_ms <= SPAN_MS_MAX;
        let middle = window.ended.0.saturating_sub(window.span_ms / 2000);
        dated.then(|| Self::at(UnixSeconds(middle)))
    }

    /// That of a time.
    #[must_use]
    pub fn at(time: UnixSeconds) -> Self {
        Self {
            hour: time.0 / HOUR_S + MONDAY_H,
            part: (time.0 % HOUR_S) as f64 / HOUR_S as f64,
        }
    }

    pub(super) const fn quarter(self) -> Quarter {
        Quarter::of(self.hour)
    }

    const fn place(hour: u64) -> usize {
        (hour % HOURS as u64) as usize
    }
}

impl Season {
    /// Hours of the week that are known.
    #[must_use]
    pub fn known(&self) -> u32 {
        self.hours.iter().filter(|hour| hour.is_known()).count() as u32
    }

    /// What is usual at a moment; none in an hour that is not known. Between the middles of two hours
    /// it goes from one to the other, so that what rises within an hour is no surprise.
    #[must_use]
    pub fn usual(&self, moment: Moment) -> Option<Usual> {
        let own = self.known_hour(moment.hour)?;
        let (other, share) = if moment.part < 0.5 {
            (moment.hour.wrapping_sub(1), 0.5 - moment.part)
        } else {
            (moment.hour.wrapping_add(1), moment.part - 0.5)
        };
        let other = self.known_hour(other).unwrap_or(own);
        let between = |of: fn(&Hour) -> f32| {
            let (own, other) = (f64::from(of(own)), f64::from(of(other)));
            own + share * (other - own)
        };
        let ordinary = f64::from(self.ordinary).max(DEVIATION_MIN.powi(2));
        Some(Usual {
            mean: between(|hour| hour.mean),
            scale: (ordinary / self.pooled_variance(moment.hour).max(ordinary)).sqrt(),
            spread: between(|hour| hour.spread),
            skew: between(|hour| hour.skew),
            flanks: between(|hour| hour.flanks),
            outside: between(|hour| hour.outside),
        })
    }

    /// Takes the raw values of one more window in.
    pub(super) fn learn(&mut self, seen: &Seen, moment: Moment) {
        let began = self.open.as_ref().map_or(moment.hour, |open| open.0);
        // Those that come late count for nothing here: the hour they belong to may count already.
        if moment.hour < began.max(self.held_until) {
            return;
        }
        if moment.hour > began
            && let Some(over) = self.open.take()
        {
            self.waiting.push_back(over);
        }
        while let Some((hour, of)) = self.waiting.front().copied()
            && hour.saturating_add(WAIT_HOURS) <= moment.hour
        {
            self.waiting.pop_front();
            self.count(hour, &of);
        }
        if let Some(of) = Hour::of(seen) {
            let open = self
                .open
                .get_or_insert_with(|| (moment.hour, Hour::default()));
            open.1.add(&of);
        }
    }

    /// Something is wrong: what waits is forgotten, and nothing counts for this long.
    pub(super) fn hold(&mut self, moment: Moment, hold_s: u64) {
        self.waiting.clear();
        self.open = None;
        let until = moment.hour.saturating_add(hold_s.div_ceil(HOUR_S));
        self.held_until = self.held_until.max(until);
    }

    fn count(&mut self, hour: u64, of: &Hour) {
        self.hours.resize(HOURS, Hour::default());
        let week = hour / HOURS as u64;
        let weeks = week.saturating_sub(self.week);
        if weeks > 0 {
            // A year later nothing is left.
            let fading = FADING.powi(i32::try_from(weeks).unwrap_or(i32::MAX)) as f32;
            self.hours.iter_mut().for_each(|hour| hour.weight *= fading);
            self.week = week;
        }
        let place = &mut self.hours[Moment::place(hour)];
        place.add(of);
        place.weeks = place.weeks.saturating_add(1);
        self.ordinary = self.ordinary_variance();
    }

    fn known_hour(&self, hour: u64) -> Option<&Hour> {
        let hour = self.hours.get(Moment::place(hour))?;
        hour.is_known().then_some(hour)
    }

    /// The variance of the values of this hour and its two neighbours, around their common mean: it holds
    /// what differs from day to day, and what a steep hour is off by.
    fn pooled_variance(&self, hour: u64) -> f64 {
        let mut pool = Hour::default();
        for hour in [hour.wrapping_sub(1), hour, hour.wrapping_add(1)] {
            if let Some(of) = self.known_hour(hour) {
                pool.add(of);
            }
        }
        f64::from(pool.variance)
    }

    fn ordinary_variance(&self) -> f32 {
        let hours = (0..HOURS as u64).filter(|hour| self.known_hour(*hour).is_some());
        let mut pooled: Vec<f64> = hours.map(|hour| self.pooled_variance(hour)).collect();
        pooled.sort_unstable_by(f64::total_cmp);
        pooled.get(pooled.len() / ORDINARY).copied().unwrap_or(0.0) as f32
    }
}

impl Hour {
    /// One window; none without values.
    fn of(seen: &Seen) -> Option<Self> {
        let n = seen.moments.n as f64;
        let variance = seen.moments.squared_deviations()? / n / STEPS_PER_SIGMA.powi(2);
        Some(Self {
            weight: n as f32,
            mean: (seen.moments.mean()? / STEPS_PER_SIGMA) as f32,
            variance: variance as f32,
            spread: variance.cbrt() as f32,
            skew: seen.skew as f32,
            flanks: seen.flanks as f32,
            outside: (seen.out_of_range as f64 / n).min(1.0) as f32,
            weeks: 0,
        })
    }

    const fn is_known(&self) -> bool {
        self.weeks >= WEEKS_MIN && self.weight > 0.0
    }

    /// Both together (Chan, Golub and LeVeque 1979).
    fn add(&mut self, other: &Self) {
        let all = self.weight + other.weight;
        if !(all > 0.0 && all.is_finite()) {
            return;
        }
        let share = other.weight / all;
        let apart = other.mean - self.mean;
        let toward = |mine: f32, theirs: f32| mine + share * (theirs - mine);
        self.variance =
            toward(self.variance, other.variance) + share * (1.0 - share) * apart * apart;
        self.mean = toward(self.mean, other.mean);
        self.spread = toward(self.spread, other.spread);
        self.skew = toward(self.skew, other.skew);
        self.flanks = toward(self.flanks, other.flanks);
        self.outside = toward(self.outside, other.outside);
        self.weight = all;
    }
}

#[cfg(test)]
mod tests {
    use muster_protocol::stats::FeatureSum;

    use super::super::signal::Shape;
    use super::*;

    const DAY_H: u64 = 24;

    /// Ten values around `mean`, a standard deviation of `deviation` apart.
    fn seen(mean: f64, deviation: f64) -> Seen {
        let (mean, deviation) = (256.0 * mean, 256.0 * deviation);
        let window = FeatureSum {
            bins: [5, 5].into_iter().collect(),
            sum: (10.0 * mean) as i64,
            sum_of_squares: (10.0 * (mean * mean + deviation * deviation)) as u64,
            out_of_range: 1,
            ..FeatureSum::default()
        };
        Seen::of(&window, &Shape::of(&[1, 1]))
    }

    fn moment(hour: u64, part: f64) -> Moment {
        Moment { hour, part }
    }

    /// Hours `from..until`, each as its hour of the day.
    fn days(season: &mut Season, hours: std::ops::Range<u64>) {
        for hour in hours {
            season.learn(&seen((hour % DAY_H) as f64, 1.0), moment(hour, 0.5));
        }
    }

    fn two_weeks() -> Season {
        let mut season = Season::default();
        days(&mut season, 0..2 * 168 + DAY_H + 1);
        season
    }

    #[test]
    fn the_first_hour_of_a_week_is_that_of_a_monday() {
        // 2026-11-30 00:00 and 06:15 UTC, a Monday.
        for (unix, place, part) in [(1_795_996_800, 0, 0.0), (1_796_019_300, 6, 0.25)] {
            let found = Moment::at(UnixSeconds(unix));
            assert_eq!((Moment::place(found.hour), found.part), (place, part));
        }
    }

    #[test]
    fn an_hour_is_known_from_two_weeks_and_a_day_later() {
        let mut season = Season::default();
        days(&mut season, 0..168 + DAY_H);
        assert_eq!(season.usual(moment(3, 0.5)), None, "of one week");
        days(&mut season, 168 + DAY_H..168 + 4 + DAY_H);
        assert_eq!(season.known(), 4);
        assert_eq!(two_weeks().known(), 168);
    }

    #[test]
    fn what_rises_within_an_hour_is_no_surprise() {
        let season = two_weeks();
        for (hour, part, mean) in [
            (5, 0.5, 5.0),
            (5, 0.0, 4.5),
            (5, 0.75, 5.25),
            (29, 0.5, 5.0),
        ] {
            let usual = season.usual(moment(hour, part)).expect("known");
            assert!((usual.mean - mean).abs() < 1e-5, "{hour} {part}: {usual:?}");
            assert!((usual.outside - 0.1).abs() < 1e-6);
        }
    }

    /// Within its hour and the two beside it values vary by 1 and by what an hour rises; from 23 to 0 they
    /// fall by 23.
    #[test]
    fn hours_that_vary_more_count_less() {
        let season = two_weeks();
        let scale = |hour| season.usual(moment(hour, 0.5)).expect("known").scale;
        assert!((scale(5) - 1.0).abs() < 1e-3);
        assert!(scale(0) < 0.2 && scale(23) < 0.2);
    }

    #[test]
    fn what_was_wrong_is_not_learnt_nor_what_was_before_it() {
        let mut season = two_weeks();
        let before = season.clone();
        let begin = 2 * 168 + DAY_H + 1;
        for hour in begin..begin + 20 {
            season.learn(&seen(50.0, 1.0), moment(hour, 0.5));
        }
        season.hold(moment(begin + 20, 0.0), 86_400);
        for hour in begin + 20..begin + 20 + DAY_H {
            season.learn(&seen(50.0, 1.0), moment(hour, 0.5));
        }
        days(&mut season, begin + 20 + DAY_H..begin + 200);
        for hour in 0..168 {
            let of = |season: &Season| season.usual(moment(hour, 0.5)).expect("known").mean;
            assert!((of(&season) - of(&before)).abs() < 1e-3, "{hour}");
        }
    }

    #[test]
    fn half_of_a_week_is_left_after_four() {
        let mut season = two_weeks();
        season.count(5 + 168 * 5, &Hour::of(&seen(8.0, 1.0)).expect("values"));
        // Ten values of now, and ten of each of two weeks, four and five weeks ago.
        let left = 0.5 + 0.5 * FADING;
        let expect = (8.0 + left * 5.0) / (1.0 + left);
        let found = season.usual(moment(5, 0.5)).expect("known").mean;
        assert!((found - expect).abs() < 1e-4, "{found} {expect}");
    }

    #[test]
    fn a_window_that_comes_late_changes_nothing() {
        let mut season = two_weeks();
        let before = season.clone();
        season.learn(&seen(50.0, 1.0), moment(300, 0.5));
        assert_eq!(season, before);
    }
}
