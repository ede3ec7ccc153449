//! A machine with four bearings on one shaft: load, speed and warmth change, every bearing answers.
//! Never ends: ask for as many rows as the story needs.

use std::f64::consts::TAU;

use super::channel::{Channel, Character, Conditions};
use super::defect::{Fault, ROWS_PER_DAY};
use super::drift::Drift;
use super::rng::Rng;
use super::{BEARINGS, Row};

/// A running machine; one row is one interval of ten minutes.
pub(crate) struct Machine {
    fault: Fault,
    row: u64,
    day_offset: f64,
    load: Drift,
    speed: Drift,
    weather: Drift,
    warmth_kelvin: f64,
    channels: [Channel; BEARINGS],
}

impl Machine {
    /// Equal seeds and faults give equal rows; until its onset a fault changes nothing.
    pub(crate) fn new(seed: u64, fault: Fault) -> Self {
        let mut rng = Rng::new(seed);
        Self {
            fault,
            row: 0,
            day_offset: rng.uniform(),
            load: Drift::new(rng.split(), 0.95, 0.02),
            speed: Drift::new(rng.split(), 0.9, 0.003),
            weather: Drift::new(rng.split(), 0.995, 1.0),
            warmth_kelvin: 0.0,
            channels: CHARACTERS.map(|character| Channel::new(character, rng.split())),
        }
    }

    /// The next interval.
    pub(crate) fn next(&mut self) -> Row {
        let conditions = self.conditions();
        let (fault, row) = (self.fault, self.row);
        self.row += 1;
        let mut bearing = 0;
        self.channels.each_mut().map(|channel| {
            let measured = channel.measure(conditions, fault.strike_g(bearing, row));
            bearing += 1;
            measured
        })
    }

    /// The next `count` intervals.
    pub(crate) fn rows(&mut self, count: usize) -> Vec<Row> {
        (0..count).map(|_| self.next()).collect()
    }

    fn conditions(&mut self) -> Conditions {
        let day = (TAU * (self.row as f64 / ROWS_PER_DAY + self.day_offset)).sin();
        let load_excess = 0.03 * day + self.load.step();
        let outside_kelvin = 1.5 * day + self.weather.step();
        // The housing follows load and weather with the inertia of some hours.
        self.warmth_kelvin += 0.05 * (outside_kelvin + 60.0 * load_excess - self.warmth_kelvin);
        // The motor slips under load.
        let shaft_hz = RATED_HZ * (1.0 + self.speed.step() - 0.02 * load_excess);
        Conditions {
            shaft_hz,
            load_excess,
            warmth_kelvin: self.warmth_kelvin,
        }
    }
}

/// 1,500 turns a minute.
const RATED_HZ: f64 = 25.0;

const CHARACTERS: [Character; BEARINGS] = [
    Character {
        noise_g: 0.072,
        harmonics_g: [0.030, 0.012, 0.006],
        load_effect: 2.0,
        warmth_effect: 0.010,
    },
    Character {
        noise_g: 0.080,
        harmonics_g: [0.050, 0.020, 0.008],
        load_effect: 2.5,
        warmth_effect: -0.006,
    },
    Character {
        noise_g: 0.088,
        harmonics_g: [0.045, 0.024, 0.010],
        load_effect: 2.0,
        warmth_effect: 0.012,
    },
    Character {
        noise_g: 0.052,
        harmonics_g: [0.020, 0.010, 0.004],
        load_effect: 1.5,
        warmth_effect: -0.004,
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    const FAULT: Fault = Fault::OuterRace {
        bearing: 2,
        onset_row: 100,
    };

    fn mean(rows: &[Row], bearing: usize) -> f64 {
        rows.iter().map(|row| f64::from(row[bearing])).sum::<f64>() / rows.len() as f64
    }

    /// FNV-1a over the micro-g values, so that the last bit of a float does not matter.
    fn fingerprint(rows: &[Row]) -> u64 {
        rows.iter()
            .flatten()
            .fold(0xcbf2_9ce4_8422_2325, |hash, value| {
                let micro_g = (f64::from(*value) * 1e6).round() as u64;
                (hash ^ micro_g).wrapping_mul(0x0100_0000_01b3)
            })
    }

    #[test]
    fn a_seed_is_a_machine() {
        let rows = Machine::new(7, Fault::None).rows(64);
        assert_eq!(
            fingerprint(&rows),
            FINGERPRINT_OF_SEED_7,
            "first row {:?}",
            rows[0]
        );
        assert_eq!(rows, Machine::new(7, Fault::None).rows(64));
        assert_ne!(rows, Machine::new(8, Fault::None).rows(64));
    }

    #[test]
    fn a_fault_changes_nothing_before_its_onset() {
        let healthy = Machine::new(7, Fault::None).rows(101);
        let faulty = Machine::new(7, FAULT).rows(101);
        assert_eq!(healthy[..100], faulty[..100]);
        assert_ne!(healthy[100], faulty[100]);
    }

    #[test]
    fn healthy_bearings_stay_in_a_narrow_band() {
        for seed in 0..4 {
            let rows = Machine::new(seed, Fault::None).rows(432);
            for bearing in 0..BEARINGS {
                let usual = mean(&rows, bearing);
                assert!((0.03..0.10).contains(&usual), "seed {seed}: {usual} g");
                for row in &rows {
                    let ratio = f64::from(row[bearing]) / usual;
                    assert!(
                        (0.8..1.25).contains(&ratio),
                        "seed {seed}: {ratio} of the mean"
                    );
                }
            }
        }
    }

    #[test]
    fn a_fault_grows_where_it_is() {
        let rows = Machine::new(7, FAULT).rows(600);
        let [before, early, late] = [&rows[..100], &rows[150..200], &rows[550..600]];
        assert!(mean(early, 2) > 1.05 * mean(before, 2));
        assert!(mean(late, 2) > 2.0 * mean(early, 2));
        assert!(mean(late, 0) < 1.2 * mean(before, 0));
    }

    const FINGERPRINT_OF_SEED_7: u64 = 4_873_817_754_282_107_620;
}
