//! What many rollouts of a kind add up to, as lines of the published tables.
//!
//! The order in which rollouts end does not matter.

use std::collections::BTreeMap;

use super::{Change, Method, Oddity, SIZES, Setting, Story};

/// One line of a table: a kind of rollout, with its name.
#[derive(Debug, Clone)]
pub struct Line {
    /// What is published of it.
    pub name: String,
    /// The rollouts.
    pub setting: Setting,
}

/// Rollouts of one kind, counted.
#[derive(Debug, Clone, Default)]
pub struct Tally {
    /// Rollouts.
    pub rollouts: u64,
    /// Of those, rollouts whose rings all passed.
    pub passed: u64,
    /// Of those, halted ones, by gate.
    pub halted_by: BTreeMap<&'static str, u64>,
    halted_at: BTreeMap<u32, u64>,
}

/// The lines that are published: power by ring size, small changes, good rollouts in other worlds,
/// and what other methods would do.
#[must_use]
pub fn lines() -> Vec<Line> {
    let sized = [Change::None, Change::Errors, Change::Misses, Change::Mix]
        .into_iter()
        .flat_map(|change| SIZES.map(|devices| Setting::published(change, devices)));
    let small = [Change::ErrorsByHalfTheMargin, Change::ErrorsByTheMargin]
        .into_iter()
        .flat_map(|change| [20, 100].map(|devices| Setting::published(change, devices)));
    let plain = sized.chain(small).map(|setting| Line {
        name: change(setting.change).to_owned(),
        setting,
    });
    plain.chain(odd()).chain(rejected()).collect()
}

/// Good rollouts, judged otherwise.
fn rejected() -> Vec<Line> {
    let methods = [
        (
            "rejected: requests taken for independent",
            Method::PooledRequests,
        ),
        (
            "rejected: a test for one look, after every window",
            Method::RepeatedTest,
        ),
    ];
    let line = |(name, method): (&str, Method)| Line {
        name: name.to_owned(),
        setting: Setting {
            method,
            windows: 200,
            ..Setting::published(Change::None, 20)
        },
    };
    methods.into_iter().map(line).collect()
}

/// Good rollouts in worlds that are not as assumed, twenty devices in each ring.
fn odd() -> Vec<Line> {
    let good = Setting::published(Change::None, 20);
    let unlike = differing(good, 3.0, 0.1);
    let five = Setting {
        devices: 5,
        controls: 20,
        ..differing(good, 2.0, 0.1)
    };
    let long = Setting {
        windows: 200,
        ..good
    };
    let named = [
        ("devices all alike", differing(good, 0.0, 0.0)),
        ("devices differ by three times their mean", unlike),
        (
            "one device in 20 has ten times the rates",
            oddly(good, Oddity::BrokenDevices),
        ),
        (
            "rates change from window to window, by twice their mean",
            oddly(good, Oddity::Bursts),
        ),
        (
            "in one window of 8 all have ten times the rates",
            oddly(good, Oddity::Shocks),
        ),
        ("devices join late", oddly(good, Oddity::LateDevices)),
        (
            "the ring has a tenth of the requests",
            oddly(good, Oddity::QuietRing),
        ),
        (
            "5 to 500 requests a window",
            oddly(good, Oddity::UnevenLoad),
        ),
        ("errors 0.01 %, misses 0.02 %", rare(good)),
        ("two requests a window", asked(good, 2)),
        (
            "ten controls for each device",
            Setting {
                controls: 10,
                ..good
            },
        ),
        (
            "5 devices, 100 controls that differ by twice their mean",
            five,
        ),
        (
            "5 devices, 5 controls that differ by twice their mean",
            Setting {
                controls: 1,
                ..five
            },
        ),
        (
            "no control, the rates at their limits",
            Setting {
                controls: 0,
                ..good
            },
        ),
        (
            "5 devices without control that differ by twice their mean, the rates at their limits",
            Setting {
                controls: 0,
                ..five
            },
        ),
        ("200 windows", long),
        ("200 windows, devices all alike", differing(long, 0.0, 0.0)),
    ];
    named
        .into_iter()
        .map(|(name, setting)| Line {
            name: name.to_owned(),
            setting,
        })
        .collect()
}

const fn differing(mut setting: Setting, rate_cv: f64, class_correlation: f64) -> Setting {
    setting.world.rate_cv = rate_cv;
    setting.world.class_correlation = class_correlation;
    setting
}

const fn oddly(mut setting: Setting, oddity: Oddity) -> Setting {
    setting.world.oddity = oddity;
    setting
}

const fn rare(mut setting: Setting) -> Setting {
    setting.world.errors = 0.0001;
    setting.world.misses = 0.0002;
    setting
}

const fn asked(mut setting: Setting, requests: u64) -> Setting {
    setting.world.requests = requests;
    setting
}

/// How a change is called.
#[must_use]
const fn change(change: Change) -> &'static str {
    match change {
        Change::None => "nothing",
        Change::ErrorsByHalfTheMargin => "errors 1 % to 1.5 %, half the margin",
        Change::ErrorsByTheMargin => "errors 1 % to 2 %, the margin",
        Change::Errors => "errors 1 % to 3 %",
        Change::Misses => "latency misses 2 % to 6 %",
        Change::Mix => "prediction mix, total variation 0.1",
    }
}

impl Tally {
    /// Adds a rollout.
    pub fn add(&mut self, story: Story) {
        self.rollouts += 1;
        match story {
            Story::Passed => self.passed += 1,
            Story::Held => {}
            Story::Halted { gate, window } => {
                *self.halted_by.entry(gate).or_default() += 1;
                *self.halted_at.entry(window).or_default() += 1;
            }
        }
    }

    /// Rollouts that were halted.
    #[must_use]
    pub fn halted(&self) -> u64 {
        self.halted_by.values().sum()
    }

    /// Share that was halted.
    #[must_use]
    pub fn halted_share(&self) -> f64 {
        self.halted() as f64 / self.rollouts.max(1) as f64
    }

    /// Wilson's bounds of the share that is halted, each one-sided 95 %.
    #[must_use]
    pub fn bounds(&self) -> (f64, f64) {
        const Z: f64 = 1.644_853_626_951_472_2;
        let (n, p) = (self.rollouts.max(1) as f64, self.halted_share());
        let (centre, square) = (p + Z * Z / (2.0 * n), Z * Z / n);
        let spread = Z * (p * (1.0 - p) / n + Z * Z / (4.0 * n * n)).sqrt();
        (
            ((centre - spread) / (1.0 + square)).max(0.0),
            ((centre + spread) / (1.0 + square)).min(1.0),
        )
    }

    /// The window by which this percentage of the halted rollouts was halted.
    #[must_use]
    pub fn window_of(&self, percent: u64) -> Option<u32> {
        let needed = (self.halted() * percent).div_ceil(100).max(1);
        let mut seen = 0;
        let found = self.halted_at.iter().find(|(_, count)| {
            seen += **count;
            seen >= needed
        });
        found.map(|(window, _)| *window)
    }
}
