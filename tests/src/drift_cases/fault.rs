//! Faults: what they do to the values of which devices, and how large they are.
//!
//! A fault of size 1 is *visible*: what it moves, moves by eight standard errors of a window of 300
//! values or more, at the correlation of the case. Never looks at what is found.

use super::fleet::{Fleet, SAMPLES};
use super::model::{INPUTS, Row, SENSORS, USED};
use crate::drift_curves::Normals;

/// Standard errors that are visible.
const ERRORS: f64 = 8.0;
/// What a chart takes for the standard error of a spread at least, as a part of the spread: half of the
/// ratio of variances that it is made for.
const SPREAD_ERROR_MIN: f64 = 0.0526;
/// What sensors give when they have nothing to say.
const SENTINEL: f64 = -200.0;

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A sensor keeps its value.
    Stuck,
    /// A sensor stands at the end of its range.
    Saturated,
    /// A sensor gives nothing.
    Missing,
    /// A sensor gives −200.
    Sentinel,
    /// A constant is added.
    Constant,
    /// Distances from the mean are multiplied.
    Gain,
    /// White noise is added.
    Noise,
    /// Two inputs of a device are exchanged.
    Swapped,
    /// Three inputs of a device go wrong, each in its own way.
    BadDevice,
    /// Requests fail.
    Errors,
    /// Requests are late.
    Latency,
    /// Two inputs that the model uses move at one site.
    RealDrift,
    /// Devices of one firmware give one input in another unit.
    Regression,
    /// The model answers otherwise on all devices.
    Mismatch,
    /// An input that the model ignores moves at one site.
    BenignSite,
    /// The same everywhere.
    BenignFleet,
    /// Two inputs that the model uses move everywhere.
    World,
    /// Nothing at all.
    Nothing,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 18] = [
        Self::Stuck,
        Self::Saturated,
        Self::Missing,
        Self::Sentinel,
        Self::Constant,
        Self::Gain,
        Self::Noise,
        Self::Swapped,
        Self::BadDevice,
        Self::Errors,
        Self::Latency,
        Self::RealDrift,
        Self::Regression,
        Self::Mismatch,
        Self::BenignSite,
        Self::BenignFleet,
        Self::World,
        Self::Nothing,
    ];

    /// Those that come in sizes.
    pub const SIZED: [Self; 10] = [
        Self::Stuck,
        Self::Saturated,
        Self::Missing,
        Self::Sentinel,
        Self::Constant,
        Self::Gain,
        Self::Noise,
        Self::Errors,
        Self::RealDrift,
        Self::World,
    ];

    /// As it is published.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Stuck => "stuck",
            Self::Saturated => "saturated",
            Self::Missing => "missing",
            Self::Sentinel => "sentinel −200",
            Self::Constant => "added constant",
            Self::Gain => "gain",
            Self::Noise => "noise",
            Self::Swapped => "swapped columns",
            Self::BadDevice => "three inputs of a device",
            Self::Errors => "errors only",
            Self::Latency => "latency only",
            Self::RealDrift => "site drifts",
            Self::Regression => "firmware changes a unit",
            Self::Mismatch => "model answers otherwise",
            Self::BenignSite => "ignored input, one site",
            Self::BenignFleet => "ignored input, everywhere",
            Self::World => "world drifts",
            Self::Nothing => "nothing",
        }
    }
}

/// What happens to one input.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Change {
    /// In this share of rows it keeps the value that it had.
    Hold(f64),
    /// In this share of rows it is so many standard deviations above the mean.
    Rail(f64, f64),
    /// It is absent in this share of rows.
    Lose(f64),
    /// It is the sentinel in this share of rows.
    Say(f64),
    /// So many standard deviations are added.
    Add(f64),
    /// The distance from the mean is multiplied.
    Stretch(f64),
    /// Noise of so many standard deviations is added.
    Shake(f64),
    /// x becomes a x + b.
    Convert(f64, f64),
    /// It takes the value of this other one.
    Take(usize),
}

impl Change {
    /// What a broken sensor does.
    fn of_sensor(
        kind: Kind,
        size: f64,
        shift: f64,
        visible: &Visible,
        normals: &mut Normals,
    ) -> Self {
        match kind {
            Kind::Stuck => Self::Hold(size),
            Kind::Saturated => Self::Rail(size, 3.5 + 4.0 * normals.uniform()),
            Kind::Missing => Self::Lose(size * (0.1 + 0.9 * normals.uniform())),
            Kind::Sentinel => Self::Say(size * (0.03 + 0.97 * normals.uniform().powi(2))),
            Kind::Gain => Self::Stretch(visible.gain(size, normals.below(2) == 0)),
            Kind::Noise => Self::Shake((visible.gain(size, true).powi(2) - 1.0).sqrt()),
            _ => Self::Add(shift),
        }
    }
}

/// A fault of some devices.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Fault {
    /// The devices.
    pub(super) devices: Vec<usize>,
    changes: Vec<(usize, Change)>,
    /// Added to the first output before it is squashed.
    pub(super) bias: f64,
    /// The share of requests that fail, and that are late, instead of the usual ones.
    pub(super) errors: Option<f64>,
    /// See `errors`.
    pub(super) late: Option<f64>,
    held: Option<f64>,
}

