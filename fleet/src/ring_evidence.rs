//! What gates say of each ring: from the counts of devices and the progress of a rollout there.
//!
//! Pure, and never a judgement of its own: `gate` judges.

use std::collections::BTreeMap;
use std::num::NonZeroU32;

use muster_protocol::digest::Digest;
use muster_protocol::id::{DeviceId, EpochGeneration};

use crate::gate::{
    self, Approval, Budget, DeviceCounts, Evidence, Gate, Ground, Outcome, Promised,
};
use crate::planner::{
    DeviceFacts, Failure, GateVerdict, Inventory, Plan, Policy, Progress, RingEvidence, Role,
    Signed, Verdict,
};

/// How often, at most, a good rollout is stopped by chance, over all of its gates and looks.
const FALSE_STOPS: f64 = 0.05;

/// On which side of a comparison a device is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Arm {
    /// The ring's own devices, on the new version.
    Ring,
    /// Devices that run another version in the same time.
    Control,
}

/// What a device counted for a ring.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counted {
    /// On which side.
    pub arm: Arm,
    /// The device.
    pub device: DeviceId,
    /// The bundle that served.
    pub bundle: Digest,
    /// The entry that made it serve.
    pub since: EpochGeneration,
    /// Its sums.
    pub counts: DeviceCounts,
}

/// The gates of each ring, read.
///
/// # Errors
/// A sentence that says which, because of what, and what to write.
pub fn gates(policy: &Policy) -> Result<Vec<Vec<Gate>>, String> {
    let rings = policy.rings.iter().enumerate();
    rings
        .map(|(at, ring)| {
            let gates = ring.gates.0.iter().enumerate();
            gates
                .map(|(nth, gate)| {
                    let read: Result<Gate, _> = serde_json::from_value(gate.clone());
                    let gate = read.map_err(|error| error.to_string());
                    gate.and_then(written_here)
                        .and_then(|gate| fits(gate, policy.role))
                        .map_err(|error| format!("rings[{at}].gates[{nth}]: {error}"))
                })
                .collect()
        })
        .collect()
}

/// A ring has its approval elsewhere.
fn written_here(gate: Gate) -> Result<Gate, String> {
    match gate {
        Gate::ManualApproval => {
            Err("hint: write approval = \"manual\" into the ring instead".to_owned())
        }
        gate => Ok(gate),
    }
}

/// A shadow is compared with what serves on the same device, and nothing else is.
fn fits(gate: Gate, role: Role) -> Result<Gate, String> {
    let name = gate.name();
    match role {
        Role::Serve if gate.is_of_shadows() => Err(format!(
            "the gate {name} never judges: because only a shadow is compared with what serves: \
             hint: write role = \"shadow\" into a policy of its own"
        )),
        Role::Shadow if matches!(gate, Gate::Drift { .. }) => Err(format!(
            "the gate {name} never judges: because what a shadow sees is what serves sees, and only \
             that is watched: hint: leave it away, or write the gate disagreement"
        )),
        Role::Shadow if gate.has_control() => Err(format!(
            "the gate {name} compares devices: because a shadow answers only a sample, that would \
             not be fair: hint: give it a limit and no margin, or write the gate disagreement"
        )),
        Role::Serve | Role::Shadow => Ok(gate),
    }
}

/// What a rollout brings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Brought {
    /// The bundle.
    pub bundle: Digest,
    /// What its reference promises.
    pub promised: Promised,
}

/// What is known of one ring of a rollout that brings a bundle.
///
/// # Errors
/// Gates that share no allowance of false stops.
pub fn of_ring(
    plan: &Plan,
    ring: u32,
    gates: &[Gate],
    brought: Brought,
    inventory: &Inventory,
    rows: &[Counted],
) -> Result<RingEvidence, String> {
    let canary = canary(plan, ring, brought.bundle, inventory, rows).promising(brought.promised);
    let control = control(rows);
    let verdicts = judged(gates, &canary, control.as_ref(), plan.rings_len())?;
    Ok(RingEvidence {
        inferences: canary.inferences(),
        verdicts,
    })
}

