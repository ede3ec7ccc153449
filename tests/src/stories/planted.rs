//! Rules of the planner, broken on purpose, one at a time: some story must then read otherwise.
//!
//! Breaks what goes into the planner or comes out of it, never the planner itself.

use muster_fleet::planner::{
    Approval, Budget, Decisions, DeviceFacts, Gates, Hold, Limits, Link, Membership, Metered,
    OnHalt, OtherChanges, Plan, Policy, Progress, Signed, State,
};

/// One rule that is broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Planted {
    /// None is.
    Nothing,
    /// Silence rolls back.
    SilenceRollsBack,
    /// What devices have signed only halts.
    NothingRollsBack,
    /// Rings do not soak.
    NoSoak,
    /// Nothing that goes wrong halts.
    EndlessBudgets,
    /// Gates are not asked.
    NoGates,
    /// Windows are always open.
    NoWindows,
    /// Places do not matter.
    NoConstraints,
    /// Any number is told at any time.
    NoLimits,
    /// Nobody is told again.
    NoRetries,
    /// Metered links are used.
    MeteredLinks,
    /// A device may be in two changes.
    TwoChanges,
    /// Nobody is asked.
    NoApprovals,
    /// Membership is frozen.
    Frozen,
    /// A restored controller waits for nobody.
    NoHold,
    /// A newer rollout has no say.
    NoSay,
    /// Contact does not tell silent from unreachable.
    NoContact,
}

impl Planted {
    /// All that break something.
    pub const ALL: [Self; 16] = [
        Self::SilenceRollsBack,
        Self::NothingRollsBack,
        Self::NoSoak,
        Self::EndlessBudgets,
        Self::NoGates,
        Self::NoWindows,
        Self::NoConstraints,
        Self::NoLimits,
        Self::NoRetries,
        Self::MeteredLinks,
        Self::TwoChanges,
        Self::NoApprovals,
        Self::Frozen,
        Self::NoHold,
        Self::NoSay,
        Self::NoContact,
    ];

    /// A policy whose rule does not count.
    pub(super) fn policy(self, mut policy: Policy) -> Policy {
        let limits = &mut policy.limits;
        match self {
            Self::NothingRollsBack => policy.on_halt = OnHalt::Hold,
            Self::NoWindows => policy.maintenance = None,
            Self::NoConstraints => policy.constraints.clear(),
            Self::NoLimits => {
                *limits = Limits {
                    concurrent: None,
                    dispatches_per_hour: None,
                    ..*limits
                }
            }
            Self::NoRetries => limits.retries_per_device = 0,
            Self::MeteredLinks => limits.metered = Metered::Allow,
            Self::TwoChanges => limits.other_changes = OtherChanges::Allow,
            Self::Frozen => policy.membership = Membership::Frozen,
            Self::NoApprovals => policy.approval = Approval::None,
            _ => {}
        }
        for ring in &mut policy.rings {
            match self {
                Self::NoSoak => ring.soak_s = 0,
                Self::EndlessBudgets => ring.budget = endless(),
                Self::NoGates => ring.gates = Gates::default(),
                Self::NoApprovals => ring.approval = Approval::None,
                _ => {}
            }
        }
        policy
    }

    /// Facts that hide what a rule looks at.
    pub(super) fn facts(self, mut facts: DeviceFacts) -> DeviceFacts {
        match self {
            Self::NoHold => facts.hold = Hold::Free,
            Self::NoSay => facts.say = None,
            Self::MeteredLinks => facts.link = Link::Unmetered,
            Self::NoContact => {
                if let Progress::Dispatched { first_contact, .. } = &mut facts.progress {
                    *first_contact = None;
                }
            }
            _ => {}
        }
        facts
    }

    /// Decisions that follow another rule.
    pub(super) fn decisions(self, plan: &Plan, mut decisions: Decisions) -> Decisions {
        if let State::Halted { ring, cause, .. } = decisions.rollout.state
            && self == Self::SilenceRollsBack
            && plan.policy.on_halt == OnHalt::Rollback
            && cause.signed == Signed::No
        {
            decisions.rollout.state = State::RollingBack { ring };
        }
        decisions
    }
}

fn endless() -> Budget {
    use muster_fleet::planner::Allowance::Count;
    Budget {
        failed: Count(u32::MAX),
        silent: Count(u32::MAX),
        unreachable: Count(u32::MAX),
    }
}
