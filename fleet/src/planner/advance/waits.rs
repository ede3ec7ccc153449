//! What a rollout waits for: why a ring does not settle or pass, and whom a rollback lacks.
//!
//! Never moves anything: `advance` goes on where nothing is found here.

use muster_protocol::id::DeviceId;
use muster_protocol::time::UnixSeconds;

use super::View;
use crate::planner::because::{self, Because, span};
use crate::planner::plan::Plan;
use crate::planner::policy::Ring;
use crate::planner::rollout::Rollout;
use crate::planner::situation::{GateVerdict, Situation, Verdict};
use crate::planner::state::{Phase, State};
use crate::planner::tally::{Block, Class, Counts, Tally};

/// Why the ring does not go on, in a sentence with its numbers; none when it does.
pub(in crate::planner) fn holds(
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
    match rollout.state {
        State::Running { ring, phase } => match phase {
            Phase::Dispatching => view.unsettled(ring),
            Phase::Soaking => view.soaking(ring),
            Phase::AwaitingApproval => Some(Because::plain("the next ring waits for approval")),
        },
        State::RollingBack { .. } => view.not_back(),
        _ => None,
    }
}

impl View<'_> {
    /// How many devices a rollback waits for: for those that are held as long as for one that it
    /// has told when it began.
    pub(super) fn going_back(&self) -> u32 {
        let rings = self.plan.policy.rings.iter();
        let held = rings.zip(&self.tally.held_to_go_back);
        let held = held.filter(|(ring, _)| {
            let until = self.rollout.since.0.saturating_add(ring.deadline_s);
            self.situation.now.0 <= until
        });
        let held: u32 = held.map(|(_, n)| n).sum();
        self.tally.to_go_back + self.tally.sum(|ring| ring.going_back) + held
    }

    /// Devices that a rollback waits for.
    fn not_back(&self) -> Option<Because> {
        let pending = self.going_back();
        if pending == 0 {
            return None;
        }
        let devices = self.devices(None, |class| {
            class.can_go_back() || matches!(class, Class::GoingBack { .. })
        });
        let sentence = format!(
            "it waits for {} to go back: {}",
            because::devices(pending),
            because::names(&devices)
        );
        let n = pending.into();
        Some(Because::counted(sentence, n, 0, n))
    }

    /// Devices on their way, devices not told, and of how many: what the ring waits for. The last
    /// ring waits for those of all rings, also for the ones that something outside the rollout
    /// holds back.
    fn awaited(&self, ring: u32) -> (u32, u32, u32) {
        if self.is_last(ring) {
            return (
                self.tally.sum(|ring| ring.in_flight),
                self.tally.sum(|ring| ring.waiting + ring.blocked),
                self.tally.sum(|ring| ring.members),
            );
        }
        let counts = self.tally.ring(ring);
        (counts.in_flight, counts.waiting, counts.members)
    }

    fn is_last(&self, ring: u32) -> bool {
        ring.saturating_add(1) >= self.plan.rings_len()
    }

    pub(super) fn is_settled(&self, ring: u32) -> bool {
        let (on_the_way, waiting, _) = self.awaited(ring);
        on_the_way + waiting == 0
    }

    pub(super) fn unsettled(&self, ring: u32) -> Option<Because> {
        if self.is_settled(ring) {
            return None;
        }
        let (on_the_way, waiting, members) = self.awaited(ring);
        let sentence = format!(
            "ring {} has not settled: {on_the_way} on the way and {waiting} not told, of {}: {}",
            self.plan.ring_name(ring),
            because::devices(members),
            because::names(&self.awaited_devices(ring))
        );
        let n = on_the_way + waiting;
        Some(Because::counted(sentence, n.into(), 0, members.into()))
    }

    fn awaited_devices(&self, ring: u32) -> Vec<DeviceId> {
        let last = self.is_last(ring);
        let members = self.plan.members().zip(&self.situation.facts);
        let members = members.zip(&self.tally.classes);
        let awaited = members.filter(|(((own, _), fact), class)| {
            let is_blocked = || {
                let policy = &self.plan.policy;
                let fact = fact.as_ref();
                fact.is_some_and(|fact| Block::of(fact, policy).is_some())
            };
            let counts = match class {
                Class::Told { .. } | Class::OnItsWay { .. } => true,
                Class::Pending(_) => last || !is_blocked(),
                _ => false,
            };
            counts && (last || *own == ring)
        });
        let mut devices: Vec<_> = awaited.map(|(((_, one), _), _)| one.clone()).collect();
        devices.sort_unstable();
        devices
    }

    /// Why a settled ring has not passed. A ring without devices has nothing to prove.
    pub(super) fn soaking(&self, ring: u32) -> Option<Because> {
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
