//! Gates that count devices: installed, refused, broken, soaked; enough of them; approved.
//!
//! Never compares arms.

use super::Approval;
use super::budget::Alpha;
use super::evidence::{DeviceCounts, Evidence};
use super::sequential::ln_evidence_of_failures;
use super::share::{Share, percent};
use super::verdict::Verdict;

/// Enough devices run it. Fails when too many have said that they never will; silence only holds.
pub(super) fn installed(canary: &Evidence, min: Share) -> Verdict {
    let assigned = canary.assigned();
    let (runs, gave_up) = (
        canary.count(DeviceCounts::runs),
        canary.count(DeviceCounts::gave_up),
    );
    let seen = format!(
        "{runs} of {assigned} devices run it and {gave_up} have refused or reverted it, needed {min}"
    );
    if assigned > 0 && min.is_reached(runs, assigned) {
        Verdict::pass(seen)
    } else if assigned > 0 && !min.is_reached(assigned - gave_up, assigned) {
        Verdict::fail(format!("{seen}: that cannot be reached any more"))
    } else {
        Verdict::missing(seen)
    }
}

/// Devices that refused it in their self-test.
pub(super) fn refusals(canary: &Evidence, limit: Share, alpha: Alpha) -> Verdict {
    let refused = canary.count(|counts| counts.refused > 0);
    let did = "refused it in their self-test";
    failures(contacted(canary, refused), did, limit, alpha)
}

/// Devices on which it crashed or was reverted.
pub(super) fn crashes(canary: &Evidence, limit: Share, alpha: Alpha) -> Verdict {
    let broke = canary.count(DeviceCounts::broke);
    let did = "saw it crash or reverted it";
    failures(contacted(canary, broke), did, limit, alpha)
}

/// Enough devices have run it for `min_s` by their own clocks.
pub(super) fn soak(canary: &Evidence, min_s: u64, share: Share) -> Verdict {
    let min_ms = min_s.saturating_mul(1000);
    let runs = canary.count(DeviceCounts::runs);
    let soaked = canary.count(|counts| counts.runs() && counts.soaked_ms >= min_ms);
    let seen = format!(
        "{soaked} of {runs} devices that run it have done so for {min_s} s, needed {share}"
    );
    if runs > 0 && share.is_reached(soaked, runs) {
        Verdict::pass(seen)
    } else {
        Verdict::missing(seen)
    }
}

/// Enough devices have predicted; all of a smaller ring are enough.
pub(super) fn devices(canary: &Evidence, min: u32) -> Verdict {
    let predicted = canary.count(|counts| counts.inferences() > 0);
    let assigned = canary.assigned();
    let needed = u64::from(min).min(assigned);
    let seen =
        format!("{predicted} of {assigned} devices have predicted, needed {min} or all of fewer");
    if assigned > 0 && predicted >= needed {
        Verdict::pass(seen)
    } else {
        Verdict::missing(seen)
    }
}

/// Enough was predicted.
pub(super) fn inferences(canary: &Evidence, min: u64) -> Verdict {
    let n = canary.inferences();
    let seen = format!("{n} inferences, needed {min}");
    if n >= min {
        Verdict::pass(seen)
    } else {
        Verdict::missing(seen)
    }
}

/// An operator's word.
pub(super) fn approval(approval: Approval) -> Verdict {
    match approval {
        Approval::Granted => Verdict::pass("an operator has approved it".to_owned()),
        Approval::Awaited => Verdict::missing("no operator has approved it yet".to_owned()),
    }
}

/// The failed ones, all in contact, and those that are done.
fn contacted(canary: &Evidence, failed: u64) -> (u64, u64, u64) {
    let contacted = canary.count(|counts| counts.contacts > 0).max(failed);
    let done = canary.count(|counts| counts.installed > 0 || counts.gave_up());
    (failed, contacted, done)
}

/// Fails by an e-process over all devices in contact: those that are not done have not failed,
/// and bad news that travels faster than good does not look like more of it. Passes at or below
/// the limit, of the devices that are done; how many there must be is another gate's matter.
pub(super) fn failures(
    (failed, contacted, done): (u64, u64, u64),
    did: &str,
    limit: Share,
    alpha: Alpha,
) -> Verdict {
    let seen = format!("{failed} of {contacted} devices {did}, at most {limit}");
    if contacted == 0 {
        return Verdict::missing(format!("{seen}: none has said anything"));
    }
    let evidence = ln_evidence_of_failures(failed, contacted, limit.get());
    if evidence >= alpha.ln_threshold() {
        let chance = percent(alpha.get());
        Verdict::fail(format!(
            "{seen}: by chance that is ever seen in less than {chance} of good rings"
        ))
    } else if done == 0 && failed == 0 {
        Verdict::missing(format!("{seen}: none is done"))
    } else if failed == 0 || !exceeds(failed, done.max(failed), limit) {
        Verdict::pass(seen)
    } else {
        Verdict::undecided(format!(
            "{seen}: more than that, but too few devices to stop"
        ))
    }
}

fn exceeds(part: u64, whole: u64, limit: Share) -> bool {
    part as f64 > limit.get() * whole as f64
}
