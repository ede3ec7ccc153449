//! A spall on the outer race: each roller strikes it, and each strike rings the housing.
//! Never heals.

use std::f64::consts::TAU;

use super::BEARINGS;
use super::channel::SAMPLE_HZ;
use super::rng::Rng;

/// What goes wrong with a machine, and from when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Runs well for ever.
    None,
    /// A spall on the outer race of one bearing.
    OuterRace {
        /// Index of the bearing, 0 to 3.
        bearing: usize,
        /// First row with strikes; they grow from there.
        onset_row: u64,
    },
}

impl Fault {
    /// Height of a strike in g as the sensor of `bearing` feels it: a neighbour feels an eighth.
    pub(super) fn strike_g(self, bearing: usize, row: u64) -> f64 {
        let Self::OuterRace {
            bearing: faulty,
            onset_row,
        } = self
        else {
            return 0.0;
        };
        let Some(age_rows) = row.checked_sub(onset_row) else {
            return 0.0;
        };
        // The spall opens within the first hours, then spreads ever faster.
        let days = (age_rows + 1) as f64 / ROWS_PER_DAY;
        let growth = days.min(0.1) * 1.5 + days * 0.6 + days * days * 0.15;
        let distance = bearing.abs_diff(faulty).min(BEARINGS) as i32;
        growth * 0.125_f64.powi(distance)
    }
}

/// Intervals of ten minutes in a day.
pub(super) const ROWS_PER_DAY: f64 = 144.0;

/// The housing: a resonance that strikes excite, as a two-pole filter.
pub(super) struct Ringing {
    feedback: [f64; 2],
    strike: f64,
    samples_per_strike: f64,
    wait_samples: f64,
    past: [f64; 2],
}

impl Ringing {
    /// Strikes of `strike_g` at the ball pass frequency of the outer race.
    pub(super) fn new(strike_g: f64, shaft_hz: f64, rng: &mut Rng) -> Self {
        let angle = TAU * RESONANCE_HZ / SAMPLE_HZ;
        let samples_per_strike = SAMPLE_HZ / (shaft_hz * BPFO_ORDER);
        Self {
            feedback: [2.0 * RING_DECAY * angle.cos(), -RING_DECAY * RING_DECAY],
            strike: strike_g * angle.sin(),
            samples_per_strike,
            wait_samples: rng.uniform() * samples_per_strike,
            past: [0.0; 2],
        }
    }

    /// The next sample in g.
    pub(super) fn step(&mut self, rng: &mut Rng) -> f64 {
        let [last, before] = self.past;
        let now = self.feedback[0] * last + self.feedback[1] * before + self.push(rng);
        self.past = [now, last];
        now
    }

    fn push(&mut self, rng: &mut Rng) -> f64 {
        self.wait_samples -= 1.0;
        if self.wait_samples > 0.0 {
            return 0.0;
        }
        // Rollers slip a little: no two strikes are equally far apart, nor equally hard.
        self.wait_samples += self.samples_per_strike * (1.0 + 0.01 * rng.normal());
        self.strike * (1.0 + 0.1 * rng.normal())
    }
}

/// Ball pass frequency of the outer race in turns: rollers / 2 * (1 - roller / pitch diameter).
const BPFO_ORDER: f64 = 13.0 / 2.0 * (1.0 - 0.15);
const RESONANCE_HZ: f64 = 3_400.0;
/// Left of the ringing after one sample; about 1.6 ms until a third is left.
const RING_DECAY: f64 = 0.97;

#[cfg(test)]
mod tests {
    use super::*;

    fn check(fault: Fault, bearing: usize, row: u64, expect: impl Fn(f64) -> bool) {
        let strike_g = fault.strike_g(bearing, row);
        assert!(
            expect(strike_g),
            "{fault:?} on bearing {bearing} in row {row}: {strike_g} g"
        );
    }

    #[test]
    fn strikes_start_at_the_onset_and_grow() {
        let fault = Fault::OuterRace {
            bearing: 1,
            onset_row: 100,
        };
        check(Fault::None, 1, 1_000, |g| g == 0.0);
        check(fault, 1, 99, |g| g == 0.0);
        check(fault, 1, 100, |g| g > 0.0);
        check(fault, 1, 244, |g| g > 10.0 * fault.strike_g(1, 100));
        check(fault, 0, 244, |g| g == fault.strike_g(1, 244) / 8.0);
        check(fault, 3, 244, |g| g == fault.strike_g(1, 244) / 64.0);
    }

    #[test]
    fn ringing_reaches_its_height_and_dies_away() {
        let mut rng = Rng::new(4);
        let mut ringing = Ringing::new(1.0, 25.0, &mut rng);
        ringing.wait_samples = 1.0;
        let samples: Vec<f64> = (0..140).map(|_| ringing.step(&mut rng)).collect();
        let peak = |part: &[f64]| part.iter().fold(0.0_f64, |peak, x| peak.max(x.abs()));
        assert!((0.6..1.4).contains(&peak(&samples[..10])));
        assert!(peak(&samples[110..]) < 0.1);
    }
}
