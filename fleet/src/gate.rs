//! Gates: from what devices counted to pass, fail or inconclusive, with the sentence that says why.
//!
//! Pure: evidence, limits and the allowance of false stops come in, verdicts go out. Never knows
//! time, a store or a rollout's state, and never stops anything itself.
//!
//! Looking after every window is allowed: what can stop a rollout is judged by e-processes, which
//! keep their error rate however often they are looked at (docs/decisions/0019).

mod arm;
mod budget;
mod compared;
mod comparison;
mod counting;
mod drifted;
mod evidence;
mod gap;
mod mix;
mod policy;
mod rate;
mod ratio;
mod sequential;
mod shadow;
mod share;
#[cfg(test)]
mod tests;
mod verdict;
mod wilson;

pub use budget::{Alpha, Budget, BudgetError};
pub use compared::{Compared, Pair};
pub use evidence::{DeviceCounts, Evidence, EvidenceError, Promised};
pub use gap::{Gap, GapError};
pub use policy::{Gate, PolicyError, Tolerance};
pub use ratio::{Ratio, RatioError};
pub use share::{Share, ShareError};
pub use verdict::{Ground, Outcome, Verdict};

/// All that gates of one ring look at.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'e> {
    /// The ring's devices, on the new bundle.
    pub canary: &'e Evidence,
    /// Devices that ran the version before in the same time, when there are any.
    pub control: Option<&'e Evidence>,
    /// Whether an operator has approved the ring.
    pub approval: Approval,
}

/// What an operator has said about a ring.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Approval {
    /// It may go on.
    Granted,
    /// Nothing yet.
    Awaited,
}

/// Every gate with its name and verdict, in the order of the policy.
#[must_use]
pub fn judge_all(
    gates: &[Gate],
    facts: Facts<'_>,
    budget: &Budget,
) -> Vec<(&'static str, Verdict)> {
    let alpha = budget.of_one_gate();
    let judged = gates.iter();
    judged
        .map(|gate| (gate.name(), judge(gate, facts, alpha)))
        .collect()
}

/// One gate; `alpha` is its part of the rollout's allowance of false stops.
#[must_use]
pub fn judge(gate: &Gate, facts: Facts<'_>, alpha: Alpha) -> Verdict {
    let canary = facts.canary;
    match gate {
        Gate::InstalledShare { min } => counting::installed(canary, *min),
        Gate::SelfTestRefusals { limit } => counting::refusals(canary, *limit, alpha),
        Gate::CrashesAndReverts { limit } => counting::crashes(canary, *limit, alpha),
        Gate::ErrorRate(tolerance) => rate::errors(facts, tolerance, alpha),
        Gate::LatencyMisses(tolerance) => rate::latency_misses(facts, tolerance, alpha),
        Gate::EstimatedAccuracyDrop(tolerance) => rate::estimated_wrong(facts, tolerance, alpha),
        Gate::EstimatedAucDrop(tolerance) => rate::estimated_misranked(facts, tolerance, alpha),
        Gate::Drift { margin, limit } => drifted::judge(facts, *margin, *limit, alpha),
        Gate::PredictionMix { margin } => mix::judge(facts, *margin, alpha),
        Gate::Disagreement { limit } => shadow::disagreement(canary, *limit, alpha),
        Gate::ScoreDifference { over, limit } => {
            shadow::score_difference(canary, *over, *limit, alpha)
        }
        Gate::SlowerThanServing { ratio, limit } => shadow::slower(canary, *ratio, *limit, alpha),
        Gate::SoakTime { min_s, share } => counting::soak(canary, min_s.get(), *share),
        Gate::MinimumDevices { min } => counting::devices(canary, min.get()),
        Gate::MinimumInferences { min } => counting::inferences(canary, min.get()),
        Gate::ManualApproval => counting::approval(facts.approval),
    }
}
