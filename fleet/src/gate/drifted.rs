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
    let control = facts.control.filter(|control| counts(control).1 > 0);
    match (margin, control, limit) {
        (Some(margin), Some(control), limit) => {
            against_control(facts.canary, control, margin, limit, alpha)
        }
        (_, _, Some(limit)) => failures((moved, watched, watched), "have drifted", limit, alpha),
        (_, _, None) => Verdict::missing(format!(
            "{moved} of {watched} devices have drifted: no control to compare with"
        )),
    }
}

fn against_control(
    canary: &Evidence,
    control: &Evidence,
    margin: Share,
    limit: Option<Share>,
    alpha: Alpha,
) -> Verdict {
    let ((moved, watched), (others, of_others)) = (counts(canary), counts(control));
    let seen = format!(
        "{moved} of {watched} devices have drifted, on the control {others} of {of_others}, may be \
         {margin} more"
    );
    let Some((canary, control)) = arm(canary).zip(arm(control)) else {
        return Verdict::missing(format!("{seen}: fewer than two devices have sent a window"));
    };
    if canary.mean - control.mean > margin.get() {
        let evidence = ln_evidence_above(&canary, &Base::Control(control), margin.get());
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
