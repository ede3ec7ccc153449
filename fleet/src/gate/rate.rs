//! Failed requests, requests over the latency objective, and predictions that are estimated to be
//! wrong: shares of what each device did.
//!
//! Worse than the control, or than a limit, stops, judged sequentially; to pass, the ring is shown
//! to lie within the margin, and Wilson's bound of it below the limit.

use super::Facts;
use super::arm::{Arm, Trials};
use super::budget::Alpha;
use super::comparison::{Base, ln_evidence_above, ln_evidence_within};
use super::evidence::{DeviceCounts, Evidence};
use super::policy::Tolerance;
use super::share::{Share, percent};
use super::verdict::Verdict;
use super::wilson;

/// Failed requests of all requests.
pub(super) fn errors(facts: Facts<'_>, tolerance: &Tolerance, alpha: Alpha) -> Verdict {
    let of = |counts: &DeviceCounts| Trials {
        hits: counts.failed(),
        of: counts.inferences(),
    };
    judge("error rate", facts, of, tolerance, alpha)
}

/// Requests over the objective of all that were measured.
pub(super) fn latency_misses(facts: Facts<'_>, tolerance: &Tolerance, alpha: Alpha) -> Verdict {
    let of = |counts: &DeviceCounts| Trials {
        hits: counts.latency_misses,
        of: counts.latencies,
    };
    judge("latency misses", facts, of, tolerance, alpha)
}

/// Predictions that their own probabilities call wrong, of all that have some. An estimate: it
/// holds if scores are calibrated.
pub(super) fn estimated_wrong(facts: Facts<'_>, tolerance: &Tolerance, alpha: Alpha) -> Verdict {
    let of = |counts: &DeviceCounts| Trials {
        hits: counts.estimated_wrong,
        of: counts.scored,
    };
    judge("estimated wrong predictions", facts, of, tolerance, alpha)
}

fn judge(
    what: &str,
    facts: Facts<'_>,
    of: fn(&DeviceCounts) -> Trials,
    tolerance: &Tolerance,
    alpha: Alpha,
) -> Verdict {
    let Some(canary) = arm(facts.canary, of) else {
        return Verdict::missing(format!(
            "{what}: fewer than two devices of the ring have any"
        ));
    };
    let control = facts.control.and_then(|control| arm(control, of));
    match (tolerance.margin(), control, tolerance.limit()) {
        (Some(margin), Some(control), limit) => {
            against_control(what, &canary, control, margin, limit, alpha)
        }
        (_, _, Some(limit)) => against_limit(what, &canary, limit, alpha),
        (_, None, None) => Verdict::missing(format!(
            "{what} {} of {}: no control to compare with, for fewer than two devices of it have any",
            percent(canary.mean),
            size(&canary)
        )),
        (None, Some(_), None) => Verdict::missing(format!("{what}: nothing to compare with")),
    }
}

fn against_control(
    what: &str,
    canary: &Arm,
    control: Arm,
    margin: Share,
    limit: Option<Share>,
    alpha: Alpha,
) -> Verdict {
    let base = Base::Control(control);
    let seen = format!(
        "{what} {} of {}, on the control {} of {}, may be {margin} worse",
        percent(canary.mean),
        size(canary),
        percent(control.mean),
        size(&control)
    );
    if canary.mean - control.mean > margin.get() {
        let evidence = ln_evidence_above(canary, &base, margin.get());
        return worse(seen, evidence, alpha);
    }
    let within = ln_evidence_within(canary, &base, margin.get());
    if within < Alpha::FALSE_PASS.ln_threshold() {
        Verdict::undecided(format!("{seen}: too few devices to be sure"))
    } else {
        limit.map_or_else(
            || Verdict::pass(seen.clone()),
            |limit| below(&seen, canary, limit),
        )
    }
}

pub(super) fn against_limit(what: &str, canary: &Arm, limit: Share, alpha: Alpha) -> Verdict {
    let seen = format!("{what} {} of {}", percent(canary.mean), size(canary));
    if canary.mean > limit.get() {
        let seen = format!("{seen}, at most {limit}");
        // Half the limit more is what is looked for.
        let effect = 0.5 * limit.get();
        let evidence = ln_evidence_above(canary, &Base::Limit(limit.get()), effect);
        return worse(seen, evidence, alpha);
    }
    below(&seen, canary, limit)
}

fn worse(seen: String, ln_evidence: f64, alpha: Alpha) -> Verdict {
    if ln_evidence >= alpha.ln_threshold() {
        let chance = percent(alpha.get());
        Verdict::fail(format!(
            "{seen}: by chance that is ever seen in less than {chance} of good rings"
        ))
    } else {
        Verdict::undecided(format!(
            "{seen}: more than that, but too few devices to stop"
        ))
    }
}

/// Passes when the upper bound, over as many independent requests as these are worth, is kept.
fn below(seen: &str, canary: &Arm, limit: Share) -> Verdict {
    let bound = wilson::upper(canary.mean, 1.0 / canary.dispersion);
    let shown = percent(bound);
    if bound <= limit.get() {
        Verdict::pass(format!("{seen}, and surely below {shown}, at most {limit}"))
    } else {
        Verdict::undecided(format!(
            "{seen}, and perhaps up to {shown}, at most {limit}"
        ))
    }
}

fn arm(evidence: &Evidence, of: fn(&DeviceCounts) -> Trials) -> Option<Arm> {
    Arm::of(evidence.devices().map(|(_, counts)| of(counts)))
}

/// How much an arm rests on.
pub(super) fn size(arm: &Arm) -> String {
    format!("{} on {} devices", arm.trials, arm.devices)
}
