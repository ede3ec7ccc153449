//! One accelerometer: a short burst of what the bearing does, and its mean absolute value.
//! Never keeps a sample.

use std::f64::consts::TAU;

use super::defect::Ringing;
use super::drift::Drift;
use super::rng::Rng;

/// Samples per second of a burst.
pub(super) const SAMPLE_HZ: f64 = 20_480.0;

/// What every bearing of the machine feels in one interval, relative to normal running.
#[derive(Clone, Copy)]
pub(super) struct Conditions {
    /// Turns per second.
    pub(super) shaft_hz: f64,
    /// 0 is the rated load, 0.1 is a tenth above it.
    pub(super) load_excess: f64,
    /// Degrees above or below the usual temperature of the housing.
    pub(super) warmth_kelvin: f64,
}

/// How one bearing answers to conditions.
#[derive(Clone, Copy)]
pub(super) struct Character {
    /// Roughness of the rolling contact: deviation of the broad-band noise in g.
    pub(super) noise_g: f64,
    /// Amplitudes in g of the shaft's first three harmonics.
    pub(super) harmonics_g: [f64; 3],
    /// Growth of the harmonics per unit of excess load.
    pub(super) load_effect: f64,
    /// Growth of the noise per kelvin: thin oil is louder, some seats tighten and calm down.
    pub(super) warmth_effect: f64,
}

/// A bearing with its sensor.
pub(super) struct Channel {
    character: Character,
    gain: f64,
    flutter: Drift,
    rng: Rng,
}

impl Channel {
    /// Mounts a sensor; no two are equally stiff.
    pub(super) fn new(character: Character, mut rng: Rng) -> Self {
        let gain = 1.0 + 0.002 * rng.normal();
        let flutter = Drift::new(rng.split(), 0.7, 0.005);
        Self {
            character,
            gain,
            flutter,
            rng,
        }
    }

    /// Mean absolute vibration in g of one burst, while strikes of `strike_g` hit the outer race.
    pub(super) fn measure(&mut self, conditions: Conditions, strike_g: f64) -> f32 {
        let gain = self.gain * (1.0 + self.flutter.step());
        let mean_g = gain * self.burst(conditions, strike_g) / f64::from(BURST_SAMPLES);
        // The converter tells micro-g apart; it also hides the last bit of this platform's sine.
        ((mean_g * 1e6).round() / 1e6) as f32
    }

    fn burst(&mut self, conditions: Conditions, strike_g: f64) -> f64 {
        let mut ringing = Ringing::new(strike_g, conditions.shaft_hz, &mut self.rng);
        let mut shaft = Shaft::new(conditions.shaft_hz, &mut self.rng);
        let character = self.character;
        let loaded = 1.0 + character.load_effect * conditions.load_excess;
        let noise_g = character.noise_g
            * (1.0 + character.warmth_effect * conditions.warmth_kelvin)
            * (1.0 + 0.3 * conditions.load_excess);
        let mut sum = 0.0;
        for _ in 0..BURST_SAMPLES {
            let turning = loaded * shaft.step(character.harmonics_g);
            let rolling = noise_g * self.rng.normal();
            sum += (turning + rolling + ringing.step(&mut self.rng)).abs();
        }
        sum
    }
}

/// A fifth of a second: five turns of the shaft.
const BURST_SAMPLES: u32 = 4_096;

/// The turning shaft as a unit vector that one multiplication moves on.
struct Shaft {
    sine: f64,
    cosine: f64,
    step_sine: f64,
    step_cosine: f64,
}

impl Shaft {
    fn new(shaft_hz: f64, rng: &mut Rng) -> Self {
        let (sine, cosine) = (TAU * rng.uniform()).sin_cos();
        let (step_sine, step_cosine) = (TAU * shaft_hz / SAMPLE_HZ).sin_cos();
        Self {
            sine,
            cosine,
            step_sine,
            step_cosine,
        }
    }

    fn step(&mut self, harmonics_g: [f64; 3]) -> f64 {
        let (sine, cosine) = (self.sine, self.cosine);
        self.sine = sine * self.step_cosine + cosine * self.step_sine;
        self.cosine = cosine * self.step_cosine - sine * self.step_sine;
        harmonics_g[0] * sine
            + harmonics_g[1] * 2.0 * sine * cosine
            + harmonics_g[2] * sine * (3.0 - 4.0 * sine * sine)
    }
}

#[cfg(test)]
mod tests {
    use std::f32::consts::FRAC_2_PI;

    use super::*;

    const CALM: Conditions = Conditions {
        shaft_hz: 25.0,
        load_excess: 0.0,
        warmth_kelvin: 0.0,
    };
    const SMOOTH: Character = Character {
        noise_g: 0.0,
        harmonics_g: [1.0, 0.0, 0.0],
        load_effect: 1.0,
        warmth_effect: 0.02,
    };

    fn check(character: Character, conditions: Conditions, strike_g: f64, expect_g: f32) {
        let mut channel = Channel::new(character, Rng::new(5));
        channel.gain = 1.0;
        channel.flutter = Drift::new(Rng::new(6), 0.0, 0.0);
        let mean_g = channel.measure(conditions, strike_g);
        // A burst holds 27 or 28 strikes of uneven height.
        assert!(
            (mean_g / expect_g - 1.0).abs() < 0.06,
            "{mean_g} g, not {expect_g} g"
        );
    }

    #[test]
    fn measures_the_mean_absolute_value() {
        let rough = Character {
            noise_g: 1.0,
            harmonics_g: [0.0; 3],
            ..SMOOTH
        };
        let loaded = Conditions {
            load_excess: 0.1,
            ..CALM
        };
        let warm = Conditions {
            warmth_kelvin: 5.0,
            ..CALM
        };
        let knocked = Character {
            noise_g: 0.0,
            harmonics_g: [0.0; 3],
            ..SMOOTH
        };
        // 2 / pi of a sine; 1 / (1 - 0.97) of 148 samples are ringing.
        check(SMOOTH, CALM, 0.0, FRAC_2_PI);
        check(SMOOTH, loaded, 0.0, 1.1 * FRAC_2_PI);
        check(knocked, CALM, 1.0, FRAC_2_PI / 0.03 / 148.0);
        check(rough, CALM, 0.0, 0.7979);
        check(rough, warm, 0.0, 0.8777);
    }
}
