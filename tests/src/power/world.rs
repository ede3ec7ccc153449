//! Made-up devices: how often each fails, is late and predicts what, and its windows.
//!
//! One assumption a line, in [`World`]; every number comes from the seed. Never judges.

use muster_fleet::gate::{DeviceCounts, Evidence};
use muster_protocol::digest::Digest;
use muster_protocol::id::{DeviceId, EpochGeneration};

use super::draw::{beta, binomial, dirichlet, uniform};
use crate::random::Random;

/// Classes that a model predicts.
pub(super) const CLASSES: usize = 4;
/// Milliseconds that a window spans.
const WINDOW_MS: u64 = 300_000;

/// What is assumed of all devices.
#[derive(Debug, Clone, Copy)]
pub struct World {
    /// Share of requests that fail.
    pub errors: f64,
    /// Share of requests over the latency objective.
    pub misses: f64,
    /// Share of each class.
    pub classes: [f64; CLASSES],
    /// How far devices differ for good: standard deviation of a device's rate of errors or misses,
    /// divided by its mean (beta distributed).
    pub rate_cv: f64,
    /// How far devices differ for good in what they predict: correlation of two predictions of one
    /// device (Dirichlet distributed).
    pub class_correlation: f64,
    /// Share of devices that refuse a bundle.
    pub refusals: f64,
    /// Share of devices on which it crashes.
    pub crashes: f64,
    /// Requests of a device in one window.
    pub requests: u64,
    /// What else is odd.
    pub oddity: Oddity,
}

/// What may be wrong with those assumptions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Oddity {
    /// Nothing.
    None,
    /// One device in twenty has ten times the rates.
    BrokenDevices,
    /// A device's rates differ from window to window, twice as much as their mean.
    Bursts,
    /// In one window of eight all devices have ten times the rates.
    Shocks,
    /// Devices join at any time in the first half.
    LateDevices,
    /// The ring is asked ten times in a window, the control as often as assumed.
    QuietRing,
    /// Some devices are asked a hundred times as often as others.
    UnevenLoad,
}

/// One device, as it is for good.
struct Device {
    id: DeviceId,
    errors: f64,
    misses: f64,
    classes: [f64; CLASSES],
    requests: u64,
    joins: u32,
}

/// Devices on one bundle.
pub(super) struct Group {
    world: World,
    devices: Vec<Device>,
}

impl Group {
    /// `devices` of them; `windows` is how long they will be looked at.
    pub(super) fn new(random: &mut Random, world: World, devices: u32, windows: u32) -> Self {
        let devices = (0..devices).map(|n| Device::new(random, &world, n, windows));
        Self {
            world,
            devices: devices.collect(),
        }
    }

    /// What is known before the first window: who installed, refused and crashed.
    pub(super) fn evidence(&self, random: &mut Random) -> Evidence {
        let mut evidence = Evidence::of(Digest([0; 32]));
        for device in &self.devices {
            let refused = u64::from(uniform(random) < self.world.refusals);
            let counts = DeviceCounts {
                contacts: 1,
                refused,
                installed: 1 - refused,
                crashes: u64::from(uniform(random) < self.world.crashes),
                ..DeviceCounts::default()
            };
            evidence.add(device.id.clone(), EpochGeneration::default(), &counts);
        }
        evidence
    }

    /// Adds the window with this number, 0 the first. `shock` is common to all groups.
    pub(super) fn window(
        &self,
        random: &mut Random,
        number: u32,
        shock: bool,
        evidence: &mut Evidence,
    ) {
        for device in self.devices.iter().filter(|d| d.joins <= number) {
            let counts = device.window(random, self.world.oddity, shock);
            evidence.add(device.id.clone(), EpochGeneration::default(), &counts);
        }
    }
}

impl Device {
    fn new(random: &mut Random, world: &World, n: u32, windows: u32) -> Self {
        let broken = world.oddity == Oddity::BrokenDevices && random.below(20) == 0;
        let times = if broken { 10.0 } else { 1.0 };
        let rate = |mean: f64| world.rate_cv * world.rate_cv * mean / (1.0 - mean);
        let joins = match world.oddity {
            Oddity::LateDevices => random.below(u64::from(windows / 2).max(1)) as u32,
            _ => 0,
        };
        let requests = match world.oddity {
            Oddity::UnevenLoad => (5.0 * 100_f64.powf(uniform(random))) as u64,
            _ => world.requests,
        };
        Self {
            id: DeviceId::parse(&format!("device-{n}")).expect("invariant: digits fit the grammar"),
            errors: times_at_most_one(beta(random, world.errors, rate(world.errors)), times),
            misses: times_at_most_one(beta(random, world.misses, rate(world.misses)), times),
            classes: dirichlet(random, world.classes, world.class_correlation),
            requests,
            joins,
        }
    }

    fn window(&self, random: &mut Random, oddity: Oddity, shock: bool) -> DeviceCounts {
        let times = if shock { 10.0 } else { 1.0 };
        let (mut errors, mut misses) = (self.errors, self.misses);
        if oddity == Oddity::Bursts {
            errors = beta(random, errors, 4.0 * errors);
            misses = beta(random, misses, 4.0 * misses);
        }
        let failed = binomial(random, self.requests, times_at_most_one(errors, times));
        let ok = self.requests - failed;
        let late = binomial(random, ok, times_at_most_one(misses, times));
        DeviceCounts {
            contacts: 1,
            closed_windows: 1,
            soaked_ms: WINDOW_MS,
            ok,
            errors: [(1, failed)].into(),
            latencies: ok,
            latency_misses: late,
            classes: self.predict(random, ok),
            ..DeviceCounts::default()
        }
    }

    fn predict(&self, random: &mut Random, n: u64) -> std::collections::BTreeMap<u32, u64> {
        let (mut left, mut share) = (n, 1.0);
        let each = self.classes.iter().zip(0..).map(|(p, class)| {
            let given_the_rest = if share > 0.0 {
                (p / share).min(1.0)
            } else {
                1.0
            };
            let hits = if class as usize == CLASSES - 1 {
                left
            } else {
                binomial(random, left, given_the_rest)
            };
            left -= hits;
            share -= p;
            (class, hits)
        });
        each.collect()
    }
}

fn times_at_most_one(rate: f64, times: f64) -> f64 {
    (rate * times).min(1.0)
}
