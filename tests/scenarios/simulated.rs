//! The simulated world keeps its promises, is the same for the same seed, and would notice.
//!
//! A few seeds only: `cargo xtask sim` runs thousands.

use muster_tests::sim::{self, Planted, Recording, Setup};

/// Seeds within which every planted mistake is caught.
const SEEDS_UNTIL_CAUGHT_MAX: u64 = 60;

fn setup(seed: u64, devices: usize) -> Setup {
    Setup {
        seed,
        devices,
        planted: None,
        recording: Recording::Hash,
    }
}

fn holds(seed: u64, devices: usize) {
    if let Some(failure) = sim::run(setup(seed, devices)).failure {
        panic!("{failure}\nshow it again: cargo xtask sim --devices {devices} --seed {seed}");
    }
}

#[test]
fn one_seed_is_one_run() {
    for seed in 1..6 {
        let once = sim::run(setup(seed, 5));
        let recorded = Setup {
            recording: Recording::Text,
            ..setup(seed, 5)
        };
        let again = sim::run(recorded);
        assert_eq!(once.hash, again.hash, "seed {seed}");
        assert_eq!(once.counted, again.counted, "seed {seed}");
        let other = sim::run(setup(seed + 100, 5));
        assert_ne!(once.hash, other.hash, "seed {seed}");
    }
}

#[test]
fn fresh_worlds_keep_their_promises() {
    (1..=40).for_each(|seed| holds(seed, 5));
}

#[test]
fn worlds_that_once_broke_a_promise_keep_it_now() {
    let known = include_str!("../seeds.txt");
    let lines = known.lines().filter(|line| !line.starts_with('#'));
    for line in lines {
        let mut words = line.split_whitespace();
        let seed = words
            .next()
            .and_then(|word| word.parse().ok())
            .expect("a seed");
        let devices = words
            .next()
            .and_then(|word| word.parse().ok())
            .expect("devices");
        holds(seed, devices);
    }
}

/// The table in the documentation says what is seen: which promise breaks, and at which seed.
#[test]
fn every_planted_mistake_is_caught_as_published() {
    let published = include_str!("../../docs/simulation.md");
    for planted in Planted::ALL {
        let caught = sim::first_catch(planted, 5, SEEDS_UNTIL_CAUGHT_MAX);
        let caught = caught.unwrap_or_else(|| panic!("{planted:?} was not caught"));
        let (words, promise) = (planted.words(), caught.violation.promise);
        let line = format!("| {words} | {promise} | {} |", caught.seed);
        assert!(
            published.contains(&line),
            "docs/simulation.md lacks this line, from cargo xtask sim --mistakes --devices 5:\n{line}"
        );
    }
}
