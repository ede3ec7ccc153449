//! From what devices counted to what the gates of each ring say.
//!
//! Never a judgement of its own: `gate` judges.

use std::collections::BTreeMap;
use std::num::NonZeroU32;

use muster_fleet::gate::{self, Approval, Budget, DeviceCounts, Evidence, Gate, Ground, Outcome};
use muster_fleet::planner::{
    DeviceFacts, Failure, GateVerdict, Inventory, Plan, Policy, Progress, RingEvidence, Signed,
    Verdict,
};
use muster_protocol::digest::Digest;
use muster_protocol::id::EpochGeneration;

use crate::controller::Error;
use crate::store::{Arm, RingCounts, RingCountsRow, Tx};

/// How often, at most, a good rollout is stopped by chance, over all of its gates and looks.
const FALSE_STOPS: f64 = 0.05;

/// The gates of each ring, read.
///
/// # Errors
/// A sentence that says which, because of what, and what to write.
pub(super) fn gates(policy: &Policy) -> Result<Vec<Vec<Gate>>, String> {
    let rings = policy.rings.iter().enumerate();
    rings
        .map(|(at, ring)| {
            let gates = ring.gates.0.iter().enumerate();
            gates
                .map(|(nth, gate)| {
                    let read: Result<Gate, _> = serde_json::from_value(gate.clone());
                    let gate = read.map_err(|error| error.to_string());
                    gate.and_then(written_here)
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

/// What is known of each ring that has gates.
pub(super) fn of_rings(
    tx: &Tx<'_>,
    plan: &Plan,
    bundle: Digest,
    inventory: &Inventory,
) -> Result<Vec<RingEvidence>, Error> {
    let refused = |why: String| Error::Refused { why };
    let gates = gates(&plan.policy).map_err(refused)?;
    let mut all = Vec::new();
    for (ring, gates) in (0_u32..).zip(&gates) {
        let rows = tx.ring_counts(plan.rollout.0.cast_signed(), ring)?;
        let canary = canary(plan, ring, bundle, inventory, &rows);
        let control = control(&rows);
        let verdicts = judged(gates, &canary, control.as_ref(), plan.rings_len());
        all.push(RingEvidence {
            inferences: canary.inferences(),
            verdicts: verdicts.map_err(refused)?,
        });
    }
    Ok(all)
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
    rows: &[RingCountsRow],
) -> Evidence {
    let ours = |row: &&RingCountsRow| row.arm == Arm::Ring && row.bundle == bundle;
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
        let mut counts = counted
            .get(device)
            .copied()
            .map_or_else(DeviceCounts::default, of_counts);
        add_receipts(&mut counts, facts);
        // Rows of earlier entries were left out where they were written.
        evidence.add(device.clone(), EpochGeneration::default(), &counts);
    }
    evidence
}

/// Devices on the version that most of the others run: unequal bundles never mix.
fn control(rows: &[RingCountsRow]) -> Option<Evidence> {
    let rows = || rows.iter().filter(|row| row.arm == Arm::Control);
    let mut devices: BTreeMap<Digest, usize> = BTreeMap::new();
    rows().for_each(|row| *devices.entry(row.bundle).or_default() += 1);
    let (bundle, _) = devices.into_iter().max_by_key(|(_, devices)| *devices)?;
    let mut evidence = Evidence::of(bundle);
    for row in rows().filter(|row| row.bundle == bundle) {
        evidence.add(row.device.clone(), row.since, &of_counts(&row.counts));
    }
    Some(evidence)
}

fn of_counts(counts: &RingCounts) -> DeviceCounts {
    DeviceCounts {
        closed_windows: counts.closed_windows,
        soaked_ms: counts.soaked_ms,
        ok: counts.calls,
        errors: counts.errors.clone(),
        latencies: counts.latencies,
        latency_misses: counts.latency_misses,
        classes: counts.classes.clone(),
        ..DeviceCounts::default()
    }
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
