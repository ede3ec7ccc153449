//! Whole rollouts over made-up devices, judged by the gates of `muster`: how often a good one is
//! stopped, and a bad one not (docs/rollout-power.md).
//!
//! A seed is a rollout. Never judges by itself: every verdict is the gates' own.

mod draw;
mod rejected;
mod table;
mod world;

use std::num::NonZeroU32;

use muster_fleet::gate::{
    Approval, Budget, Evidence, Facts, Gate, Outcome, Share, Tolerance, judge_all,
};

use crate::random::Random;
use world::{CLASSES, Group};

pub use table::{Line, Tally, lines};
pub use world::{Oddity, World};

/// Devices of a ring for which power is published.
pub const SIZES: [u32; 6] = [5, 10, 20, 50, 100, 200];

/// What the new version does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// The same as the old one.
    None,
    /// Errors rise by half of what is tolerated: 1 % to 1.5 %.
    ErrorsByHalfTheMargin,
    /// Errors rise by what is tolerated: 1 % to 2 %.
    ErrorsByTheMargin,
    /// Three times the errors: 1 % to 3 %.
    Errors,
    /// Three times the requests over the latency objective: 2 % to 6 %.
    Misses,
    /// A tenth of the predictions moves from one class to another: total variation 0.1.
    Mix,
}

/// One kind of rollout.
#[derive(Debug, Clone, Copy)]
pub struct Setting {
    /// What the new version does.
    pub change: Change,
    /// The devices.
    pub world: World,
    /// Devices in each ring.
    pub devices: u32,
    /// Devices of the control for each of those.
    pub controls: u32,
    /// Rings, one after another; a change is looked for in the first alone.
    pub rings: u32,
    /// Windows for which a ring is looked at, once after each.
    pub windows: u32,
    /// Who looks.
    pub method: Method,
}

/// Who judges a ring.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// The gates of `muster`.
    Gates,
    /// Errors alone, by an e-process that takes every request for independent.
    PooledRequests,
    /// Errors alone, by a test between devices that keeps its error rate at one look.
    RepeatedTest,
}

/// What became of a rollout.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Story {
    /// A gate failed in this window, 1 the first.
    Halted {
        /// The gate.
        gate: &'static str,
        /// The window.
        window: u32,
    },
    /// Every ring had all gates pass at once.
    Passed,
    /// Some ring neither passed nor failed.
    Held,
}

impl Setting {
    /// The published one: equal arms, three rings, a window of 100 requests, 24 windows.
    #[must_use]
    pub const fn published(change: Change, devices: u32) -> Self {
        Self {
            change,
            world: World {
                errors: 0.01,
                misses: 0.02,
                classes: [0.4, 0.3, 0.2, 0.1],
                rate_cv: 0.5,
                class_correlation: 0.01,
                refusals: 0.005,
                crashes: 0.005,
                requests: 100,
                oddity: Oddity::None,
            },
            devices,
            controls: 1,
            rings: 3,
            windows: 24,
            method: Method::Gates,
        }
    }
}

/// The gates that are judged: all that chance alone could fail. Without a control, the limits are
/// the very rates of the `world`: good, and nothing to spare.
///
/// # Panics
/// Never: the shares are written here.
#[must_use]
pub fn gates(world: &World, controls: u32) -> Vec<Gate> {
    let share = |number: f64| Share::try_from(number).expect("invariant: it is a share");
    let tolerance = |gate, margin: f64, rate: f64| {
        match controls {
            0 => Tolerance::new(gate, None, Some(share(rate))),
            _ => Tolerance::new(gate, Some(share(margin)), None),
        }
        .expect("invariant: one of both is there")
    };
    vec![
        Gate::SelfTestRefusals { limit: share(0.05) },
        Gate::CrashesAndReverts { limit: share(0.05) },
        Gate::ErrorRate(tolerance("error_rate", 0.01, world.errors)),
        Gate::LatencyMisses(tolerance("latency_misses", 0.02, world.misses)),
        Gate::PredictionMix {
            margin: share(0.05),
        },
    ]
}

