//! What many devices add up to, as lines of the published tables.
//!
//! The order in which devices end does not matter.

mod season;

use super::{BUDGET, CORRELATIONS, CohortSetting, Drift, Found, Quiet, SeasonSetting, Setting};

pub use season::{season_delay_lines, season_quiet_lines};

/// Devices without drift, of one kind.
#[derive(Debug, Clone, PartialEq)]
pub struct QuietLine {
    /// What is watched.
    pub name: String,
    /// Correlation of neighbouring samples.
    pub correlation: f64,
    /// Years that are published, of a whole device or cohort.
    pub years: u64,
    /// What is promised of it.
    pub allowed: Allowed,
    kind: Kind,
}

/// How often a line may alarm for nothing, in a device-year.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Allowed {
    /// The budget.
    Budget,
    /// More than the budget, and the page says so: this often, and no worse.
    KnownException(f64),
}

/// Devices that drift, of one kind.
#[derive(Debug, Clone, PartialEq)]
pub struct DelayLine {
    /// What drifts.
    pub name: String,
    /// Correlation of neighbouring samples.
    pub correlation: f64,
    /// How far the mean moves, in standard deviations of what is watched; none if something else
    /// does.
    pub shift: Option<f64>,
    /// Charts among which the budget is shared, each side one, if all were as large as this one.
    pub charts: f64,
    kind: Kind,
    drift: Drift,
}

/// How a sensor becomes a line.
type Make = fn(Setting) -> Kind;

/// How a line is simulated.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Kind {
    Samples(Setting),
    Windows(Setting),
    Cohort(CohortSetting),
    Season(SeasonSetting),
}

/// Devices without drift, counted.
#[derive(Debug, Clone, Default)]
pub struct QuietTally {
    /// Years watched, of whole devices.
    pub years: f64,
    /// Alarms in them.
    pub alarms: u64,
    learning_days: f64,
    runs: u64,
}

/// Devices that drift, counted.
#[derive(Debug, Clone, Default)]
pub struct DelayTally {
    found: Vec<u64>,
    /// Drifts that were not found.
    pub never: u64,
    /// Alarms before the drift.
    pub before: u64,
}

/// The lines of false alarms that are published.
#[must_use]
pub fn quiet_lines() -> Vec<QuietLine> {
    let each = |(name, years, window_s, features, of): (&str, u64, u64, u32, Make)| {
        let name = name.to_owned();
        CORRELATIONS.map(|correlation| QuietLine {
            name: name.clone(),
            correlation,
            years,
            allowed: Allowed::Budget,
            kind: of(Setting {
                correlation,
                window_s,
                features,
            }),
        })
    };
    let devices = [
        (
            "samples, windows of 60 s, 1 feature",
            34,
            60,
            1,
            Kind::Samples as Make,
        ),
        ("windows of 60 s, 1 feature", 170, 60, 1, Kind::Windows),
        ("windows of 300 s, 1 feature", 100, 300, 1, Kind::Windows),
        ("windows of 300 s, 16 features", 30, 300, 16, Kind::Windows),
    ];
    let cohorts = cohorts(300).map(|(name, setting)| QuietLine {
        name,
        correlation: setting.correlation,
        years: 200,
        allowed: Allowed::Budget,
        kind: Kind::Cohort(setting),
    });
    devices.into_iter().flat_map(each).chain(cohorts).collect()
}

/// The lines of delays that are published: one of the 16 features of a device drifts, or all devices of a
/// cohort.
#[must_use]
pub fn delay_lines() -> Vec<DelayLine> {
    let shifts = [60, 300].into_iter().flat_map(|window_s| {
        CORRELATIONS.map(|correlation| {
            let name = format!("mean by 0.2 sd, windows of {window_s} s");
            device(name, correlation, window_s, moved(0.2), Some(0.2))
        })
    });
    let others = [0.0, 0.9].into_iter().flat_map(|correlation| {
        [
            device(
                "mean by 0.5 sd, windows of 60 s".to_owned(),
                correlation,
                60,
                moved(0.5),
                Some(0.5),
            ),
            device(
                "mean by 1 sd, windows of 60 s".to_owned(),
                correlation,
                60,
                moved(1.0),
                Some(1.0),
            ),
            device(
                "sd by a fifth, windows of 60 s".to_owned(),
                correlation,
                60,
                stretched(1.2),
                None,
            ),
            device(
                "sd down by a fifth, windows of 60 s".to_owned(),
                correlation,
                60,
                stretched(0.8),
                None,
            ),
        ]
    });
    let cohorts = cohorts(300).map(|(name, setting)| DelayLine {
        name: format!("{name}: mean by 0.05 sd"),
        correlation: setting.correlation,
        shift: Some(0.05 / setting.variance().sqrt()),
        // Two sides, which have four fifths of the budget.
        charts: 2.5,
        kind: Kind::Cohort(setting),
        drift: moved(0.05),
    });
    shifts.chain(others).chain(cohorts).collect()
}

