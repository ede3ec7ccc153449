//! From what devices counted to what the gates of each ring say, as `executor/evidence.rs` does;
//! gates that wait for devices which count late requests and classes are judged here already.
//!
//! Never a judgement of its own: `gate` judges.

use std::collections::BTreeMap;
use std::num::NonZeroU32;

use muster_fleet::gate::{
    self, Approval, Budget, DeviceCounts, Evidence, Gate, Ground, Outcome, Share,
};
use muster_fleet::planner::{
    DeviceFacts, Failure, GateVerdict, Inventory, Plan, Policy, Progress, RingEvidence, Rollout,
    RolloutId, Signed, State, Verdict,
};
use muster_protocol::digest::Digest;
use muster_protocol::id::{DeviceId, EpochGeneration, ModelId, Version};

use super::Controller;

/// How often, at most, a good rollout is stopped by chance.
const FALSE_STOPS: f64 = 0.05;

/// On which side of a comparison a device is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Arm {
    /// The ring's own devices.
    Ring,
    /// Devices that run another version in the same time.
    Control,
}

/// For what counts are summed: rollout, ring, side, device and bundle.
pub(super) type CountedFor = (RolloutId, u32, Arm, DeviceId, Digest);

/// The bundle of a version.
pub(super) fn bundle(model: &ModelId, version: &Version) -> Digest {
    Digest::of(format!("{model} {version}").as_bytes())
}

/// The ring that others are compared with now.
pub(super) fn open_ring(standing: &Rollout) -> Option<u32> {
    match standing.state {
        State::Running { ring, .. } => Some(ring),
        _ => None,
    }
}

/// The gates of each ring, read.
///
/// # Errors
/// A sentence that says which, because of what.
pub(super) fn gates(policy: &Policy) -> Result<Vec<Vec<Gate>>, String> {
    let rings = policy.rings.iter().enumerate();
    rings
        .map(|(at, ring)| {
            let gates = ring.gates.0.iter().enumerate();
            let read = gates.map(|(nth, gate)| {
                let gate: Result<Gate, _> = serde_json::from_value(gate.clone());
                gate.map_err(|error| format!("rings[{at}].gates[{nth}]: {error}"))
            });
            read.collect()
        })
        .collect()
}

impl Controller {
    /// What is known of each ring.
    pub(super) fn evidence(&self, plan: &Plan, inventory: &Inventory) -> Vec<RingEvidence> {
        let gates = gates(&plan.policy).unwrap_or_default();
        let rings = (0_u32..).zip(&gates);
        rings
            .map(|(ring, gates)| {
                let canary = self.canary(plan, ring, inventory);
                RingEvidence {
                    inferences: canary.inferences(),
                    verdicts: match gates.is_empty() {
                        true => Vec::new(),
                        false => judged(
                            gates,
                            &canary,
                            self.control(plan, ring).as_ref(),
                            plan.rings_len(),
                        ),
                    },
                }
            })
            .collect()
    }

    fn counted(
        &self,
        plan: &Plan,
        ring: u32,
        arm: Arm,
    ) -> impl Iterator<Item = (&DeviceId, Digest, EpochGeneration, &DeviceCounts)> {
        let rollout = plan.rollout;
        let rows = self
            .counts
            .iter()
            .filter(move |((of, own, side, _, _), _)| (*of, *own, *side) == (rollout, ring, arm));
        rows.map(|((_, _, _, device, bundle), (since, counts))| (device, *bundle, *since, counts))
    }

    fn canary(&self, plan: &Plan, ring: u32, inventory: &Inventory) -> Evidence {
        let ours = bundle(&plan.policy.model, &plan.policy.version);
        let rows = self.counted(plan, ring, Arm::Ring);
        let rows = rows.filter(|(_, bundle, _, _)| *bundle == ours);
        let counted: BTreeMap<_, _> = rows
            .map(|(device, _, _, counts)| (device, counts))
            .collect();
        let mut evidence = Evidence::of(ours);
        let planned = plan.rings.get(ring as usize);
        for device in planned.iter().flat_map(|ring| &ring.devices) {
            let Some(facts) = inventory.device(device) else {
                continue;
            };
            if facts.progress == Progress::NotDispatched {
                continue;
            }
            let counts = counted.get(device).copied().cloned();
            let mut counts = counts.unwrap_or_default();
            add_receipts(&mut counts, facts);
            evidence.add(device.clone(), EpochGeneration::default(), &counts);
        }
        evidence
    }

    /// Devices on the version that most of the others run.
    fn control(&self, plan: &Plan, ring: u32) -> Option<Evidence> {
        let rows = || self.counted(plan, ring, Arm::Control);
        let mut devices: BTreeMap<Digest, usize> = BTreeMap::new();
        rows().for_each(|(_, bundle, _, _)| *devices.entry(bundle).or_default() += 1);
        let (most, _) = devices.into_iter().max_by_key(|(_, devices)| *devices)?;
        let mut evidence = Evidence::of(most);
        for (device, _, since, counts) in rows().filter(|(_, bundle, _, _)| *bundle == most) {
            evidence.add(device.clone(), since, counts);
        }
        Some(evidence)
    }
}

fn judged(
    gates: &[Gate],
    canary: &Evidence,
    control: Option<&Evidence>,
    rings: u32,
) -> Vec<GateVerdict> {
    let rings = NonZeroU32::new(rings).unwrap_or(NonZeroU32::MIN);
    let allowance = Share::try_from(FALSE_STOPS).expect("invariant: it is a share");
    let budget = Budget::split(allowance, rings, gates).expect("invariant: it is an allowance");
    let facts = gate::Facts {
        canary,
        control,
        approval: Approval::Granted,
    };
    let verdicts = gate::judge_all(gates, facts, &budget).into_iter();
    verdicts
        .map(|(gate, verdict)| GateVerdict {
            gate: gate.to_owned(),
            verdict: match verdict.outcome {
                Outcome::Pass => Verdict::Pass,
                Outcome::Fail => Verdict::Fail,
                Outcome::Inconclusive => Verdict::Inconclusive,
            },
            because: verdict.because,
            signed: match verdict.ground {
                Ground::Signed => Signed::Yes,
                Ground::Absence => Signed::No,
            },
        })
        .collect()
}

fn add_receipts(counts: &mut DeviceCounts, facts: &DeviceFacts) {
    match &facts.progress {
        Progress::Committed => counts.installed = 1,
        Progress::Failed { failure, .. } => match failure {
            Failure::Refused => counts.refused = 1,
            Failure::Reverted | Failure::Degraded => counts.reverted = 1,
        },
        Progress::Dispatched {
            first_contact: None,
            ..
        } => return,
        Progress::NotDispatched
        | Progress::Dispatched { .. }
        | Progress::GoingBack { .. }
        | Progress::Back => {}
    }
    counts.contacts = 1;
}