impl Fault {
    /// That of a case.
    pub(super) fn new(
        kind: Kind,
        size: f64,
        devices: Vec<usize>,
        fleet: &Fleet,
        normals: &mut Normals,
    ) -> Self {
        let mut fault = Self {
            devices,
            changes: Vec::new(),
            bias: 0.0,
            errors: None,
            late: None,
            held: None,
        };
        let visible = Visible::of(fleet.correlation);
        let larger = |normals: &mut Normals, most: f64| 1.0 + (most - 1.0) * normals.uniform();
        let input = normals.below(INPUTS as u64) as usize;
        let two = two(normals, if kind == Kind::Swapped { INPUTS } else { USED });
        let ignored = USED + normals.below((INPUTS - USED) as u64) as usize;
        let shift = size * visible.shift * larger(normals, 2.0);
        let shift = if normals.below(2) == 0 { shift } else { -shift };
        let part = (size * normals.uniform().mul_add(0.5, 0.5)).min(1.0);
        match kind {
            Kind::Stuck
            | Kind::Saturated
            | Kind::Missing
            | Kind::Sentinel
            | Kind::Constant
            | Kind::Gain
            | Kind::Noise => {
                let change = Change::of_sensor(kind, size, shift, &visible, normals);
                fault.changes = vec![(input, change)];
            }
            Kind::Swapped => {
                fault.changes = vec![(two.0, Change::Take(two.1)), (two.1, Change::Take(two.0))];
            }
            Kind::BadDevice => {
                let third = (0..INPUTS)
                    .find(|at| *at != two.0 && *at != two.1)
                    .unwrap_or(0);
                fault.changes = vec![
                    (two.0, Change::Add(shift)),
                    (two.1, Change::Stretch(visible.gain(size, true))),
                    (third, Change::Lose(0.3)),
                ];
            }
            Kind::Errors => fault.errors = Some(0.002 + 0.4 * size * part),
            Kind::Latency => fault.late = Some(0.01 + 0.4 * size * part),
            Kind::RealDrift | Kind::World => {
                fault.changes = vec![(two.0, Change::Add(shift)), (two.1, Change::Add(shift))];
            }
            Kind::Regression => {
                let units = [(1.8, 32.0), (10.0, 0.0), (0.1, 0.0)];
                let (a, b) = units[normals.below(3) as usize];
                fault.changes = vec![(input, Change::Convert(a, b))];
            }
            Kind::Mismatch => fault.bias = shift,
            Kind::BenignSite | Kind::BenignFleet => {
                fault.changes = vec![(ignored, Change::Add(shift))];
            }
            Kind::Nothing => fault.devices.clear(),
        }
        fault
    }

    /// The inputs that it changes.
    pub(super) fn inputs(&self) -> impl Iterator<Item = usize> {
        self.changes.iter().map(|(at, _)| *at)
    }

    /// Changes a row of one of its devices.
    pub(super) fn apply(&mut self, row: &mut Row, normals: &mut Normals) {
        let before = *row;
        for (at, change) in &self.changes {
            let (_, mean, deviation) = SENSORS[*at];
            let Some(x) = before[*at] else {
                continue;
            };
            let mut happens = |share: f64| share >= 1.0 || normals.uniform() < share;
            row[*at] = match *change {
                Change::Hold(share) => {
                    let held = *self.held.get_or_insert(x);
                    Some(if happens(share) { held } else { x })
                }
                Change::Rail(share, end) if happens(share) => Some(mean + end * deviation),
                Change::Lose(share) if happens(share) => None,
                Change::Say(share) if happens(share) => Some(SENTINEL),
                Change::Rail(..) | Change::Lose(_) | Change::Say(_) => Some(x),
                Change::Add(shift) => Some(x + shift * deviation),
                Change::Stretch(gain) => Some(mean + gain * (x - mean)),
                Change::Shake(noise) => Some(x + noise * deviation * normals.draw()),
                Change::Convert(a, b) => Some(a * x + b),
                Change::Take(other) => before[other],
            };
        }
    }
}

/// What is visible.
struct Visible {
    /// A shift, in standard deviations.
    shift: f64,
    /// The standard error of the spread, as a part of it.
    spread_error: f64,
}

impl Visible {
    /// A mean of n values varies as one of n (1 − ρ)/(1 + ρ) independent ones does, a variance as one of
    /// n (1 − ρ²)/(1 + ρ²).
    fn of(correlation: f64) -> Self {
        let (r, n) = (correlation, SAMPLES as f64);
        let of_mean = ((1.0 + r) / (1.0 - r) / n).sqrt();
        let of_spread = (2.0 / 9.0 * (1.0 + r * r) / (1.0 - r * r) / n).sqrt();
        Self {
            shift: (ERRORS + 0.66) * of_mean,
            spread_error: of_spread.max(SPREAD_ERROR_MIN),
        }
    }

    /// A factor that moves the spread by that many standard errors. The spread is the cube root of a
    /// variance.
    fn gain(&self, size: f64, is_up: bool) -> f64 {
        let moved = size * ERRORS * self.spread_error;
        let ratio = if is_up { 1.0 + moved } else { 1.0 - moved };
        ratio.max(0.05).powf(1.5)
    }
}

/// Two that are not the same.
fn two(normals: &mut Normals, below: usize) -> (usize, usize) {
    let one = normals.below(below as u64) as usize;
    let other = normals.below(below as u64 - 1) as usize;
    (one, if other < one { other } else { other + 1 })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the page says is visible.
    #[test]
    fn visible_is_what_is_published() {
        for (correlation, shift, up, down) in [
            (0.0, 0.5, 1.69, 0.44),
            (0.5, 0.87, 1.69, 0.44),
            (0.9, 2.18, 2.17, 0.18),
        ] {
            let visible = Visible::of(correlation);
            let found = [
                visible.shift,
                visible.gain(1.0, true),
                visible.gain(1.0, false),
            ];
            for (found, expect) in found.iter().zip([shift, up, down]) {
                assert!((found - expect).abs() < 0.01, "{correlation}: {found:?}");
            }
        }
    }
}
