//! What a rollout does by itself: on to soak, approval and the next ring, to halt, back.
//!
//! Looks at what devices and gates have said; never at limits, which hold devices back but change
//! no state. Silence may halt, and only what devices have signed rolls back.

mod waits;

use muster_protocol::id::DeviceId;

use super::because::{self, Because};
use super::plan::Plan;
use super::policy::{Allowance, Approval, OnHalt, Ring};
use super::rollout::Rollout;
use super::situation::{GateVerdict, Situation, Verdict};
use super::state::{Cause, CauseKind, Phase, Signed, State};
use super::tally::{Class, Counts, Tally};

pub(super) use waits::holds;

/// The next state, with its reason and the devices that it rests on.
pub(super) struct Step {
    pub(super) to: State,
    pub(super) because: Because,
    pub(super) devices: Vec<DeviceId>,
}

impl Step {
    fn plain(to: State, because: Because) -> Self {
        Self {
            to,
            because,
            devices: Vec::new(),
        }
    }
}

/// One step that a rollout takes by itself; none when it stays where it is.
pub(super) fn step(
    plan: &Plan,
    situation: &Situation,
    rollout: &Rollout,
    tally: &Tally,
) -> Option<Step> {
    let view = View {
        plan,
        situation,
        rollout,
        tally,
    };
    match rollout.state {
        State::Draft => view.superseded(),
        State::Running { ring, phase } => view
            .superseded()
            .or_else(|| view.halt(ring, phase))
            .or_else(|| view.progress(ring, phase)),
        State::Paused { .. } => view.superseded(),
        State::Halted { ring, cause, .. } => {
            view.superseded().or_else(|| view.worse_than(ring, cause))
        }
        State::RollingBack { .. } => view.rolled_back(),
        State::RolledBack | State::Aborted | State::Completed | State::Superseded => None,
    }
}

/// Whether what halted a rollout is still so: if not, it may just go on.
pub(super) fn is_still_wrong(
    plan: &Plan,
    situation: &Situation,
    rollout: &Rollout,
    tally: &Tally,
) -> bool {
    let view = View {
        plan,
        situation,
        rollout,
        tally,
    };
    let ring = rollout.ring();
    ring.is_some_and(|ring| view.finding(ring).is_some())
}

struct View<'a> {
    plan: &'a Plan,
    situation: &'a Situation,
    rollout: &'a Rollout,
    tally: &'a Tally,
}

