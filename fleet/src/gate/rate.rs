//! Failed requests, requests over the latency objective, and predictions that are estimated to be
//! wrong or ranked wrongly: shares of what each device did.
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
    let of = |counts: &DeviceCounts| Trials::new(counts.failed(), counts.inferences());
    judge("error rate", facts, of, None, tolerance, alpha)
}

/// Requests over the objective of all that were measured.
pub(super) fn latency_misses(facts: Facts<'_>, tolerance: &Tolerance, alpha: Alpha) -> Verdict {
    let of = |counts: &DeviceCounts| Trials::new(counts.latency_misses, counts.latencies);
    judge("latency misses", facts, of, None, tolerance, alpha)
}

/// Predictions that their own probabilities call wrong, of all that have some. An estimate: it
/// holds if scores are calibrated.
pub(super) fn estimated_wrong(facts: Facts<'_>, tolerance: &Tolerance, alpha: Alpha) -> Verdict {
    let of = |counts: &DeviceCounts| Trials::new(counts.estimated_wrong, counts.scored);
    let (what, promised) = ("estimated wrong predictions", facts.canary.promised().wrong);
    judge(what, facts, of, promised, tolerance, alpha)
}

/// Pairs of a positive and a negative prediction that are ranked wrongly as their probabilities estimate it:
/// what the AUC lacks of 1. A device has as many independent ones as predictions of its rarer class:
/// the variance of an AUC is at most that of so many (Birnbaum and Klose 1957).
pub(super) fn estimated_misranked(
    facts: Facts<'_>,
    tolerance: &Tolerance,
    alpha: Alpha,
) -> Verdict {
    let of = |counts: &DeviceCounts| Trials::of_steps(counts.misranked_steps, counts.ranked);
    let (what, promised) = ("estimated 1 - AUC", facts.canary.promised().misranked);
    judge(what, facts, of, promised, tolerance, alpha)
}

fn judge(
    what: &str,
    facts: Facts<'_>,
    of: fn(&DeviceCounts) -> Trials,
    promised: Option<Share>,
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
        (Some(margin), None, None) => match promised {
            Some(promised) => against_reference(what, &canary, promised, margin),
            None => no_control(what, &canary),
        },
        (None, None, None) => no_control(what, &canary),
        (None, Some(_), None) => Verdict::missing(format!("{what}: nothing to compare with")),
    }
}

fn no_control(what: &str, canary: &Arm) -> Verdict {
    Verdict::missing(format!(
        "{what} {} of {}: no control to compare with, for fewer than two devices of it have any",
        percent(canary.mean),
        size(canary)
    ))
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

/// What the reference promises passes, or holds. It never stops: devices may do worse because the world
/// has changed, and without a control nobody can tell.
fn against_reference(what: &str, canary: &Arm, promised: Share, margin: Share) -> Verdict {
    let most = promised.get() + margin.get();
    let seen = format!(
        "{what} {} of {}, in its reference {promised}, may be {margin} worse, and there is no control",
        percent(canary.mean),
        size(canary)
    );
    let bound = wilson::upper(canary.mean, 1.0 / canary.dispersion);
    if bound <= most {
        Verdict::pass(format!("{seen}: surely below {}", percent(bound)))
    } else if canary.mean <= most {
        Verdict::undecided(format!("{seen}: perhaps up to {}", percent(bound)))
    } else {
        Verdict::undecided(format!(
            "{seen}: more than that, but without a control the world may have changed: only a limit \
             stops then"
        ))
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

pub(super) fn worse(seen: String, ln_evidence: f64, alpha: Alpha) -> Verdict {
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