fn device(
    name: String,
    correlation: f64,
    window_s: u64,
    drift: Drift,
    shift: Option<f64>,
) -> DelayLine {
    DelayLine {
        name,
        correlation,
        shift,
        // Two sides of 16 features, whose means have two fifths of the budget.
        charts: 80.0,
        kind: Kind::Samples(Setting {
            correlation,
            window_s,
            features: 16,
        }),
        drift,
    }
}

fn cohorts(window_s: u64) -> impl Iterator<Item = (String, CohortSetting)> {
    let all = [0.0, 0.05, 0.3].into_iter();
    let all = all.flat_map(|common| [0.0, 0.9].map(|correlation| (correlation, common)));
    all.map(move |(correlation, common)| {
        let setting = CohortSetting {
            devices: 100,
            common,
            correlation,
            window_s,
        };
        (format!("100 devices that correlate by {common}"), setting)
    })
}

const fn moved(shift: f64) -> Drift {
    Drift {
        shift,
        stretch: 1.0,
    }
}

const fn stretched(stretch: f64) -> Drift {
    Drift {
        shift: 0.0,
        stretch,
    }
}

impl QuietLine {
    /// Features or cohorts that make up one device: each is a run of its own.
    #[must_use]
    pub fn runs_per_year(&self) -> u64 {
        match self.kind {
            Kind::Samples(setting) | Kind::Windows(setting) => u64::from(setting.features.max(1)),
            Kind::Season(setting) => u64::from(setting.features.max(1)),
            Kind::Cohort(_) => 1,
        }
    }

    /// One feature for a year.
    #[must_use]
    pub fn run(&self, seed: u64) -> Quiet {
        match self.kind {
            Kind::Samples(setting) => setting.quiet_samples(1.0, seed),
            Kind::Windows(setting) => setting.quiet_windows(1.0, seed),
            Kind::Cohort(setting) => setting.quiet(1.0, seed),
            Kind::Season(setting) => setting.quiet(1.0, seed),
        }
    }
}

impl DelayLine {
    /// One drift.
    #[must_use]
    pub fn run(&self, seed: u64) -> Found {
        match self.kind {
            Kind::Samples(setting) | Kind::Windows(setting) => setting.drifting(self.drift, seed),
            Kind::Cohort(setting) => setting.drifting(self.drift.shift, seed),
            Kind::Season(setting) => setting.drifting(self.drift.shift, seed),
        }
    }
}

impl Allowed {
    /// Alarms in a device-year.
    #[must_use]
    pub fn per_year(self) -> f64 {
        match self {
            Self::Budget => BUDGET.get(),
            Self::KnownException(rate) => rate,
        }
    }

    /// Whether a line surely alarms more often.
    #[must_use]
    pub fn is_broken_by(self, tally: &QuietTally) -> bool {
        tally.years > 0.0 && tally.bounds().0 > self.per_year()
    }
}

impl QuietTally {
    /// So many alarms in so many years, of who learnt elsewhere.
    #[must_use]
    pub fn of(years: f64, alarms: u64) -> Self {
        Self {
            years,
            alarms,
            ..Self::default()
        }
    }

    /// Adds a run, of which `runs_per_year` make up a device.
    pub fn add(&mut self, quiet: &Quiet, runs_per_year: u64) {
        self.years += quiet.years / runs_per_year.max(1) as f64;
        self.alarms += quiet.alarms.len() as u64;
        self.learning_days += quiet.learning_days;
        self.runs += 1;
    }

