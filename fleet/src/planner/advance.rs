//! What a rollout does by itself: on to soak, approval and the next ring, to halt, back.
//!
//! Looks at what devices and gates have said; never at limits, which hold devices back but change
//! no state. Silence may halt, and only what devices have signed rolls back.

use muster_protocol::id::DeviceId;
use muster_protocol::time::UnixSeconds;

use super::because::{self, Because, span};
use super::plan::Plan;
use super::policy::{Allowance, Approval, OnHalt, Ring};
use super::rollout::Rollout;
use super::situation::{GateVerdict, Situation, Verdict};
use super::state::{Cause, CauseKind, Phase, Signed, State};
use super::tally::{Class, Counts, Tally};

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

/// Why the ring does not go on, in a sentence with its numbers; none when it does.
pub(super) fn holds(
    plan: &Plan,
    situation: &Situation,
    rollout: &Rollout,
    tally: &Tally,
) -> Option<Because> {
    let view = View {
        plan,
        situation,
        rollout,
        tally,
    };
    let ring = rollout.ring()?;
    match rollout.phase()? {
        Phase::Dispatching => view.unsettled(ring),
        Phase::Soaking => view.soaking(ring),
        Phase::AwaitingApproval => Some(Because::plain("the next ring waits for approval")),
    }
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
        let pending = self.tally.to_go_back + self.tally.sum(|ring| ring.going_back);
        if pending > 0 {
            return None;
        }
        let (back, silent) = (
            self.tally.sum(|ring| ring.back),
            self.tally.sum(|ring| ring.back_silent),
        );
        let all = u64::from(back) + u64::from(silent);
        let devices = self.devices(None, |class| matches!(class, Class::BackSilent { .. }));
        let named = match silent {
            0 => String::new(),
            _ => format!("; past the deadline: {}", because::names(&devices)),
        };
        let sentence = format!("{back} of {all} devices run the version before again{named}");
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
        if self.unsettled(ring).is_some() {
            return None;
        }
        let counts = self.tally.ring(ring);
        let sentence = format!(
            "ring {} has settled: {} of {} committed",
            self.plan.ring_name(ring),
            counts.committed,
            because::devices(counts.members)
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

    /// Devices that the ring waits for. The last ring waits for those of all rings, also for the
    /// ones that something outside the rollout holds back.
    fn unsettled(&self, ring: u32) -> Option<Because> {
        let last = ring.saturating_add(1) >= self.plan.rings_len();
        let counts = self.tally.ring(ring);
        let (on_their_way, waiting, members) = if last {
            (
                self.tally.sum(|ring| ring.in_flight),
                self.tally.sum(|ring| ring.waiting + ring.blocked),
                self.tally.sum(|ring| ring.members),
            )
        } else {
            (counts.in_flight, counts.waiting, counts.members)
        };
        let n = on_their_way + waiting;
        if n == 0 {
            return None;
        }
        let sentence = format!(
            "ring {} has not settled: {on_their_way} on their way and {waiting} not told, of {}",
            self.plan.ring_name(ring),
            because::devices(members)
        );
        Some(Because::counted(sentence, n.into(), 0, members.into()))
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
        let sentence = format!(
            "ring {} has passed: {} of {} committed, {} gates passed",
            self.plan.ring_name(ring),
            counts.committed,
            because::devices(counts.members),
            self.policy(ring).map_or(0, |ring| ring.gates.0.len())
        );
        Some(Step::plain(
            to,
            Because::counted(sentence, committed, members, members),
        ))
    }

    /// Why a settled ring has not passed. A ring without devices has nothing to prove.
    fn soaking(&self, ring: u32) -> Option<Because> {
        let (policy, counts) = (self.policy(ring)?, self.tally.ring(ring));
        if counts.members == 0 {
            return None;
        }
        still_soaking(policy, self.rollout.since, self.situation.now)
            .or_else(|| too_few(policy, &counts))
            .or_else(|| self.no_verdict(ring, policy))
    }

    fn no_verdict(&self, ring: u32, policy: &Ring) -> Option<Because> {
        let evidence = self.situation.evidence_of(ring);
        let (seen, needed) = (evidence.inferences, policy.min_inferences);
        if seen < needed {
            let sentence = format!("{seen} inferences were seen, {needed} are needed");
            return Some(Because::counted(sentence, seen, needed, seen));
        }
        let undecided = |one: &&GateVerdict| one.verdict != Verdict::Pass;
        if let Some(one) = evidence.verdicts.iter().find(undecided) {
            let sentence = format!("the gate {} is inconclusive: {}", one.gate, one.because);
            return Some(Because::plain(sentence));
        }
        let (have, want) = (evidence.verdicts.len() as u64, policy.gates.0.len() as u64);
        (have < want).then(|| {
            let sentence = format!("{have} of {want} gates have said something");
            Because::counted(sentence, have, want, want)
        })
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
            "were never heard of within the deadline",
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

fn still_soaking(ring: &Ring, since: UnixSeconds, now: UnixSeconds) -> Option<Because> {
    let soaked = now.0.saturating_sub(since.0);
    (soaked < ring.soak_s).then(|| {
        let sentence = format!(
            "ring {} soaks for {} more of {}",
            ring.name,
            span(ring.soak_s - soaked),
            span(ring.soak_s)
        );
        Because::counted(sentence, soaked, ring.soak_s, 1)
    })
}

fn too_few(ring: &Ring, counts: &Counts) -> Option<Because> {
    let (committed, needed) = (counts.committed, ring.min_devices);
    (committed < needed).then(|| {
        let sentence = format!(
            "{} of ring {} committed, {needed} are needed",
            because::devices(committed),
            ring.name
        );
        Because::counted(
            sentence,
            committed.into(),
            needed.into(),
            counts.members.into(),
        )
    })
}