/// Runs one rollout; all that happens in it comes from `seed`.
#[must_use]
pub fn rollout(setting: &Setting, seed: u64) -> Story {
    let mut random = Random(seed);
    // Neighbouring seeds begin far apart.
    let mut random = Random(random.draw());
    let rings = match setting.change {
        Change::None => setting.rings,
        _ => 1,
    };
    let mut all_passed = true;
    for _ in 0..rings {
        match ring(setting, &mut random) {
            halted @ Story::Halted { .. } => return halted,
            Story::Held => all_passed = false,
            Story::Passed => {}
        }
    }
    if all_passed {
        Story::Passed
    } else {
        Story::Held
    }
}

/// A ring is looked at for all its windows, also after it has passed: nothing ends luckily early.
fn ring(setting: &Setting, random: &mut Random) -> Story {
    let Setting {
        devices,
        controls,
        windows,
        ..
    } = *setting;
    let (gates, budget) = policy(setting);
    let ring = Group::new(random, changed(setting), devices, windows);
    let others = Group::new(random, setting.world, devices * controls, windows);
    let mut canary = ring.evidence(random);
    let mut control = others.evidence(random);
    let mut passed = false;
    for window in 0..windows {
        let shock = setting.world.oddity == Oddity::Shocks && random.below(8) == 0;
        ring.window(random, window, shock, &mut canary);
        others.window(random, window, shock, &mut control);
        match look(setting.method, &canary, &control, &gates, &budget) {
            Look::Fails(gate) => {
                return Story::Halted {
                    gate,
                    window: window + 1,
                };
            }
            Look::Passes => passed = true,
            Look::Holds => {}
        }
    }
    if passed { Story::Passed } else { Story::Held }
}

/// What one look says.
enum Look {
    Fails(&'static str),
    Passes,
    Holds,
}

fn look(
    method: Method,
    canary: &Evidence,
    control: &Evidence,
    gates: &[Gate],
    budget: &Budget,
) -> Look {
    let alpha = budget.of_one_gate().get();
    match method {
        Method::Gates => {}
        Method::PooledRequests => return rejected::pooled_requests(canary, control, alpha),
        Method::RepeatedTest => return rejected::repeated_test(canary, control, alpha),
    }
    let facts = Facts {
        canary,
        control: Some(control),
        approval: Approval::Granted,
    };
    let verdicts = judge_all(gates, facts, budget);
    let failed = verdicts.iter().find(|(_, v)| v.outcome == Outcome::Fail);
    let all_pass = verdicts.iter().all(|(_, v)| v.outcome == Outcome::Pass);
    match failed {
        Some((gate, _)) => Look::Fails(gate),
        None if all_pass => Look::Passes,
        None => Look::Holds,
    }
}

fn policy(setting: &Setting) -> (Vec<Gate>, Budget) {
    let gates = gates(&setting.world, setting.controls);
    let allowance = Share::try_from(0.05).expect("invariant: it is a share");
    let rings = NonZeroU32::new(setting.rings).unwrap_or(NonZeroU32::MIN);
    let budget = Budget::split(allowance, rings, &gates).expect("invariant: 5 % is an allowance");
    (gates, budget)
}

/// The ring's devices under the new version.
fn changed(setting: &Setting) -> World {
    let mut world = setting.world;
    match setting.change {
        Change::None => {}
        Change::ErrorsByHalfTheMargin => world.errors *= 1.5,
        Change::ErrorsByTheMargin => world.errors *= 2.0,
        Change::Errors => world.errors *= 3.0,
        Change::Misses => world.misses *= 3.0,
        Change::Mix => {
            world.classes[0] -= 0.1;
            world.classes[CLASSES - 1] += 0.1;
        }
    }
    if world.oddity == Oddity::QuietRing {
        world.requests = 10;
    }
    world
}
