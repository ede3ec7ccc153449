//! Devices on which something has moved, of those that have sent a window: against the control, or against a
//! limit.
//!
//! Never says what moved: findings do.

use super::Facts;
use super::arm::{Arm, Trials};
use super::budget::Alpha;
use super::comparison::{Base, ln_evidence_above};
use super::counting::failures;
use super::evidence::{DeviceCounts, Evidence};
use super::rate::worse;
use super::share::Share;
use super::verdict::Verdict;

/// More than on the control, or than the limit, stops. Devices are few, so whoever is not surely worse
/// passes, as with all gates that count devices.
pub(super) fn judge(
    facts: Facts<'_>,
    margin: Option<Share>,
    limit: Option<Share>,
    alpha: Alpha,
) -> Verdict {
    let (moved, watched) = counts(facts.canary);
    match (margin, Sides::of(facts), limit) {
        (Some(margin), Some(sides), limit) => against_control(&sides, margin, limit, alpha),
        (_, _, Some(limit)) => failures((moved, watched, watched), "have drifted", limit, alpha),
        (_, _, None) => Verdict::missing(format!(
            "{moved} of {watched} devices have drifted: no control to compare with, for fewer than two \
             devices of it or of the ring have sent a window"
        )),
    }
}

/// A ring and its control, when both can be compared.
struct Sides {
    canary: Arm,
    control: Arm,
    /// What was counted on them.
    seen: String,
}

impl Sides {
    fn of(facts: Facts<'_>) -> Option<Self> {
        let (canary, control) = (facts.canary, facts.control?);
        let ((moved, watched), (others, of_others)) = (counts(canary), counts(control));
        Some(Self {
            canary: arm(canary)?,
            control: arm(control)?,
            seen: format!(
                "{moved} of {watched} devices have drifted, on the control {others} of {of_others}"
            ),
        })
    }
}

/// A limit holds here and never stops: what the control does as well is the world.
fn against_control(sides: &Sides, margin: Share, limit: Option<Share>, alpha: Alpha) -> Verdict {
    let Sides {
        canary, control, ..
    } = sides;
    let seen = format!("{}, may be {margin} more", sides.seen);
    if canary.mean - control.mean > margin.get() {
        let evidence = ln_evidence_above(canary, &Base::Control(*control), margin.get());
        return worse(seen, evidence, alpha);
    }
    match limit.filter(|limit| canary.mean > limit.get()) {
        Some(limit) => Verdict::undecided(format!("{seen}, and at most {limit}")),
        None => Verdict::pass(seen),
    }
}

/// Devices that have moved, and those that were watched.
fn counts(evidence: &Evidence) -> (u64, u64) {
    let moved = evidence.count(|counts| counts.drifted > 0);
    (moved, evidence.count(is_watched))
}

const fn is_watched(counts: &DeviceCounts) -> bool {
    counts.closed_windows > 0 || counts.drifted > 0
}

/// Each device is one trial.
fn arm(evidence: &Evidence) -> Option<Arm> {
    let devices = evidence.devices().map(|(_, counts)| counts);
    let watched = devices.filter(|counts| is_watched(counts));
    Arm::of(watched.map(|counts| Trials::new(u64::from(counts.drifted > 0), 1)))
}
