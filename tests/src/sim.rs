//! The simulated world: the real machines of many devices and one fleet under everything that
//! goes wrong in the field, thousands of hours in a minute.
//!
//! Real are the machines of `muster-device` (acceptance, updaters, fetchers, streams, folds,
//! trusted time, chains of key sets), every document of `muster-protocol` with its signature, and
//! the rules of composing of `muster-fleet`. Simulated are the network, the disks, the clocks,
//! the workers, people, and the glue around the machines. One seed gives one run, event for
//! event: no clock is read, nothing is iterated in an order of chance, and every random number
//! comes from the seed.
//!
//! Where to begin reading: `world` runs the agenda, `device` is the glue, `faults` says
//! what strikes, `safety` what must hold after every event, `liveness` what must come true
//! once the storm is over.

mod agenda;
mod bodies;
mod catalogue;
mod clones;
mod controller;
mod device;
mod disk;
mod faults;
mod lane;
mod liveness;
mod network;
mod planted;
mod report;
mod safety;
mod seal;
mod thief;
mod transcript;
mod world;

pub use faults::Fault;
pub use network::Mishaps;
pub use planted::Planted;
pub use report::Counted;
pub use safety::Violation;
pub use transcript::Recording;

use muster_protocol::time::Millis;
use std::fmt;

/// One run.
#[derive(Debug, Clone, Copy)]
pub struct Setup {
    /// Everything follows from it.
    pub seed: u64,
    /// How many devices.
    pub devices: usize,
    /// A mistake that is planted.
    pub planted: Option<Planted>,
    /// Whether the story is kept as text.
    pub recording: Recording,
}

/// How a run ended.
#[derive(Debug)]
pub struct Outcome {
    /// Equal for equal runs.
    pub hash: u64,
    /// What happened.
    pub counted: Counted,
    /// What went wrong, if anything did.
    pub failure: Option<Failure>,
}

/// A promise that was broken, and how it came to that.
#[derive(Debug)]
pub struct Failure {
    /// The seed that shows it again.
    pub seed: u64,
    /// When.
    pub at: Millis,
    /// What.
    pub violation: Violation,
    /// The last lines of the story, if it was recorded.
    pub transcript: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.transcript)?;
        let Violation { promise, how } = &self.violation;
        write!(
            f,
            "seed {} at {} ms broke a promise: {promise}: {how}",
            self.seed, self.at.0
        )
    }
}

/// Runs one seed to its end.
#[must_use]
pub fn run(setup: Setup) -> Outcome {
    world::World::new(setup).run()
}

/// The first seed up to `seeds_max` that notices a planted mistake, and what it noticed.
#[must_use]
pub fn first_catch(planted: Planted, devices: usize, seeds_max: u64) -> Option<Failure> {
    (1..=seeds_max).find_map(|seed| {
        let setup = Setup {
            seed,
            devices,
            planted: Some(planted),
            recording: Recording::Hash,
        };
        run(setup).failure
    })
}