fn judged(
    gates: &[Gate],
    canary: &Evidence,
    control: Option<&Evidence>,
    rings: u32,
) -> Result<Vec<GateVerdict>, String> {
    let allowance = FALSE_STOPS.try_into().map_err(|error| format!("{error}"))?;
    let rings = NonZeroU32::new(rings).unwrap_or(NonZeroU32::MIN);
    let budget = Budget::split(allowance, rings, gates).map_err(|error| error.to_string())?;
    let facts = gate::Facts {
        canary,
        control,
        approval: Approval::Granted,
    };
    let verdicts = gate::judge_all(gates, facts, &budget).into_iter();
    Ok(verdicts
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
        .collect())
}

/// Devices of the ring: what they counted, and what their receipts say.
fn canary(
    plan: &Plan,
    ring: u32,
    bundle: Digest,
    inventory: &Inventory,
    rows: &[Counted],
) -> Evidence {
    let ours = |row: &&Counted| row.arm == Arm::Ring && row.bundle == bundle;
    let counted: BTreeMap<_, _> = rows
        .iter()
        .filter(ours)
        .map(|row| (&row.device, &row.counts))
        .collect();
    let mut evidence = Evidence::of(bundle);
    let planned = plan.rings.get(ring as usize);
    for device in planned.iter().flat_map(|ring| &ring.devices) {
        let Some(facts) = inventory.device(device) else {
            continue;
        };
        if facts.progress == Progress::NotDispatched {
            continue;
        }
        let mut counts = counted.get(device).copied().cloned().unwrap_or_default();
        add_receipts(&mut counts, facts);
        // Rows of earlier entries were left out where they were written.
        evidence.add(device.clone(), EpochGeneration::default(), &counts);
    }
    evidence
}

/// Devices on the version that most of the others run: unequal bundles never mix.
fn control(rows: &[Counted]) -> Option<Evidence> {
    let rows = || rows.iter().filter(|row| row.arm == Arm::Control);
    let mut devices: BTreeMap<Digest, usize> = BTreeMap::new();
    rows().for_each(|row| *devices.entry(row.bundle).or_default() += 1);
    let (bundle, _) = devices.into_iter().max_by_key(|(_, devices)| *devices)?;
    let mut evidence = Evidence::of(bundle);
    for row in rows().filter(|row| row.bundle == bundle) {
        evidence.add(row.device.clone(), row.since, &row.counts);
    }
    Some(evidence)
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

#[cfg(test)]
mod tests {
    use super::*;

    fn check(role: &str, gate: &str, expect: &str) {
        let policy = format!(
            "model = 'bearing'\nversion = '2.0.0'\nmembership = 'frozen'\non_halt = 'hold'\n\
             role = '{role}'\n[[rings]]\nname = 'all'\nreach = {{ percent = 100 }}\n\
             soak_s = 0\ndeadline_s = 20\ngates = [{gate}]\n"
        );
        let policy = Policy::read(&policy).expect("a policy");
        match gates(&policy) {
            Ok(_) => assert_eq!(expect, "", "{role} {gate}"),
            Err(said) => {
                assert!(!expect.is_empty() && said.contains(expect), "{said}");
                assert!(said.starts_with("rings[0].gates[0]: "), "{said}");
                assert!(said.contains("hint: "), "{said}");
            }
        }
    }

    #[test]
    fn gates_fit_what_the_version_is_there_for() {
        let disagreement = "{ gate = 'disagreement', limit = 0.02 }";
        let margin = "{ gate = 'error_rate', margin = 0.01, limit = 0.02 }";
        let limit = "{ gate = 'latency_misses', limit = 0.02 }";
        check("shadow", disagreement, "");
        check("serve", disagreement, "only a shadow is compared");
        check("shadow", limit, "");
        check("serve", limit, "");
        check("shadow", margin, "give it a limit and no margin");
        check("serve", margin, "");
        check(
            "shadow",
            "{ gate = 'prediction_mix', margin = 0.1 }",
            "or write the gate disagreement",
        );
        check("serve", "{ gate = 'manual_approval' }", "approval =");
        let drift = "{ gate = 'drift', margin = 0.1 }";
        check("shadow", drift, "what a shadow sees");
        check("serve", drift, "");
    }
}