impl View<'_> {
    fn superseded(&self) -> Option<Step> {
        let n = self.tally.sum(|ring| ring.elsewhere);
        let rest = self.tally.sum(|ring| ring.members);
        if n == 0 || rest > 0 {
            return None;
        }
        let n = u64::from(n);
        let sentence = format!("newer rollouts have the say on all of its {n} devices");
        Some(Step::plain(
            State::Superseded,
            Because::counted(sentence, n, n, n),
        ))
    }

    fn rolled_back(&self) -> Option<Step> {
        if self.going_back() > 0 {
            return None;
        }
        let back = self.tally.sum(|ring| ring.back);
        // Who can still go back is held, and was waited for long enough.
        let devices = self.devices(None, |class| {
            class.can_go_back() || matches!(class, Class::BackSilent { .. })
        });
        let all = u64::from(back) + devices.len() as u64;
        let named = if devices.is_empty() {
            String::new()
        } else {
            format!("; past the deadline: {}", because::names(&devices))
        };
        let sentence = format!("{back} of {all} devices back as they were{named}");
        Some(Step {
            to: State::RolledBack,
            because: Because::counted(sentence, back.into(), all, all),
            devices,
        })
    }

    /// Halts, or rolls back at once when devices have signed for it and the policy says so.
    fn halt(&self, ring: u32, phase: Phase) -> Option<Step> {
        let found = self.finding(ring)?;
        let to = match (self.plan.policy.on_halt, found.cause.signed) {
            (OnHalt::Rollback, Signed::Yes) => State::RollingBack { ring },
            _ => State::Halted {
                ring,
                phase,
                cause: found.cause,
            },
        };
        Some(Step {
            to,
            because: found.because,
            devices: found.devices,
        })
    }

    /// A rollout that has halted for silence rolls back once devices have signed for a failure.
    fn worse_than(&self, ring: u32, cause: Cause) -> Option<Step> {
        let rolls_back = self.plan.policy.on_halt == OnHalt::Rollback;
        if !rolls_back || cause.signed == Signed::Yes {
            return None;
        }
        let found = self.finding(ring)?;
        (found.cause.signed == Signed::Yes).then_some(Step {
            to: State::RollingBack { ring },
            because: found.because,
            devices: found.devices,
        })
    }

    /// What is wrong in the open rings: what devices have signed comes first.
    fn finding(&self, open: u32) -> Option<Finding> {
        let rings = || (self.rollout.excused..=open).filter(|ring| self.policy(*ring).is_some());
        let signed = rings().find_map(|ring| {
            self.over(ring, CauseKind::Failed)
                .or_else(|| self.gate(ring, Signed::Yes))
        });
        signed.or_else(|| {
            rings().find_map(|ring| {
                self.over(ring, CauseKind::Silent)
                    .or_else(|| self.over(ring, CauseKind::Unreachable))
                    .or_else(|| self.gate(ring, Signed::No))
            })
        })
    }

    /// Whether more devices of a ring went wrong in one way than its budget allows.
    fn over(&self, ring: u32, kind: CauseKind) -> Option<Finding> {
        let (policy, counts) = (self.policy(ring)?, self.tally.ring(ring));
        let (n, allowance, what) = budgeted(kind, &counts, policy);
        let may = allowance.of(counts.members);
        if n <= may {
            return None;
        }
        let devices = self.devices(Some(ring), |class| class_counts_as(class, kind));
        let sentence = format!(
            "{n} of {} of ring {} {what}, at most {may} may: {}",
            because::devices(counts.members),
            policy.name,
            because::names(&devices)
        );
        let signed = match kind {
            CauseKind::Failed | CauseKind::Gate => Signed::Yes,
            CauseKind::Silent | CauseKind::Unreachable => Signed::No,
        };
        Some(Finding {
            cause: Cause { kind, ring, signed },
            because: Because::counted(sentence, n.into(), may.into(), counts.members.into()),
            devices,
        })
    }

    fn gate(&self, ring: u32, signed: Signed) -> Option<Finding> {
        let evidence = self.situation.evidence.get(ring as usize)?;
        let failed = |one: &&GateVerdict| one.verdict == Verdict::Fail && one.signed == signed;
        let verdict = evidence.verdicts.iter().find(failed)?;
        let sentence = format!(
            "the gate {} of ring {} failed: {}",
            verdict.gate,
            self.plan.ring_name(ring),
            verdict.because
        );
        let kind = CauseKind::Gate;
        let mut because = Because::plain(sentence);
        because.n = Some(evidence.inferences);
        Some(Finding {
            cause: Cause { kind, ring, signed },
            because,
            devices: Vec::new(),
        })
    }

    fn progress(&self, ring: u32, phase: Phase) -> Option<Step> {
        let dispatching = State::Running {
            ring,
            phase: Phase::Dispatching,
        };
        match phase {
            Phase::Dispatching => self.settled(ring),
            Phase::Soaking => match self.unsettled(ring) {
                Some(because) => Some(Step::plain(dispatching, because)),
                None => self.passed(ring),
            },
            Phase::AwaitingApproval => None,
        }
    }

    fn settled(&self, ring: u32) -> Option<Step> {
        if !self.is_settled(ring) {
            return None;
        }
        let counts = self.tally.ring(ring);
        let sentence = format!(
            "ring {} has settled: {} of {} {}",
            self.plan.ring_name(ring),
            counts.committed,
            because::devices(counts.members),
            self.plan.policy.role.done()
        );
        let (committed, members) = (counts.committed.into(), counts.members.into());
        let to = State::Running {
            ring,
            phase: Phase::Soaking,
        };
        Some(Step::plain(
            to,
            Because::counted(sentence, committed, members, members),
        ))
    }

    fn passed(&self, ring: u32) -> Option<Step> {
        if self.soaking(ring).is_some() {
            return None;
        }
        let counts = self.tally.ring(ring);
        let manual = self
            .policy(ring)
            .is_some_and(|ring| ring.approval == Approval::Manual);
        let to = if manual && counts.members > 0 {
            State::Running {
                ring,
                phase: Phase::AwaitingApproval,
            }
        } else {
            State::beyond(ring, self.plan.rings_len())
        };
        let (committed, members) = (counts.committed.into(), counts.members.into());
        let gates = match self.policy(ring).map_or(0, |ring| ring.gates.0.len()) {
            0 => String::new(),
            1 => ", and its gate passed".to_owned(),
            n => format!(", and its {n} gates passed"),
        };
        let sentence = format!(
            "ring {} has passed: {} of {} {}{gates}",
            self.plan.ring_name(ring),
            counts.committed,
            because::devices(counts.members),
            self.plan.policy.role.done()
        );
        Some(Step::plain(
            to,
            Because::counted(sentence, committed, members, members),
        ))
    }

    fn policy(&self, ring: u32) -> Option<&Ring> {
        self.plan.policy.rings.get(ring as usize)
    }

    fn devices(&self, ring: Option<u32>, which: impl Fn(Class) -> bool) -> Vec<DeviceId> {
        let members = self.plan.members().zip(&self.tally.classes);
        let members = members
            .filter(|((own, _), class)| ring.is_none_or(|ring| ring == *own) && which(**class));
        let mut devices: Vec<_> = members.map(|((_, device), _)| device.clone()).collect();
        devices.sort_unstable();
        devices
    }
}

/// Something that is wrong.
struct Finding {
    cause: Cause,
    because: Because,
    devices: Vec<DeviceId>,
}

fn budgeted(kind: CauseKind, counts: &Counts, ring: &Ring) -> (u32, Allowance, &'static str) {
    match kind {
        CauseKind::Silent => (
            counts.silent,
            ring.budget.silent,
            "fell silent past the deadline",
        ),
        CauseKind::Unreachable => (
            counts.unreachable,
            ring.budget.unreachable,
            "never answered within the deadline",
        ),
        CauseKind::Failed | CauseKind::Gate => (counts.failed, ring.budget.failed, "failed"),
    }
}

fn class_counts_as(class: Class, kind: CauseKind) -> bool {
    match kind {
        CauseKind::Silent => matches!(class, Class::Silent { .. }),
        CauseKind::Unreachable => matches!(class, Class::Unreachable { .. }),
        CauseKind::Failed | CauseKind::Gate => matches!(class, Class::Failed(_)),
    }
}