    /// Adds another line.
    pub fn merge(&mut self, other: &Self) {
        self.years += other.years;
        self.alarms += other.alarms;
        self.learning_days += other.learning_days;
        self.runs += other.runs;
    }

    /// Alarms a device-year.
    #[must_use]
    pub fn rate(&self) -> f64 {
        self.alarms as f64 / self.years.max(f64::MIN_POSITIVE)
    }

    /// The rate above and below which as many alarms, or as few, are seen once in twenty (Garwood
    /// 1936).
    #[must_use]
    pub fn bounds(&self) -> (f64, f64) {
        let years = self.years.max(f64::MIN_POSITIVE);
        let low = match self.alarms {
            0 => 0.0,
            alarms => mean_at(alarms - 1, 0.95),
        };
        (low / years, mean_at(self.alarms, 0.05) / years)
    }

    /// Days until charts ran, on average.
    #[must_use]
    pub fn learning_days(&self) -> f64 {
        self.learning_days / self.runs.max(1) as f64
    }
}

/// The Poisson mean at which as few as `count` are seen with probability `p`.
fn mean_at(count: u64, p: f64) -> f64 {
    let below = |mean: f64| {
        let mut term = (-mean).exp();
        let mut sum = term;
        for k in 1..=count {
            term *= mean / k as f64;
            sum += term;
        }
        sum
    };
    let (mut low, mut high) = (0.0, 2.0 * count as f64 + 20.0);
    for _ in 0..60 {
        let middle = 0.5 * (low + high);
        if below(middle) > p {
            low = middle;
        } else {
            high = middle;
        }
    }
    high
}

impl DelayTally {
    /// Adds a run.
    pub fn add(&mut self, found: Found) {
        match found {
            Found::After(seconds) => self.found.push(seconds),
            Found::Before => self.before += 1,
            Found::Never => self.never += 1,
        }
    }

    /// Seconds after which this percentage of the drifts was found.
    #[must_use]
    pub fn after_s(&self, percent: usize) -> Option<u64> {
        let mut sorted = self.found.clone();
        sorted.sort_unstable();
        let all = sorted.len() + self.never as usize;
        let rank = (all * percent).div_ceil(100).max(1);
        sorted.get(rank - 1).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_those_of_garwood() {
        for (alarms, low, high) in [(0, 0.0, 2.996), (1, 0.051, 4.744), (10, 5.425, 16.962)] {
            let tally = QuietTally {
                years: 1.0,
                alarms,
                ..QuietTally::default()
            };
            let found = tally.bounds();
            assert!(
                (found.0 - low).abs() < 1e-3 && (found.1 - high).abs() < 1e-3,
                "{found:?}"
            );
        }
    }

    #[test]
    fn a_known_exception_may_be_as_bad_as_it_is_known_to_be() {
        let exception = Allowed::KnownException(0.375);
        for (allowed, years, alarms, expect) in [
            (Allowed::Budget, 24.0, 0, false),
            (Allowed::Budget, 24.0, 5, false),
            (Allowed::Budget, 24.0, 6, true),
            (Allowed::Budget, 24.0, 9, true),
            (exception, 24.0, 9, false),
            (exception, 24.0, 14, false),
            (exception, 24.0, 15, true),
            (exception, 2.0, 2, false),
            (exception, 2.0, 3, true),
            (exception, 0.0, 0, false),
        ] {
            let found = allowed.is_broken_by(&QuietTally::of(years, alarms));
            assert_eq!(found, expect, "{allowed:?}: {alarms} in {years}");
        }
    }

    /// One line is known to break the budget, and it is this one.
    #[test]
    fn all_other_lines_keep_the_budget() {
        let lines = quiet_lines().into_iter().chain(season_quiet_lines());
        let excepted = lines.filter(|line| line.allowed != Allowed::Budget);
        let names: Vec<String> = excepted.map(|line| line.name).collect();
        let expect = "swing of 5 sd that differs by 10 % from day to day, hour of the week";
        assert_eq!(names, [expect]);
    }

    #[test]
    fn what_is_not_found_counts_as_late() {
        let mut tally = DelayTally::default();
        [60, 120, 180]
            .into_iter()
            .for_each(|s| tally.add(Found::After(s)));
        tally.add(Found::Never);
        assert_eq!((tally.after_s(50), tally.after_s(95)), (Some(120), None));
    }
}
