//! Whether one arm is worse than the other, and whether it is surely not: evidence for both.
//!
//! Never a verdict.

use super::arm::Arm;
use super::sequential::{Score, ln_evidence, ln_mean};

/// Effects that are looked for, as multiples of what is tolerated: one alone loses power at others.
/// When the opposite is to be shown, the margin itself is the effect.
const EFFECTS: [f64; 2] = [1.0, 4.0];

/// With what a ring is compared.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Base {
    /// With other devices.
    Control(Arm),
    /// With a number.
    Limit(f64),
}

/// Evidence that the true share of `canary` is above the base's, looking for effects of `effect`.
pub(super) fn ln_evidence_above(canary: &Arm, base: &Base, effect: f64) -> f64 {
    mixed(score(canary, base, 0.0), effect)
}

/// Evidence that the true share of `canary` is below the base's.
pub(super) fn ln_evidence_below(canary: &Arm, base: &Base, effect: f64) -> f64 {
    mixed(mirrored(score(canary, base, 0.0)), effect)
}

/// Evidence that the true share of `canary` is below the base's plus `margin`.
pub(super) fn ln_evidence_within(canary: &Arm, base: &Base, margin: f64) -> f64 {
    ln_evidence(mirrored(score(canary, base, margin)), margin)
}

impl Base {
    /// The share that is compared with.
    pub(super) const fn mean(&self) -> f64 {
        match self {
            Self::Control(arm) => arm.mean,
            Self::Limit(limit) => *limit,
        }
    }
}

fn mixed(score: Score, effect: f64) -> f64 {
    ln_mean(&EFFECTS.map(|multiple| ln_evidence(score, multiple * effect)))
}

fn mirrored(score: Score) -> Score {
    Score {
        excess: -score.excess,
        ..score
    }
}

/// The difference to `base + margin`, with the variance that it has if it is zero: Rao's score
/// form, as Farrington and Manning (1990) for margins. Both arms weigh equally in the common share,
/// so that a large control of rare events does not make a single one significant. Degrees of
/// freedom after Satterthwaite (1946).
fn score(canary: &Arm, base: &Base, margin: f64) -> Score {
    let low = (0.5 * (canary.mean + base.mean() - margin)).clamp(0.0, 1.0 - margin);
    let high = low + margin;
    let excess = canary.mean - base.mean() - margin;
    let mine = high * (1.0 - high) * canary.dispersion;
    let my_df = canary.effective_devices - 1.0;
    match base {
        Base::Limit(_) => Score {
            excess,
            variance: mine,
            df: my_df,
        },
        Base::Control(control) => {
            let theirs = low * (1.0 - low) * control.dispersion;
            let common = 0.5 * (low * (1.0 - low) + high * (1.0 - high));
            Score {
                excess,
                variance: f64::max(mine + theirs, common * pooled(canary, control)),
                df: satterthwaite(
                    (canary.dispersion, my_df),
                    (control.dispersion, control.effective_devices - 1.0),
                ),
            }
        }
    }
}

/// Dispersion of the difference, had both arms the one of all devices. The larger counts: a few
/// devices that happen to agree say little when those of the control do not.
fn pooled(a: &Arm, b: &Arm) -> f64 {
    let (m, n) = (a.effective_devices, b.effective_devices);
    let within = a.dispersion * m * (m - 1.0) + b.dispersion * n * (n - 1.0);
    within / (m + n - 2.0) * (1.0 / m + 1.0 / n)
}

fn satterthwaite((a, a_df): (f64, f64), (b, b_df): (f64, f64)) -> f64 {
    // Scaled by the larger: squares of tiny dispersions would vanish.
    let larger = a.max(b);
    let (a, b) = (a / larger, b / larger);
    (a + b) * (a + b) / (a * a / a_df + b * b / b_df)
}

#[cfg(test)]
mod tests {
    use super::super::arm::Trials;
    use super::*;

    fn arm(hits: &[u64]) -> Arm {
        let devices = hits.iter().map(|&hits| Trials::new(hits, 1000));
        Arm::of(devices).expect("an arm")
    }

    #[test]
    fn evidence_points_where_the_data_do() {
        let good = Base::Control(arm(&[8, 9, 10, 11, 12, 10]));
        let limit = Base::Limit(0.01);
        let (worse, same, better) = (
            arm(&[28, 30, 33, 31, 29, 35]),
            arm(&[9, 11, 10, 12, 8, 10]),
            arm(&[1, 2, 1, 0, 1, 2]),
        );
        for (canary, base, above, below, within) in [
            (&worse, good, true, false, false),
            (&worse, limit, true, false, false),
            (&same, good, false, false, true),
            (&same, limit, false, false, true),
            (&better, good, false, true, true),
            (&better, limit, false, true, true),
        ] {
            let strong = |ln: f64| ln > 20_f64.ln();
            let got = (
                strong(ln_evidence_above(canary, &base, 0.01)),
                strong(ln_evidence_below(canary, &base, 0.01)),
                strong(ln_evidence_within(canary, &base, 0.01)),
            );
            assert_eq!(got, (above, below, within), "{canary:?} {base:?}");
        }
    }

    #[test]
    fn one_rare_event_is_no_evidence_however_large_the_control() {
        let control = Base::Control(arm(&[0; 500]));
        let canary = arm(&[1, 0, 0, 0, 0]);
        assert!(ln_evidence_above(&canary, &control, 0.001) < 1.5);
    }
}
